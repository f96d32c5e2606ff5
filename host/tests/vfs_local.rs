//! The testkit's checks on directories: on a disk and in memory, with the privileges of root and
//! as an ordinary user's server. They need root, because they act as several users.

// Clippy exempts test functions from this; here their helpers are tests as well.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use dittofs_host::vfs::local::{self, Options};
use dittofs_sdk::vfs::{FileSystem, Handle};
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
    dittofs_testkit::vfs_conformance!(|| super::fixture(
        super::on_disk(),
        &super::Options::default()
    ));
}

mod tmpfs {
    dittofs_testkit::vfs_conformance!(|| super::fixture(
        super::in_memory(),
        &super::Options::default()
    ));
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

/// As root this runs itself again as an ordinary user, who then serves, restarts and finds again.
#[test]
fn a_real_ordinary_user_serves_a_directory() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    if !rustix::process::geteuid().is_root() {
        return serve_restart_and_find_again();
    }
    // Where the test was built need not be open to others.
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    for path in [dir.path(), &copy] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let again = std::process::Command::new(&copy)
        .args(["--exact", "a_real_ordinary_user_serves_a_directory"])
        .current_dir("/")
        .env_remove("TMPDIR")
        .uid(65_534)
        .gid(65_534)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(
        again.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

fn serve_restart_and_find_again() {
    use dittofs_sdk::vfs::{Capabilities, CreateHow, Cred, Name, OpenAccess, SetAttr, VfsError};
    use dittofs_testkit::vfs::wait;

    let dir = tempfile::tempdir().unwrap();
    let me = Cred::user(
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    let file = Name::new(b"file").unwrap();
    let attr = SetAttr {
        mode: Some(0o600),
        ..SetAttr::default()
    };
    let fs = local::open(dir.path(), &Options::default()).unwrap();
    assert!(!fs.info().capabilities.contains(Capabilities::IDENTITY));
    let (how, access) = (CreateHow::Guarded, OpenAccess::Both);
    let made = wait(fs.create(&me, &fs.root(), file, how, &attr, access)).unwrap();
    assert_eq!((made.node.attr.uid, made.node.attr.mode), (me.uid, 0o600));
    drop(fs);
    let fs = local::open(dir.path(), &Options::default()).unwrap();
    let found = wait(fs.attr(&made.node.handle)).unwrap();
    assert_eq!(found.fileid, made.node.attr.fileid);
    let other = Cred::user(4711, 4711);
    let refused = wait(fs.open(&other, &made.node.handle, access)).map(drop);
    assert_eq!(refused, Err(VfsError::AccessDenied));
    another_program_is_noticed(&fs, &made.node.handle, &dir.path().join("file"));
    wait(fs.remove(&me, &fs.root(), file)).unwrap();
}

fn another_program_is_noticed(fs: &Arc<dyn FileSystem>, file: &Handle, path: &Path) {
    use dittofs_sdk::vfs::{Capabilities, Reaction, Touch};
    use dittofs_testkit::vfs::{Noting, wait};

    assert!(fs.info().capabilities.contains(Capabilities::WATCH));
    let noting = Noting::new(Reaction::Proceed);
    let watch = wait(fs.watch(file, Touch::CHANGE, noting.clone())).unwrap();
    let command = "echo content > \"$0\"";
    let mut shell = std::process::Command::new("sh");
    assert!(
        shell
            .args(["-c", command])
            .arg(path)
            .status()
            .unwrap()
            .success()
    );
    while noting.told() != Touch::WRITE {
        std::thread::yield_now();
    }
    assert!(!watch.is_untouched());
}
