//! Descriptors of files that were just closed, for whoever opens them next.
//!
//! Clients open the same files again and again, and to open one and close it is most of what the
//! kernel does for an OPEN and its CLOSE. So what was open for reading is kept for a moment.
//!
//! What others may notice of that, and why it is no more than what an open of a client is to them:
//! - Permission is asked for at each open, from the file's mode as it is then ([`rights`](super::rights)).
//! - While a descriptor is kept, nobody on this machine gets a write lease of the file, and nobody
//!   had one when it was opened: no lease is there that an open would have had to break.
//! - Nothing open for writing is kept: that would forbid to execute what a client has just written.
//! - A file that has lost its last name is not kept: its storage would be.
//! - Who watches opens (fanotify, inotify) is not told of one that follows the last within moments.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::descriptors::Descriptors;
use super::handles::Kept;
use super::numbers::ByNumber;

/// What was not opened again for so long is closed, or for twice that.
const MOMENT: Duration = Duration::from_secs(1);

/// Those of one directory. What is `young` becomes `old` after a moment, or when there are too many;
/// what is old by then is closed.
pub(super) struct Idle {
    all: Arc<Descriptors>,
    inner: Mutex<Inner>,
}

type Map = ByNumber<(Kept, OwnedFd)>;

#[derive(Default)]
struct Inner {
    young: Map,
    old: Map,
    /// Whether a thread lets them grow old.
    ages: bool,
}

impl Idle {
    /// With a part of `all`.
    pub(super) fn new(all: &Arc<Descriptors>) -> Arc<Self> {
        Arc::new(Self {
            all: Arc::clone(all),
            inner: Mutex::default(),
        })
    }

    /// A descriptor for reading of the object with this number and handle, if one is kept.
    pub(super) fn take(&self, fileid: u64, handle: &Kept) -> Option<OwnedFd> {
        let (kept, fd) = self.inner.lock().take(fileid)?;
        (kept == *handle).then_some(fd)
    }

    /// Keeps a descriptor for reading, if the file `has_name` still. Who takes that away says so
    /// before [`forget`](Self::forget).
    pub(super) fn keep(
        self: &Arc<Self>,
        fileid: u64,
        handle: Kept,
        fd: OwnedFd,
        has_name: impl FnOnce() -> bool,
    ) {
        let half = self.all.for_idle() / 2;
        let mut inner = self.inner.lock();
        if half == 0 || !has_name() || !self.grows_old(&mut inner) {
            drop(inner);
            return;
        }
        let replaced = inner.young.insert(fileid, (handle, fd));
        let closing = (inner.young.len() >= half).then(|| inner.age());
        drop(inner);
        drop((replaced, closing));
    }

    /// Lets go of a file.
    pub(super) fn forget(&self, fileid: u64) {
        let gone = self.inner.lock().take(fileid);
        drop(gone);
    }

    /// Whether what is kept will be closed without anybody's doing.
    fn grows_old(self: &Arc<Self>, inner: &mut Inner) -> bool {
        if !inner.ages {
            let this = Arc::downgrade(self);
            let thread = std::thread::Builder::new().name("vfs-idle".into());
            inner.ages = thread.spawn(move || grow_old(&this)).is_ok();
        }
        inner.ages
    }

    /// Closes what is old; false if nothing is left, and nobody is needed to come back.
    fn age(&self) -> bool {
        let mut inner = self.inner.lock();
        let closing = inner.age();
        inner.ages = !inner.old.is_empty();
        let more = inner.ages;
        drop(inner);
        drop(closing);
        more
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        let inner = self.inner.lock();
        inner.young.len() + inner.old.len()
    }
}

impl Inner {
    fn take(&mut self, fileid: u64) -> Option<(Kept, OwnedFd)> {
        let found = self.young.remove(&fileid);
        found.or_else(|| self.old.remove(&fileid))
    }

    /// What it answers is to be dropped after the lock: that closes descriptors.
    #[must_use]
    fn age(&mut self) -> Map {
        let young = std::mem::take(&mut self.young);
        std::mem::replace(&mut self.old, young)
    }
}

/// Goes on as long as there is anything.
fn grow_old(idle: &Weak<Idle>) {
    loop {
        std::thread::sleep(MOMENT);
        if !idle.upgrade().is_some_and(|idle| idle.age()) {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
