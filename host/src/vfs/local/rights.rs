//! What the kernel would say of a caller's permission, found out without becoming the caller.
//!
//! A thread that takes another identity for one call and gives it back pays for six changes of
//! credentials, ten times what the call itself costs. On the file systems whose rule is known to
//! be the generic one of Linux (mode bits and POSIX lists, nothing else) that rule is applied
//! here, where the object's mode decides alone; what it grants is then done as the server, so that
//! the kernel still refuses what nobody may. Whatever is not certain is left to the kernel under
//! the caller's identity: objects with a list, other file systems, user namespaces.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use dittofs_sdk::vfs::{Attr, Cred, Kind, VfsError, VfsResult, posix};
use rustix::fs::Statx;
use rustix::time::ClockId;

use super::acl;
use super::cache::Object;
use super::clock::{self, SECOND};
use super::core::{Core, ctime, kind, stat};

/// As whom a call is made that was looked into here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// As the server: the caller may, or is the superuser, for whom the kernel says the same.
    Server,
    /// As the caller: the kernel decides.
    Caller,
}

/// Remembers that an object has no access control list.
///
/// A list that is set moves ctime to the time of the clock then. An object whose ctime lies before
/// the clock's time when it was found without a list, and is still the same, has none.
#[derive(Default)]
pub(super) struct Listless(AtomicU64);

impl Core {
    /// Runs `call`, which needs `want` on `object`, as whoever it takes.
    pub(super) fn permitted<T>(
        &self,
        cred: &Cred,
        object: &Object,
        want: u32,
        call: impl FnOnce() -> VfsResult<T>,
    ) -> VfsResult<T> {
        let by = self.foresee(cred, object, want)?;
        self.run(by, cred, call)
    }

    /// Runs `call` as was found out.
    pub(super) fn run<T>(
        &self,
        by: By,
        cred: &Cred,
        call: impl FnOnce() -> VfsResult<T>,
    ) -> VfsResult<T> {
        match by {
            By::Server => self.identity.serve(call),
            By::Caller => self.identity.act(cred, call),
        }
    }

    /// As whom to do what needs `want` on `object`; [`VfsError::AccessDenied`] if nobody need try.
    pub(super) fn foresee(&self, cred: &Cred, object: &Object, want: u32) -> VfsResult<By> {
        if !self.identity.is_caller() {
            return Ok(By::Caller);
        }
        if self.identity.is_like_server(cred) {
            return Ok(By::Server);
        }
        if !self.generic {
            return Ok(By::Caller);
        }
        self.foresee_with(cred, object, &stat(object.as_fd())?, want)
    }

    /// As [`foresee`](Self::foresee), of an object whose attributes are known.
    fn foresee_with(&self, cred: &Cred, object: &Object, stat: &Statx, want: u32) -> VfsResult<By> {
        match self.granted(cred, object, stat)? {
            Some(bits) if bits & want == want => Ok(By::Server),
            Some(_) => Err(VfsError::AccessDenied),
            None => Ok(By::Caller),
        }
    }

    /// As whom to remove an entry of `dir` that stands for what has these attributes.
    pub(super) fn foresee_delete(&self, cred: &Cred, dir: &Object, victim: &Attr) -> VfsResult<By> {
        if !self.identity.is_caller() || self.identity.is_like_server(cred) {
            return self.foresee(cred, dir, 0);
        }
        let stat = stat(dir.as_fd())?;
        let sticky = u32::from(stat.stx_mode) & posix::STICKY != 0;
        if sticky && cred.uid != victim.uid && cred.uid != stat.stx_uid {
            // Refused with an error that depends on more than that.
            return Ok(By::Caller);
        }
        self.foresee_with(cred, dir, &stat, posix::WRITE | posix::EXEC)
    }

