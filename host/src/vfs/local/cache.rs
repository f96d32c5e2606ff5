//! Objects in use by number, each pinned by an `O_PATH` descriptor.
//!
//! As long as an object is pinned, no other gets its number: who finds the number behind a name
//! has found the object, without opening it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dittofs_sdk::vfs::{Handle, Kind, VfsResult};
use parking_lot::Mutex;
use rustix::fs::Statx;

use super::core::{born, kind};
use super::descriptors::Part;
use super::numbers::ByNumber;
use super::rights::Listless;
use super::seen::Seen;

/// An object of the file system. Its kind and number never change.
pub(super) struct Object {
    pub(super) fd: OwnedFd,
    pub(super) handle: Handle,
    pub(super) kind: Kind,
    pub(super) fileid: u64,
    /// What is known of its list.
    pub(super) listless: Listless,
    pub(super) seen: Seen,
    /// When it was made, where the file system tells.
    born: u64,
}

impl Object {
    pub(super) fn new(fd: OwnedFd, handle: Handle, stat: &Statx) -> VfsResult<Self> {
        Ok(Self {
            fd,
            handle,
            kind: kind(stat)?,
            fileid: stat.stx_ino,
            listless: Listless::default(),
            seen: Seen::default(),
            born: born(stat),
        })
    }

    /// Whether these are attributes of this object, which is on the same file system. The time it
    /// was made is for file systems whose numbers start over, such as a tmpfs with short ones.
    pub(super) fn is(&self, stat: &Statx) -> bool {
        self.fileid == stat.stx_ino && self.born == born(stat)
    }
}

impl AsFd for Object {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

type Map = ByNumber<Arc<Object>>;

const SHARDS: usize = 16;

/// At most `2 * half` objects in each shard. What is used moves to `young`; when that is full it
/// becomes `old`, and what was not used since the last such change is closed.
pub(super) struct Cache {
    capacity: usize,
    part: Part,
    shards: [Mutex<Shard>; SHARDS],
    /// Listed objects that there was no room for.
    turned_away: AtomicUsize,
}

#[derive(Default)]
struct Shard {
    young: Map,
    old: Map,
}

impl Cache {
    /// For `capacity` objects, if `part` has that many descriptors.
    pub(super) fn new(capacity: usize, part: Part) -> Self {
        Self {
            capacity,
            part,
            shards: std::array::from_fn(|_| Mutex::default()),
            turned_away: AtomicUsize::new(0),
        }
    }

    fn half(&self) -> usize {
        let capacity = self.capacity.min(self.part.size());
        (capacity / 2 / SHARDS).max(1)
    }

    pub(super) fn find(&self, fileid: u64) -> Option<Arc<Object>> {
        let mut shard = self.shard(fileid)?.lock();
        if let Some(found) = shard.young.get(&fileid) {
            return Some(Arc::clone(found));
        }
        let found = shard.old.remove(&fileid)?;
        let closing = self.put(&mut shard, Arc::clone(&found));
        drop(shard);
        drop(closing);
        Some(found)
    }

    /// As [`find`](Self::find), without its counting as use.
    pub(super) fn peek(&self, fileid: u64) -> Option<Arc<Object>> {
        let shard = self.shard(fileid)?.lock();
        let found = shard.young.get(&fileid);
        found.or_else(|| shard.old.get(&fileid)).map(Arc::clone)
    }

    /// Keeps `object`, or answers with the one that is already there.
    pub(super) fn keep(&self, object: Object) -> Arc<Object> {
        if let Some(found) = self.find(object.fileid)
            && found.handle == object.handle
        {
            return found;
        }
        let object = Arc::new(object);
        if let Some(shard) = self.shard(object.fileid) {
            let mut shard = shard.lock();
            let closing = self.put(&mut shard, Arc::clone(&object));
            drop(shard);
            drop(closing);
        }
        object
    }

    /// Whether an object that is only listed would be kept. What is in use is not driven out by
    /// what is listed, but many listings do drive out what was listed before.
    pub(super) fn has_room(&self, fileid: u64) -> bool {
        let Some(shard) = self.shard(fileid) else {
            return false;
        };
        let half = self.half();
        let mut shard = shard.lock();
        if shard.old.len() < half {
            return true;
        }
        if self.turned_away.fetch_add(1, Ordering::Relaxed) < 4 * half * SHARDS {
            return false;
        }
        self.turned_away.store(0, Ordering::Relaxed);
        let closing = std::mem::take(&mut shard.old);
        drop(shard);
        drop(closing);
        true
    }

    /// Keeps an object that is only listed, if it [`has_room`](Self::has_room), or answers with the one that is in
    /// use.
    pub(super) fn keep_listed(&self, object: Object) -> Arc<Object> {
        let object = Arc::new(object);
        let Some(shard) = self.shard(object.fileid) else {
            return object;
        };
        let mut shard = shard.lock();
        if let Some(used) = shard.young.get(&object.fileid) {
            return Arc::clone(used);
        }
        let closing = shard.old.insert(object.fileid, Arc::clone(&object));
        drop(shard);
        drop(closing);
        object
    }

    pub(super) fn forget(&self, object: &Object) {
        let Some(shard) = self.shard(object.fileid) else {
            return;
        };
        let mut shard = shard.lock();
        let gone = (
            shard.young.remove(&object.fileid),
            shard.old.remove(&object.fileid),
        );
        drop(shard);
        drop(gone);
    }

    /// What it answers is to be dropped after the lock: that closes descriptors.
    #[must_use]
    fn put(&self, shard: &mut Shard, object: Arc<Object>) -> (Option<Arc<Object>>, Option<Map>) {
        let replaced = shard.young.insert(object.fileid, object);
        if shard.young.len() < self.half() {
            return (replaced, None);
        }
        let young = std::mem::take(&mut shard.young);
        (replaced, Some(std::mem::replace(&mut shard.old, young)))
    }

    fn shard(&self, fileid: u64) -> Option<&Mutex<Shard>> {
        self.shards.get(fileid as usize % SHARDS)
    }
}
