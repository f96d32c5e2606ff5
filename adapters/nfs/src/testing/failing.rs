//! A file system in memory that refuses everything from some call on.

use std::sync::Arc;

use bytes::Bytes;
use dittofs_memfs::{MemoryFs, Options};
use dittofs_sdk::vfs::{
    Access, Advice, Attr, Buffer, Capabilities, CreateHow, Created, Cred, DirChange, Extent, File,
    FileSystem, FsInfo, FsStat, Granted, Handle, Listing, Made, Name, NewNode, Node, Op,
    OpenAccess, ReadDirLimit, ReadOk, SetAttr, SetXattr, Stability, VfsError, Written,
    XattrListing, XattrName,
};
use parking_lot::Mutex;

/// What [`MemoryFs`] does, until its time has come.
pub(crate) struct Failing {
    inner: Arc<MemoryFs>,
    fate: Arc<Fate>,
}

#[derive(Default)]
struct Fate(Mutex<Option<(u32, VfsError)>>);

struct FailingFile {
    inner: Arc<dyn File>,
    fate: Arc<Fate>,
}

impl Failing {
    pub(crate) fn new() -> Self {
        let options = Options {
            mode: 0o777,
            ..Options::default()
        };
        Self {
            inner: Arc::new(MemoryFs::new(&options).unwrap()),
            fate: Arc::default(),
        }
    }

    /// Lets `calls` more calls succeed, and none after them.
    pub(crate) fn fail_after(&self, calls: u32, error: VfsError) {
        *self.fate.0.lock() = Some((calls, error));
    }

    /// Does what it should again.
    pub(crate) fn recover(&self) {
        *self.fate.0.lock() = None;
    }

    fn opened(&self, inner: Arc<dyn File>) -> Arc<dyn File> {
        let fate = Arc::clone(&self.fate);
        Arc::new(FailingFile { inner, fate })
    }
}

impl Fate {
    fn meet<T>(&self, call: impl FnOnce() -> Op<T>) -> Op<T> {
        match &mut *self.0.lock() {
            Some((0, error)) => return Op::err(*error),
            Some((calls, _)) => *calls -= 1,
            None => {}
        }
        call()
    }
}

/// Memory answers at once.
fn map<T: 'static, U>(op: Op<T>, change: impl FnOnce(T) -> U) -> Op<U> {
    match op {
        Op::Ready(result) => Op::Ready(result.map(change)),
        Op::Later(_) => Op::err(VfsError::Io),
    }
}

impl FileSystem for Failing {
    /// Nothing is claimed that is not passed on.
    fn info(&self) -> FsInfo {
        FsInfo {
            capabilities: Capabilities::LINKS
                | Capabilities::SYMLINKS
                | Capabilities::SPECIAL_FILES
                | Capabilities::IDENTITY
                | Capabilities::XATTR
                | Capabilities::HOLES
                | Capabilities::ALLOCATE
                | Capabilities::DEALLOCATE
                | Capabilities::CLONE
                | Capabilities::COPY
                | Capabilities::ADVISE,
            ..self.inner.info()
        }
    }

    fn root(&self) -> Handle {
        self.inner.root()
    }

    fn lookup(&self, cred: &Cred, dir: &Handle, name: Name<'_>) -> Op<Node> {
        self.fate.meet(|| self.inner.lookup(cred, dir, name))
    }

    fn parent(&self, cred: &Cred, dir: &Handle) -> Op<Node> {
        self.fate.meet(|| self.inner.parent(cred, dir))
    }

    fn attr(&self, object: &Handle) -> Op<Attr> {
        self.fate.meet(|| self.inner.attr(object))
    }

    fn set_attr(&self, cred: &Cred, object: &Handle, changes: &SetAttr) -> Op<Attr> {
        self.fate
            .meet(|| self.inner.set_attr(cred, object, changes))
    }

    fn access(&self, cred: &Cred, object: &Handle, wanted: Access) -> Op<Granted> {
        self.fate.meet(|| self.inner.access(cred, object, wanted))
    }

    fn read_link(&self, cred: &Cred, link: &Handle) -> Op<Bytes> {
        self.fate.meet(|| self.inner.read_link(cred, link))
    }

    fn read_dir(&self, cred: &Cred, dir: &Handle, after: u64, limit: ReadDirLimit) -> Op<Listing> {
        self.fate
            .meet(|| self.inner.read_dir(cred, dir, after, limit))
    }

