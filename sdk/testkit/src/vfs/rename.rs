//! Renames, links and removals.

use bytes::Bytes;
use dittofs_sdk::vfs::{NewNode, VfsError};

use super::{Fixture, name, refused, wait};

/// With a target and without one, within a directory and across.
pub fn rename_moves_and_replaces(f: &Fixture) {
    let root = f.root();
    let other = f.dir(&root, "other", 0o755);
    let file = f.file(&root, "a", b"kept").handle;
    f.rename((&root, "a"), (&root, "b")).unwrap();
    refused(f.find(&root, "a"), VfsError::NotFound);
    let victim = f.file(&other, "c", b"replaced").handle;
    f.rename((&root, "b"), (&other, "c")).unwrap();
    assert_eq!(f.find(&other, "c").unwrap().handle, file);
    refused(wait(f.fs.attr(&victim)), VfsError::Stale);
    assert_eq!(f.names(&root), ["other"]);
    assert_eq!(f.names(&other), ["c"]);
    let empty = f.dir(&root, "empty", 0o755);
    f.rename((&root, "other"), (&root, "empty")).unwrap();
    refused(wait(f.fs.attr(&empty)), VfsError::Stale);
    assert_eq!(f.find(&root, "empty").unwrap().handle, other);
}

/// The same name, or another name of the same object.
pub fn rename_onto_itself_does_nothing(f: &Fixture) {
    let root = f.root();
    let file = f.file(&root, "file", b"").handle;
    f.link(&f.owner, &file, &root, "link").unwrap();
    f.dir(&root, "dir", 0o755);
    let (before, of_file) = (f.attr(&root).change, f.attr(&file).change);
    for (from, to) in [("file", "file"), ("file", "link"), ("dir", "dir")] {
        let renamed = f.fs.rename(&f.owner, &root, name(from), &root, name(to));
        let (source, target) = wait(renamed).unwrap();
        for change in [source, target] {
            assert_eq!(
                (change.before, change.after),
                (before, before),
                "{from} {to}"
            );
        }
    }
    assert_eq!(f.names(&root), ["dir", "file", "link"]);
    assert_eq!(f.attr(&root).change, before);
    assert_eq!(f.attr(&file).change, of_file);
    assert_eq!(f.attr(&file).nlink, 2);
}

/// Nothing to rename.
pub fn rename_of_a_missing_name(f: &Fixture) {
    let root = f.root();
    f.file(&root, "target", b"");
    refused(
        f.rename((&root, "none"), (&root, "target")),
        VfsError::NotFound,
    );
    assert_eq!(f.names(&root), ["target"]);
}

/// A directory replaces directories only, anything else anything else only.
pub fn rename_refuses_other_kinds(f: &Fixture) {
    let root = f.root();
    f.dir(&root, "dir", 0o755);
    f.file(&root, "file", b"");
    refused(f.rename((&root, "dir"), (&root, "file")), VfsError::NotDir);
    refused(f.rename((&root, "file"), (&root, "dir")), VfsError::IsDir);
    assert_eq!(f.names(&root), ["dir", "file"]);
}

/// What has entries is not replaced.
pub fn rename_over_a_full_directory(f: &Fixture) {
    let root = f.root();
    f.dir(&root, "from", 0o755);
    let full = f.dir(&root, "full", 0o755);
    f.file(&full, "entry", b"");
    refused(
        f.rename((&root, "from"), (&root, "full")),
        VfsError::NotEmpty,
    );
    assert_eq!(f.names(&root), ["from", "full"]);
}

/// No directory comes to lie below itself.
pub fn rename_into_itself(f: &Fixture) {
    let root = f.root();
    let outer = f.dir(&root, "outer", 0o755);
    let inner = f.dir(&outer, "inner", 0o755);
    refused(f.rename((&root, "outer"), (&outer, "x")), VfsError::Invalid);
    refused(f.rename((&root, "outer"), (&inner, "x")), VfsError::Invalid);
    refused(
        f.rename((&outer, "inner"), (&root, "outer")),
        VfsError::NotEmpty,
    );
}

/// Its parent is then the new one.
pub fn rename_moves_a_directory_to_another_parent(f: &Fixture) {
    let root = f.root();
    let (a, b) = (f.dir(&root, "a", 0o755), f.dir(&root, "b", 0o755));
    let moved = f.dir(&a, "moved", 0o755);
    f.file(&moved, "inside", b"");
    f.rename((&a, "moved"), (&b, "moved")).unwrap();
    assert_eq!(wait(f.fs.parent(&f.owner, &moved)).unwrap().handle, b);
    assert!(f.names(&a).is_empty());
    assert_eq!(f.names(&moved), ["inside"]);
}

/// Further names.
pub fn links_and_their_refusals(f: &Fixture) {
    let root = f.root();
    let dir = f.dir(&root, "dir", 0o755);
    let file = f.file(&root, "file", b"").handle;
    refused(f.link(&f.owner, &file, &root, "file"), VfsError::Exists);
    refused(f.link(&f.owner, &dir, &root, "link"), VfsError::IsDir);
    refused(f.link(&f.owner, &file, &file, "x"), VfsError::NotDir);
    let what = NewNode::Symlink(Bytes::from("nowhere"));
    let symlink = f
        .make(&f.owner, &root, "symlink", &what, 0o777)
        .unwrap()
        .handle;
    f.link(&f.owner, &symlink, &dir, "again").unwrap();
    assert_eq!(f.find(&dir, "again").unwrap().handle, symlink);
    let fifo = f
        .make(&f.owner, &root, "fifo", &NewNode::Fifo, 0o644)
        .unwrap()
        .handle;
    f.link(&f.owner, &fifo, &dir, "fifo").unwrap();
    assert_eq!(f.attr(&fifo).nlink, 2);
}

/// Entries that are not there, or not empty.
pub fn removal_and_its_refusals(f: &Fixture) {
    let root = f.root();
    refused(f.remove(&f.owner, &root, "none"), VfsError::NotFound);
    let dir = f.dir(&root, "dir", 0o755);
    f.file(&dir, "file", b"");
    refused(f.remove(&f.owner, &root, "dir"), VfsError::NotEmpty);
    f.remove(&f.owner, &dir, "file").unwrap();
    f.remove(&f.owner, &root, "dir").unwrap();
    assert!(f.names(&root).is_empty());
    let file = f.file(&root, "file", b"");
    f.link(&f.owner, &file.handle, &root, "link").unwrap();
    f.remove(&f.owner, &root, "file").unwrap();
    assert_eq!(f.find(&root, "link").unwrap().handle, file.handle);
}
