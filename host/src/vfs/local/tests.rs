//! What is particular to directories; the common checks are the testkit's.

use std::os::unix::fs::PermissionsExt;

use dittofs_sdk::vfs::Stability;
use dittofs_testkit::vfs::wait;

use super::*;

fn name(text: &str) -> Name<'_> {
    Name::new(text.as_bytes()).unwrap()
}

fn serve(dir: &Path, options: &Options) -> Arc<dyn FileSystem> {
    open(dir, options).unwrap()
}

fn modes() -> [Options; 3] {
    let signed = Options {
        handle_key: Some([9; 32]),
        ..Options::default()
    };
    let unprivileged = Options {
        unprivileged: true,
        ..Options::default()
    };
    [Options::default(), signed, unprivileged]
}

fn lookup(fs: &Arc<dyn FileSystem>, dir: &Handle, text: &str) -> VfsResult<Node> {
    wait(fs.lookup(&Cred::root(), dir, name(text)))
}

#[test]
fn handles_survive_a_restart_and_a_rename_behind_our_back() {
    for options in modes() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/file"), "content").unwrap();
        let before = serve(dir.path(), &options);
        let mut at = before.root();
        for text in ["a", "b", "file"] {
            at = lookup(&before, &at, text).unwrap().handle;
        }
        let number = wait(before.attr(&at)).unwrap().fileid;
        drop(before);
        std::fs::rename(dir.path().join("a/b/file"), dir.path().join("moved")).unwrap();
        let after = serve(dir.path(), &options);
        assert_eq!(wait(after.attr(&at)).unwrap().fileid, number);
        assert_eq!(lookup(&after, &after.root(), "moved").unwrap().handle, at);
    }
}

#[test]
fn a_share_with_a_key_takes_no_handle_from_elsewhere_on_the_device() {
    let dir = tempfile::tempdir().unwrap();
    let (inside, outside) = (dir.path().join("inside"), dir.path().join("outside"));
    std::fs::create_dir_all(&inside).unwrap();
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    let [open_to_all, signed, unprivileged] = modes();
    let stranger = serve(&outside, &open_to_all);
    let secret = lookup(&stranger, &stranger.root(), "secret")
        .unwrap()
        .handle;
    let share = serve(&inside, &signed);
    assert_eq!(wait(share.attr(&secret)), Err(VfsError::BadHandle));
    // Without root the object must be found below the share, with or without a key.
    let share = serve(&inside, &unprivileged);
    assert_eq!(wait(share.attr(&secret)), Err(VfsError::Stale));
}

#[test]
fn a_directory_moved_out_of_the_share_does_not_lead_on() {
    let dir = tempfile::tempdir().unwrap();
    let share = dir.path().join("share");
    std::fs::create_dir_all(share.join("sub/deep")).unwrap();
    let fs = serve(&share, &Options::default());
    let sub = lookup(&fs, &fs.root(), "sub").unwrap().handle;
    let deep = lookup(&fs, &sub, "deep").unwrap().handle;
    assert_eq!(
        wait(fs.parent(&Cred::root(), &sub)).unwrap().handle,
        fs.root()
    );
    std::fs::rename(share.join("sub"), dir.path().join("gone")).unwrap();
    assert_eq!(wait(fs.parent(&Cred::root(), &sub)), Err(VfsError::Stale));
    assert_eq!(wait(fs.parent(&Cred::root(), &deep)), Err(VfsError::Stale));
}

#[test]
fn what_others_remove_is_stale_and_its_space_is_free() {
    for options in modes() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "content").unwrap();
        let fs = serve(dir.path(), &options);
        let file = lookup(&fs, &fs.root(), "file").unwrap().handle;
        std::fs::remove_file(dir.path().join("file")).unwrap();
        assert_eq!(wait(fs.attr(&file)), Err(VfsError::Stale));
        assert_eq!(wait(fs.attr(&file)), Err(VfsError::Stale));
    }
}

#[test]
fn lost_data_are_not_forgotten_by_the_next_commit() {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let fs = open_core(dir.path(), &Options::default()).unwrap();
    let (how, access) = (CreateHow::Guarded, OpenAccess::Both);
    let made = fs.create(
        &Cred::root(),
        &fs.root(),
        name("f"),
        how,
        &SetAttr::default(),
        access,
    );
    let made = wait(made).unwrap();
    assert!(fs.core.durable, "this test needs a directory on a disk");
    wait(made.file.commit(0, 0)).unwrap();
    fs.core.lose(&made.node.handle);
    for _ in 0..2 {
        assert_eq!(wait(made.file.commit(0, 0)), Err(VfsError::Io));
    }
    let again = wait(fs.open(&Cred::root(), &made.node.handle, access)).unwrap();
    assert_eq!(wait(again.commit(0, 0)), Err(VfsError::Io));
    wait(again.truncate(0)).unwrap();
    wait(made.file.commit(0, 0)).unwrap();
}

