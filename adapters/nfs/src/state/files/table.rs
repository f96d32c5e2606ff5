//! The files of a shard: found by key, or by the place that the states on them remember.

use hashbrown::HashTable;
use uuid::Uuid;

use super::shard::OpenFile;
use crate::exports::FileKey;

/// Files by key and by place.
pub(super) struct Table {
    /// Handles are the server's own, which a client can't choose to collide: a fast hash serves.
    hasher: ahash::RandomState,
    by_key: HashTable<Place>,
    places: Vec<Option<Box<OpenFile>>>,
    free: Vec<Place>,
}

/// Where a file is, as long as anything refers to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u32);

/// The key of a file that is kept: handles are mostly much shorter than they may be.
#[derive(Debug)]
pub(super) struct Key {
    share: Uuid,
    handle: Kept,
}

/// As long as those of most local file systems.
const SHORT: usize = 38;

#[derive(Debug)]
enum Kept {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Box<[u8]>),
}

impl Key {
    fn new(key: &FileKey) -> Self {
        let from = key.handle.as_bytes();
        let mut bytes = [0; SHORT];
        let handle = match bytes.get_mut(..from.len()) {
            Some(to) => {
                to.copy_from_slice(from);
                let len = from.len() as u8;
                Kept::Short { len, bytes }
            }
            None => Kept::Long(from.into()),
        };
        Self {
            share: key.share,
            handle,
        }
    }

    fn handle(&self) -> &[u8] {
        match &self.handle {
            Kept::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Kept::Long(bytes) => bytes,
        }
    }

    /// Whether it is this one.
    pub(super) fn is(&self, key: &FileKey) -> bool {
        self.handle() == key.handle.as_bytes() && self.share == key.share
    }
}

impl Table {
    pub(super) fn new(hasher: ahash::RandomState) -> Self {
        Self {
            hasher,
            by_key: HashTable::new(),
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn place(&self, key: &FileKey) -> Option<Place> {
        let hash = self.hasher.hash_one(key.handle.as_bytes());
        let is = |place: &Place| self.at(*place).is_some_and(|file| file.key.is(key));
        self.by_key.find(hash, is).copied()
    }

    pub(super) fn get(&self, key: &FileKey) -> Option<&OpenFile> {
        self.at(self.place(key)?)
    }

    pub(super) fn get_mut(&mut self, key: &FileKey) -> Option<&mut OpenFile> {
        self.at_mut(self.place(key)?)
    }

    pub(super) fn at(&self, place: Place) -> Option<&OpenFile> {
        self.places.get(place.0 as usize)?.as_deref()
    }

    pub(super) fn at_mut(&mut self, place: Place) -> Option<&mut OpenFile> {
        self.places.get_mut(place.0 as usize)?.as_deref_mut()
    }

    /// The file's place; it gets one if it has none.
    pub(super) fn enter(&mut self, key: &FileKey) -> Place {
        if let Some(place) = self.place(key) {
            return place;
        }
        let file = Some(Box::new(OpenFile::new(Key::new(key))));
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            // Fewer than there are opens, which are bounded.
            Place(self.places.len() as u32 - 1)
        });
        if let Some(empty) = self.places.get_mut(place.0 as usize) {
            *empty = file;
        }
        let Self {
            hasher,
            by_key,
            places,
            ..
        } = self;
        let hash = |place: &Place| {
            let file = places.get(place.0 as usize).and_then(Option::as_ref);
            file.map_or(0, |file| hasher.hash_one(file.key.handle()))
        };
        by_key.insert_unique(hash(&place), place, hash);
        place
    }

    pub(super) fn remove(&mut self, place: Place) {
        let Some(file) = self.places.get_mut(place.0 as usize).and_then(Option::take) else {
            return;
        };
        let hash = self.hasher.hash_one(file.key.handle());
        if let Ok(entry) = self.by_key.find_entry(hash, |other| *other == place) {
            entry.remove();
        }
        self.free.push(place);
    }
}

#[cfg(test)]
mod tests {
    use dittofs_sdk::vfs::Handle;

    use super::*;

    fn key(share: u128, handle: &[u8]) -> FileKey {
        FileKey {
            share: Uuid::from_u128(share),
            handle: Handle::new(handle).unwrap(),
        }
    }

    #[test]
    fn handles_of_any_length_are_found_and_told_apart() {
        let mut table = Table::new(ahash::RandomState::new());
        let lengths = [0, 1, SHORT - 1, SHORT, SHORT + 1, Handle::MAX];
        let keys: Vec<FileKey> = lengths
            .iter()
            .flat_map(|&len| [key(1, &vec![7; len]), key(2, &vec![7; len])])
            .collect();
        let places: Vec<Place> = keys.iter().map(|key| table.enter(key)).collect();
        assert_eq!(table.len(), keys.len());
        for (key, &place) in keys.iter().zip(&places) {
            assert_eq!(table.enter(key), place, "it has one already");
            assert!(table.at(place).unwrap().key.is(key));
            assert_eq!(
                keys.iter()
                    .filter(|other| table.get(key).unwrap().key.is(other))
                    .count(),
                1
            );
        }
    }

    #[test]
    fn a_place_that_is_left_is_taken_by_the_next() {
        let mut table = Table::new(ahash::RandomState::new());
        for _ in 0..3 {
            for name in 0..100_u8 {
                table.enter(&key(1, &[name]));
            }
            for name in 0..100_u8 {
                let place = table.place(&key(1, &[name])).unwrap();
                table.remove(place);
                table.remove(place);
                assert!(table.at(place).is_none() && table.get(&key(1, &[name])).is_none());
            }
        }
        assert_eq!((table.len(), table.places.len()), (0, 100));
    }
}
