//! The REST interface over real adapters, without a socket.

// Clippy exempts test functions from these; here their helpers are tests as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod adapters;
mod bench;
mod gate;
mod settings;
mod shares;
