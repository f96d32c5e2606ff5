//! A map that many threads read: its parts have locks of their own.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

use parking_lot::RwLock;

const SHARDS: usize = 32;

/// A map of many parts.
pub(super) struct Shards<K, V> {
    hasher: RandomState,
    parts: [RwLock<HashMap<K, V>>; SHARDS],
}

impl<K: Eq + Hash, V: Clone> Shards<K, V> {
    pub(super) fn new(hasher: RandomState) -> Self {
        Self {
            hasher,
            parts: std::array::from_fn(|_| RwLock::default()),
        }
    }

    pub(super) fn find(&self, key: &K) -> Option<V> {
        self.part(key)?.read().get(key).cloned()
    }

    pub(super) fn insert(&self, key: K, value: V) {
        if let Some(part) = self.part(&key) {
            part.write().insert(key, value);
        }
    }

    pub(super) fn remove(&self, key: &K) -> Option<V> {
        self.part(key)?.write().remove(key)
    }

    /// All values; those that come and go meanwhile may be among them or not.
    pub(super) fn values(&self) -> Vec<V> {
        let values =
            |part: &RwLock<HashMap<K, V>>| part.read().values().cloned().collect::<Vec<_>>();
        self.parts.iter().flat_map(values).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.read().len()).sum()
    }

    /// Always there; the index is within bounds by its modulus.
    fn part(&self, key: &K) -> Option<&RwLock<HashMap<K, V>>> {
        self.parts.get(self.hasher.hash_one(key) as usize % SHARDS)
    }
}