    /// The permission bits that the mode of `object` grants to `cred`, if the mode decides alone.
    pub(super) fn granted(
        &self,
        cred: &Cred,
        object: &Object,
        stat: &Statx,
    ) -> VfsResult<Option<u32>> {
        let mode = u32::from(stat.stx_mode);
        if self.identity.is_like_server(cred) {
            let may_run = kind(stat)? == Kind::Dir || mode & 0o111 != 0;
            return Ok(Some(posix::READ | posix::WRITE | u32::from(may_run)));
        }
        // Nobody acts as the impossible user, which the kernel is left to say.
        let nobody = cred.uid == u32::MAX || cred.gid == u32::MAX;
        if nobody
            || !self.identity.is_caller()
            || !self.generic
            || !self.is_listless(object, stat)?
        {
            return Ok(None);
        }
        let bits = if cred.uid == stat.stx_uid {
            mode >> 6
        } else if cred.in_group(stat.stx_gid) {
            mode >> 3
        } else {
            mode
        };
        Ok(Some(bits & 0o7))
    }

    fn is_listless(&self, object: &Object, stat: &Statx) -> VfsResult<bool> {
        if !self.has_lists() || object.kind == Kind::Symlink {
            return Ok(true);
        }
        let changed = ctime(stat);
        let Listless(known) = &object.listless;
        if known.load(Ordering::Relaxed) == changed {
            return Ok(true);
        }
        let now = clock::now(ClockId::RealtimeCoarse);
        if self.identity.serve(|| acl::has_list(object.as_fd()))? {
            return Ok(false);
        }
        // Old file systems keep whole seconds.
        let step = if changed.is_multiple_of(SECOND) {
            SECOND
        } else {
            1
        };
        let over = changed + step;
        if over <= now {
            known.store(changed, Ordering::Relaxed);
        }
        Ok(true)
    }
}

/// Whether the file system of `dir` applies the generic rule of Linux to the ids that we see.
pub(super) fn is_generic(dir: BorrowedFd<'_>) -> bool {
    const GENERIC: [u64; 4] = [
        0x0102_1994, // tmpfs
        0xef53,      // ext2, ext3, ext4
        0x5846_5342, // XFS
        0x9123_683e, // Btrfs
    ];
    let fs = rustix::fs::fstatfs(dir).map(|fs| fs.f_type as u64 & 0xffff_ffff);
    fs.is_ok_and(|fs| GENERIC.contains(&fs)) && sees_all_ids()
}

