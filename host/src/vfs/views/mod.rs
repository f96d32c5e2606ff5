//! Views: the same file system for each adapter instance and share, told apart.
//!
//! What comes through one view is done by others in the eyes of every other view of the same
//! file system, be it another adapter's of the same share or another share's of the same device.
//! Watches put through a view tell of all that, and of what the file system itself sees of
//! programs on this machine.

mod file;
mod registry;

use std::sync::Arc;

use bytes::Bytes;
use dittofs_sdk::vfs::{
    Access, Acl, Attr, Capabilities, CreateHow, Created, Cred, DirChange, File, FileSystem, FsInfo,
    FsStat, Granted, Handle, Listing, Made, Name, NewNode, Node, Op, OpenAccess, Quota,
    ReadDirLimit, SetAttr, SetXattr, Touch, VfsError, VfsResult, Watch, Watcher, XattrListing,
    XattrName, posix,
};

pub use self::registry::Domain;

use self::file::ViewFile;
use self::registry::{Mark, Place, Ticket};

/// A file system as one adapter instance has it by one share.
#[derive(Clone)]
pub struct View(Arc<Seat>);

struct Seat {
    fs: Arc<dyn FileSystem>,
    place: Place,
}

impl View {
    /// A further view of `fs`, which is in `domain` with all that reach the same files by the
    /// same handles.
    pub fn new(fs: Arc<dyn FileSystem>, domain: &Arc<Domain>) -> Self {
        Self(Arc::new(Seat {
            fs,
            place: domain.place(),
        }))
    }

    /// Whether this is a view of `fs`.
    pub fn is_of(&self, fs: &Arc<dyn FileSystem>) -> bool {
        Arc::ptr_eq(&self.0.fs, fs)
    }

    fn file(&self, file: Mark, open: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(ViewFile::new(Arc::clone(&self.0), file, open))
    }

    fn created(&self, created: Op<Created>, access: OpenAccess) -> Op<Created> {
        let view = self.clone();
        then(created, move |created| {
            let created = created?;
            let file = view.0.place.mark(&created.node.handle);
            // Of what was there before others may know; opening it has changed nothing yet.
            if !created.created {
                view.0.place.announce(file, touch_of(access))?;
            }
            Ok(Created {
                file: view.file(file, created.file),
                ..created
            })
        })
    }
}

/// What opening a file does to it.
fn touch_of(access: OpenAccess) -> Touch {
    match access {
        OpenAccess::Read => Touch::READ,
        OpenAccess::Write => Touch::WRITE,
        OpenAccess::Both => Touch::READ | Touch::WRITE,
    }
}

/// Goes on with an answer when it comes.
fn then<T, U>(op: Op<T>, next: impl FnOnce(VfsResult<T>) -> VfsResult<U> + Send + 'static) -> Op<U>
where
    T: Send + 'static,
{
    match op {
        Op::Ready(answer) => Op::Ready(next(answer)),
        Op::Later(answer) => Op::later(async move { next(answer.await) }),
    }
}

impl Seat {
    /// Changes `file` with others told.
    fn changing<T: Send + 'static>(
        self: &Arc<Self>,
        file: Mark,
        touch: Touch,
        change: impl FnOnce() -> Op<T>,
    ) -> Op<T> {
        if let Err(wait) = self.place.announce(file, touch) {
            return Op::err(wait);
        }
        let seat = Arc::clone(self);
        then(change(), move |answer| {
            seat.place.report(file, touch);
            answer
        })
    }

    /// The file that `name` stands for, if any: what it can't be found for is told by the
    /// operation itself.
    async fn named(&self, cred: &Cred, dir: &Handle, name: &[u8]) -> Option<Mark> {
        let name = Name::new(name).ok()?;
        let found = self.fs.lookup(cred, dir, name).await.ok()?;
        Some(self.place.mark(&found.handle))
    }
}

impl FileSystem for View {
    fn info(&self) -> FsInfo {
        self.0.fs.info()
    }

