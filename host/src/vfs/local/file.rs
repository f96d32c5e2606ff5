//! Open files: read, write, commit.

use std::cell::RefCell;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use dittofs_sdk::vfs::{
    Advice, Attr, Buffer, Cred, Extent, File, Handle, Op, OpenAccess, ReadOk, Stability, VfsError,
    VfsResult, Written, posix,
};
use parking_lot::MappedRwLockReadGuard;
use rustix::fs::OFlags;
use rustix::io::{Errno, IoSlice, ReadWriteFlags};

use super::cache::Object;
use super::core::{Core, Resolver, reopen, stat};
use super::descriptors::Descriptor;
use super::handles::Kept;
use super::rights::By;
use super::{errno, sys};

/// The most that is written to a device's file system without a thread of the pool.
const MAX_IN_PLACE: usize = 64 * 1024;
/// The most that one read answers; longer ones are short.
const MAX_READ: u32 = 16 << 20;

impl Core {
    /// Opens a file under the caller's permissions; who may only execute may read too.
    pub(super) fn open_file(
        &self,
        cred: &Cred,
        object: &Object,
        access: OpenAccess,
    ) -> VfsResult<OwnedFd> {
        posix::require_file(object.kind)?;
        self.identity
            .judge(|| posix::check_open(&self.rights(object)?, cred, access))?;
        let _busy = self.others.busy(object.fileid);
        let want = match access {
            OpenAccess::Read => posix::READ,
            OpenAccess::Write => posix::WRITE,
            OpenAccess::Both => posix::READ | posix::WRITE,
        };
        if self.foresee(cred, object, want) == Ok(By::Server) {
            if access == OpenAccess::Read
                && let Some(fd) = self
                    .idle
                    .take(object.fileid, &self.handles.keep(&object.handle))
            {
                return Ok(fd);
            }
            let flags = open_flags(access);
            return self.identity.serve(|| self.open_as_server(object, flags));
        }
        let open = || reopen(object.as_fd(), open_flags(access));
        match self.identity.act(cred, open) {
            Err(VfsError::AccessDenied) if access == OpenAccess::Read => {
                let may_run = || sys::accessible(object.as_fd(), posix::EXEC).map_err(errno::vfs);
                self.identity.act(cred, may_run)?;
                self.identity.serve(open)
            }
            done => done,
        }
    }
}

impl Core {
    /// Opens by handle where that works: the path to an object behind a descriptor is long.
    pub(super) fn open_as_server(&self, object: &Object, flags: OFlags) -> VfsResult<OwnedFd> {
        if let Resolver::Kernel(mount) = &self.resolver
            && let Some(kernel) = self.handles.kernel_of(&object.handle)
        {
            return sys::open_by_handle(mount.as_fd(), &kernel, flags).map_err(errno::vfs);
        }
        reopen(object.as_fd(), flags)
    }

    /// Whether what was opened here can be opened again, whatever became of its permissions and names.
    pub(super) fn can_open_again(&self) -> bool {
        self.generic && matches!(self.resolver, Resolver::Kernel(_))
    }

    /// Takes over the descriptor of an open that [can be opened again](Self::can_open_again), and ends.
    pub(super) fn close(&self, open: &Open, fd: OwnedFd) {
        if open.descriptor.access == OpenAccess::Read {
            let has_name = || self.cache.peek(open.fileid).is_some();
            self.idle
                .keep(open.fileid, open.handle.clone(), fd, has_name);
        }
    }

    /// A new descriptor of an open whose own was closed. `unnamed` finds the file if it has no name.
    pub(super) fn open_again(
        &self,
        open: &Open,
        unnamed: impl FnOnce() -> Option<Arc<Object>>,
    ) -> VfsResult<OwnedFd> {
        let Resolver::Kernel(mount) = &self.resolver else {
            return Err(VfsError::Io);
        };
        let kernel = self.handles.kernel_of_kept(&open.handle);
        let kernel = kernel.ok_or(VfsError::Io)?;
        let flags = open_flags(open.descriptor.access);
        let _busy = self.others.busy(open.fileid);
        self.identity.serve(|| {
            match sys::open_by_handle(mount.as_fd(), &kernel, flags).map_err(errno::vfs) {
                Err(VfsError::Stale) => {
                    // Another file may have its number by now.
                    let handle = open.handle()?;
                    let file = unnamed().filter(|file| file.handle == handle);
                    reopen(file.ok_or(VfsError::Stale)?.as_fd(), flags)
                }
                done => done,
            }
        })
    }
}

