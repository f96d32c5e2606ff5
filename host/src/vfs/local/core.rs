//! What every operation needs: objects by handle, their attributes, identity, durability.

use std::collections::HashSet;
use std::ffi::CStr;
use std::fmt::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use dittofs_sdk::vfs::{
    Attr, Capabilities, DirChange, Handle, Kind, Name, Time, VfsError, VfsResult, posix,
};
use parking_lot::Mutex;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags};

use super::access::Bounds;
use super::cache::{Cache, Object};
use super::change::{Changes, Changing};
use super::descriptors::{Descriptors, FileId};
use super::errno;
use super::handles::Handles;
use super::identity::Identity;
use super::idle::Idle;
use super::index::Index;
use super::mounts::Mounts;
use super::names::Names;
use super::others::{Busy, Others};
use super::pace::Pace;
use super::pool::Pool;
use super::ranges::Ranges;
use super::seen::Bound;
use super::syncs::Syncs;
use super::sys;
use super::walked::Walked;

/// Never through a link of any kind, never up, never into another mount.
pub(super) const RESOLVE: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_XDEV);

const PATH: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Most files whose lost data are remembered one by one.
const MOST_LOST: usize = 4096;

/// How an object is opened whose descriptor was closed.
pub(super) enum Resolver {
    /// The kernel opens it by handle, on the mount that this directory is on.
    Kernel(OwnedFd),
    /// We know where it was last seen.
    Index(Index),
}

/// One exported directory.
pub(super) struct Core {
    pub(super) root: Arc<Object>,
    pub(super) device: (u32, u32),
    /// The mount that is served, where the kernel tells.
    pub(super) mount: Option<u64>,
    pub(super) identity: Identity,
    /// What nobody may, if that can be known without asking each time.
    pub(super) bounds: Option<Bounds>,
    pub(super) handles: Handles,
    pub(super) resolver: Resolver,
    pub(super) cache: Cache,
    pub(super) idle: Arc<Idle>,
    pub(super) descriptors: Arc<Descriptors>,
    pub(super) walked: Walked,
    pub(super) mounts: Mounts,
    pub(super) syncs: Syncs,
    pub(super) pace: Pace,
    /// Does what may sleep.
    pub(super) pool: Pool,
    pub(super) changes: Arc<Changes>,
    /// How long attributes seen before may be told.
    pub(super) bound: Bound,
    pub(super) names: Names,
    pub(super) others: Others,
    /// Whether changes are forced to the device before they are acknowledged.
    pub(super) durable: bool,
    /// Whether the kernel's rule of permissions is the generic one, on the ids that we see.
    pub(super) generic: bool,
    /// Whether no two objects of the file system have the same number, however long it lives.
    pub(super) numbers_are_unique: bool,
    /// What the file system keeps beyond what all do: extended attributes, lists, quotas.
    pub(super) keeps: Capabilities,
    pub(super) ranges: Ranges,
    /// Files of which the kernel failed to write data back: it tells only once, we go on.
    pub(super) lost: Mutex<HashSet<Handle>>,
}

impl Core {
    /// The object that a handle names.
    pub(super) fn object(&self, handle: &Handle) -> VfsResult<Arc<Object>> {
        if let Some(found) = self.hot(handle) {
            return Ok(found);
        }
        let parts = self.handles.parse(handle)?;
        let fd = match &self.resolver {
            Resolver::Kernel(mount) => self.identity.serve(|| {
                sys::open_by_handle(mount.as_fd(), &parts.kernel, OFlags::PATH).map_err(|error| {
                    // A handle that the file system can't read was not made by it.
                    if error == rustix::io::Errno::INVAL {
                        VfsError::BadHandle
                    } else {
                        errno::vfs(error)
                    }
                })
            })?,
            Resolver::Index(index) => index.open(self, parts.fileid, handle)?,
        };
        let stat = stat(fd.as_fd())?;
        if !self.is_ours(&stat) {
            return Err(VfsError::Stale);
        }
        // Kernels overlook what is too much in a handle; an object has one handle only.
        let name = self.handles.of(fd.as_fd(), c"", stat.stx_ino)?;
        if name != *handle {
            return Err(VfsError::BadHandle);
        }
        let object = Object::new(fd, name, &stat)?;
        // An object without a name is not kept: that would keep its data.
        if stat.stx_nlink == 0 {
            Ok(Arc::new(object))
        } else {
            Ok(self.cache.keep(object))
        }
    }

