//! What a caller may do with an object.
//!
//! Where the mode decides alone ([`rights`](super::rights)), what it grants may still be what nobody has: on a
//! read-only mount, of an immutable file. The object's attributes tell of the file, and of the mount
//! the kernel is asked once in a while: the answer is advice, that a change of the mount overtakes
//! anyhow (RFC 8881 §18.1.4). Whatever is not certain by that is asked for each time.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use dittofs_sdk::vfs::{Access, Cred, Granted, Kind, VfsResult, posix};
use rustix::fs::{StatVfsMountFlags, Statx, StatxAttributes};
use rustix::thread::CapabilitySet;
use rustix::time::ClockId;

use super::cache::Object;
use super::clock::{self, MILLISECOND};
use super::core::{Core, stat};
use super::sys;

/// For how long an answer about the mount is good, in milliseconds.
const WHILE: u64 = 1000;

const ALL: u32 = posix::READ | posix::WRITE | posix::EXEC;

/// What nobody may on the mount that is served.
pub(super) struct Bounds {
    /// When it was asked for, in milliseconds and moved by three bits, and the bits that it refuses.
    known: AtomicU64,
}

impl Bounds {
    /// None if the server itself may be refused what others are not.
    pub(super) fn detect() -> Option<Self> {
        let needed = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
        let able = rustix::thread::capabilities(None);
        let able = able.is_ok_and(|sets| sets.effective.contains(needed));
        let labels = ["/sys/fs/selinux", "/sys/fs/smackfs"];
        let labeled = labels.iter().any(|path| Path::new(path).exists());
        (able && !labeled).then(|| Self {
            known: AtomicU64::new(0),
        })
    }

    /// The bits that are refused to all.
    fn refused(&self, mount: impl AsFd) -> VfsResult<u32> {
        let now = clock::now(ClockId::MonotonicCoarse) / MILLISECOND;
        let known = self.known.load(Ordering::Relaxed);
        if known != 0 && now.saturating_sub(known >> 3) < WHILE {
            return Ok(known as u32 & ALL);
        }
        let flags = rustix::fs::fstatvfs(mount)
            .map_err(super::errno::vfs)?
            .f_flag;
        let refuses = |flag, bit| if flags.contains(flag) { bit } else { 0 };
        let refused = refuses(StatVfsMountFlags::RDONLY, posix::WRITE)
            | refuses(StatVfsMountFlags::NOEXEC, posix::EXEC);
        self.known
            .store(now << 3 | u64::from(refused), Ordering::Relaxed);
        Ok(refused)
    }
}

impl Core {
    pub(super) fn access(
        &self,
        cred: &Cred,
        object: &Object,
        wanted: Access,
    ) -> VfsResult<Granted> {
        let stat = stat(object.as_fd())?;
        let bits = match self.granted(cred, object, &stat)? {
            Some(bits) => match self.refused(object, &stat)? {
                Some(refused) => bits & !refused,
                None => self.identity.serve(|| Ok(accessible(object, bits)))?,
            },
            None => self.identity.act(cred, || Ok(accessible(object, ALL)))?,
        };
        let attr = self.attr_of(object, &stat)?;
        // The rules from bits to kinds of access are the same, whoever found the bits.
        let mut access = posix::access_by(attr.kind, wanted, |want| bits & want == want);
        if !self.identity.is_caller() {
            let rights = self.rights_with(object, attr)?;
            access = access & posix::access(&rights, cred, wanted);
        }
        Ok(Granted { access, attr })
    }

