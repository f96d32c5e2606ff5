//! A directory of any Linux file system.
//!
//! # As root
//! Handles are the kernel's ([`handles`]), and the kernel decides about permissions under the
//! caller's own identity ([`identity`]); where the mode decides alone, what it would say is found
//! out without that ([`rights`]). Nothing is followed: no symbolic link, no mount below, no `..`
//! out of the share.
//!
//! # As an ordinary user
//! All is done as the server's own user, and new objects are that user's. Permission bits and lists are
//! judged against the caller first, so that a caller never gets more than both the bits and the
//! server's user allow; user 0 of a client gets what the server's user may do. The kernel does
//! not open by handle for an ordinary user, so that objects are found again by where they were
//! last seen ([`index`]).
//!
//! # Access control lists
//! Where the file system keeps POSIX lists ([`acl`]), the kernel enforces and inherits them; as
//! an ordinary user's server we judge by them as well.
//!
//! # Durability
//! A change of entries or attributes is answered after the directory and the object were synced,
//! on a thread of a bounded pool; who waits for the same directory or file shares one sync
//! ([`syncs`]), and where a journal takes a new object together with its entry, the directory's is
//! enough. Writes that need not be stable yet go into the page cache in place as long as that does
//! not have to wait ([`pace`]). On
//! tmpfs and ramfs there is nothing to sync and answers come in place.
//!
//! # Open files
//! They have a part of the process's descriptors. When that is not enough, what was not used lately is
//! closed, and opened again by handle when it is used ([`descriptors`]). What was open for reading is
//! kept for a moment after it was closed ([`idle`]).
//!
//! # Ranges
//! Holes are the kernel's (`SEEK_DATA`, `FALLOC_FL_PUNCH_HOLE`), clones and copies too
//! (`FICLONERANGE`, `copy_file_range`). What the file system can is tried when the directory is
//! opened ([`ranges`]): ext4 and tmpfs share no storage, XFS and Btrfs do.
//!
//! # Others
//! Watches are told of what other programs on this machine do to a file ([`others`]). What the
//! process does itself, be it through this directory's server or past it, is not told here.
//!
//! # What is answered in place
//! Attributes and access of objects in use, names that the kernel's cache knows, data in the page
//! cache, statistics, listings of what was listed before; on tmpfs and ramfs all, with the thread's own creation mask. These touch
//! memory only on local file systems; on a network file system below the share they may wait for it.
//!
//! # What is told again
//! The entries of a directory that is as it was when they were listed ([`names`]); attributes only as long as the
//! operator allows, and not after a change of our own ([`seen`]). Who may do what is not decided by either.

mod access;
mod acl;
mod cache;
mod change;
mod clock;
mod core;
mod descriptors;
mod dir;
mod errno;
mod exclusive;
mod file;
mod handles;
mod identity;
mod idle;
mod index;
mod mounts;
mod names;
mod namespace;
mod numbers;
mod others;
mod pace;
mod pool;
mod quota;
mod ranges;
mod rights;
mod seen;
mod set_attr;
mod syncs;
mod sys;
#[cfg(test)]
mod tests;
mod walked;
mod xattr;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dittofs_sdk::vfs::{
    Access, Acl, Attr, Capabilities, CreateHow, Created, Cred, DirChange, File, FileSystem, FsInfo,
    FsStat, Granted, Handle, Kind, Listing, Made, Name, NewNode, Node, Op, OpenAccess, Quota,
    ReadDirLimit, SetAttr, SetXattr, Time, Touch, VfsError, VfsResult, Watch, Watcher,
    XattrListing, XattrName, posix,
};
use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags, ResolveFlags};

use self::access::Bounds;
use self::cache::{Cache, Object};
use self::change::Changes;
use self::core::{Core, Resolver};
pub use self::descriptors::{Census, Descriptors};
use self::file::Open;
use self::handles::Handles;
use self::identity::Identity;
use self::idle::Idle;
use self::index::Index;
use self::mounts::Mounts;
use self::names::Names;
use self::namespace::{First, Found};
use self::others::Others;
use self::pace::Pace;
use self::pool::Pool;
use self::ranges::Ranges;
use self::seen::Bound;
use self::syncs::Syncs;
use self::walked::Walked;

