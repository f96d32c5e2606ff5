//! The file systems that shares stand on.

pub mod local;
pub mod views;

/// A file system in memory.
pub use dittofs_memfs as memory;
