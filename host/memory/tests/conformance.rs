//! The testkit's checks on the file system in memory.

use std::sync::Arc;

use dittofs_memfs::{MemoryFs, Options};
use dittofs_testkit::vfs::Fixture;

fn fixture() -> Fixture {
    Fixture::new(Arc::new(MemoryFs::new(&Options::default()).unwrap()))
}

dittofs_testkit::vfs_conformance!(fixture);