    fn make(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: Name<'_>,
        what: &NewNode,
        attr: &SetAttr,
    ) -> Op<Made> {
        self.fate
            .meet(|| self.inner.make(cred, dir, name, what, attr))
    }

    fn open(&self, cred: &Cred, file: &Handle, access: OpenAccess) -> Op<Arc<dyn File>> {
        let opened = self.fate.meet(|| self.inner.open(cred, file, access));
        map(opened, |file| self.opened(file))
    }

    fn create(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: Name<'_>,
        how: CreateHow,
        attr: &SetAttr,
        access: OpenAccess,
    ) -> Op<Created> {
        let call = || self.inner.create(cred, dir, name, how, attr, access);
        map(self.fate.meet(call), |created| Created {
            file: self.opened(created.file),
            ..created
        })
    }

    fn remove(&self, cred: &Cred, dir: &Handle, name: Name<'_>) -> Op<DirChange> {
        self.fate.meet(|| self.inner.remove(cred, dir, name))
    }

    fn rename(
        &self,
        cred: &Cred,
        from_dir: &Handle,
        from: Name<'_>,
        to_dir: &Handle,
        to: Name<'_>,
    ) -> Op<(DirChange, DirChange)> {
        self.fate
            .meet(|| self.inner.rename(cred, from_dir, from, to_dir, to))
    }

    fn link(&self, cred: &Cred, object: &Handle, dir: &Handle, name: Name<'_>) -> Op<DirChange> {
        self.fate.meet(|| self.inner.link(cred, object, dir, name))
    }

    fn stat_fs(&self) -> Op<FsStat> {
        self.fate.meet(|| self.inner.stat_fs())
    }

    fn xattr(&self, cred: &Cred, object: &Handle, name: XattrName<'_>) -> Op<Bytes> {
        self.fate.meet(|| self.inner.xattr(cred, object, name))
    }

    fn set_xattr(
        &self,
        cred: &Cred,
        object: &Handle,
        name: XattrName<'_>,
        value: Bytes,
        how: SetXattr,
    ) -> Op<DirChange> {
        self.fate
            .meet(|| self.inner.set_xattr(cred, object, name, value, how))
    }

    fn list_xattrs(&self, object: &Handle, after: u64, limit: u32) -> Op<XattrListing> {
        self.fate
            .meet(|| self.inner.list_xattrs(object, after, limit))
    }

    fn remove_xattr(&self, cred: &Cred, object: &Handle, name: XattrName<'_>) -> Op<DirChange> {
        self.fate
            .meet(|| self.inner.remove_xattr(cred, object, name))
    }
}

impl File for FailingFile {
    fn attr(&self) -> Op<Attr> {
        self.fate.meet(|| self.inner.attr())
    }

    fn read(&self, offset: u64, count: u32, into: Buffer) -> Op<ReadOk> {
        self.fate.meet(|| self.inner.read(offset, count, into))
    }

    fn write(&self, offset: u64, data: Bytes, how: Stability) -> Op<Written> {
        self.fate.meet(|| self.inner.write(offset, data, how))
    }

    fn commit(&self, offset: u64, count: u64) -> Op<()> {
        self.fate.meet(|| self.inner.commit(offset, count))
    }

    fn truncate(&self, size: u64) -> Op<Attr> {
        self.fate.meet(|| self.inner.truncate(size))
    }

    fn extent(&self, offset: u64, until: u64) -> Op<Option<Extent>> {
        self.fate.meet(|| self.inner.extent(offset, until))
    }

    fn allocate(&self, offset: u64, count: u64) -> Op<()> {
        self.fate.meet(|| self.inner.allocate(offset, count))
    }

    fn deallocate(&self, offset: u64, count: u64) -> Op<()> {
        self.fate.meet(|| self.inner.deallocate(offset, count))
    }

    fn clone_range(&self, source: &dyn File, from: u64, to: u64, count: u64) -> Op<()> {
        self.fate
            .meet(|| self.inner.clone_range(source, from, to, count))
    }

    fn copy_range(&self, source: &dyn File, from: u64, to: u64, count: u64) -> Op<u64> {
        self.fate
            .meet(|| self.inner.copy_range(source, from, to, count))
    }

    fn advise(&self, offset: u64, count: u64, advice: Advice) -> Op<()> {
        self.fate.meet(|| self.inner.advise(offset, count, advice))
    }

    fn behind(&self) -> Option<&dyn File> {
        Some(&*self.inner)
    }
}