pub(super) fn open_flags(access: OpenAccess) -> OFlags {
    let access = match access {
        OpenAccess::Read => OFlags::RDONLY,
        OpenAccess::Write => OFlags::WRONLY,
        OpenAccess::Both => OFlags::RDWR,
    };
    access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC
}

/// An open file of a directory. There are many, so that each is to be small.
pub(super) struct Open {
    pub(super) core: Arc<Core>,
    /// For jobs of the pool, and whoever else keeps it.
    pub(super) this: Weak<Self>,
    pub(super) fileid: u64,
    handle: Kept,
    /// Who opened it, if for writing: the kernel takes setuid away when anybody but the superuser
    /// writes.
    writer: Option<Arc<Cred>>,
    pub(super) descriptor: Descriptor,
}

const _: () = assert!(size_of::<Open>() <= 72);

/// An open file with its descriptor, which is not closed meanwhile.
pub(super) struct InUse<'a> {
    open: &'a Open,
    fd: MappedRwLockReadGuard<'a, OwnedFd>,
}

impl Open {
    pub(super) fn share(
        core: &Arc<Core>,
        object: &Object,
        fd: OwnedFd,
        access: OpenAccess,
        cred: &Cred,
    ) -> Arc<dyn File> {
        Arc::new_cyclic(|this: &Weak<Self>| Self {
            core: Arc::clone(core),
            this: this.clone(),
            fileid: object.fileid,
            handle: core.handles.keep(&object.handle),
            writer: access.writes().then(|| shared(cred)),
            descriptor: Descriptor::new(
                &core.descriptors,
                fd,
                access,
                core.can_open_again().then(|| this.clone()),
            ),
        })
    }

    fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&InUse<'_>) -> VfsResult<T> + Send + 'static,
    ) -> Op<T> {
        if !self.core.durable {
            return self.in_use().and_then(|open| job(&open)).into();
        }
        let Some(open) = self.this.upgrade() else {
            return Op::err(VfsError::Io);
        };
        self.core.pool.run(move || job(&open.in_use()?))
    }

    /// As [`run`](Self::run), with another open file of a directory.
    fn run_with<T: Send + 'static>(
        &self,
        source: &dyn File,
        job: impl FnOnce(&InUse<'_>, &InUse<'_>) -> VfsResult<T> + Send + 'static,
    ) -> Op<T> {
        match source.find::<Self>().and_then(|open| open.this.upgrade()) {
            Some(source) => self.run(move |open| job(open, &source.in_use()?)),
            None => Op::err(VfsError::CrossDevice),
        }
    }
}

impl File for Open {
    fn attr(&self) -> Op<Attr> {
        match self.in_use_now() {
            Some(open) => attr(&open).into(),
            None => self.run(attr),
        }
    }

    fn read(&self, offset: u64, count: u32, into: Buffer) -> Op<ReadOk> {
        if !self.descriptor.access.reads() {
            return Op::err(VfsError::AccessDenied);
        }
        let mut buffer = into;
        let count = count.min(MAX_READ);
        // What lives in memory is read at once.
        let cached = if self.core.durable {
            let open = self.in_use_now();
            open.and_then(|open| open.read_cached(offset, count, &mut buffer))
        } else {
            None
        };
        match cached {
            Some(eof) => eof.map(|eof| ReadOk { buffer, eof }).into(),
            None => self.run(move |open| {
                let eof = open.read(offset, count, &mut buffer)?;
                Ok(ReadOk { buffer, eof })
            }),
        }
    }

    fn write(&self, offset: u64, data: Bytes, how: Stability) -> Op<Written> {
        if self.is_quick(how, data.len())
            && let Some(open) = self.in_use_now()
            && let Some(done) = open.core.pace.run(|| open.write(offset, &data, how))
        {
            return done.into();
        }
        self.run(move |open| open.write(offset, &data, how))
    }

    fn commit(&self, _offset: u64, _count: u64) -> Op<()> {
        self.run(commit)
    }

    fn truncate(&self, size: u64) -> Op<Attr> {
        self.run(move |open| open.truncate(size))
    }

    fn extent(&self, offset: u64, _until: u64) -> Op<Option<Extent>> {
        self.run(move |open| open.extent(offset))
    }