/// How a directory is served.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads for system calls that may sleep.
    pub threads: usize,
    /// Requests that may wait for such a thread; more are told to try later.
    pub queue: usize,
    /// Objects kept open. Cut to this directory's part of `descriptors`.
    pub cached_objects: usize,
    /// What this directory has its part of.
    pub descriptors: Arc<Descriptors>,
    /// Signs handles, so that only those given out are taken. It must stay the same over
    /// restarts, or clients' handles break.
    pub handle_key: Option<[u8; 32]>,
    /// How long attributes may be told again without a look at the object; a change by another
    /// program is seen so much later. Zero: always looked at.
    pub attribute_cache: Duration,
    /// Act as an ordinary user's server even with the privileges of root.
    pub unprivileged: bool,
    /// Do without fanotify also where it works.
    pub no_fanotify: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: 16,
            queue: 4096,
            cached_objects: 16_384,
            descriptors: Descriptors::of_process(),
            handle_key: None,
            attribute_cache: Duration::ZERO,
            unprivileged: false,
            no_fanotify: false,
        }
    }
}

/// Why a directory can't be served.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// It can't be opened.
    #[error("can't open {}: {error}", .path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is something else.
    #[error("{} is not a directory", .0.display())]
    NotDir(PathBuf),
    /// Its file system has no handles, without which a client could not find a file again.
    #[error("{} is on a file system without file handles; share a directory of another one", .0.display())]
    NoHandles(PathBuf),
    /// The kernel's process file system is missing.
    #[error("{} can't be shared: /proc is not mounted", .0.display())]
    NoProc(PathBuf),
}

/// Serves `dir`.
pub fn open(dir: &Path, options: &Options) -> Result<Arc<dyn FileSystem>, LocalError> {
    open_core(dir, options).map(|local| Arc::new(local) as Arc<dyn FileSystem>)
}

