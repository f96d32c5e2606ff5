//! The testkit's checks on directories: on a disk and in memory, with the privileges of root and
//! as an ordinary user's server. They need root, because they act as several users.

// Clippy exempts test functions from this; here their helpers are tests as well.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use dittofs_host::vfs::local::{self, Options};
use dittofs_sdk::vfs::{Capabilities, FileSystem, Handle};
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

/// Ranges on a file system that shares storage, which few machines have for their own files. Where
/// no image may be mounted, the disk that there is has to do.
fn on_image(kind: &str) -> Fixture {
    let options = Options::default();
    match Image::mount(kind) {
        Ok(image) => {
            let fs = local::open(&image.dir.path().join("mount"), &options).unwrap();
            let able = fs.info().capabilities;
            assert!(able.contains(Capabilities::CLONE | Capabilities::HOLES));
            Fixture::new(fs).keeping(image)
        }
        Err(why) => {
            eprintln!("no {kind} here: {why}");
            fixture(on_disk(), &options)
        }
    }
}

/// A file system in a file, mounted.
struct Image {
    dir: tempfile::TempDir,
}

impl Image {
    fn mount(kind: &str) -> Result<Self, String> {
        let dir = on_disk();
        let (file, mount) = (dir.path().join("image"), dir.path().join("mount"));
        std::fs::File::create(&file)
            .and_then(|file| file.set_len(512 << 20))
            .and_then(|()| std::fs::create_dir(&mount))
            .map_err(|error| error.to_string())?;
        run(Command::new(format!("mkfs.{kind}")).arg("-q").arg(&file))?;
        run(Command::new("mount")
            .args(["-o", "loop"])
            .args([&file, &mount]))?;
        Ok(Self { dir })
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // Lazily: threads of the pool may not have closed everything yet.
        let mount = self.dir.path().join("mount");
        let _ = run(Command::new("umount").arg("--lazy").arg(mount));
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

macro_rules! ranges {
    ($kind:ident) => {
        mod $kind {
            dittofs_testkit::vfs_conformance! { @ || super::on_image(stringify!($kind));
                extents_tell_data_from_holes
                allocation_grows_a_file_and_keeps_its_content
                deallocation_makes_holes
                clones_have_the_same_content
                clones_refuse_odd_ranges
                copies_have_the_same_content
                copies_leave_holes
                copies_refuse_odd_ranges
                advice_is_taken
            }
        }
    };
}

ranges!(xfs);
ranges!(btrfs);

/// What `setfacl` set is what we tell, and what we set is what `getfacl` tells.
#[test]
fn lists_are_those_of_the_machine() {
    use dittofs_sdk::vfs::{Acl, AclWho, Name, PosixAcl, PosixAcls};
    use dittofs_testkit::vfs::wait;

    for dir in [on_disk(), in_memory()] {
        let fs = local::open(dir.path(), &Options::default()).unwrap();
        let sub = dir.path().join("sub");
        std::fs::create_dir(&sub).unwrap();
        let run = |program: &str, args: &[&str]| {
            let command = std::process::Command::new(program)
                .args(args)
                .arg(&sub)
                .output();
            let output = command.expect("setfacl and getfacl come with Debian's acl");
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        run("chmod", &["750"]);
        run(
            "setfacl",
            &["-m", "u:1000:rw,g:2000:x,m:rx,d:u:3000:rwx,d:o:-"],
        );
        let name = Name::new(b"sub").unwrap();
        let root = dittofs_sdk::vfs::Cred::root();
        let object = wait(fs.lookup(&root, &fs.root(), name)).unwrap().handle;
        let list = |entries: &[(AclWho, u32)]| PosixAcl::new(entries.iter().copied()).unwrap();
        let expected = PosixAcls {
            access: list(&[
                (AclWho::Owner, 7),
                (AclWho::User(1000), 6),
                (AclWho::Group, 5),
                (AclWho::NamedGroup(2000), 1),
                (AclWho::Mask, 5),
                (AclWho::Other, 0),
            ]),
            default: Some(list(&[
                (AclWho::Owner, 7),
                (AclWho::User(3000), 7),
                (AclWho::Group, 5),
                (AclWho::Mask, 7),
                (AclWho::Other, 0),
            ])),
        };
        assert_eq!(wait(fs.acl(&object)), Ok(Acl::Posix(expected)));
        let set = PosixAcls {
            access: list(&[
                (AclWho::Owner, 6),
                (AclWho::User(7), 5),
                (AclWho::Group, 0),
                (AclWho::Mask, 4),
                (AclWho::Other, 1),
            ]),
            default: None,
        };
        wait(fs.set_acl(&root, &object, &Acl::Posix(set))).unwrap();
        let told = run(
            "getfacl",
            &[
                "--numeric",
                "--omit-header",
                "--no-effective",
                "--absolute-names",
            ],
        );
        let told: Vec<_> = told.split_whitespace().collect();
        let expected = [
            "user::rw-",
            "user:7:r-x",
            "group::---",
            "mask::r--",
            "other::--x",
        ];
        assert_eq!(told, expected);
    }
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
    use dittofs_sdk::vfs::{
        Acl, AclWho, CreateHow, Cred, Name, OpenAccess, PosixAcl, PosixAcls, SetAttr, VfsError,
    };
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
    if fs.info().capabilities.contains(Capabilities::POSIX_ACL) {
        let entries = [
            (AclWho::Owner, 6),
            (AclWho::User(other.uid), 4),
            (AclWho::Group, 0),
            (AclWho::Mask, 6),
            (AclWho::Other, 0),
        ];
        let acls = PosixAcls {
            access: PosixAcl::new(entries).unwrap(),
            default: None,
        };
        let acl = Acl::Posix(acls);
        let refused = wait(fs.set_acl(&other, &made.node.handle, &acl)).map(drop);
        assert_eq!(refused, Err(VfsError::NotPermitted));
        wait(fs.set_acl(&me, &made.node.handle, &acl)).unwrap();
        wait(fs.open(&other, &made.node.handle, OpenAccess::Read)).unwrap();
        let refused = wait(fs.open(&other, &made.node.handle, access)).map(drop);
        assert_eq!(refused, Err(VfsError::AccessDenied));
    }
    wait(fs.remove(&me, &fs.root(), file)).unwrap();
}

fn another_program_is_noticed(fs: &Arc<dyn FileSystem>, file: &Handle, path: &Path) {
    use dittofs_sdk::vfs::{Reaction, Touch};
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
