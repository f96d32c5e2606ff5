//! What programs on this machine do to watched files behind the server's back.
//!
//! The kernel tells, by fanotify where it can: it names the process that did it, so that what the
//! server did itself is left out, and it needs no privileges (Linux 5.13). Where it can't (older
//! kernels, file systems without file handles, containers that forbid it), by inotify, which does
//! not say who did it: there an event that comes while the server itself is at work on the file,
//! or right after, is taken for the server's own, and what another program does in that very
//! moment is missed.
//!
//! Neither sees stores through a shared mapping of a file, nor what other machines do on a network
//! file system; of the latter nothing is promised.

mod fanotify;
mod inotify;
mod observer;
mod own;
#[cfg(test)]
mod tests;

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use dittofs_sdk::vfs::{Touch, VfsError, VfsResult, Watch, Watcher};
use parking_lot::Mutex;

use self::observer::{Observer, Watched};
pub(super) use self::own::Busy;
use super::cache::Object;

/// How a backend learns of others.
pub(super) struct Others {
    observer: Option<Arc<Observer>>,
    device: (u32, u32),
}

impl Others {
    /// What works for the file system of `root`, which is on `device`.
    pub(super) fn detect(root: BorrowedFd<'_>, device: (u32, u32), no_fanotify: bool) -> Self {
        let fanotify = || (!no_fanotify).then(|| observer::by_fanotify(root))?;
        let observer = if is_elsewhere(root) {
            None
        } else {
            fanotify().or_else(|| observer::by_inotify(root))
        };
        let means = observer.as_ref().map_or("nothing", |found| found.means());
        tracing::debug!("what other programs do is told by {means}");
        Self { observer, device }
    }

    /// Whether anything works.
    pub(super) fn are_seen(&self) -> bool {
        self.observer.is_some()
    }

    /// Has `watcher` told of what other programs do to `file`.
    pub(super) fn watch(
        &self,
        file: Arc<Object>,
        interest: Touch,
        watcher: Arc<dyn Watcher>,
    ) -> VfsResult<Box<dyn Watch>> {
        let observer = self.observer.as_ref().ok_or(VfsError::NotSupported)?;
        let watched = Watched::new(interest, watcher);
        let mark = observer.put(self.device, file, &watched)?;
        Ok(Box::new(Put {
            observer: Arc::clone(observer),
            watched,
            mark,
        }))
    }

    /// To be kept while the server itself works on the file with this number.
    pub(super) fn busy(&self, fileid: u64) -> Option<Busy> {
        self.observer.as_ref()?.busy((self.device, fileid))
    }
}

/// Whether other machines may change the file system, or a program that we know nothing of.
pub(super) fn is_elsewhere(root: BorrowedFd<'_>) -> bool {
    const NETWORK: [u64; 14] = [
        0x6969,      // NFS
        0x517b,      // SMB
        0xff53_4d42, // CIFS
        0xfe53_4d42, // SMB2
        0x00c3_6400, // Ceph
        0x0102_1997, // 9P
        0x6573_5546, // FUSE
        0x5346_414f, // AFS
        0x6b41_4653, // kAFS
        0x0bd0_0bd0, // Lustre
        0x0116_1970, // GFS2
        0x7461_636f, // OCFS2
        0x7375_7245, // Coda
        0x4750_4653, // GPFS
    ];
    let kind = rustix::fs::fstatfs(root).map(|fs| fs.f_type as u64 & 0xffff_ffff);
    kind.is_ok_and(|kind| NETWORK.contains(&kind))
}

/// A watch in force.
struct Put {
    observer: Arc<Observer>,
    watched: Arc<Watched>,
    mark: observer::Mark,
}

impl Watch for Put {
    fn is_untouched(&self) -> bool {
        !self.watched.is_told()
    }
}

impl Drop for Put {
    fn drop(&mut self) {
        self.observer.end(&self.mark, &self.watched);
    }
}

/// The events of the kernel that matter to `interest`. fanotify and inotify number them alike.
fn events_of(interest: Touch) -> u32 {
    let of = |touch, events| {
        if interest.contains(touch) { events } else { 0 }
    };
    of(Touch::READ, ACCESS | OPEN)
        | of(Touch::WRITE, MODIFY)
        | of(Touch::META, ATTRIB | MOVE_SELF | DELETE_SELF)
}

/// What the kernel's `events` say was done.
fn touch_of(events: u32) -> Touch {
    let of = |any: u32, touch| {
        if events & any == 0 {
            Touch::default()
        } else {
            touch
        }
    };
    of(ACCESS | OPEN, Touch::READ)
        | of(MODIFY, Touch::WRITE)
        | of(ATTRIB | MOVE_SELF | DELETE_SELF, Touch::META)
}

const ACCESS: u32 = 0x1;
const MODIFY: u32 = 0x2;
const ATTRIB: u32 = 0x4;
const OPEN: u32 = 0x20;
const DELETE_SELF: u32 = 0x400;
const MOVE_SELF: u32 = 0x800;
const OVERFLOW: u32 = 0x4000;

/// One value for the process, as long as anybody uses it.
type Shared<T> = Mutex<std::sync::Weak<T>>;