    /// As [`Core::object`], if that takes no system call.
    pub(super) fn hot(&self, handle: &Handle) -> Option<Arc<Object>> {
        if *handle == self.root.handle {
            return Some(Arc::clone(&self.root));
        }
        let found = self.cache.find(Handles::fileid_of(handle)?)?;
        (found.handle == *handle).then_some(found)
    }

    /// Takes in an object just opened as `name` of `dir`.
    pub(super) fn adopt(
        &self,
        fd: OwnedFd,
        dir: &Object,
        name: &[u8],
    ) -> VfsResult<(Arc<Object>, Attr)> {
        let stat = stat(fd.as_fd())?;
        if !self.is_ours(&stat) {
            return Err(VfsError::AccessDenied);
        }
        let handle = self.handles.of(fd.as_fd(), c"", stat.stx_ino)?;
        let object = Object::new(fd, handle, &stat)?;
        self.seen(dir.fileid, name, stat.stx_ino);
        self.walked.note(dir.fileid, name);
        let attr = self.attr_from(&stat)?;
        Ok((self.cache.keep(object), attr))
    }

    /// Notes where an object was seen, if that is how it will be found again.
    pub(super) fn seen(&self, dir: u64, name: &[u8], fileid: u64) {
        if let Resolver::Index(index) = &self.resolver {
            index.note(fileid, dir, name);
        }
    }

    /// The attributes of an object.
    pub(super) fn attr(&self, object: &Object) -> VfsResult<Attr> {
        self.attr_of(object, &stat(object.as_fd())?)
    }

    /// Lets go of an object that may have lost its last name: our cache must not keep its data.
    pub(super) fn unnamed(&self, object: &Object) {
        if stat(object.as_fd()).is_ok_and(|stat| stat.stx_nlink > 0) {
            return;
        }
        self.let_go(object);
    }

    /// Notes that an object has lost a name through us, perhaps its last.
    pub(super) fn lost_name(&self, object: &Arc<Object>) -> VfsResult<()> {
        let stat = stat(object.as_fd())?;
        self.changes.bump(object.fileid, ctime(&stat));
        if stat.stx_nlink == 0 {
            self.descriptors.keep_unnamed(self.id(object), object);
            self.let_go(object);
        }
        Ok(())
    }

    /// The object among all of the process.
    pub(super) fn id(&self, object: &Object) -> FileId {
        (self.device, object.fileid)
    }

    fn let_go(&self, object: &Object) {
        self.cache.forget(object);
        self.idle.forget(object.fileid);
        if let Resolver::Index(index) = &self.resolver {
            index.note_gone(&object.handle);
        }
    }

    pub(super) fn attr_from(&self, stat: &Statx) -> VfsResult<Attr> {
        let has_btime = stat.stx_mask & StatxFlags::BTIME.bits() != 0;
        Ok(Attr {
            kind: kind(stat)?,
            mode: u32::from(stat.stx_mode) & 0o7777,
            nlink: stat.stx_nlink,
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            rdev: (stat.stx_rdev_major, stat.stx_rdev_minor),
            size: stat.stx_size,
            used: stat.stx_blocks.saturating_mul(512),
            fileid: stat.stx_ino,
            change: self.changes.value(stat.stx_ino, ctime(stat)),
            atime: time(stat.stx_atime),
            mtime: time(stat.stx_mtime),
            ctime: time(stat.stx_ctime),
            btime: has_btime.then(|| time(stat.stx_btime)),
        })
    }