fn open_core(dir: &Path, options: &Options) -> Result<Local, LocalError> {
    let failed = |error: rustix::io::Errno| match error {
        rustix::io::Errno::NOTDIR => LocalError::NotDir(dir.into()),
        error => LocalError::Open {
            path: dir.into(),
            error: error.into(),
        },
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(dir, flags, Mode::empty()).map_err(failed)?;
    if rustix::fs::readlink(core::proc_path(fd.as_fd()), Vec::new()).is_err() {
        return Err(LocalError::NoProc(dir.into()));
    }
    let handles = Handles::probe(fd.as_fd(), options.handle_key)
        .map_err(|_| LocalError::NoHandles(dir.into()))?;
    let core = start(fd, handles, options).map_err(|error| LocalError::Open {
        path: dir.into(),
        error: std::io::Error::other(error),
    })?;
    Ok(Local {
        core: Arc::new(core),
    })
}

fn start(fd: OwnedFd, handles: Handles, options: &Options) -> VfsResult<Core> {
    let stat = self::core::stat(fd.as_fd())?;
    let handle = handles.of(fd.as_fd(), c"", stat.stx_ino)?;
    let identity = if options.unprivileged {
        Identity::Own
    } else {
        Identity::detect()
    };
    let resolver = match by_handle(&fd, &handles, &handle) {
        Some(mount) if identity.is_caller() => Resolver::Kernel(mount),
        _ => Resolver::Index(Index::new()),
    };
    let device = (stat.stx_dev_major, stat.stx_dev_minor);
    let durable = !is_volatile(fd.as_fd());
    let found = [
        (xattr::supported(fd.as_fd()), Capabilities::XATTR),
        (acl::probe(fd.as_fd()), Capabilities::POSIX_ACL),
        (quota::probe(fd.as_fd()), Capabilities::QUOTA),
    ];
    let keeps = all_of(Capabilities(0), &found);
    let descriptors = Arc::clone(&options.descriptors);
    // A tmpfs has fine times, but not for directories.
    let changes = Changes::of(device, fd.as_fd(), !durable);
    Ok(Core {
        device,
        mount: self::core::mount(&stat),
        bounds: Bounds::detect(),
        others: Others::detect(fd.as_fd(), device, options.no_fanotify),
        identity,
        resolver,
        cache: Cache::new(options.cached_objects, descriptors::Part::of(&descriptors)),
        idle: Idle::new(&descriptors),
        descriptors,
        walked: Walked::default(),
        syncs: Syncs::new(fd.as_fd(), device),
        pace: Pace::default(),
        pool: Pool::new(options.threads, options.queue),
        mounts: Mounts::new(),
        names: Names::new(fd.as_fd(), changes.is_fine() || !durable),
        changes,
        bound: Bound::new(options.attribute_cache),
        durable,
        generic: rights::is_generic(fd.as_fd()),
        // Each subvolume of Btrfs counts for itself, and the entry of one tells its own number. Otherwise only
        // a file system in memory counts on and on, and it may count short.
        numbers_are_unique: durable && !has_subvolumes(fd.as_fd())
            || self::core::mount(&stat).is_some_and(|at| mounts::has_option(at, "inode64")),
        keeps,
        ranges: Ranges::probe(fd.as_fd()),
        lost: Mutex::default(),
        handles,
        root: Arc::new(Object::new(fd, handle, &stat)?),
    })
}

/// `base` and what was found.
fn all_of(base: Capabilities, found: &[(bool, Capabilities)]) -> Capabilities {
    let found = found.iter().filter(|(has, _)| *has);
    found.fold(base, |all, (_, one)| all | *one)
}

/// A descriptor by which the kernel opens handles, if it does that for us. An `O_PATH` one is
/// not good enough for it.
fn by_handle(root: &OwnedFd, handles: &Handles, handle: &Handle) -> Option<OwnedFd> {
    let mount = core::reopen(root.as_fd(), OFlags::RDONLY | OFlags::DIRECTORY).ok()?;
    let own = handles.kernel_of(handle)?;
    sys::open_by_handle(mount.as_fd(), &own, OFlags::PATH).ok()?;
    Some(mount)
}

/// Whether the numbers of entries may be those of file systems within the file system.
fn has_subvolumes(dir: BorrowedFd<'_>) -> bool {
    const BTRFS: u64 = 0x9123_683e;
    let kind = rustix::fs::fstatfs(dir).map(|fs| fs.f_type as u64 & 0xffff_ffff);
    kind.is_ok_and(|kind| kind == BTRFS)
}

/// Whether the file system lives in memory only.
fn is_volatile(dir: BorrowedFd<'_>) -> bool {
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58f6;
    let kind = rustix::fs::fstatfs(dir).map(|fs| fs.f_type as u64 & 0xffff_ffff);
    matches!(kind, Ok(TMPFS | RAMFS))
}

/// The file system: what is known, and who does what may sleep.
#[derive(Clone)]
struct Local {
    core: Arc<Core>,
}

impl Local {
    /// Runs what may sleep.
    fn pooled<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Local) -> VfsResult<T> + Send + 'static,
    ) -> Op<T> {
        let local = self.clone();
        self.core.pool.run(move || job(&local))
    }

    /// Runs what sleeps only if the file system is on a device, or objects must be searched for.
    fn quick<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Local) -> VfsResult<T> + Send + 'static,
    ) -> Op<T> {
        if self.core.durable || matches!(self.core.resolver, Resolver::Index(_)) {
            return self.pooled(job);
        }
        job(self).into()
    }
}

