//! The testkit's checks on views of file systems, as adapters get them, across the border: each
//! fixture has a second view beside the first.

// Clippy exempts test functions from this; here their helpers are tests as well.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use dittofs_host::vfs::views::{Domain, View};
use dittofs_host::vfs::{local, memory};
use dittofs_sdk::private::across;
use dittofs_sdk::vfs::FileSystem;
use dittofs_testkit::vfs::Fixture;

fn view(fs: &Arc<dyn FileSystem>, domain: &Arc<Domain>) -> Arc<dyn FileSystem> {
    across(Arc::new(View::new(Arc::clone(fs), domain))).unwrap()
}

/// Two adapters of one share.
fn memory_twice() -> Fixture {
    let fs = memory::MemoryFs::new(&memory::Options::default()).unwrap();
    let (fs, domain) = (Arc::new(fs) as Arc<dyn FileSystem>, Arc::default());
    Fixture::new(view(&fs, &domain)).with_others(view(&fs, &domain))
}

/// Two shares of one directory.
fn directory_twice() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let (options, domain) = (local::Options::default(), Arc::default());
    let [first, second] = [(); 2].map(|()| local::open(dir.path(), &options).unwrap());
    Fixture::new(view(&first, &domain))
        .with_others(view(&second, &domain))
        .keeping(dir)
}

mod memory_of_two_adapters {
    dittofs_testkit::vfs_conformance!(super::memory_twice);
}

mod directory_of_two_shares {
    dittofs_testkit::vfs_conformance!(super::directory_twice);
}
