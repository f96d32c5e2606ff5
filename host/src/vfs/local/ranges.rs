//! Ranges of open files: where their data and holes lie; allocated, punched, cloned, copied, and
//! advised of.

use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use dittofs_sdk::vfs::{Advice, Capabilities, Content, Cred, Extent, VfsError, VfsResult};
use rustix::fs::{FallocateFlags, Mode, OFlags, SeekFrom};
use rustix::io::Errno;

use super::core::stat;
use super::file::InUse;
use super::{errno, sys};

/// The most bytes that one call copies: what takes a moment even if none are shared.
const MAX_COPY: u64 = 32 << 20;

/// What the file system of a directory does with ranges.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranges {
    pub(super) can: Capabilities,
    /// 0 if it can't clone.
    pub(super) clone_block: u32,
}

impl Ranges {
    /// Finds out with unnamed temporary files. Where there can be none, what every file system
    /// does is all that is claimed.
    pub(super) fn probe(dir: BorrowedFd<'_>) -> Self {
        let always = Capabilities::COPY | Capabilities::ADVISE;
        let block = rustix::fs::fstatfs(dir)
            .ok()
            .and_then(|fs| u32::try_from(fs.f_bsize).ok())
            .unwrap_or(0);
        let (Ok(one), Ok(two)) = (unnamed(dir), unnamed(dir)) else {
            return Self {
                can: always,
                clone_block: 0,
            };
        };
        let clones = block != 0 && try_clone(&one, &two, block).is_ok();
        let found = [
            (tells_holes(&two), Capabilities::HOLES),
            (
                try_allocate(&two, FallocateFlags::empty()),
                Capabilities::ALLOCATE,
            ),
            (try_allocate(&two, PUNCH), Capabilities::DEALLOCATE),
            (clones, Capabilities::CLONE),
        ];
        Self {
            can: super::all_of(always, &found),
            clone_block: if clones { block } else { 0 },
        }
    }
}

const PUNCH: FallocateFlags = FallocateFlags::PUNCH_HOLE.union(FallocateFlags::KEEP_SIZE);

fn unnamed(dir: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::openat(dir, c".", flags, Mode::RUSR | Mode::WUSR)
}

fn try_clone(from: &OwnedFd, to: &OwnedFd, block: u32) -> Result<(), Errno> {
    rustix::io::pwrite(from, &vec![1; block as usize], 0)?;
    sys::clone_range(to.as_fd(), 0, from.as_fd(), 0, block.into())
}

fn tells_holes(file: &OwnedFd) -> bool {
    const SIZE: u64 = 1 << 20;
    rustix::fs::ftruncate(file, 0)
        .and_then(|()| rustix::fs::ftruncate(file, SIZE))
        .is_ok()
        && rustix::fs::seek(file, SeekFrom::Data(0)) == Err(Errno::NXIO)
}

fn try_allocate(file: &OwnedFd, how: FallocateFlags) -> bool {
    rustix::fs::fallocate(file, how, 0, 4096).is_ok()
}

