//! Attributes set: size, then owner, then mode, then times.
//!
//! In this order, because a change of size or owner takes setuid and setgid away, and a mode
//! asked for in the same call is meant to stand.

use std::os::fd::AsFd;

use dittofs_sdk::vfs::{Attr, Cred, Handle, Kind, SetAttr, SetTime, VfsError, VfsResult, posix};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, Uid};
use rustix::io::Errno;

use super::cache::Object;
use super::core::{Core, proc_path, reopen};
use super::{errno, sys};

impl Core {
    pub(super) fn set_attr(
        &self,
        cred: &Cred,
        object: &Object,
        changes: &SetAttr,
    ) -> VfsResult<Attr> {
        if changes.is_empty() {
            return self.attr(object);
        }
        if changes.umask.is_some() {
            return Err(VfsError::Invalid);
        }
        if changes.size.is_some() {
            posix::require_file(object.kind)?;
        }
        self.identity
            .judge(|| posix::check_set_attr(&self.rights(object)?, cred, changes))?;
        let _busy = self.changing(object.fileid);
        self.identity
            .act(cred, || self.apply(cred, object, changes))?;
        self.changed(object.fileid, object.as_fd())?;
        self.settle(object)?;
        self.attr(object)
    }

    /// Applies `changes` under the identity that this thread has.
    pub(super) fn apply(&self, cred: &Cred, object: &Object, changes: &SetAttr) -> VfsResult<()> {
        let valid = |time: Option<SetTime>| !matches!(time, Some(SetTime::To(time)) if time.nsec >= 1_000_000_000);
        if !valid(changes.atime) || !valid(changes.mtime) {
            return Err(VfsError::Invalid);
        }
        if let Some(size) = changes.size {
            let file = reopen(object.as_fd(), OFlags::WRONLY | OFlags::NONBLOCK)?;
            self.resize(&object.handle, &file, size)?;
        }
        if changes.uid.or(changes.gid).is_some() {
            self.set_owner(cred, object, changes)?;
        }
        // Linux has no mode of a symbolic link; clients set one all the same.
        if let Some(mode) = changes.mode.filter(|_| object.kind != Kind::Symlink) {
            let mode = Mode::from_raw_mode(mode & 0o7777);
            let path = proc_path(object.as_fd());
            rustix::fs::chmodat(rustix::fs::CWD, path, mode, AtFlags::empty())
                .map_err(errno::vfs)?;
        }
        if changes.atime.or(changes.mtime).is_some() {
            self.set_times(cred, object, changes)?;
        }
        Ok(())
    }

    /// Sets the size through a file that is open for writing.
    pub(super) fn resize(&self, handle: &Handle, file: impl AsFd, size: u64) -> VfsResult<()> {
        if size > i64::MAX as u64 {
            return Err(VfsError::FileTooBig);
        }
        rustix::fs::ftruncate(file, size).map_err(|error| match error {
            // Only beyond the largest file is a size invalid.
            Errno::INVAL => VfsError::FileTooBig,
            error => errno::vfs(error),
        })?;
        if size == 0 {
            self.lost.lock().remove(handle);
        }
        Ok(())
    }

    /// The size of a file just created, whatever its mode.
    pub(super) fn resize_new(&self, object: &Object, size: u64) -> VfsResult<()> {
        if size == 0 {
            return Ok(());
        }
        let open = || reopen(object.as_fd(), OFlags::WRONLY | OFlags::NONBLOCK);
        let file = self.identity.serve(open)?;
        self.resize(&object.handle, &file, size)
    }

    fn set_owner(&self, cred: &Cred, object: &Object, changes: &SetAttr) -> VfsResult<()> {
        // The kernel takes the largest number for "leave as it is".
        if changes.uid == Some(u32::MAX) || changes.gid == Some(u32::MAX) {
            return Err(VfsError::Invalid);
        }
        if !self.identity.is_caller() {
            let now = self.attr(object)?;
            let same = changes
                .uid
                .is_none_or(|uid| uid == now.uid || uid == cred.uid)
                && changes.gid.is_none_or(|gid| gid == now.gid);
            // All is the server's user's here: naming oneself as owner changes nothing.
            if same {
                return Ok(());
            }
        }
        let (uid, gid) = (
            changes.uid.map(Uid::from_raw),
            changes.gid.map(Gid::from_raw),
        );
        rustix::fs::chownat(object, c"", uid, gid, AtFlags::EMPTY_PATH).map_err(errno::vfs)
    }

    fn set_times(&self, cred: &Cred, object: &Object, changes: &SetAttr) -> VfsResult<()> {
        let times = Timestamps {
            last_access: spec(changes.atime),
            last_modification: spec(changes.mtime),
        };
        let set =
            || rustix::fs::utimensat(object, c"", &times, AtFlags::EMPTY_PATH).map_err(errno::vfs);
        let exact = [changes.atime, changes.mtime]
            .iter()
            .any(|time| matches!(time, Some(SetTime::To(_))));
        match set() {
            // To set only one of the times to now, the kernel demands the owner; who may write
            // may set both, so one is no harm.
            Err(VfsError::NotPermitted) if !exact => {
                if self.identity.is_caller() {
                    sys::accessible(object.as_fd(), posix::WRITE).map_err(errno::vfs)?;
                } else {
                    self.judge(cred, object, posix::WRITE)?;
                }
                self.identity.serve(set)
            }
            done => done,
        }
    }
}

fn spec(time: Option<SetTime>) -> Timespec {
    match time {
        None => Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        Some(SetTime::Now) => Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        },
        Some(SetTime::To(time)) => Timespec {
            tv_sec: time.sec,
            tv_nsec: time.nsec.into(),
        },
    }
}