#[test]
fn a_small_cache_serves_many_objects() {
    for options in modes() {
        let options = Options {
            cached_objects: 4,
            ..options
        };
        let dir = tempfile::tempdir().unwrap();
        let texts: Vec<String> = (0..100).map(|n| format!("file-{n}")).collect();
        for text in &texts {
            std::fs::write(dir.path().join(text), text).unwrap();
        }
        let fs = serve(dir.path(), &options);
        let found = texts
            .iter()
            .map(|text| lookup(&fs, &fs.root(), text).unwrap());
        let found: Vec<Node> = found.collect();
        for node in found.iter().rev() {
            assert_eq!(wait(fs.attr(&node.handle)).unwrap(), node.attr);
        }
    }
}

#[test]
fn hot_attributes_names_and_data_are_answered_in_place() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), vec![7; 4096]).unwrap();
    let fs = serve(dir.path(), &Options::default());
    let cred = Cred::root();
    let file = lookup(&fs, &fs.root(), "file").unwrap().handle;
    assert!(matches!(fs.attr(&file), Op::Ready(Ok(_))));
    assert!(matches!(
        fs.lookup(&cred, &fs.root(), name("file")),
        Op::Ready(Ok(_))
    ));
    assert!(matches!(
        fs.access(&cred, &file, Access::READ),
        Op::Ready(Ok(_))
    ));
    let Op::Ready(Ok(open)) = fs.open(&cred, &file, OpenAccess::Read) else {
        panic!("opened by the pool");
    };
    let read = open.read(0, 4096, dittofs_sdk::vfs::Buffer::default());
    assert!(matches!(read, Op::Ready(Ok(ok)) if ok.eof && ok.buffer.len() == 4096));
}

#[test]
fn an_ordinary_users_server_grants_no_more_than_the_bits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, "content").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let [_, _, unprivileged] = modes();
    let fs = serve(dir.path(), &unprivileged);
    assert!(!fs.info().capabilities.contains(Capabilities::IDENTITY));
    let file = lookup(&fs, &fs.root(), "file").unwrap().handle;
    let user = Cred::user(4711, 4711);
    let refused = wait(fs.open(&user, &file, OpenAccess::Read)).map(drop);
    assert_eq!(refused, Err(VfsError::AccessDenied));
    let (how, access) = (CreateHow::Guarded, OpenAccess::Write);
    let made = fs.create(
        &user,
        &fs.root(),
        name("new"),
        how,
        &SetAttr::default(),
        access,
    );
    assert_eq!(wait(made).map(drop), Err(VfsError::AccessDenied));
}

#[test]
fn a_stable_write_is_answered_as_stable() {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let fs = serve(dir.path(), &Options::default());
    let file = lookup(&fs, &fs.root(), "file").unwrap().handle;
    let open = wait(fs.open(&Cred::root(), &file, OpenAccess::Write)).unwrap();
    let op = open.write(0, Bytes::from_static(b"data"), Stability::File);
    assert!(
        matches!(op, Op::Later(_)),
        "a device may have to be waited for"
    );
    assert_eq!(wait(op).unwrap().stability, Stability::File);
    assert_eq!(std::fs::read(dir.path().join("file")).unwrap(), b"data");
}

#[test]
fn what_cannot_be_shared_is_said_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let missing = dir.path().join("missing");
    let cases = [
        (file.as_path(), "is not a directory"),
        (missing.as_path(), "No such file or directory"),
    ];
    for (path, what) in cases {
        let error = open(path, &Options::default()).err().unwrap().to_string();
        assert!(
            error.contains(what) && error.contains(path.to_str().unwrap()),
            "{error}"
        );
        assert!(!error.contains('\n'));
    }
}

#[test]
fn only_extended_attributes_of_users_are_seen() {
    use dittofs_sdk::vfs::XattrName;

    for options in modes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "").unwrap();
        for (key, value) in [("trusted.a", "1"), ("security.b", "2"), ("user.c", "3")] {
            let flags = rustix::fs::XattrFlags::CREATE;
            rustix::fs::setxattr(&path, key, value.as_bytes(), flags).unwrap();
        }
        let fs = serve(dir.path(), &options);
        assert!(fs.info().capabilities.contains(Capabilities::XATTR));
        let file = lookup(&fs, &fs.root(), "file").unwrap().handle;
        let names = wait(fs.list_xattrs(&file, 0, 10)).unwrap().entries;
        let names: Vec<Bytes> = names.into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["c"]);
        let value = |name: &str| {
            let name = XattrName::new(name.as_bytes()).unwrap();
            wait(fs.xattr(&Cred::root(), &file, name))
        };
        assert_eq!(value("c").unwrap(), "3");
        for hidden in ["a", "b", "trusted.a", "security.b", "user.c"] {
            assert_eq!(value(hidden), Err(VfsError::NoXattr));
        }
    }
}