impl InUse<'_> {
    pub(super) fn extent(&self, offset: u64) -> VfsResult<Option<Extent>> {
        self.need(Capabilities::HOLES)?;
        // Beyond what the kernel can address there is nothing.
        if offset > i64::MAX as u64 {
            return Ok(None);
        }
        let _busy = self.core.others.busy(self.fileid);
        let (content, end) = match rustix::fs::seek(self, SeekFrom::Data(offset)) {
            Ok(data) if data > offset => (Content::Hole, data),
            Ok(_) => match rustix::fs::seek(self, SeekFrom::Hole(offset)) {
                Ok(hole) => (Content::Data, hole),
                // Cut off meanwhile.
                Err(Errno::NXIO) => return Ok(None),
                Err(error) => return Err(errno::vfs(error)),
            },
            Err(Errno::NXIO) => (Content::Hole, stat(self.as_fd())?.stx_size),
            Err(error) => return Err(errno::vfs(error)),
        };
        Ok((end > offset).then_some(Extent { content, end }))
    }

    pub(super) fn allocate(&self, offset: u64, count: u64) -> VfsResult<()> {
        self.need(Capabilities::ALLOCATE)?;
        self.fallocate(FallocateFlags::empty(), offset, count)
    }

    pub(super) fn deallocate(&self, offset: u64, count: u64) -> VfsResult<()> {
        self.need(Capabilities::DEALLOCATE)?;
        self.fallocate(PUNCH, offset, count)
    }

    fn fallocate(&self, how: FallocateFlags, offset: u64, count: u64) -> VfsResult<()> {
        let writer = self.writer()?;
        addressable(offset, count)?;
        if count == 0 {
            return Ok(());
        }
        let _busy = self.core.changing(self.fileid);
        self.core.identity.act(writer, || {
            rustix::fs::fallocate(self, how, offset, count).map_err(errno::vfs)
        })?;
        self.core.changed(self.fileid, self.as_fd())?;
        self.settle()
    }

    pub(super) fn clone_range(
        &self,
        source: &Self,
        from: u64,
        to: u64,
        count: u64,
    ) -> VfsResult<()> {
        self.need(Capabilities::CLONE)?;
        let writer = self.writer_from(source)?;
        addressable(from, count).map_err(|_| VfsError::Invalid)?;
        addressable(to, count)?;
        let _busy = (
            self.core.changing(self.fileid),
            source.core.others.busy(source.fileid),
        );
        self.core.identity.act(writer, || {
            sys::clone_range(self.as_fd(), to, source.as_fd(), from, count).map_err(errno::vfs)
        })?;
        self.core.changed(self.fileid, self.as_fd())?;
        self.settle()
    }

    pub(super) fn copy_range(
        &self,
        source: &Self,
        from: u64,
        to: u64,
        count: u64,
    ) -> VfsResult<u64> {
        let writer = self.writer_from(source)?;
        let size = stat(source.as_fd())?.stx_size;
        let count = count.min(size.saturating_sub(from));
        if count == 0 {
            return Ok(0);
        }
        addressable(to, count)?;
        if source.id() == self.id() && from.abs_diff(to) < count {
            return Err(VfsError::Invalid);
        }
        let _busy = (
            self.core.changing(self.fileid),
            source.core.others.busy(source.fileid),
        );
        let sparse = Capabilities::HOLES | Capabilities::DEALLOCATE;
        let count = if self.core.ranges.can.contains(sparse) {
            match source.extent(from)? {
                Some(Extent { content, end }) => {
                    let count = count.min(end - from);
                    if content == Content::Hole {
                        let copied = self.core.identity.act(writer, || self.copy_hole(to, count));
                        self.note_unsynced();
                        copied?;
                        self.core.changed(self.fileid, self.as_fd())?;
                        return Ok(count);
                    }
                    count
                }
                None => return Ok(0),
            }
        } else {
            count
        };
        let copied = self.core.identity.act(writer, || {
            self.copy_data(source, from, to, count.min(MAX_COPY))
        });
        self.note_unsynced();
        let copied = copied?;
        self.core.changed(self.fileid, self.as_fd())?;
        Ok(copied)
    }

    fn copy_data(&self, source: &Self, mut from: u64, mut to: u64, count: u64) -> VfsResult<u64> {
        let (input, output) = (Some(&mut from), Some(&mut to));
        // A count that fits, also where sizes have 32 bits.
        let count = usize::try_from(count).unwrap_or(1 << 20);
        rustix::fs::copy_file_range(source, input, self, output, count)
            .map(|copied| copied as u64)
            .map_err(|error| {
                if error == Errno::IO {
                    self.lose();
                }
                errno::vfs(error)
            })
    }

    /// Has zeros where the source has a hole. The file grows by a byte written at its new end, not by
    /// being resized, which would cut off what somebody else wrote beyond it in this moment.
    fn copy_hole(&self, to: u64, count: u64) -> VfsResult<()> {
        let end = to + count;
        if stat(self.as_fd())?.stx_size < end {
            rustix::io::pwrite(self, &[0], end - 1).map_err(errno::vfs)?;
        }
        rustix::fs::fallocate(self, PUNCH, to, count).map_err(errno::vfs)
    }

    pub(super) fn advise(&self, offset: u64, count: u64, advice: Advice) -> VfsResult<()> {
        let most = (i64::MAX as u64).saturating_sub(offset);
        if most == 0 {
            return Ok(());
        }
        let advice = match advice {
            Advice::Normal => rustix::fs::Advice::Normal,
            Advice::Sequential => rustix::fs::Advice::Sequential,
            Advice::Random => rustix::fs::Advice::Random,
            Advice::WillNeed => rustix::fs::Advice::WillNeed,
            Advice::DontNeed => rustix::fs::Advice::DontNeed,
            Advice::NoReuse => rustix::fs::Advice::NoReuse,
        };
        let count = NonZeroU64::new(count.min(most));
        let _busy = self.core.others.busy(self.fileid);
        rustix::fs::fadvise(self, offset, count, advice).map_err(errno::vfs)
    }

    fn need(&self, one: Capabilities) -> VfsResult<()> {
        if self.core.ranges.can.contains(one) {
            Ok(())
        } else {
            Err(VfsError::NotSupported)
        }
    }

    /// Who may write here what is read there.
    fn writer_from(&self, source: &Self) -> VfsResult<&Cred> {
        let writer = self.writer()?;
        if source.descriptor.access.reads() {
            Ok(writer)
        } else {
            Err(VfsError::AccessDenied)
        }
    }
}

/// Refuses what the kernel can't address.
fn addressable(offset: u64, count: u64) -> VfsResult<()> {
    let end = offset
        .checked_add(count)
        .and_then(|end| i64::try_from(end).ok());
    end.map(drop).ok_or(VfsError::FileTooBig)
}
