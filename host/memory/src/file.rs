//! Attributes set, and files read and written.

use std::sync::Arc;

use bytes::Bytes;
use dittofs_sdk::vfs::{
    Acl, Advice, Attr, Buffer, Cred, Extent, File, Handle, Kind, Op, OpenAccess, ReadOk, SetAttr,
    Stability, VfsError, VfsResult, Written, posix,
};

use crate::core::Core;
use crate::data::Data;
use crate::inode::{Acls, Inode, State, now, resolve};
use crate::range::{Piece, overlap};

impl Core {
    pub(crate) fn set_attr(
        &self,
        cred: &Cred,
        object: &Handle,
        changes: &SetAttr,
    ) -> VfsResult<Attr> {
        let inode = self.find(object)?;
        let mut state = inode.state.write();
        if changes.size.is_some() {
            state.data()?;
        }
        if changes.umask.is_some() {
            return Err(VfsError::Invalid);
        }
        posix::check_set_attr(&state.rights(inode.ino), cred, changes)?;
        if let Some(size) = changes.size {
            resize(&mut state, size, cred.uid == 0)?;
        }
        if !changes.is_empty() {
            apply(&mut state, cred, changes);
        }
        Ok(state.attr(inode.ino))
    }

    pub(crate) fn acl(&self, object: &Handle) -> VfsResult<Acl> {
        let inode = self.find(object)?;
        let state = inode.state.read();
        if state.kind() == Kind::Symlink {
            return Err(VfsError::NotSupported);
        }
        Ok(Acl::Posix(state.posix_acls()))
    }

    pub(crate) fn set_acl(&self, cred: &Cred, object: &Handle, acl: &Acl) -> VfsResult<Attr> {
        let inode = self.find(object)?;
        let mut state = inode.state.write();
        let acls = posix::check_acl(state.kind(), acl)?;
        if !posix::is_owner(&state.attr(inode.ino), cred) {
            return Err(VfsError::NotPermitted);
        }
        let (access, default) = (acls.access.clone(), acls.default.clone());
        let special = state.mode & !0o777;
        state.acls = Acls::new(Some(Arc::new(access)), default.map(Arc::new), &self.bytes)?;
        state.mode = posix::grantable_mode(special | acls.access.mode(), state.gid, cred);
        state.changed();
        Ok(state.attr(inode.ino))
    }
}

/// Everything but the size; permission is checked.
fn apply(state: &mut State, cred: &Cred, changes: &SetAttr) {
    if changes.uid.or(changes.gid).is_some() {
        state.uid = changes.uid.unwrap_or(state.uid);
        state.gid = changes.gid.unwrap_or(state.gid);
        if state.kind() != Kind::Dir {
            state.mode = posix::mode_without_privilege(state.mode);
        }
    }
    if let Some(mode) = changes.mode.filter(|_| state.kind() != Kind::Symlink) {
        state.set_mode(posix::grantable_mode(mode, state.gid, cred));
    }
    if changes.atime.or(changes.mtime).is_some() {
        state.verifier = None;
    }
    state.changed();
    state.atime = changes.atime.map_or(state.atime, resolve);
    state.mtime = changes.mtime.map_or(state.mtime, resolve);
}

fn resize(state: &mut State, size: u64, superuser: bool) -> VfsResult<()> {
    state.data_mut()?.set_size(size)?;
    wrote(state, superuser);
    Ok(())
}

fn wrote(state: &mut State, superuser: bool) {
    state.modified();
    if !superuser {
        state.mode = posix::mode_without_privilege(state.mode);
    }
}

/// An open file; it counts in [`State::opens`] until it is dropped.
pub(crate) struct MemoryFile {
    core: Arc<Core>,
    inode: Arc<Inode>,
    access: OpenAccess,
    superuser: bool,
}

impl MemoryFile {
    /// Opens without a check of permissions.
    pub(crate) fn open(
        core: &Arc<Core>,
        inode: Arc<Inode>,
        access: OpenAccess,
        cred: &Cred,
    ) -> VfsResult<Arc<dyn File>> {
        {
            let mut state = inode.state.write();
            state.data()?;
            if state.is_gone() {
                return Err(VfsError::Stale);
            }
            state.opens += 1;
        }
        Ok(Arc::new(Self {
            core: Arc::clone(core),
            inode,
            access,
            superuser: cred.uid == 0,
        }))
    }

    fn try_write(&self, offset: u64, data: &[u8]) -> VfsResult<u32> {
        if !self.access.writes() {
            return Err(VfsError::AccessDenied);
        }
        let mut state = self.inode.state.write();
        let count = state.data_mut()?.write(offset, data)?;
        if count > 0 {
            wrote(&mut state, self.superuser);
        }
        Ok(count)
    }

