//! A file system in memory whose changes take a while, and are counted, and whose files others use
//! when the test says so.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use dittofs_memfs::{MemoryFs, Options};
use dittofs_sdk::vfs::{
    Access, Acl, Attr, CreateHow, Created, Cred, DirChange, File, FileSystem, FsInfo, FsStat,
    Granted, Handle, Listing, Made, Name, NewNode, Node, Op, OpenAccess, Reaction, ReadDirLimit,
    SetAttr, SetXattr, Touch, Watch, Watcher, XattrListing, XattrName,
};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::gate::Gate;

/// Making a directory of this name panics.
pub(crate) const FATAL: &str = "fatal";

/// What [`MemoryFs`] does, but later.
pub(crate) struct Slow {
    inner: Arc<MemoryFs>,
    changes: Arc<AtomicU64>,
    open: watch::Sender<bool>,
    watched: Mutex<Vec<Weak<Watched>>>,
    touching: Mutex<Touch>,
    /// What is written passes it.
    pub(crate) writes: Arc<Gate>,
}

/// A watch, as long as it is in force.
struct Watched {
    interest: Touch,
    watcher: Arc<dyn Watcher>,
    touched: AtomicBool,
}

struct InForce(Arc<Watched>);

impl Watch for InForce {
    fn is_untouched(&self) -> bool {
        !self.0.touched.load(Ordering::SeqCst)
    }
}

impl Slow {
    pub(crate) fn new() -> Self {
        let options = Options {
            mode: 0o777,
            ..Options::default()
        };
        Self {
            inner: Arc::new(MemoryFs::new(&options).unwrap()),
            changes: Arc::default(),
            open: watch::Sender::new(true),
            watched: Mutex::default(),
            touching: Mutex::default(),
            writes: Arc::default(),
        }
    }

    /// Others do this to a file just when a watch of it has come into force.
    pub(crate) fn touch_new_watches(&self, touch: Touch) {
        *self.touching.lock() = touch;
    }

    /// How many watches there are.
    pub(crate) fn watches(&self) -> usize {
        self.in_force().len()
    }

    fn in_force(&self) -> Vec<Arc<Watched>> {
        self.watched
            .lock()
            .iter()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// Others do this to all files, on a thread that has no runtime. What the watchers want.
    pub(crate) fn touched_elsewhere(&self, touch: Touch) -> Vec<Reaction> {
        let mut watched = self.in_force();
        watched.retain(|one| !(one.interest & touch).is_empty());
        let tell = move || {
            let told = watched.iter().map(|one| {
                one.touched.store(true, Ordering::SeqCst);
                one.watcher.touched(touch)
            });
            told.collect()
        };
        std::thread::spawn(tell).join().unwrap()
    }

    /// Lets no change of a directory begin, or lets all go on.
    pub(crate) fn open(&self, open: bool) {
        self.open.send_replace(open);
    }

    /// How many changes of directories there were.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&MemoryFs) -> Op<T> + Send + 'static,
    ) -> Op<T> {
        let (inner, changes) = (Arc::clone(&self.inner), Arc::clone(&self.changes));
        let mut open = self.open.subscribe();
        Op::later(async move {
            // The gate lives as long as the file system.
            let _ = open.wait_for(|open| *open).await;
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            changes.fetch_add(1, Ordering::Relaxed);
            change(&inner).await
        })
    }
}

fn owned(name: Name<'_>) -> Vec<u8> {
    name.as_bytes().to_vec()
}

impl FileSystem for Slow {
    fn make(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: Name<'_>,
        what: &NewNode,
        attr: &SetAttr,
    ) -> Op<Made> {
        let (cred, dir, name) = (cred.clone(), *dir, owned(name));
        let (what, attr) = (what.clone(), *attr);
        self.change(move |fs| {
            assert!(name != FATAL.as_bytes(), "as the test wishes");
            fs.make(&cred, &dir, Name::new(&name).unwrap(), &what, &attr)
        })
    }

    fn remove(&self, cred: &Cred, dir: &Handle, name: Name<'_>) -> Op<DirChange> {
        let (cred, dir, name) = (cred.clone(), *dir, owned(name));
        self.change(move |fs| fs.remove(&cred, &dir, Name::new(&name).unwrap()))
    }

