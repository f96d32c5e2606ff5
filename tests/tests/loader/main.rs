//! Loading real libraries, good and bad, and running what is in them.

// The whole file is a test; the lint sees only functions marked as one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod libraries;
mod lifecycle;
mod loader;
mod next;
mod skew;
mod this;
mod traps;
