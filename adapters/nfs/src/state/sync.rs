//! What the slot table locks with. A room of its own so that `tests/slot_races.rs` can compile the
//! same table over locks whose every order it tries.

pub(super) use parking_lot::Mutex;
pub(super) use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