    fn allocate(&self, offset: u64, count: u64) -> Op<()> {
        self.run(move |open| open.allocate(offset, count))
    }

    fn deallocate(&self, offset: u64, count: u64) -> Op<()> {
        self.run(move |open| open.deallocate(offset, count))
    }

    fn clone_range(&self, source: &dyn File, from: u64, to: u64, count: u64) -> Op<()> {
        self.run_with(source, move |open, source| {
            open.clone_range(source, from, to, count)
        })
    }

    fn copy_range(&self, source: &dyn File, from: u64, to: u64, count: u64) -> Op<u64> {
        self.run_with(source, move |open, source| {
            open.copy_range(source, from, to, count)
        })
    }

    fn advise(&self, offset: u64, count: u64, advice: Advice) -> Op<()> {
        self.run(move |open| open.advise(offset, count, advice))
    }
}

impl Open {
    /// Whether a write is one into the page cache, and no more than a thread is kept busy with.
    fn is_quick(&self, how: Stability, len: usize) -> bool {
        self.core.generic && how == Stability::Unstable && len <= MAX_IN_PLACE
    }

    /// With its descriptor, if it has one.
    fn in_use_now(&self) -> Option<InUse<'_>> {
        let fd = self.descriptor.get()?;
        Some(InUse { open: self, fd })
    }

    /// With its descriptor.
    pub(super) fn in_use(&self) -> VfsResult<InUse<'_>> {
        let fd = self.fd()?;
        Ok(InUse { open: self, fd })
    }

    fn handle(&self) -> VfsResult<Handle> {
        self.core.handles.kept(self.fileid, &self.handle)
    }

    /// Notes that data of the file were lost.
    pub(super) fn lose(&self) {
        if let Ok(handle) = self.handle() {
            self.core.lose(&handle);
        }
    }

    /// Who may write through it.
    pub(super) fn writer(&self) -> VfsResult<&Cred> {
        self.writer.as_deref().ok_or(VfsError::AccessDenied)
    }
}

/// Shared by all opens of a caller. A thread mostly serves one many times.
fn shared(cred: &Cred) -> Arc<Cred> {
    thread_local!(static LAST: RefCell<Option<Arc<Cred>>> = const { RefCell::new(None) });
    LAST.with_borrow_mut(|last| match last {
        Some(last) if **last == *cred => Arc::clone(last),
        last => Arc::clone(last.insert(Arc::new(cred.clone()))),
    })
}

impl Deref for InUse<'_> {
    type Target = Open;

    fn deref(&self) -> &Open {
        self.open
    }
}