    /// Changes content and attributes of the file.
    fn change<T>(&self, change: impl FnOnce(&mut Data) -> VfsResult<T>) -> VfsResult<T> {
        if !self.access.writes() {
            return Err(VfsError::AccessDenied);
        }
        let mut state = self.inode.state.write();
        let done = change(state.data_mut()?)?;
        wrote(&mut state, self.superuser);
        Ok(done)
    }

    /// Takes something of another open file, or of this one.
    fn take(
        &self,
        source: &dyn File,
        take: impl FnOnce(&Data, bool) -> VfsResult<Piece>,
    ) -> VfsResult<Piece> {
        let source = source.find::<Self>().ok_or(VfsError::CrossDevice)?;
        if !Arc::ptr_eq(&source.core, &self.core) {
            return Err(VfsError::CrossDevice);
        }
        if !source.access.reads() || !self.access.writes() {
            return Err(VfsError::AccessDenied);
        }
        let same = source.inode.ino == self.inode.ino;
        let state = source.inode.state.read();
        take(state.data()?, same)
    }

    fn try_clone(&self, source: &dyn File, from: u64, to: u64, count: u64) -> VfsResult<()> {
        let piece = self.take(source, |data, same| {
            let piece = data.to_clone(from, count)?;
            if same && overlap(from, to, piece.len()) {
                return Err(VfsError::Invalid);
            }
            Ok(piece)
        })?;
        self.change(|data| data.put_clone(to, piece))
    }

    fn try_copy(&self, source: &dyn File, from: u64, to: u64, count: u64) -> VfsResult<u64> {
        let piece = self.take(source, |data, same| {
            let count = count.min(data.size().saturating_sub(from));
            if same && overlap(from, to, count) {
                return Err(VfsError::Invalid);
            }
            Ok(data.to_copy(from, to, count))
        })?;
        if piece.len() == 0 {
            return Ok(0);
        }
        self.change(|data| data.put(to, piece))
    }

    fn try_read(&self, offset: u64, count: u32, into: &mut Buffer) -> VfsResult<bool> {
        if !self.access.reads() {
            return Err(VfsError::AccessDenied);
        }
        let state = self.inode.state.read();
        let eof = state.data()?.read(offset, count, into);
        // As Linux's relatime: the first read after a change is noted, later ones are not.
        let note = state.atime <= state.mtime;
        drop(state);
        if note {
            self.inode.state.write().atime = now();
        }
        Ok(eof)
    }
}

impl File for MemoryFile {
    fn attr(&self) -> Op<Attr> {
        Op::ok(self.inode.attr())
    }

    fn read(&self, offset: u64, count: u32, into: Buffer) -> Op<ReadOk> {
        let mut buffer = into;
        self.try_read(offset, count, &mut buffer)
            .map(|eof| ReadOk { buffer, eof })
            .into()
    }

    fn write(&self, offset: u64, data: Bytes, how: Stability) -> Op<Written> {
        self.try_write(offset, &data)
            .map(|count| Written {
                count,
                stability: how,
            })
            .into()
    }

    fn commit(&self, _offset: u64, _count: u64) -> Op<()> {
        Op::ok(())
    }

    fn truncate(&self, size: u64) -> Op<Attr> {
        if !self.access.writes() {
            return Op::err(VfsError::AccessDenied);
        }
        let mut state = self.inode.state.write();
        resize(&mut state, size, self.superuser)
            .map(|()| state.attr(self.inode.ino))
            .into()
    }

    fn extent(&self, offset: u64, until: u64) -> Op<Option<Extent>> {
        let state = self.inode.state.read();
        state.data().map(|data| data.extent(offset, until)).into()
    }

    fn allocate(&self, offset: u64, count: u64) -> Op<()> {
        self.change(|data| data.allocate(offset, count)).into()
    }

    fn deallocate(&self, offset: u64, count: u64) -> Op<()> {
        self.change(|data| data.deallocate(offset, count)).into()
    }

    fn clone_range(&self, source: &dyn File, from: u64, to: u64, count: u64) -> Op<()> {
        self.try_clone(source, from, to, count).into()
    }

    fn copy_range(&self, source: &dyn File, from: u64, to: u64, count: u64) -> Op<u64> {
        self.try_copy(source, from, to, count).into()
    }

    /// All of it is in memory, whatever comes.
    fn advise(&self, _offset: u64, _count: u64, _advice: Advice) -> Op<()> {
        Op::ok(())
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        let gone = {
            let mut state = self.inode.state.write();
            state.opens -= 1;
            state.is_gone()
        };
        if gone {
            self.core.forget(self.inode.ino);
        }
    }
}