    /// The bits that nobody has of an object with these attributes; none if only the kernel knows.
    fn refused(&self, object: &Object, stat: &Statx) -> VfsResult<Option<u32>> {
        let is_known = stat
            .stx_attributes_mask
            .contains(StatxAttributes::IMMUTABLE);
        let Some(bounds) = self.bounds.as_ref().filter(|_| self.generic && is_known) else {
            return Ok(None);
        };
        let refused = bounds.refused(&self.root.fd)?;
        let immutable = stat.stx_attributes.contains(StatxAttributes::IMMUTABLE);
        let immutable = if immutable { posix::WRITE } else { 0 };
        Ok(match object.kind {
            Kind::File => Some(refused | immutable),
            // Nothing is executed there.
            Kind::Dir => Some(refused & !posix::EXEC | immutable),
            _ => None,
        })
    }
}

/// What this thread's identity has of `bits`.
fn accessible(object: &Object, bits: u32) -> u32 {
    let all = |bits| sys::accessible(object.as_fd(), bits).is_ok();
    if bits == 0 || all(bits) {
        return bits;
    }
    let each = [posix::READ, posix::WRITE, posix::EXEC];
    let each = each.into_iter().filter(|bit| bits & bit != 0 && all(*bit));
    each.fold(0, |found, bit| found | bit)
}

#[cfg(test)]
mod tests {
    use dittofs_sdk::vfs::{FileSystem, Name};
    use dittofs_testkit::vfs::wait;
    use rustix::fs::IFlags;

    use super::super::{Options, open_core};
    use super::*;

    const MODIFY: Access = Access::MODIFY;

    #[test]
    fn nobody_may_change_what_is_immutable() {
        for place in [env!("CARGO_MANIFEST_DIR"), "/dev/shm"] {
            let dir = tempfile::tempdir_in(place).unwrap();
            let path = dir.path().join("file");
            std::fs::write(&path, "content").unwrap();
            let here = open_core(dir.path(), &Options::default()).unwrap();
            let mut kernel = open_core(dir.path(), &Options::default()).unwrap();
            std::sync::Arc::get_mut(&mut kernel.core).unwrap().bounds = None;
            let file = std::fs::File::open(&path).unwrap();
            // A tmpfs has such flags since Linux 6.6 only.
            let Ok(flags) = rustix::fs::ioctl_getflags(&file) else {
                assert_eq!(place, "/dev/shm");
                continue;
            };
            let granted = || {
                [&here, &kernel].map(|fs| {
                    let root = Cred::root();
                    let name = Name::new(b"file").unwrap();
                    let file = wait(fs.lookup(&root, &fs.root(), name)).unwrap().handle;
                    let wanted = Access::READ | MODIFY | Access::EXECUTE;
                    wait(fs.access(&root, &file, wanted)).unwrap().access
                })
            };
            assert_eq!(granted(), [Access::READ | MODIFY; 2]);
            let frozen = rustix::fs::ioctl_setflags(&file, flags | IFlags::IMMUTABLE);
            let then = granted();
            rustix::fs::ioctl_setflags(&file, flags).unwrap();
            assert_eq!(frozen.map(|()| then), Ok([Access::READ; 2]));
            assert_eq!(granted(), [Access::READ | MODIFY; 2]);
        }
    }

    #[test]
    fn what_a_mount_refuses_is_refused_to_all() {
        let root = |path| rustix::fs::open(path, rustix::fs::OFlags::PATH, 0.into()).unwrap();
        let bounds = || Bounds {
            known: AtomicU64::new(0),
        };
        for path in ["/proc", "/dev/shm"] {
            let flags = rustix::fs::statvfs(path).unwrap().f_flag;
            let refused = bounds().refused(root(path)).unwrap();
            let noexec = flags.contains(StatVfsMountFlags::NOEXEC);
            let rdonly = flags.contains(StatVfsMountFlags::RDONLY);
            assert_eq!(refused & posix::EXEC != 0, noexec);
            assert_eq!(refused & posix::WRITE != 0, rdonly);
        }
        // What is known, here for long to come, is not asked for.
        let known = AtomicU64::new(1 << 60 | u64::from(ALL));
        assert_eq!(Bounds { known }.refused(root("/dev/shm")), Ok(ALL));
    }
}
