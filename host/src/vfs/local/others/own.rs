//! What the server itself does to files that are watched by inotify.
//!
//! inotify does not say who caused an event. The reader takes events out in drains, each of which
//! goes on until nothing is left. What an access of ours caused was queued before the access
//! ended; it comes out in the drain that was under way then, or in the next one at the latest.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::RwLock;

use super::observer::Observer;
pub(super) use crate::vfs::local::descriptors::FileId;

/// Our accesses to watched files.
pub(super) struct OwnAccesses {
    files: RwLock<HashMap<FileId, Arc<OwnAccess>>>,
    /// Number of the latest drain.
    drain: AtomicU64,
}

/// Our accesses to one file.
#[derive(Default)]
pub(super) struct OwnAccess {
    under_way: AtomicUsize,
    /// The latest drain when one ended.
    ended: AtomicU64,
}

impl Default for OwnAccesses {
    fn default() -> Self {
        Self {
            files: RwLock::default(),
            // So that no access seems to have ended in the drain before the first.
            drain: AtomicU64::new(1),
        }
    }
}

impl OwnAccesses {
    /// Minds a file from now on.
    pub(super) fn mind(&self, file: FileId) -> Arc<OwnAccess> {
        Arc::clone(self.files.write().entry(file).or_default())
    }

    /// Minds it no longer.
    pub(super) fn forget(&self, file: &FileId) {
        self.files.write().remove(file);
    }

    /// Notes that an access begins, if the file is minded.
    pub(super) fn begin(&self, file: &FileId) -> Option<Arc<OwnAccess>> {
        let access = self.files.read().get(file).map(Arc::clone)?;
        access.under_way.fetch_add(1, Ordering::SeqCst);
        Some(access)
    }

    /// A drain begins; its number.
    pub(super) fn next_drain(&self) -> u64 {
        self.drain.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(super) fn latest_drain(&self) -> u64 {
        self.drain.load(Ordering::SeqCst)
    }
}

impl OwnAccess {
    /// Whether an event that comes out in this drain may be of an access of ours.
    pub(super) fn may_have_caused(&self, drain: u64) -> bool {
        self.under_way.load(Ordering::SeqCst) > 0 || self.ended.load(Ordering::SeqCst) + 1 >= drain
    }

    fn end(&self, latest_drain: u64) -> bool {
        let before = self.ended.swap(latest_drain, Ordering::SeqCst);
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        before != latest_drain
    }
}

/// An access of ours is under way.
pub(in crate::vfs::local) struct Busy {
    pub(super) observer: Arc<Observer>,
    pub(super) access: Arc<OwnAccess>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        let drain = self.observer.own.latest_drain();
        if self.access.end(drain) {
            // A drain takes out what we caused, so that later events are known to be others'.
            self.observer.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_ours_until_the_drain_after_the_access() {
        let own = OwnAccesses::default();
        let file = ((0, 1), 7);
        assert!(own.begin(&file).is_none(), "nobody minds it");
        let access = own.mind(file);
        assert!(!access.may_have_caused(own.next_drain()));
        let begun = own.begin(&file).unwrap();
        assert!(access.may_have_caused(own.next_drain()));
        assert!(begun.end(own.latest_drain()));
        assert!(access.may_have_caused(own.latest_drain()), "the same drain");
        assert!(access.may_have_caused(own.next_drain()), "the next one");
        assert!(!access.may_have_caused(own.next_drain()), "the one after");
    }
}
