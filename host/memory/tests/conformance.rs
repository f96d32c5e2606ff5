//! The testkit's checks on the file system in memory.

// Clippy exempts test functions from this; here their helpers are tests as well.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use dittofs_memfs::{MemoryFs, Options};
use dittofs_testkit::vfs::Fixture;

fn fixture() -> Fixture {
    Fixture::new(Arc::new(MemoryFs::new(&Options::default()).unwrap()))
}

dittofs_testkit::vfs_conformance!(fixture);
