//! Names and handles.

use bytes::Bytes;
use dittofs_sdk::vfs::{Handle, Kind, NewNode, SetAttr, VfsError};

use super::{Fixture, name, refused, wait};

/// What was made under a name is found under it, and under no other.
pub fn a_name_leads_to_its_object(f: &Fixture) {
    let root = f.root();
    let made = f.file(&root, "one", b"content");
    let found = f.find(&root, "one").unwrap();
    assert_eq!(found, made);
    assert_eq!(found.attr.kind, Kind::File);
    refused(f.find(&root, "other"), VfsError::NotFound);
    refused(f.find(&root, "ONE"), VfsError::NotFound);
}

/// Names are not text.
pub fn names_are_bytes(f: &Fixture) {
    let root = f.root();
    let odd = dittofs_sdk::vfs::Name::new(b"\xff\x01 \\\n\xc3\x28").unwrap();
    let cred = &f.owner;
    let made = wait(f.fs.make(cred, &root, odd, &NewNode::Fifo, &SetAttr::default())).unwrap();
    let found = wait(f.fs.lookup(cred, &root, odd)).unwrap();
    assert_eq!(found.handle, made.node.handle);
    let listed = f.list(&root, 10, false);
    assert_eq!(listed.len(), 1);
    assert_eq!(&listed[0].name[..], odd.as_bytes());
}

/// 255 bytes.
pub fn the_longest_name_is_kept(f: &Fixture) {
    let root = f.root();
    let long = "n".repeat(f.fs.info().max_name as usize);
    let made = f.file(&root, &long, b"");
    assert_eq!(f.find(&root, &long).unwrap().handle, made.handle);
    assert_eq!(f.names(&root), [long]);
}

/// Operations on entries need a directory.
pub fn a_file_is_no_directory(f: &Fixture) {
    let root = f.root();
    let file = f.file(&root, "file", b"").handle;
    refused(f.find(&file, "x"), VfsError::NotDir);
    refused(
        f.make(&f.owner, &file, "x", &NewNode::Dir, 0o755),
        VfsError::NotDir,
    );
    refused(f.remove(&f.owner, &file, "x"), VfsError::NotDir);
    refused(f.rename((&root, "file"), (&file, "x")), VfsError::NotDir);
    let limit = dittofs_sdk::vfs::ReadDirLimit {
        entries: 1,
        attrs: false,
    };
    refused(
        wait(f.fs.read_dir(&f.owner, &file, 0, limit)).map(drop),
        VfsError::NotDir,
    );
}

/// A symbolic link is an object of its own, whatever it points to.
pub fn a_link_is_not_followed(f: &Fixture) {
    let root = f.root();
    f.file(&f.dir(&root, "dir", 0o755), "inner", b"");
    for target in ["dir", "/etc", "..", "nowhere"] {
        let what = NewNode::Symlink(Bytes::from(target));
        let link = f.make(&f.owner, &root, "link", &what, 0o777).unwrap();
        assert_eq!(link.attr.kind, Kind::Symlink);
        assert_eq!(f.find(&root, "link").unwrap().handle, link.handle);
        refused(f.find(&link.handle, "inner"), VfsError::IsSymlink);
        f.remove(&f.owner, &root, "link").unwrap();
    }
}

/// Nothing leads up from the share's root.
pub fn the_root_has_no_parent(f: &Fixture) {
    refused(wait(f.fs.parent(&f.owner, &f.root())), VfsError::NotFound);
}

/// From below up to the root.
pub fn parents_are_found(f: &Fixture) {
    let root = f.root();
    let a = f.dir(&root, "a", 0o755);
    let b = f.dir(&a, "b", 0o755);
    assert_eq!(wait(f.fs.parent(&f.owner, &b)).unwrap().handle, a);
    assert_eq!(wait(f.fs.parent(&f.owner, &a)).unwrap().handle, root);
    let file = f.file(&root, "file", b"").handle;
    refused(wait(f.fs.parent(&f.owner, &file)), VfsError::NotDir);
}

/// A handle names the object, not the place.
pub fn handles_survive_a_rename(f: &Fixture) {
    let root = f.root();
    let dir = f.dir(&root, "dir", 0o755);
    let file = f.file(&root, "file", b"x");
    f.rename((&root, "file"), (&dir, "moved")).unwrap();
    assert_eq!(f.attr(&file.handle).fileid, file.attr.fileid);
    assert_eq!(f.find(&dir, "moved").unwrap().handle, file.handle);
    f.rename((&root, "dir"), (&root, "renamed")).unwrap();
    assert_eq!(f.find(&dir, "moved").unwrap().handle, file.handle);
}