impl FileSystem for Local {
    fn info(&self) -> FsInfo {
        let always = Capabilities::LINKS | Capabilities::SYMLINKS | Capabilities::SPECIAL_FILES;
        let found = [
            (self.core.identity.is_caller(), Capabilities::IDENTITY),
            (self.core.changes.is_fine(), Capabilities::CHANGE_IS_CTIME),
            (self.core.others.are_seen(), Capabilities::WATCH),
        ];
        FsInfo {
            capabilities: all_of(always | self.core.keeps | self.core.ranges.can, &found),
            max_name: Name::MAX as u32,
            max_links: 65_000,
            max_file_size: i64::MAX as u64,
            time_delta: Time { sec: 0, nsec: 1 },
            case_insensitive: false,
            case_preserving: true,
            clone_block: self.core.ranges.clone_block,
        }
    }

    fn root(&self) -> Handle {
        self.core.root.handle
    }

    fn lookup(&self, cred: &Cred, dir: &Handle, name: Name<'_>) -> Op<Node> {
        let path = match core::c_name(name) {
            Ok(path) => path,
            Err(error) => return Op::err(error),
        };
        if let Some(dir) = self.core.hot(dir) {
            match self.core.lookup(cred, &dir, &path, ResolveFlags::CACHED) {
                Err(VfsError::TryLater) => {}
                done => return done.into(),
            }
        }
        let (cred, dir) = (cred.clone(), *dir);
        self.quick(move |fs| {
            let dir = fs.core.object(&dir)?;
            fs.core.lookup(&cred, &dir, &path, ResolveFlags::empty())
        })
    }

    fn parent(&self, cred: &Cred, dir: &Handle) -> Op<Node> {
        let (cred, dir) = (cred.clone(), *dir);
        self.quick(move |fs| fs.core.parent(&cred, &*fs.core.object(&dir)?))
    }

    fn attr(&self, object: &Handle) -> Op<Attr> {
        if let Some(hot) = self.core.hot(object) {
            match self.core.recent_attr(&hot, self.core.bound.moment()) {
                // Perhaps only our own descriptor keeps it: let go, and look again.
                Ok(attr) if attr.nlink == 0 => self.core.unnamed(&hot),
                done => return done.into(),
            }
        }
        let object = *object;
        self.quick(move |fs| fs.core.attr(&*fs.core.object(&object)?))
    }

    fn set_attr(&self, cred: &Cred, object: &Handle, changes: &SetAttr) -> Op<Attr> {
        let (cred, object, changes) = (cred.clone(), *object, *changes);
        self.quick(move |fs| {
            fs.core
                .set_attr(&cred, &*fs.core.object(&object)?, &changes)
        })
    }

    fn access(&self, cred: &Cred, object: &Handle, wanted: Access) -> Op<Granted> {
        if let Some(hot) = self.core.hot(object) {
            return self.core.access(cred, &hot, wanted).into();
        }
        let (cred, object) = (cred.clone(), *object);
        self.quick(move |fs| fs.core.access(&cred, &*fs.core.object(&object)?, wanted))
    }

    fn read_link(&self, _cred: &Cred, link: &Handle) -> Op<Bytes> {
        let link = *link;
        self.quick(move |fs| fs.core.read_link(&link))
    }

    fn read_dir(&self, cred: &Cred, dir: &Handle, after: u64, limit: ReadDirLimit) -> Op<Listing> {
        if let Some(hot) = self.core.hot(dir)
            && let Some(listing) = self.core.read_dir_in_place(cred, &hot, after, limit)
        {
            return Op::ok(listing);
        }
        let (cred, dir) = (cred.clone(), *dir);
        self.quick(move |fs| {
            fs.core
                .read_dir(&cred, &*fs.core.object(&dir)?, after, limit)
        })
    }

    fn make(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: Name<'_>,
        what: &NewNode,
        attr: &SetAttr,
    ) -> Op<Made> {
        self.make_new(cred, dir, name, what, attr, None)
    }

    fn open(&self, cred: &Cred, file: &Handle, access: OpenAccess) -> Op<Arc<dyn File>> {
        let open = move |fs: &Local, object: Arc<Object>, cred: &Cred| {
            fs.core.descriptors.make_way()?;
            let fd = fs.core.open_file(cred, &object, access)?;
            Ok(Open::share(&fs.core, &object, fd, access, cred))
        };
        if let Some(hot) = self.core.hot(file) {
            return open(self, hot, cred).into();
        }
        let (cred, file) = (cred.clone(), *file);
        self.quick(move |fs| open(fs, fs.core.object(&file)?, &cred))
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
        self.create_new(cred, dir, name, how, attr, None, access)
    }