    fn root(&self) -> Handle {
        self.0.fs.root()
    }

    fn lookup(&self, cred: &Cred, dir: &Handle, name: Name<'_>) -> Op<Node> {
        self.0.fs.lookup(cred, dir, name)
    }

    fn parent(&self, cred: &Cred, dir: &Handle) -> Op<Node> {
        self.0.fs.parent(cred, dir)
    }

    fn attr(&self, object: &Handle) -> Op<Attr> {
        self.0.fs.attr(object)
    }

    fn set_attr(&self, cred: &Cred, object: &Handle, changes: &SetAttr) -> Op<Attr> {
        let touch = if changes.size.is_some() {
            Touch::CHANGE
        } else {
            Touch::META
        };
        let file = self.0.place.mark(object);
        self.0
            .changing(file, touch, || self.0.fs.set_attr(cred, object, changes))
    }

    fn access(&self, cred: &Cred, object: &Handle, wanted: Access) -> Op<Granted> {
        self.0.fs.access(cred, object, wanted)
    }

    fn read_link(&self, cred: &Cred, link: &Handle) -> Op<Bytes> {
        self.0.fs.read_link(cred, link)
    }

    fn read_dir(&self, cred: &Cred, dir: &Handle, after: u64, limit: ReadDirLimit) -> Op<Listing> {
        self.0.fs.read_dir(cred, dir, after, limit)
    }

    fn make(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: Name<'_>,
        what: &NewNode,
        attr: &SetAttr,
    ) -> Op<Made> {
        self.0.fs.make(cred, dir, name, what, attr)
    }

    fn open(&self, cred: &Cred, file: &Handle, access: OpenAccess) -> Op<Arc<dyn File>> {
        let mark = self.0.place.mark(file);
        if let Err(wait) = self.0.place.announce(mark, touch_of(access)) {
            return Op::err(wait);
        }
        let view = self.clone();
        then(self.0.fs.open(cred, file, access), move |open| {
            Ok(view.file(mark, open?))
        })
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
        let created = self.0.fs.create(cred, dir, name, how, attr, access);
        self.created(created, access)
    }

    fn remove(&self, cred: &Cred, dir: &Handle, name: Name<'_>) -> Op<DirChange> {
        let seat = Arc::clone(&self.0);
        if !seat.place.has_company() {
            return seat.fs.remove(cred, dir, name);
        }
        let (cred, dir, name) = (cred.clone(), *dir, name.as_bytes().to_vec());
        Op::later(async move {
            let victim = seat.named(&cred, &dir, &name).await;
            for &file in victim.as_slice() {
                seat.place.announce(file, Touch::META)?;
            }
            let at = Name::new(&name).map_err(|_| VfsError::BadName)?;
            let removed = seat.fs.remove(&cred, &dir, at).await;
            for &file in victim.as_slice() {
                seat.place.report(file, Touch::META);
            }
            removed
        })
    }

    fn rename(
        &self,
        cred: &Cred,
        from_dir: &Handle,
        from: Name<'_>,
        to_dir: &Handle,
        to: Name<'_>,
    ) -> Op<(DirChange, DirChange)> {
        let seat = Arc::clone(&self.0);
        if !seat.place.has_company() {
            return seat.fs.rename(cred, from_dir, from, to_dir, to);
        }
        let (cred, from_dir, to_dir) = (cred.clone(), *from_dir, *to_dir);
        let (from, to) = (from.as_bytes().to_vec(), to.as_bytes().to_vec());
        Op::later(async move {
            let touched = [
                seat.named(&cred, &from_dir, &from).await,
                seat.named(&cred, &to_dir, &to).await,
            ];
            for &file in touched.iter().flatten() {
                seat.place.announce(file, Touch::META)?;
            }
            let old = Name::new(&from).map_err(|_| VfsError::BadName)?;
            let new = Name::new(&to).map_err(|_| VfsError::BadName)?;
            let renamed = seat.fs.rename(&cred, &from_dir, old, &to_dir, new).await;
            for &file in touched.iter().flatten() {
                seat.place.report(file, Touch::META);
            }
            renamed
        })
    }