/// An object without names is gone.
pub fn handles_of_removed_objects_are_stale(f: &Fixture) {
    let root = f.root();
    let objects = [
        f.file(&root, "file", b"x").handle,
        f.dir(&root, "dir", 0o755),
        f.make(&f.owner, &root, "fifo", &NewNode::Fifo, 0o644)
            .unwrap()
            .handle,
    ];
    for (object, text) in objects.iter().zip(["file", "dir", "fifo"]) {
        f.remove(&f.owner, &root, text).unwrap();
        refused(wait(f.fs.attr(object)), VfsError::Stale);
        refused(
            f.set(&f.owner, object, super::with_mode(0o600)),
            VfsError::Stale,
        );
    }
    refused(f.find(&objects[1], "x"), VfsError::Stale);
    let replaced = f.file(&root, "replaced", b"").handle;
    f.file(&root, "new", b"");
    f.rename((&root, "new"), (&root, "replaced")).unwrap();
    refused(wait(f.fs.attr(&replaced)), VfsError::Stale);
}

/// Even where the file system uses inode numbers again.
pub fn handles_are_never_reused(f: &Fixture) {
    let root = f.root();
    let mut seen: Vec<Handle> = Vec::new();
    for round in 0..50 {
        let handle = f.file(&root, "file", b"x").handle;
        assert!(!seen.contains(&handle), "used again in round {round}");
        seen.push(handle);
        f.remove(&f.owner, &root, "file").unwrap();
    }
    f.file(&root, "file", b"x");
    for old in &seen {
        refused(wait(f.fs.attr(old)), VfsError::Stale);
    }
}

/// A handle that was never given out is refused, and breaks nothing.
pub fn garbage_is_no_handle(f: &Fixture) {
    let real = f.root();
    let mut garbage = vec![
        vec![],
        vec![0],
        vec![0xff; Handle::MAX],
        real.as_bytes()[1..].to_vec(),
    ];
    garbage.push([real.as_bytes(), b"x"].concat());
    // A backend that must search for objects may put off the answer.
    let expected = [
        Err(VfsError::BadHandle),
        Err(VfsError::Stale),
        Err(VfsError::TryLater),
    ];
    for bytes in garbage {
        let handle = Handle::new(&bytes).unwrap();
        let answer = wait(f.fs.attr(&handle)).map(drop);
        assert!(expected.contains(&answer), "{handle:?}: {answer:?}");
        let looked = wait(f.fs.lookup(&f.owner, &handle, name("x"))).map(drop);
        assert!(expected.contains(&looked), "{handle:?}: {looked:?}");
    }
}

/// Targets are bytes that nobody interprets.
pub fn symlinks_keep_their_bytes(f: &Fixture) {
    let root = f.root();
    let targets: [&[u8]; 4] = [b"x", b"../../\xff\xfe", b"/ /", &[b't'; 1000]];
    for target in targets {
        let what = NewNode::Symlink(Bytes::copy_from_slice(target));
        let link = f.make(&f.owner, &root, "link", &what, 0o777).unwrap();
        assert_eq!(
            wait(f.fs.read_link(&f.owner, &link.handle)).unwrap(),
            target
        );
        assert_eq!(link.attr.size, target.len() as u64);
        f.remove(&f.owner, &root, "link").unwrap();
    }
    let file = f.file(&root, "file", b"").handle;
    refused(wait(f.fs.read_link(&f.owner, &file)), VfsError::WrongType);
    refused(wait(f.fs.read_link(&f.owner, &root)), VfsError::WrongType);
}

/// Devices, pipes, sockets.
pub fn special_files_keep_their_device(f: &Fixture) {
    let root = f.root();
    let kinds = [
        (NewNode::Fifo, Kind::Fifo, (0, 0)),
        (NewNode::Socket, Kind::Socket, (0, 0)),
        (NewNode::Char(1, 3), Kind::Char, (1, 3)),
        (NewNode::Block(7, 300), Kind::Block, (7, 300)),
    ];
    for (what, kind, rdev) in kinds {
        let made = f.make(&f.owner, &root, "node", &what, 0o640).unwrap();
        assert_eq!(
            (made.attr.kind, made.attr.rdev, made.attr.mode),
            (kind, rdev, 0o640)
        );
        assert_eq!(f.find(&root, "node").unwrap(), made);
        refused(
            f.make(&f.owner, &root, "node", &what, 0o640),
            VfsError::Exists,
        );
        f.remove(&f.owner, &root, "node").unwrap();
    }
}
