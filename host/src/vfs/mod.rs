//! The file systems that shares stand on.

/// A file system in memory.
pub use dittofs_memfs as memory;