    /// Whether an object is on the exported file system. A mount below, or another Btrfs
    /// subvolume, is not: its name is listed, but it can't be entered.
    pub(super) fn is_ours(&self, stat: &Statx) -> bool {
        (stat.stx_dev_major, stat.stx_dev_minor) == self.device
    }

    /// To be kept while we change an object, until nothing more is changed or said of it.
    pub(super) fn changing(&self, fileid: u64) -> (Option<Busy>, Changing<'_>) {
        (self.others.busy(fileid), self.changes.changing(fileid))
    }

    /// Notes a change that was made through us.
    pub(super) fn changed(&self, fileid: u64, fd: BorrowedFd<'_>) -> VfsResult<()> {
        if !self.changes.is_fine() {
            self.changes.bump(fileid, ctime(&stat(fd)?));
        }
        Ok(())
    }

    /// As [`changed`](Self::changed), with the counter after it.
    fn changed_to(&self, object: &Object) -> VfsResult<u64> {
        let ctime = ctime(&stat(object.as_fd())?);
        self.changes.bump(object.fileid, ctime);
        Ok(self.changes.value(object.fileid, ctime))
    }

    fn change(&self, object: &Object) -> VfsResult<u64> {
        let ctime = ctime(&stat(object.as_fd())?);
        Ok(self.changes.value(object.fileid, ctime))
    }

    /// Runs `alter` on the entries of `dir`, or on what else counts as a change of it, and makes
    /// it last.
    pub(super) fn alter<T>(
        &self,
        dir: &Object,
        alter: impl FnOnce() -> VfsResult<T>,
    ) -> VfsResult<(T, DirChange)> {
        let _changing = self.changes.changing(dir.fileid);
        let before = self.change(dir)?;
        let done = alter()?;
        let after = self.changed_to(dir)?;
        self.settle(dir)?;
        // Other processes may change the directory in between, so this is not atomic.
        Ok((
            done,
            DirChange {
                atomic: false,
                before,
                after,
            },
        ))
    }

    /// What [`alter`](Self::alter) says of a directory that stays as it is.
    pub(super) fn unaltered(&self, dir: &Object) -> VfsResult<DirChange> {
        let change = self.change(dir)?;
        Ok(DirChange {
            atomic: false,
            before: change,
            after: change,
        })
    }

    /// Forces an object's metadata (of a directory: its entries) to the device.
    pub(super) fn settle(&self, object: &Object) -> VfsResult<()> {
        let flags = match object.kind {
            Kind::File => OFlags::RDONLY | OFlags::NONBLOCK,
            Kind::Dir => OFlags::RDONLY | OFlags::DIRECTORY,
            // Links and special files can't be synced by themselves; the journal of the file
            // system commits them together with their directory.
            _ => return Ok(()),
        };
        if !self.durable {
            return Ok(());
        }
        let _busy = self.others.busy(object.fileid);
        self.syncs.share((object.fileid, false), || {
            let fd = match self.identity.serve(|| self.open_as_server(object, flags)) {
                Err(VfsError::AccessDenied) => return self.settle_all(),
                fd => fd?,
            };
            rustix::fs::fsync(fd).map_err(|_| {
                if object.kind == Kind::File {
                    self.lose(&object.handle);
                }
                VfsError::Io
            })
        })
    }

    /// For an object that the server's user may change, but not read.
    fn settle_all(&self) -> VfsResult<()> {
        let root = reopen(self.root.as_fd(), OFlags::RDONLY | OFlags::DIRECTORY)?;
        rustix::fs::syncfs(root).map_err(|_| VfsError::Io)
    }

    pub(super) fn lose(&self, handle: &Handle) {
        let mut lost = self.lost.lock();
        if lost.len() < MOST_LOST {
            lost.insert(*handle);
        }
    }