impl AsFd for InUse<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl InUse<'_> {
    /// Reads what is in memory; nothing is said if that is not all.
    fn read_cached(&self, offset: u64, count: u32, into: &mut Buffer) -> Option<VfsResult<bool>> {
        let (start, wanted) = (into.len(), count as usize);
        // One byte more, if it is there, says that the end is not, and nobody need ask for the size.
        match self.read_piece(offset, wanted + 1, into, ReadWriteFlags::NOWAIT) {
            Ok(got) if got > wanted => {
                into.truncate(start + wanted);
                return Some(Ok(false));
            }
            Ok(got) => match self.is_end(offset, got) {
                Ok(false) if got < count as usize => {}
                eof => return Some(eof),
            },
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INTR) => {}
            Err(error) => return Some(Err(errno::vfs(error))),
        }
        into.truncate(start);
        None
    }

    fn read(&self, offset: u64, count: u32, into: &mut Buffer) -> VfsResult<bool> {
        let (start, wanted) = (into.len(), count as usize);
        // As for what is cached, but not where it might have to come from a device.
        let more = !self.core.durable && offset < i64::MAX as u64 - u64::from(count);
        let mut done = 0;
        while done < wanted {
            let at = offset.saturating_add(done as u64);
            let missing = wanted - done + usize::from(more);
            match self.read_piece(at, missing, into, ReadWriteFlags::empty()) {
                Ok(0) => break,
                Ok(got) => done += got,
                Err(Errno::INTR) => {}
                Err(error) if done == 0 => return Err(errno::vfs(error)),
                Err(_) => break,
            }
        }
        if done > wanted {
            into.truncate(start + wanted);
            return Ok(false);
        }
        self.is_end(offset, done)
    }

    fn read_piece(
        &self,
        offset: u64,
        count: usize,
        into: &mut Buffer,
        how: ReadWriteFlags,
    ) -> Result<usize, Errno> {
        // Beyond what the kernel can address there is nothing to read.
        if offset > i64::MAX as u64 - count as u64 {
            return Ok(0);
        }
        let _busy = self.core.others.busy(self.fileid);
        sys::read_into(self.as_fd(), offset, count, into, how)
    }

    fn is_end(&self, offset: u64, got: usize) -> VfsResult<bool> {
        Ok(offset.saturating_add(got as u64) >= stat(self.as_fd())?.stx_size)
    }

    fn write(&self, offset: u64, data: &[u8], how: Stability) -> VfsResult<Written> {
        let writer = self.writer()?;
        if offset > i64::MAX as u64 - data.len() as u64 {
            return Err(VfsError::FileTooBig);
        }
        let flags = match how {
            Stability::File if self.core.durable => ReadWriteFlags::SYNC,
            Stability::Data if self.core.durable => ReadWriteFlags::DSYNC,
            _ => ReadWriteFlags::empty(),
        };
        let _busy = self.core.changing(self.fileid);
        let by = self.writes_as(writer)?;
        let write = || self.write_all(offset, data, flags);
        let count = self.core.run(by, writer, write);
        if how == Stability::Unstable {
            self.note_unsynced();
        }
        let count = count?;
        self.core.changed(self.fileid, self.as_fd())?;
        Ok(Written {
            count: count as u32,
            stability: how,
        })
    }

    /// As whom to write: who opened the file may, and it matters to setuid and setgid only.
    fn writes_as(&self, writer: &Cred) -> VfsResult<By> {
        let identity = &self.core.identity;
        if identity.is_caller() && !identity.is_like_server(writer) {
            let mode = u32::from(stat(self.as_fd())?.stx_mode);
            if mode & (posix::SETUID | posix::SETGID) != 0 {
                return Ok(By::Caller);
            }
        }
        Ok(By::Server)
    }

    fn write_all(&self, offset: u64, data: &[u8], how: ReadWriteFlags) -> VfsResult<usize> {
        let mut done = 0;
        while let Some(rest) = data.get(done..).filter(|rest| !rest.is_empty()) {
            let at = offset + done as u64;
            match rustix::io::pwritev2(self, &[IoSlice::new(rest)], at, how) {
                Ok(0) => break,
                Ok(wrote) => done += wrote,
                Err(Errno::INTR) => {}
                Err(error) => {
                    if error == Errno::IO {
                        self.lose();
                    }
                    // What was written before the error is acknowledged; the next write tells.
                    if done == 0 || error == Errno::IO {
                        return Err(errno::vfs(error));
                    }
                    break;
                }
            }
        }
        Ok(done)
    }

    fn truncate(&self, size: u64) -> VfsResult<Attr> {
        let (writer, handle) = (self.writer()?, self.handle()?);
        let _busy = self.core.changing(self.fileid);
        self.core
            .identity
            .act(writer, || self.core.resize(&handle, self, size))?;
        self.core.changed(self.fileid, self.as_fd())?;
        self.settle()?;
        attr(self)
    }

    /// Forces data and metadata to the device.
    pub(super) fn settle(&self) -> VfsResult<()> {
        if !self.core.durable {
            return Ok(());
        }
        self.descriptor.note_sync();
        rustix::fs::fsync(self).map_err(|_| {
            self.lose();
            VfsError::Io
        })
    }

    /// Notes that data may have been written that are not safe yet.
    pub(super) fn note_unsynced(&self) {
        if self.core.durable {
            self.descriptor.note_unsynced();
        }
    }
}

fn attr(open: &InUse<'_>) -> VfsResult<Attr> {
    open.core.attr_from(&stat(open.as_fd())?)
}

/// The kernel reports lost data once and then takes the file for clean; here the file stays
/// in doubt until it is truncated to nothing.
pub(super) fn commit(open: &InUse<'_>) -> VfsResult<()> {
    if !open.core.durable {
        return Ok(());
    }
    if open.core.has_lost(&open.handle()?) {
        return Err(VfsError::Io);
    }
    open.descriptor.note_sync();
    open.core.syncs.share((open.fileid, true), || {
        rustix::fs::fdatasync(open).map_err(|_| {
            open.lose();
            VfsError::Io
        })
    })
}
