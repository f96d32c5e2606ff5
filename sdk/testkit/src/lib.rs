//! Conformance checks for DittoFS file systems and adapters.
//!
//! This crate is for tests: a check that fails panics.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc
)]

pub mod host;
pub mod vfs;
