//! The system calls that rustix does not have: file handles, per-thread identity, access checks,
//! fanotify.
//!
//! The only place of this backend with unsafe code. Identity changes are raw system calls: the
//! C library's `setgroups` would change every thread of the process.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use dittofs_sdk::vfs::Buffer;
use rustix::fs::OFlags;
use rustix::io::{Errno, ReadWriteFlags};

/// The most bytes that the kernel puts into a file handle (`MAX_HANDLE_SZ`).
const MAX_FH: usize = 128;

/// As the kernel's `struct file_handle`, with room for the largest.
#[repr(C, align(4))]
struct RawHandle {
    bytes: u32,
    kind: i32,
    data: [u8; MAX_FH],
}

/// A handle as the kernel makes it.
pub(super) struct FileHandle {
    kind: i32,
    len: usize,
    data: [u8; MAX_FH],
}

impl FileHandle {
    /// A handle of these parts, if the kernel could have made it.
    pub(super) fn new(kind: i32, bytes: &[u8]) -> Option<Self> {
        let mut data = [0; MAX_FH];
        data.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self {
            kind,
            len: bytes.len(),
            data,
        })
    }

    pub(super) fn kind(&self) -> i32 {
        self.kind
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.data.get(..self.len).unwrap_or_default()
    }
}

/// The handle of `name` in `dir`, or of `dir` itself if `name` is empty. Symbolic links are not
/// followed. `identity_only` asks for a handle even where the file system can't open by handle.
pub(super) fn name_to_handle(
    dir: BorrowedFd<'_>,
    name: &CStr,
    identity_only: bool,
) -> Result<FileHandle, Errno> {
    let mut raw = RawHandle {
        bytes: MAX_FH as u32,
        kind: 0,
        data: [0; MAX_FH],
    };
    let mut mount = 0_i32;
    let mut flags = if name.is_empty() {
        libc::AT_EMPTY_PATH
    } else {
        0
    };
    if identity_only {
        flags |= libc::AT_HANDLE_FID;
    }
    // SAFETY: `name` is a C string, `raw` has the kernel's layout and says how much room it has,
    // `mount` is a plain integer; all three outlive the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            dir.as_raw_fd(),
            name.as_ptr(),
            &raw mut raw,
            &raw mut mount,
            flags,
        )
    };
    check(done)?;
    let bytes = raw.data.get(..raw.bytes as usize).ok_or(Errno::OVERFLOW)?;
    FileHandle::new(raw.kind, bytes).ok_or(Errno::OVERFLOW)
}

/// Opens an object of the file system that `mount` is on. Needs CAP_DAC_READ_SEARCH.
pub(super) fn open_by_handle(
    mount: BorrowedFd<'_>,
    handle: &FileHandle,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    let mut raw = RawHandle {
        bytes: handle.len as u32,
        kind: handle.kind,
        data: handle.data,
    };
    let flags = flags.union(OFlags::NOFOLLOW | OFlags::CLOEXEC).bits();
    // SAFETY: `raw` has the kernel's layout, holds `bytes` bytes of data, and outlives the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_open_by_handle_at,
            mount.as_raw_fd(),
            &raw mut raw,
            flags,
        )
    };
    check(fd)?;
    // SAFETY: the kernel just gave this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Whether this thread's identity has all of `mode` (`R_OK`, `W_OK`, `X_OK` bits) on `object`.
pub(super) fn accessible(object: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    let flags = libc::AT_EMPTY_PATH | libc::AT_EACCESS | libc::AT_SYMLINK_NOFOLLOW;
    // SAFETY: the path is a constant C string; no memory is written.
    let done = unsafe {
        libc::syscall(
            libc::SYS_faccessat2,
            object.as_raw_fd(),
            c"".as_ptr(),
            mode,
            flags,
        )
    };
    check(done).map(drop)
}

/// Sets this thread's user for file-system checks; false if it did not take effect.
pub(super) fn set_fs_user(uid: u32) -> bool {
    // SAFETY: both calls take integers only. The second asks for an impossible user, which
    // changes nothing and answers with the current one: the call reports failure in no other way.
    unsafe {
        libc::syscall(libc::SYS_setfsuid, uid);
        libc::syscall(libc::SYS_setfsuid, u32::MAX) as u32 == uid
    }
}

/// Sets this thread's group for file-system checks; false if it did not take effect.
pub(super) fn set_fs_group(gid: u32) -> bool {
    // SAFETY: as in `set_fs_user`.
    unsafe {
        libc::syscall(libc::SYS_setfsgid, gid);
        libc::syscall(libc::SYS_setfsgid, u32::MAX) as u32 == gid
    }
}

/// Sets this thread's supplementary groups, and no other thread's.
pub(super) fn set_groups(groups: &[u32]) -> Result<(), Errno> {
    // SAFETY: the kernel reads `len` group ids from a slice that outlives the call.
    let done = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    check(done).map(drop)
}

/// Gives this thread a file-creation mask (and working directory) of its own.
pub(super) fn unshare_umask() -> Result<(), Errno> {
    // SAFETY: only this thread's view of its `fs_struct` changes.
    check(unsafe { libc::syscall(libc::SYS_unshare, libc::CLONE_FS) }).map(drop)
}