/// Whether users and groups have the same numbers here as everywhere on the machine.
fn sees_all_ids() -> bool {
    ["/proc/self/uid_map", "/proc/self/gid_map"]
        .iter()
        .all(|map| {
            let map = std::fs::read_to_string(map).unwrap_or_default();
            map.split_whitespace().eq(["0", "0", "4294967295"])
        })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown};
    use std::path::Path;

    use dittofs_sdk::vfs::{Access, FileSystem, Name, OpenAccess};
    use dittofs_testkit::vfs::wait;

    use super::super::{Local, Options, open_core};
    use super::*;

    fn name(text: &str) -> Name<'_> {
        Name::new(text.as_bytes()).unwrap()
    }

    /// One directory, judged here and by the kernel alone.
    fn both(dir: &Path) -> [Local; 2] {
        let here = open_core(dir, &Options::default()).unwrap();
        let mut kernel = open_core(dir, &Options::default()).unwrap();
        let core = std::sync::Arc::get_mut(&mut kernel.core).unwrap();
        core.generic = false;
        assert!(
            here.core.generic && here.core.identity.is_caller(),
            "this test acts as several users on a common file system: run it as root"
        );
        [here, kernel]
    }

    #[test]
    fn what_is_foreseen_is_what_the_kernel_says() {
        let dir = tempfile::tempdir().unwrap();
        let (sub, file) = (dir.path().join("sub"), dir.path().join("sub/file"));
        std::fs::create_dir(&sub).unwrap();
        std::fs::write(&file, "content").unwrap();
        chown(&sub, Some(11), Some(21)).unwrap();
        chown(&file, Some(10), Some(20)).unwrap();
        let callers = [
            Cred::root(),
            Cred::user(0, 7),
            Cred::user(10, 20),
            Cred::user(10, 7),
            Cred::user(7, 20),
            Cred {
                groups: [5, 20].into(),
                ..Cred::user(7, 7)
            },
            Cred {
                groups: [21].into(),
                ..Cred::user(11, 7)
            },
            Cred::user(65_534, 65_534),
            Cred::user(u32::MAX, 7),
        ];
        let systems = both(dir.path());
        let all = Access::READ
            | Access::SEARCH
            | Access::MODIFY
            | Access::EXTEND
            | Access::DELETE
            | Access::EXECUTE;
        for mode in 0..0o1000_u32 {
            // Every mode of the file, together with one of the directory that differs.
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
            let of_dir = mode.wrapping_mul(0o161) & 0o1777;
            std::fs::set_permissions(&sub, PermissionsExt::from_mode(of_dir)).unwrap();
            for cred in &callers {
                let [here, kernel] = systems.each_ref().map(|fs| {
                    let root = Cred::root();
                    let sub = wait(fs.lookup(&root, &fs.root(), name("sub")))
                        .unwrap()
                        .handle;
                    let file = wait(fs.lookup(&root, &sub, name("file"))).unwrap().handle;
                    let open = |how| wait(fs.open(cred, &file, how)).map(drop);
                    (
                        wait(fs.lookup(cred, &sub, name("file"))).map(|node| node.handle),
                        wait(fs.lookup(cred, &sub, name("absent"))).map(|node| node.handle),
                        wait(fs.access(cred, &sub, all)).map(|granted| granted.access),
                        wait(fs.access(cred, &file, all)).map(|granted| granted.access),
                        [OpenAccess::Read, OpenAccess::Write, OpenAccess::Both].map(open),
                    )
                });
                assert_eq!(here, kernel, "{cred:?}, file {mode:o} in {of_dir:o}");
            }
        }
    }

    #[test]
    fn only_who_may_remove_removes() {
        let dir = tempfile::tempdir().unwrap();
        let sub = dir.path().join("sub");
        std::fs::create_dir(&sub).unwrap();
        chown(&sub, Some(11), Some(21)).unwrap();
        let callers = [10, 11, 12].map(|uid| Cred::user(uid, 21));
        let systems = both(dir.path());
        for mode in [0o777, 0o1777, 0o1755, 0o700, 0o733, 0o070, 0o1070] {
            std::fs::set_permissions(&sub, PermissionsExt::from_mode(mode)).unwrap();
            for cred in &callers {
                let [here, kernel] = systems.each_ref().map(|fs| {
                    std::fs::write(sub.join("file"), "content").unwrap();
                    chown(sub.join("file"), Some(10), Some(20)).unwrap();
                    let root = Cred::root();
                    let sub = wait(fs.lookup(&root, &fs.root(), name("sub")))
                        .unwrap()
                        .handle;
                    wait(fs.remove(cred, &sub, name("file"))).map(drop)
                });
                assert_eq!(here, kernel, "{cred:?} in {mode:o}");
            }
        }
    }

    #[test]
    fn a_list_set_behind_our_back_counts_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "content").unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
        let systems = both(dir.path());
        let [here, _] = &systems;
        let cred = Cred::user(10, 20);
        let found = wait(here.lookup(&cred, &here.root(), name("file"))).unwrap();
        let read = |fs: &Local| wait(fs.open(&cred, &found.handle, OpenAccess::Read)).map(drop);
        assert_eq!(read(here), Ok(()));
        if !here.core.has_lists() {
            return;
        }
        // Version 2: owner rw, user 10 nothing, group r, mask r, others r.
        let entries: [(u16, u16, u32); 5] = [
            (1, 6, u32::MAX),
            (2, 0, 10),
            (4, 4, u32::MAX),
            (16, 4, u32::MAX),
            (32, 4, u32::MAX),
        ];
        let mut list = 2_u32.to_le_bytes().to_vec();
        for (tag, permission, id) in entries {
            list.extend(tag.to_le_bytes());
            list.extend(permission.to_le_bytes());
            list.extend(id.to_le_bytes());
        }
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(&file, "system.posix_acl_access", &list, flags).unwrap();
        let answers = systems.each_ref().map(read);
        assert_eq!(answers, [Err(VfsError::AccessDenied); 2]);
    }
}
