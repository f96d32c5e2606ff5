//! Directories listed.
//!
//! A cookie is the kernel's own offset (`d_off`) after the entry: a hash on ext4, a count on
//! tmpfs, always of at most 63 bits. 0, 1 and 2 mean something else in NFS (RFC 8881 §18.23.3);
//! where a kernel offset has such a value, the cookie is one of the three largest of 63 bits but
//! one, which no file system was seen to use.
//!
//! Attributes of objects in use are had through their descriptors, at half the cost of a walk by
//! name: the entry tells the object's number, and no other object has it meanwhile. (Not so on a
//! tmpfs with short numbers, which start over after four billions; there the walk is needed.) What is listed
//! is pinned for the next listing, as far as that drives out nothing that is in use.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use dittofs_sdk::vfs::{Cred, Listed, Listing, Node, ReadDirLimit, VfsError, VfsResult, posix};
use rustix::fs::{Mode, OFlags, RawDir, SeekFrom};

use super::cache::Object;
use super::core::{Core, reopen, stat, stat_at};
use super::rights::By;
use super::{errno, sys};

/// Bytes that the kernel tells entries in. The least takes the longest name, whose entry has 280.
const BUFFER_MIN: usize = 2048;
const BUFFER_MAX: usize = 32 * 1024;
/// Bytes of an entry as the kernel tells it, roughly: 19, the name, a NUL, and as many that they are a multiple of 8.
const DIRENT_GUESS: usize = 32;
/// Most entries that room is made for before they are found.
const ROOM_MAX: usize = 1024;
/// Most entries of one listing; longer ones are continued by the caller.
const MOST: u32 = 16_384;
const RESERVED: u64 = i64::MAX as u64 - 3;

impl Core {
    pub(super) fn read_dir(
        &self,
        cred: &Cred,
        dir: &Object,
        after: u64,
        limit: ReadDirLimit,
    ) -> VfsResult<Listing> {
        posix::require_dir(dir.kind)?;
        if limit.entries == 0 {
            return Err(VfsError::TooSmall);
        }
        let offset = offset(after).ok_or(VfsError::BadCookie)?;
        self.judge(cred, dir, posix::READ)?;
        let open = self.open_dir(cred, dir)?;
        if offset != 0 {
            rustix::fs::seek(&open, SeekFrom::Start(offset)).map_err(|_| VfsError::BadCookie)?;
        }
        // Names are for all who may read; what they stand for is for those who may search.
        let attrs = limit.attrs && self.may_search(cred, dir);
        let most = limit.entries.min(MOST) as usize;
        self.identity.serve(|| self.list(dir, &open, most, attrs))
    }

    fn open_dir(&self, cred: &Cred, dir: &Object) -> VfsResult<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        match self.foresee(cred, dir, posix::READ)? {
            By::Server => self.identity.serve(|| self.open_as_server(dir, flags)),
            By::Caller => self.identity.act(cred, || reopen(dir.as_fd(), flags)),
        }
    }

    fn may_search(&self, cred: &Cred, dir: &Object) -> bool {
        let asked = || sys::accessible(dir.as_fd(), posix::EXEC).map_err(errno::vfs);
        self.judge(cred, dir, posix::EXEC).is_ok()
            && self.permitted(cred, dir, posix::EXEC, asked).is_ok()
    }

    fn list(&self, dir: &Object, open: &OwnedFd, most: usize, attrs: bool) -> VfsResult<Listing> {
        let covered = self.mounts.covered();
        // What the kernel tells beyond `most` entries is told again for the next listing. So it is
        // asked several times for a part of them.
        let room = (most.saturating_mul(DIRENT_GUESS) / 8).clamp(BUFFER_MIN, BUFFER_MAX);
        let mut buffer = Vec::with_capacity(room);
        let mut raw = RawDir::new(open, buffer.spare_capacity_mut());
        let mut listed = Listed::with_room_for(most.min(ROOM_MAX));
        while let Some(entry) = raw.next() {
            let entry = entry.map_err(errno::vfs)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if listed.len() == most {
                return Ok(listed.end(false));
            }
            let fileid = entry.ino();
            self.seen(dir.fileid, name.to_bytes(), fileid);
            let node = if attrs {
                let clear = self.generic && covered.is_clear(name);
                match clear.then(|| self.known_entry(open, name, fileid)) {
                    Some(Some(known)) => Some(known),
                    _ => self.entry_node(open, name, fileid, clear),
                }
            } else {
                None
            };
            let cookie = cookie(entry.next_entry_cookie());
            listed.push(name.to_bytes(), cookie, fileid, node.as_ref());
        }
        Ok(listed.end(true))
    }

    /// What an entry stands for, if that is in use.
    fn known_entry(&self, dir: &OwnedFd, name: &CStr, fileid: u64) -> Option<Node> {
        let object = self.cache.peek(fileid)?;
        let stat = if self.numbers_are_unique {
            stat(object.as_fd()).ok()?
        } else {
            let found = stat_at(dir.as_fd(), name).ok()?;
            object.is(&found).then_some(found)?
        };
        // Without a name it was removed just now, and the entry may be of its successor.
        if stat.stx_nlink == 0 {
            return None;
        }
        Some(Node {
            handle: object.handle,
            attr: self.attr_from(&stat).ok()?,
        })
    }

    /// What an entry stands for. If the number differs the name was reused just now, or something
    /// is mounted on it.
    fn entry_node(&self, dir: &OwnedFd, name: &CStr, fileid: u64, may_pin: bool) -> Option<Node> {
        let pin = if may_pin && self.cache.has_room(fileid) {
            Some(pin_entry(dir, name).ok()?)
        } else {
            None
        };
        let (at, name) = match &pin {
            Some(pin) => (pin.as_fd(), c""),
            None => (dir.as_fd(), name),
        };
        let handle = self.handles.of(at, name, fileid).ok()?;
        let stat = stat_at(at, name).ok()?;
        if stat.stx_ino != fileid || !self.is_ours(&stat) {
            return None;
        }
        let attr = self.attr_from(&stat).ok()?;
        if let Some(pin) = pin {
            self.cache
                .keep_listed(Object::new(pin, handle, &stat).ok()?);
        }
        Some(Node { handle, attr })
    }
}

fn pin_entry(dir: &OwnedFd, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

fn cookie(offset: u64) -> u64 {
    if offset < 3 {
        RESERVED + offset
    } else {
        offset
    }
}

fn offset(cookie: u64) -> Option<u64> {
    match cookie {
        0 => Some(0),
        // The last of these would start over: where a file system gives 0, nothing is resumed.
        1 | 2 | RESERVED => None,
        0x7fff_ffff_ffff_fffd | 0x7fff_ffff_ffff_fffe => Some(cookie - RESERVED),
        _ => i64::try_from(cookie).is_ok().then_some(cookie),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offset_has_a_cookie_that_leads_back_to_it() {
        for at in [1, 2, 3, 12, 1 << 40, i64::MAX as u64] {
            assert!(cookie(at) >= 3);
            assert_eq!(offset(cookie(at)), Some(at));
        }
        assert_eq!([offset(1), offset(2), offset(1 << 63)], [None, None, None]);
    }
}