    fn remove(&self, cred: &Cred, dir: &Handle, name: Name<'_>) -> Op<DirChange> {
        let (cred, dir) = (cred.clone(), *dir);
        let owned = name.as_bytes().to_vec();
        self.quick(move |fs| {
            let name = Name::new(&owned).map_err(|_| VfsError::Invalid)?;
            fs.core.remove(&cred, &*fs.core.object(&dir)?, name)
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
        let (cred, from_dir, to_dir) = (cred.clone(), *from_dir, *to_dir);
        let (old, new) = (from.as_bytes().to_vec(), to.as_bytes().to_vec());
        self.quick(move |fs| {
            let from = Name::new(&old).map_err(|_| VfsError::Invalid)?;
            let to = Name::new(&new).map_err(|_| VfsError::Invalid)?;
            let (from_dir, to_dir) = (fs.core.object(&from_dir)?, fs.core.object(&to_dir)?);
            fs.core.rename(&cred, &from_dir, from, &to_dir, to)
        })
    }

    fn link(&self, cred: &Cred, object: &Handle, dir: &Handle, name: Name<'_>) -> Op<DirChange> {
        let (cred, object, dir) = (cred.clone(), *object, *dir);
        let owned = name.as_bytes().to_vec();
        self.quick(move |fs| {
            let name = Name::new(&owned).map_err(|_| VfsError::Invalid)?;
            let (object, dir) = (fs.core.object(&object)?, fs.core.object(&dir)?);
            fs.core.link(&cred, &object, &dir, name)
        })
    }

    fn stat_fs(&self) -> Op<FsStat> {
        self.core.stat_fs().into()
    }

    fn xattr(&self, cred: &Cred, object: &Handle, name: XattrName<'_>) -> Op<Bytes> {
        let (cred, object) = (cred.clone(), *object);
        let owned = name.as_bytes().to_vec();
        self.quick(move |fs| {
            let name = XattrName::new(&owned).map_err(|_| VfsError::Invalid)?;
            fs.core.xattr(&cred, &*fs.core.object(&object)?, name)
        })
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
        let owned = name.as_bytes().to_vec();
        self.quick(move |fs| {
            let name = XattrName::new(&owned).map_err(|_| VfsError::Invalid)?;
            let object = fs.core.object(&object)?;
            fs.core.set_xattr(&cred, &object, name, &value, how)
        })
    }

    fn list_xattrs(&self, object: &Handle, after: u64, limit: u32) -> Op<XattrListing> {
        let object = *object;
        self.quick(move |fs| {
            fs.core
                .list_xattrs(&*fs.core.object(&object)?, after, limit)
        })
    }

    fn remove_xattr(&self, cred: &Cred, object: &Handle, name: XattrName<'_>) -> Op<DirChange> {
        let (cred, object) = (cred.clone(), *object);
        let owned = name.as_bytes().to_vec();
        self.quick(move |fs| {
            let name = XattrName::new(&owned).map_err(|_| VfsError::Invalid)?;
            fs.core
                .remove_xattr(&cred, &*fs.core.object(&object)?, name)
        })
    }

    fn watch(
        &self,
        file: &Handle,
        interest: Touch,
        watcher: Arc<dyn Watcher>,
    ) -> Op<Box<dyn Watch>> {
        if let Some(hot) = self.core.hot(file) {
            return self.core.watch(hot, interest, watcher).into();
        }
        let file = *file;
        self.quick(move |fs| fs.core.watch(fs.core.object(&file)?, interest, watcher))
    }

    fn acl(&self, object: &Handle) -> Op<Acl> {
        let object = *object;
        self.quick(move |fs| {
            let acls = fs.core.acls(&*fs.core.object(&object)?)?;
            Ok(Acl::Posix(acls))
        })
    }

    fn set_acl(&self, cred: &Cred, object: &Handle, acl: &Acl) -> Op<Attr> {
        let (cred, object, acl) = (cred.clone(), *object, acl.clone());
        self.quick(move |fs| fs.core.set_acl(&cred, &*fs.core.object(&object)?, &acl))
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
        self.make_new(cred, dir, name, what, attr, Some(acl))
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
        self.create_new(cred, dir, name, how, attr, Some(acl), access)
    }

    fn quota(&self, object: &Handle) -> Op<Quota> {
        let object = *object;
        self.quick(move |fs| fs.core.quota(&*fs.core.object(&object)?))
    }
}

impl Local {
    /// Runs what creates: where the mask of the process does not matter.
    fn creating<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Local) -> VfsResult<T> + Send + 'static,
    ) -> Op<T> {
        if self.core.durable || !identity::has_own_mask() {
            return self.pooled(job);
        }
        identity::unmasked(|| self.quick(job))
    }

