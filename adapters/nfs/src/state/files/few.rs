//! Maps that mostly have one entry, or none, and then take no memory beside their own.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

/// None, one or many.
#[expect(clippy::box_collection, reason = "a pointer is a sixth of a map")]
#[derive(Debug, Default)]
pub(super) enum Few<K, V, S> {
    #[default]
    None,
    One(K, V),
    /// Until all are gone: who comes second comes again.
    Many(Box<HashMap<K, V, S>>),
}

impl<K: Eq + Hash, V, S: BuildHasher + Default> Few<K, V, S> {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(..) => 1,
            Self::Many(all) => all.len(),
        }
    }

    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        match self {
            Self::One(own, value) if (*own).borrow() == key => Some(value),
            Self::None | Self::One(..) => None,
            Self::Many(all) => all.get(key),
        }
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(key, value),
            Self::One(own, _) if own == key => Self::One(key, value),
            Self::One(first, its) => {
                let mut all = HashMap::default();
                all.insert(first, its);
                all.insert(key, value);
                Self::Many(Box::new(all))
            }
            Self::Many(mut all) => {
                all.insert(key, value);
                Self::Many(all)
            }
        };
    }

    pub(super) fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        match self {
            Self::Many(all) => {
                all.remove(key);
                if all.is_empty() {
                    *self = Self::None;
                }
            }
            Self::One(own, _) if (*own).borrow() == key => *self = Self::None,
            Self::None | Self::One(..) => {}
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let (one, many) = match self {
            Self::None => (None, None),
            Self::One(key, value) => (Some((key, value)), None),
            Self::Many(all) => (None, Some(all.iter())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

/// As [`Few`], but mostly there are none: a pointer is all that it takes then.
#[derive(Debug)]
pub(super) struct Rare<K, V, S>(Option<Box<Few<K, V, S>>>);

impl<K, V, S> Default for Rare<K, V, S> {
    fn default() -> Self {
        Self(None)
    }
}

impl<K: Eq + Hash, V, S: BuildHasher + Default> Rare<K, V, S> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.0.as_ref()?.get(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        self.0.get_or_insert_default().insert(key, value);
    }

    pub(super) fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        if let Some(few) = &mut self.0 {
            few.remove(key);
            if few.is_empty() {
                self.0 = None;
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().flat_map(|few| few.iter())
    }
}

#[cfg(test)]
mod tests {
    use std::hash::RandomState;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((any::<bool>(), 0..4_u8, 0..4_u8), 0..40)) {
            let mut few = Few::<u8, u8, RandomState>::default();
            let mut rare = Rare::<u8, u8, RandomState>::default();
            let mut map = HashMap::new();
            for (insert, key, value) in steps {
                if insert {
                    few.insert(key, value);
                    rare.insert(key, value);
                    map.insert(key, value);
                } else {
                    few.remove(&key);
                    rare.remove(&key);
                    map.remove(&key);
                }
                prop_assert_eq!(few.len(), map.len());
                prop_assert_eq!(few.is_empty(), map.is_empty());
                let entries: HashMap<u8, u8> = few.iter().map(|(k, v)| (*k, *v)).collect();
                prop_assert_eq!(&entries, &map);
                let entries: HashMap<u8, u8> = rare.iter().map(|(k, v)| (*k, *v)).collect();
                prop_assert_eq!(&entries, &map);
                prop_assert_eq!(rare.is_empty(), map.is_empty());
                for key in 0..4 {
                    prop_assert_eq!(few.get(&key), map.get(&key));
                    prop_assert_eq!(rare.get(&key), map.get(&key));
                }
            }
        }
    }
}
