//! The testkit's checks on a file system as an adapter sees it: every call crosses the border.

// Clippy exempts test functions from this; here their helpers are tests as well.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use dittofs_memfs::{MemoryFs, Options};
use dittofs_sdk::private::across;
use dittofs_testkit::vfs::Fixture;

fn fixture() -> Fixture {
    let memory = MemoryFs::new(&Options::default()).unwrap();
    Fixture::new(across(Arc::new(memory)).unwrap())
}

dittofs_testkit::vfs_conformance!(fixture);
