//! The testkit's checks on directories: on a disk and in memory, with the privileges of root and
//! as an ordinary user's server. They need root, because they act as several users.

use std::path::Path;

use dittofs_host::vfs::local::{self, Options};
use dittofs_testkit::vfs::Fixture;

fn fixture(dir: tempfile::TempDir, options: &Options) -> Fixture {
    assert!(
        rustix::process::geteuid().is_root(),
        "these tests act as several users: run as root"
    );
    Fixture::new(local::open(dir.path(), options).unwrap()).keeping(dir)
}

/// Where temporary files are; beside the test itself if those are in memory.
fn on_disk() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in(Path::new("/dev/shm")).unwrap()
}

fn unprivileged() -> Options {
    Options {
        unprivileged: true,
        ..Options::default()
    }
}

mod disk {
    dittofs_testkit::vfs_conformance!(|| super::fixture(super::on_disk(), &Default::default()));
}

mod tmpfs {
    dittofs_testkit::vfs_conformance!(|| super::fixture(super::in_memory(), &Default::default()));
}

mod ordinary_user_on_disk {
    dittofs_testkit::vfs_conformance!(|| super::fixture(super::on_disk(), &super::unprivileged()));
}

mod ordinary_user_on_tmpfs {
    dittofs_testkit::vfs_conformance!(|| super::fixture(
        super::in_memory(),
        &super::unprivileged()
    ));
}