    fn rename(
        &self,
        cred: &Cred,
        from_dir: &Handle,
        from: Name<'_>,
        to_dir: &Handle,
        to: Name<'_>,
    ) -> Op<(DirChange, DirChange)> {
        let (cred, from_dir, to_dir) = (cred.clone(), *from_dir, *to_dir);
        let (from, to) = (owned(from), owned(to));
        self.change(move |fs| {
            let (from, to) = (Name::new(&from).unwrap(), Name::new(&to).unwrap());
            fs.rename(&cred, &from_dir, from, &to_dir, to)
        })
    }

    fn link(&self, cred: &Cred, object: &Handle, dir: &Handle, name: Name<'_>) -> Op<DirChange> {
        let (cred, object, dir) = (cred.clone(), *object, *dir);
        let name = owned(name);
        self.change(move |fs| fs.link(&cred, &object, &dir, Name::new(&name).unwrap()))
    }

    fn info(&self) -> FsInfo {
        self.inner.info()
    }

    fn root(&self) -> Handle {
        self.inner.root()
    }

    fn lookup(&self, cred: &Cred, dir: &Handle, name: Name<'_>) -> Op<Node> {
        self.inner.lookup(cred, dir, name)
    }

    fn parent(&self, cred: &Cred, dir: &Handle) -> Op<Node> {
        self.inner.parent(cred, dir)
    }

    fn attr(&self, object: &Handle) -> Op<Attr> {
        self.inner.attr(object)
    }

    fn set_attr(&self, cred: &Cred, object: &Handle, changes: &SetAttr) -> Op<Attr> {
        self.inner.set_attr(cred, object, changes)
    }

    fn acl(&self, object: &Handle) -> Op<Acl> {
        self.inner.acl(object)
    }

    fn set_acl(&self, cred: &Cred, object: &Handle, acl: &Acl) -> Op<Attr> {
        self.inner.set_acl(cred, object, acl)
    }

    fn access(&self, cred: &Cred, object: &Handle, wanted: Access) -> Op<Granted> {
        self.inner.access(cred, object, wanted)
    }

    fn read_link(&self, cred: &Cred, link: &Handle) -> Op<Bytes> {
        self.inner.read_link(cred, link)
    }

    fn read_dir(&self, cred: &Cred, dir: &Handle, after: u64, limit: ReadDirLimit) -> Op<Listing> {
        self.inner.read_dir(cred, dir, after, limit)
    }

    fn open(&self, cred: &Cred, file: &Handle, access: OpenAccess) -> Op<Arc<dyn File>> {
        match self.inner.open(cred, file, access) {
            Op::Ready(opened) => Op::Ready(opened.map(|file| self.writes.guard(file))),
            later @ Op::Later(_) => later,
        }
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
        match self.inner.create(cred, dir, name, how, attr, access) {
            Op::Ready(created) => Op::Ready(created.map(|created| Created {
                file: self.writes.guard(created.file),
                ..created
            })),
            later @ Op::Later(_) => later,
        }
    }

    fn watch(&self, _: &Handle, interest: Touch, watcher: Arc<dyn Watcher>) -> Op<Box<dyn Watch>> {
        let watched = Arc::new(Watched {
            interest,
            watcher,
            touched: AtomicBool::new(false),
        });
        self.watched.lock().push(Arc::downgrade(&watched));
        let touch = *self.touching.lock() & interest;
        if !touch.is_empty() {
            self.touched_elsewhere(touch);
        }
        Op::ok(Box::new(InForce(watched)))
    }

    fn stat_fs(&self) -> Op<FsStat> {
        self.inner.stat_fs()
    }

    fn xattr(&self, cred: &Cred, object: &Handle, name: XattrName<'_>) -> Op<Bytes> {
        self.inner.xattr(cred, object, name)
    }

    fn set_xattr(
        &self,
        cred: &Cred,
        object: &Handle,
        name: XattrName<'_>,
        value: Bytes,
        how: SetXattr,
    ) -> Op<DirChange> {
        let (cred, object) = (cred.clone(), *object);
        let name = name.as_bytes().to_vec();
        self.change(move |fs| {
            let name = XattrName::new(&name).unwrap();
            fs.set_xattr(&cred, &object, name, value, how)
        })
    }

    fn list_xattrs(&self, object: &Handle, after: u64, limit: u32) -> Op<XattrListing> {
        self.inner.list_xattrs(object, after, limit)
    }

    fn remove_xattr(&self, cred: &Cred, object: &Handle, name: XattrName<'_>) -> Op<DirChange> {
        self.inner.remove_xattr(cred, object, name)
    }
}
