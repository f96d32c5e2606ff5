//! Objects in use, by handle, each pinned by an `O_PATH` descriptor.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use dittofs_sdk::vfs::{Handle, Kind};
use parking_lot::Mutex;

/// An object of the file system. Its kind and number never change.
pub(super) struct Object {
    pub(super) fd: OwnedFd,
    pub(super) handle: Handle,
    pub(super) kind: Kind,
    pub(super) fileid: u64,
}

impl AsFd for Object {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

type Map = HashMap<Handle, Arc<Object>>;

/// At most `2 * half` objects. What is used moves to `young`; when that is full it becomes `old`,
/// and what was not used since the last such change is closed.
pub(super) struct Cache {
    half: usize,
    maps: Mutex<(Map, Map)>,
}

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            half: (capacity / 2).max(1),
            maps: Mutex::default(),
        }
    }

    pub(super) fn find(&self, handle: &Handle) -> Option<Arc<Object>> {
        let mut maps = self.maps.lock();
        let (young, old) = &mut *maps;
        if let Some(found) = young.get(handle) {
            return Some(Arc::clone(found));
        }
        let found = old.remove(handle)?;
        let closing = self.put(&mut maps, Arc::clone(&found));
        drop(maps);
        drop(closing);
        Some(found)
    }

    /// Keeps `object`, or answers with the one that is already there.
    pub(super) fn keep(&self, object: Object) -> Arc<Object> {
        if let Some(found) = self.find(&object.handle) {
            return found;
        }
        let object = Arc::new(object);
        let mut maps = self.maps.lock();
        let closing = self.put(&mut maps, Arc::clone(&object));
        drop(maps);
        drop(closing);
        object
    }

    pub(super) fn forget(&self, handle: &Handle) {
        let mut maps = self.maps.lock();
        let gone = (maps.0.remove(handle), maps.1.remove(handle));
        drop(maps);
        drop(gone);
    }

    /// What it answers is to be dropped after the lock: that closes descriptors.
    #[must_use]
    fn put(&self, maps: &mut (Map, Map), object: Arc<Object>) -> Option<Map> {
        maps.0.insert(object.handle, object);
        if maps.0.len() < self.half {
            return None;
        }
        let young = std::mem::take(&mut maps.0);
        Some(std::mem::replace(&mut maps.1, young))
    }
}