/// Appends up to `count` bytes from `offset` to `into`, whose room the kernel fills without its
/// being cleared first.
pub(super) fn read_into(
    fd: BorrowedFd<'_>,
    offset: u64,
    count: usize,
    into: &mut Buffer,
    how: ReadWriteFlags,
) -> Result<usize, Errno> {
    let offset = libc::off_t::try_from(offset).map_err(|_| Errno::INVAL)?;
    let read = |room: &mut [MaybeUninit<u8>]| {
        let piece = libc::iovec {
            iov_base: room.as_mut_ptr().cast(),
            iov_len: room.len(),
        };
        let flags = how.bits().cast_signed();
        // SAFETY: `piece` describes `room`, which is borrowed for the call.
        let got = unsafe { libc::preadv2(fd.as_raw_fd(), &raw const piece, 1, offset, flags) };
        check(got as libc::c_long).map(|got| got as usize)
    };
    // SAFETY: the kernel has filled as many bytes as it says.
    unsafe { into.append_with(count, read) }
}

/// Has `count` bytes at `to` of `target` share the storage of those at `from` of `source`; a count
/// of 0 means to the end of `source`.
pub(super) fn clone_range(
    target: BorrowedFd<'_>,
    to: u64,
    source: BorrowedFd<'_>,
    from: u64,
    count: u64,
) -> Result<(), Errno> {
    let range = libc::file_clone_range {
        src_fd: source.as_raw_fd().into(),
        src_offset: from,
        src_length: count,
        dest_offset: to,
    };
    // SAFETY: the kernel reads a `file_clone_range`, which outlives the call.
    let done = unsafe { libc::ioctl(target.as_raw_fd(), libc::FICLONERANGE, &raw const range) };
    check(done.into()).map(drop)
}

/// A group of marks that names the objects of events by their handles. Needs no privileges.
pub(super) fn fanotify_group() -> Result<OwnedFd, Errno> {
    let flags =
        libc::FAN_CLASS_NOTIF | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK | libc::FAN_REPORT_FID;
    // SAFETY: integers only.
    let fd = unsafe { libc::syscall(libc::SYS_fanotify_init, flags, libc::O_RDONLY) };
    check(fd)?;
    // SAFETY: the kernel just gave this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// What becomes of the events of a mark.
#[derive(Debug, Clone, Copy)]
pub(super) enum MarkChange {
    /// These too.
    Add,
    /// These no longer.
    Remove,
}

/// Changes the mark that `group` has on the object at `path`.
pub(super) fn fanotify_mark(
    group: BorrowedFd<'_>,
    change: MarkChange,
    events: u32,
    path: &str,
) -> Result<(), Errno> {
    let path = std::ffi::CString::new(path).map_err(|_| Errno::INVAL)?;
    let flags = match change {
        MarkChange::Add => libc::FAN_MARK_ADD,
        MarkChange::Remove => libc::FAN_MARK_REMOVE,
    };
    let (fd, at) = (group.as_raw_fd(), libc::AT_FDCWD);
    // SAFETY: `path` is a C string that outlives the call; the rest are integers.
    let done = unsafe { libc::fanotify_mark(fd, flags, events.into(), at, path.as_ptr()) };
    check(done.into()).map(drop)
}

/// Whose quota [`get_quota`] asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum QuotaOf {
    User(u32),
    Group(u32),
}

/// What the kernel tells of a quota, in bytes; 0 is no limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawQuota {
    pub(super) hard: u64,
    pub(super) soft: u64,
    pub(super) used: u64,
}

/// The space quota of a user or group on the file system of `object` (Linux 5.14 and later).
pub(super) fn get_quota(object: BorrowedFd<'_>, of: QuotaOf) -> Result<RawQuota, Errno> {
    // `SUBCMDSHIFT`, `USRQUOTA`, `GRPQUOTA` and `QIF_DQBLKSIZE` of <linux/quota.h>.
    const SHIFT: u32 = 8;
    const BLOCK: u64 = 1024;
    let (kind, id) = match of {
        QuotaOf::User(id) => (0, id),
        QuotaOf::Group(id) => (1, id),
    };
    let command = (libc::Q_GETQUOTA as u32) << SHIFT | kind;
    let mut raw = MaybeUninit::<libc::dqblk>::zeroed();
    // SAFETY: the kernel writes a `dqblk` into room of that size, which outlives the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_quotactl_fd,
            object.as_raw_fd(),
            command,
            id,
            raw.as_mut_ptr(),
        )
    };
    check(done)?;
    // SAFETY: all zeros is a valid value of this struct of integers, and the kernel wrote over it.
    let raw = unsafe { raw.assume_init() };
    Ok(RawQuota {
        hard: raw.dqb_bhardlimit.saturating_mul(BLOCK),
        soft: raw.dqb_bsoftlimit.saturating_mul(BLOCK),
        used: raw.dqb_curspace,
    })
}

fn check(result: libc::c_long) -> Result<libc::c_long, Errno> {
    if result < 0 {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    }
    Ok(result)
}
