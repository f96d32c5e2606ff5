//! A map that many threads read: its parts have locks of their own.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

use ahash::RandomState as Fast;
use parking_lot::RwLock;

const SHARDS: usize = 32;

/// A map of many parts. Its keys are numbers that the server gave out itself: clients can't
/// choose them to collide, and every request looks one up, so that a fast hash serves.
pub(super) struct Shards<K, V> {
    hasher: Fast,
    parts: [Part<K, V>; SHARDS],
}

/// On cache lines of its own: who reads one part is not disturbed by who reads another.
#[repr(align(64))]
struct Part<K, V>(RwLock<HashMap<K, V, Fast>>);

/// A fast hash of what clients don't choose, as random as `keys`.
pub(super) fn fast(keys: &RandomState) -> Fast {
    let [a, b, c, d] = [0, 1, 2, 3].map(|number| keys.hash_one(number));
    Fast::with_seeds(a, b, c, d)
}

impl<K: Eq + Hash, V: Clone> Shards<K, V> {
    pub(super) fn new(keys: &RandomState) -> Self {
        let hasher = fast(keys);
        let part = |_| Part(RwLock::new(HashMap::with_hasher(hasher.clone())));
        Self {
            parts: std::array::from_fn(part),
            hasher,
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
        let values = |part: &Part<K, V>| part.0.read().values().cloned().collect::<Vec<_>>();
        self.parts.iter().flat_map(values).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.0.read().len()).sum()
    }

    /// Always there; the index is within bounds by its modulus. The map in it uses the low and the
    /// high bits of the same hash, hence those between.
    fn part(&self, key: &K) -> Option<&RwLock<HashMap<K, V, Fast>>> {
        self.parts
            .get((self.hasher.hash_one(key) >> 32) as usize % SHARDS)
            .map(|part| &part.0)
    }
}