    fn link(&self, cred: &Cred, object: &Handle, dir: &Handle, name: Name<'_>) -> Op<DirChange> {
        let file = self.0.place.mark(object);
        self.0.changing(file, Touch::META, || {
            self.0.fs.link(cred, object, dir, name)
        })
    }

    fn stat_fs(&self) -> Op<FsStat> {
        self.0.fs.stat_fs()
    }

    fn xattr(&self, cred: &Cred, object: &Handle, name: XattrName<'_>) -> Op<Bytes> {
        self.0.fs.xattr(cred, object, name)
    }

    fn set_xattr(
        &self,
        cred: &Cred,
        object: &Handle,
        name: XattrName<'_>,
        value: Bytes,
        how: SetXattr,
    ) -> Op<DirChange> {
        let file = self.0.place.mark(object);
        self.0.changing(file, Touch::META, || {
            self.0.fs.set_xattr(cred, object, name, value, how)
        })
    }

    fn list_xattrs(&self, object: &Handle, after: u64, limit: u32) -> Op<XattrListing> {
        self.0.fs.list_xattrs(object, after, limit)
    }

    fn remove_xattr(&self, cred: &Cred, object: &Handle, name: XattrName<'_>) -> Op<DirChange> {
        let file = self.0.place.mark(object);
        self.0.changing(file, Touch::META, || {
            self.0.fs.remove_xattr(cred, object, name)
        })
    }

    fn acl(&self, object: &Handle) -> Op<Acl> {
        self.0.fs.acl(object)
    }

    fn set_acl(&self, cred: &Cred, object: &Handle, acl: &Acl) -> Op<Attr> {
        let file = self.0.place.mark(object);
        self.0
            .changing(file, Touch::META, || self.0.fs.set_acl(cred, object, acl))
    }

    fn make_with_acl(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: Name<'_>,
        what: &NewNode,
        attr: &SetAttr,
        acl: &Acl,
    ) -> Op<Made> {
        self.0.fs.make_with_acl(cred, dir, name, what, attr, acl)
    }

    fn create_with_acl(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: Name<'_>,
        how: CreateHow,
        attr: &SetAttr,
        acl: &Acl,
        access: OpenAccess,
    ) -> Op<Created> {
        let fs = &self.0.fs;
        let created = fs.create_with_acl(cred, dir, name, how, attr, acl, access);
        self.created(created, access)
    }

    fn quota(&self, object: &Handle) -> Op<Quota> {
        self.0.fs.quota(object)
    }

    fn watch(
        &self,
        file: &Handle,
        interest: Touch,
        watcher: Arc<dyn Watcher>,
    ) -> Op<Box<dyn Watch>> {
        let place = &self.0.place;
        let ticket = match place.watch(place.mark(file), interest, Arc::clone(&watcher)) {
            Ok(ticket) => ticket,
            Err(error) => return Op::err(error),
        };
        let fs = &self.0.fs;
        if fs.info().capabilities.contains(Capabilities::WATCH) {
            return then(fs.watch(file, interest, watcher), |watch| {
                let behind = Some(watch?);
                Ok(Box::new(ViewWatch { ticket, behind }) as Box<dyn Watch>)
            });
        }
        then(fs.attr(file), |attr| {
            posix::require_file(attr?.kind)?;
            let behind = None;
            Ok(Box::new(ViewWatch { ticket, behind }) as Box<dyn Watch>)
        })
    }
}

/// A watch of what other views do, and of what the file system sees behind all of them.
struct ViewWatch {
    ticket: Ticket,
    behind: Option<Box<dyn Watch>>,
}

impl Watch for ViewWatch {
    fn is_untouched(&self) -> bool {
        let behind = self.behind.as_ref();
        self.ticket.is_untouched() && behind.is_none_or(|watch| watch.is_untouched())
    }
}