    fn make_new(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: Name<'_>,
        what: &NewNode,
        attr: &SetAttr,
        acl: Option<&Acl>,
    ) -> Op<Made> {
        let (cred, dir, what) = (cred.clone(), *dir, what.clone());
        let (attr, acl) = (*attr, acl.cloned());
        let owned = name.as_bytes().to_vec();
        self.creating(move |fs| {
            let name = Name::new(&owned).map_err(|_| VfsError::Invalid)?;
            let first = First {
                attr: &attr,
                acl: acl.as_ref(),
            };
            fs.core
                .make(&cred, &*fs.core.object(&dir)?, name, &what, first)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn create_new(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: Name<'_>,
        how: CreateHow,
        attr: &SetAttr,
        acl: Option<&Acl>,
        access: OpenAccess,
    ) -> Op<Created> {
        let (cred, dir) = (cred.clone(), *dir);
        let (attr, acl) = (*attr, acl.cloned());
        let owned = name.as_bytes().to_vec();
        self.creating(move |fs| {
            let name = Name::new(&owned).map_err(|_| VfsError::Invalid)?;
            let first = First {
                attr: &attr,
                acl: acl.as_ref(),
            };
            let dir = fs.core.object(&dir)?;
            fs.core.descriptors.make_way()?;
            let Found {
                object,
                attr,
                fd,
                dir,
                created,
            } = fs.core.create(&cred, &dir, name, how, first, access)?;
            let node = Node {
                handle: object.handle,
                attr,
            };
            let file = Open::share(&fs.core, &object, fd, access, &cred);
            Ok(Created {
                node,
                file,
                dir,
                created,
            })
        })
    }
}

impl Core {
    fn watch(
        &self,
        file: Arc<Object>,
        interest: Touch,
        watcher: Arc<dyn Watcher>,
    ) -> VfsResult<Box<dyn Watch>> {
        posix::require_file(file.kind)?;
        let put = || self.others.watch(file, interest, watcher);
        self.identity.serve(put)
    }

    fn read_link(&self, link: &Handle) -> VfsResult<Bytes> {
        let link = self.object(link)?;
        if link.kind != Kind::Symlink {
            return Err(VfsError::WrongType);
        }
        let target = rustix::fs::readlinkat(&*link, c"", Vec::new()).map_err(errno::vfs)?;
        Ok(Bytes::from(target.into_bytes()))
    }

    fn stat_fs(&self) -> VfsResult<FsStat> {
        let fs = rustix::fs::fstatvfs(self.root.as_fd()).map_err(errno::vfs)?;
        let bytes = |blocks: u64| blocks.saturating_mul(fs.f_frsize);
        Ok(FsStat {
            total_bytes: bytes(fs.f_blocks),
            free_bytes: bytes(fs.f_bfree),
            avail_bytes: bytes(fs.f_bavail),
            total_files: fs.f_files,
            free_files: fs.f_ffree,
            avail_files: fs.f_favail,
        })
    }
}