    /// Whether data of this file were lost. When too many files lost some, all have.
    pub(super) fn has_lost(&self, handle: &Handle) -> bool {
        let lost = self.lost.lock();
        lost.len() >= MOST_LOST || lost.contains(handle)
    }

    /// Refuses, where we decide, a caller without `want` on `object`.
    pub(super) fn judge(
        &self,
        cred: &dittofs_sdk::vfs::Cred,
        object: &Object,
        want: u32,
    ) -> VfsResult<()> {
        self.identity
            .judge(|| posix::check(&self.rights(object)?, cred, want))
    }
}

/// Opens the entry `name` without following or entering anything.
pub(super) fn find(dir: &Object, name: &CStr, extra: ResolveFlags) -> VfsResult<OwnedFd> {
    rustix::fs::openat2(dir, name, PATH, Mode::empty(), RESOLVE | extra).map_err(|error| {
        match error {
            // A mount below: listed, but not entered.
            rustix::io::Errno::XDEV => VfsError::AccessDenied,
            error => errno::vfs(error),
        }
    })
}

/// A further, usable descriptor of an object, under this thread's permissions.
pub(super) fn reopen(fd: BorrowedFd<'_>, flags: OFlags) -> VfsResult<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY;
    rustix::fs::open(proc_path(fd), flags, Mode::empty()).map_err(errno::vfs)
}

/// The path by which an object behind an `O_PATH` descriptor is reached.
pub(super) fn proc_path(fd: BorrowedFd<'_>) -> String {
    use std::os::fd::AsRawFd;
    let mut path = String::with_capacity(24);
    // Writing to a string does not fail.
    let _ = write!(path, "/proc/self/fd/{}", fd.as_raw_fd());
    path
}

pub(super) fn stat(fd: BorrowedFd<'_>) -> VfsResult<Statx> {
    stat_at(fd, c"")
}

pub(super) fn stat_at(dir: BorrowedFd<'_>, name: &CStr) -> VfsResult<Statx> {
    named(dir, name).map_err(errno::vfs)
}

/// What a name stands for: found as for an open, with the same permission. The mount is told,
/// where the kernel knows how.
pub(super) fn named(dir: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<Statx> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID;
    rustix::fs::statx(dir, name, flags, mask)
}

/// The number of the mount, where the kernel tells (Linux 5.8).
pub(super) fn mount(stat: &Statx) -> Option<u64> {
    (stat.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(stat.stx_mnt_id)
}

/// When it was made, in nanoseconds; 0 where the file system does not tell.
pub(super) fn born(stat: &Statx) -> u64 {
    if stat.stx_mask & StatxFlags::BTIME.bits() == 0 {
        return 0;
    }
    nanoseconds(stat.stx_btime)
}

pub(super) fn kind(stat: &Statx) -> VfsResult<Kind> {
    match FileType::from_raw_mode(u32::from(stat.stx_mode)) {
        FileType::RegularFile => Ok(Kind::File),
        FileType::Directory => Ok(Kind::Dir),
        FileType::Symlink => Ok(Kind::Symlink),
        FileType::BlockDevice => Ok(Kind::Block),
        FileType::CharacterDevice => Ok(Kind::Char),
        FileType::Fifo => Ok(Kind::Fifo),
        FileType::Socket => Ok(Kind::Socket),
        FileType::Unknown => Err(VfsError::Io),
    }
}

pub(super) fn c_name(name: Name<'_>) -> VfsResult<std::ffi::CString> {
    std::ffi::CString::new(name.as_bytes()).map_err(|_| VfsError::Invalid)
}

fn time(from: rustix::fs::StatxTimestamp) -> Time {
    Time {
        sec: from.tv_sec,
        nsec: from.tv_nsec,
    }
}

/// ctime in nanoseconds; a time before 1970 counts as 0.
pub(super) fn ctime(stat: &Statx) -> u64 {
    nanoseconds(stat.stx_ctime)
}

fn nanoseconds(time: rustix::fs::StatxTimestamp) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(time.tv_nsec))
}
