//! Objects in use, each pinned by an `O_PATH` descriptor, by what the kernel knows them by.
//!
//! What the kernel answers for a name thus leads to an object that is in use without opening it.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use dittofs_sdk::vfs::{Handle, Kind};
use parking_lot::Mutex;

use super::rights::Listless;
use super::sys::FileHandle;

/// An object of the file system. Its kind and number never change.
pub(super) struct Object {
    pub(super) fd: OwnedFd,
    pub(super) handle: Handle,
    pub(super) kind: Kind,
    pub(super) fileid: u64,
    /// What is known of its list.
    pub(super) listless: Listless,
    key: Arc<[u8]>,
}

impl Object {
    pub(super) fn new(
        fd: OwnedFd,
        (handle, kernel): (Handle, FileHandle),
        kind: Kind,
        fileid: u64,
    ) -> Self {
        Self {
            fd,
            handle,
            kind,
            fileid,
            listless: Listless::default(),
            key: kernel.key().into(),
        }
    }
}

impl AsFd for Object {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

type Map = HashMap<Arc<[u8]>, Arc<Object>>;

const SHARDS: usize = 16;

/// At most `2 * half` objects in each shard. What is used moves to `young`; when that is full it
/// becomes `old`, and what was not used since the last such change is closed.
pub(super) struct Cache {
    half: usize,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    young: Map,
    old: Map,
}

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            half: (capacity / 2 / SHARDS).max(1),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    pub(super) fn find(&self, kernel: &FileHandle) -> Option<Arc<Object>> {
        self.find_by(kernel.key())
    }

    fn find_by(&self, key: &[u8]) -> Option<Arc<Object>> {
        let mut shard = self.shard(key)?.lock();
        if let Some(found) = shard.young.get(key) {
            return Some(Arc::clone(found));
        }
        let found = shard.old.remove(key)?;
        let closing = self.put(&mut shard, Arc::clone(&found));
        drop(shard);
        drop(closing);
        Some(found)
    }

    /// Keeps `object`, or answers with the one that is already there.
    pub(super) fn keep(&self, object: Object) -> Arc<Object> {
        if let Some(found) = self.find_by(&object.key) {
            return found;
        }
        let object = Arc::new(object);
        if let Some(shard) = self.shard(&object.key) {
            let mut shard = shard.lock();
            let closing = self.put(&mut shard, Arc::clone(&object));
            drop(shard);
            drop(closing);
        }
        object
    }

    pub(super) fn forget(&self, object: &Object) {
        let Some(shard) = self.shard(&object.key) else {
            return;
        };
        let mut shard = shard.lock();
        let gone = (
            shard.young.remove(&object.key),
            shard.old.remove(&object.key),
        );
        drop(shard);
        drop(gone);
    }

    /// What it answers is to be dropped after the lock: that closes descriptors.
    #[must_use]
    fn put(&self, shard: &mut Shard, object: Arc<Object>) -> Option<Map> {
        shard.young.insert(Arc::clone(&object.key), object);
        if shard.young.len() < self.half {
            return None;
        }
        let young = std::mem::take(&mut shard.young);
        Some(std::mem::replace(&mut shard.old, young))
    }

    /// Only spreads: within a shard the keys are hashed so that nobody can choose where.
    fn shard(&self, key: &[u8]) -> Option<&Mutex<Shard>> {
        let sum = key.iter().fold(0_usize, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(usize::from(*byte))
        });
        self.shards.get(sum % SHARDS)
    }
}
