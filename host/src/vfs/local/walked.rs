//! Names that were found not long ago, so that the kernel most likely has them in memory.
//!
//! Only a hint: who follows one that is out of date may wait for a device, and is answered right
//! all the same.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

const SLOTS: usize = 1 << 15;

/// Hashes of directories and names, each in the one place where it may be.
pub(super) struct Walked {
    slots: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Default for Walked {
    fn default() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Walked {
    pub(super) fn note(&self, dir: u64, name: &[u8]) {
        let (slot, hash) = self.slot(dir, name);
        if let Some(slot) = slot {
            slot.store(hash, Ordering::Relaxed);
        }
    }

    pub(super) fn holds(&self, dir: u64, name: &[u8]) -> bool {
        let (slot, hash) = self.slot(dir, name);
        slot.is_some_and(|slot| slot.load(Ordering::Relaxed) == hash)
    }

    fn slot(&self, dir: u64, name: &[u8]) -> (Option<&AtomicU64>, u64) {
        let hash = self.hasher.hash_one((dir, name));
        (self.slots.get(hash as usize % SLOTS), hash)
    }
}
