//! Extended attributes. A file system without [`Capabilities::XATTR`] must refuse them all.

use bytes::Bytes;
use dittofs_sdk::vfs::{
    Capabilities, Cred, DirChange, Handle, NewNode, SetXattr, VfsError, VfsResult, XATTR_MAX,
    XattrName,
};

use super::{Fixture, refused, wait, with_mode};

impl Fixture {
    fn get_xattr(&self, cred: &Cred, object: &Handle, name: &[u8]) -> VfsResult<Bytes> {
        wait(self.fs.xattr(cred, object, xattr_name(name)))
    }

    fn set_xattr(
        &self,
        cred: &Cred,
        object: &Handle,
        (name, value): (&[u8], &[u8]),
        how: SetXattr,
    ) -> VfsResult<DirChange> {
        let value = Bytes::copy_from_slice(value);
        wait(
            self.fs
                .set_xattr(cred, object, xattr_name(name), value, how),
        )
    }

    fn remove_xattr(&self, cred: &Cred, object: &Handle, name: &[u8]) -> VfsResult<DirChange> {
        wait(self.fs.remove_xattr(cred, object, xattr_name(name)))
    }

    /// Sets one as the owner.
    fn put(&self, object: &Handle, name: &[u8], value: &[u8]) {
        self.set_xattr(&self.owner, object, (name, value), SetXattr::Either)
            .unwrap();
    }

    fn value(&self, object: &Handle, name: &[u8]) -> VfsResult<Bytes> {
        self.get_xattr(&self.owner, object, name)
    }

    /// All names, in pieces of `step`, sorted.
    fn xattr_names(&self, object: &Handle, step: u32) -> Vec<Bytes> {
        let mut names = Vec::new();
        let mut after = 0;
        loop {
            let piece = wait(self.fs.list_xattrs(object, after, step)).unwrap();
            assert!(piece.entries.len() <= step as usize);
            assert!(
                !piece.entries.is_empty() || piece.eof,
                "an empty list that goes on"
            );
            for entry in piece.entries {
                assert!(entry.cookie > after.max(2) && i64::try_from(entry.cookie).is_ok());
                after = entry.cookie;
                names.push(entry.name);
            }
            if piece.eof {
                names.sort();
                return names;
            }
        }
    }

    fn has_xattrs(&self) -> bool {
        let has = self.fs.info().capabilities.contains(Capabilities::XATTR);
        if !has {
            let root = self.root();
            refused(self.value(&root, b"name"), VfsError::NotSupported);
            refused(
                wait(self.fs.list_xattrs(&root, 0, 1)),
                VfsError::NotSupported,
            );
        }
        has
    }
}

fn xattr_name(name: &[u8]) -> XattrName<'_> {
    XattrName::new(name).unwrap()
}

/// On a file and on a directory.
pub fn xattrs_are_set_read_listed_and_removed(f: &Fixture) {
    if !f.has_xattrs() {
        return;
    }
    let root = f.root();
    let file = f.file(&root, "file", b"content").handle;
    let dir = f.dir(&root, "dir", 0o755);
    for object in [&file, &dir] {
        assert!(f.xattr_names(object, 10).is_empty());
        refused(f.value(object, b"a"), VfsError::NoXattr);
        f.put(object, b"a", b"first");
        f.put(object, b"b", b"");
        assert_eq!(f.value(object, b"a").unwrap(), "first");
        assert_eq!(f.value(object, b"b").unwrap(), "");
        f.put(object, b"a", b"second, and longer");
        assert_eq!(f.value(object, b"a").unwrap(), "second, and longer");
        assert_eq!(f.xattr_names(object, 10), ["a", "b"]);
        f.remove_xattr(&f.owner, object, b"a").unwrap();
        refused(f.value(object, b"a"), VfsError::NoXattr);
        refused(f.remove_xattr(&f.owner, object, b"a"), VfsError::NoXattr);
        assert_eq!(f.xattr_names(object, 10), ["b"]);
    }
}

/// To create and to replace are refused where the other would be right.
pub fn xattrs_are_created_and_replaced(f: &Fixture) {
    if !f.has_xattrs() {
        return;
    }
    let file = f.file(&f.root(), "file", b"").handle;
    let set = |value: &[u8], how| f.set_xattr(&f.owner, &file, (b"name", value), how);
    refused(set(b"1", SetXattr::Replace), VfsError::NoXattr);
    set(b"2", SetXattr::Create).unwrap();
    refused(set(b"3", SetXattr::Create), VfsError::Exists);
    assert_eq!(f.value(&file, b"name").unwrap(), "2");
    set(b"4", SetXattr::Replace).unwrap();
    assert_eq!(f.value(&file, b"name").unwrap(), "4");
}

/// The answers say how; the data's time stays.
pub fn xattrs_move_the_change_counter(f: &Fixture) {
    if !f.has_xattrs() {
        return;
    }
    let file = f.file(&f.root(), "file", b"").handle;
    let mut last = f.attr(&file);
    for round in 0..20 {
        let done = if round % 2 == 0 {
            f.set_xattr(&f.owner, &file, (b"name", b"x"), SetXattr::Either)
        } else {
            f.remove_xattr(&f.owner, &file, b"name")
        };
        let (done, now) = (done.unwrap(), f.attr(&file));
        assert!(now.change > last.change, "round {round}");
        assert_eq!((done.before, done.after), (last.change, now.change));
        assert!(now.ctime >= last.ctime);
        assert_eq!(now.mtime, last.mtime);
        last = now;
    }
}

/// To read them needs read permission, to change them write permission, and a sticky
/// directory's are its owner's.
pub fn xattrs_need_permission(f: &Fixture) {
    if !f.has_xattrs() {
        return;
    }
    let root = f.root();
    let user = Cred::user(1000, 1000);
    let file = f.file(&root, "file", b"").handle;
    f.put(&file, b"name", b"x");
    for mode in [0o600, 0o604, 0o602, 0o606] {
        f.set(&f.owner, &file, with_mode(mode)).unwrap();
        let expected = |bit: u32| {
            if mode & bit == 0 {
                Err(VfsError::AccessDenied)
            } else {
                Ok(())
            }
        };
        let read = f.get_xattr(&user, &file, b"name").map(drop);
        assert_eq!(read, expected(4), "{mode:o}");
        let wrote = f.set_xattr(&user, &file, (b"name", b"y"), SetXattr::Either);
        assert_eq!(wrote.map(drop), expected(2), "{mode:o}");
        f.put(&file, b"gone", b"");
        let removed = f.remove_xattr(&user, &file, b"gone").map(drop);
        assert_eq!(removed, expected(2), "{mode:o}");
        assert!(f.xattr_names(&file, 10).contains(&Bytes::from("name")));
    }
    let sticky = f.dir(&root, "sticky", 0o777);
    f.set(&f.owner, &sticky, with_mode(0o1777)).unwrap();
    let set = f.set_xattr(&user, &sticky, (b"name", b"x"), SetXattr::Either);
    refused(set, VfsError::NotPermitted);
    f.set(&f.owner, &sticky, with_mode(0o777)).unwrap();
    f.set_xattr(&user, &sticky, (b"name", b"x"), SetXattr::Either)
        .unwrap();
}

/// Any bytes, a prefix of a store or the dots of directories among them.
pub fn xattr_names_are_bytes(f: &Fixture) {
    if !f.has_xattrs() {
        return;
    }
    let file = f.file(&f.root(), "file", b"").handle;
    let long = [b'n'; 200];
    let names: [&[u8]; 8] = [
        b"user.name",
        b"security.x",
        b".",
        b"..",
        b"a/b",
        b"\xff\xfe \n",
        "n\u{e4}me".as_bytes(),
        &long,
    ];
    for name in names {
        f.put(&file, name, name);
    }
    for name in names {
        assert_eq!(f.value(&file, name).unwrap(), name);
    }
    assert_eq!(f.xattr_names(&file, 3).len(), names.len());
    let longest = [b'x'; XattrName::MAX];
    let set = f.set_xattr(&f.owner, &file, (&longest, b""), SetXattr::Either);
    if set.is_ok() {
        assert_eq!(f.value(&file, &longest).unwrap(), "");
    } else {
        refused(set, VfsError::NameTooLong);
    }
}

/// A value is whole or refused.
pub fn xattr_values_have_a_limit(f: &Fixture) {
    if !f.has_xattrs() {
        return;
    }
    let file = f.file(&f.root(), "file", b"").handle;
    let value: Vec<u8> = (0..=XATTR_MAX).map(|n| n as u8).collect();
    f.put(&file, b"name", &value[..2000]);
    assert_eq!(f.value(&file, b"name").unwrap(), value[..2000]);
    let set = |len: usize| {
        f.set_xattr(&f.owner, &file, (b"name", &value[..len]), SetXattr::Either)
            .map(drop)
    };
    refused(set(XATTR_MAX + 1), VfsError::XattrTooBig);
    assert_eq!(f.value(&file, b"name").unwrap().len(), 2000);
    match set(XATTR_MAX) {
        Ok(()) => assert_eq!(f.value(&file, b"name").unwrap(), value[..XATTR_MAX]),
        refusal => {
            assert_eq!(refusal, Err(VfsError::NoSpace));
            assert_eq!(f.value(&file, b"name").unwrap(), value[..2000]);
        }
    }
}

/// In any steps, and after what was listed is gone.
pub fn xattrs_are_listed_in_steps(f: &Fixture) {
    if !f.has_xattrs() {
        return;
    }
    let file = f.file(&f.root(), "file", b"").handle;
    let mut names: Vec<Bytes> = (0..40).map(|n| Bytes::from(format!("name-{n}"))).collect();
    names.sort();
    for name in &names {
        f.put(&file, name, b"");
    }
    for step in [1, 7, 40, 1000] {
        assert_eq!(f.xattr_names(&file, step), names);
    }
    let first = wait(f.fs.list_xattrs(&file, 0, 10)).unwrap();
    for entry in &first.entries {
        f.remove_xattr(&f.owner, &file, &entry.name).unwrap();
    }
    let last = first.entries.last().unwrap().cookie;
    let rest = wait(f.fs.list_xattrs(&file, last, 1000)).unwrap();
    assert_eq!((rest.entries.len(), rest.eof), (30, true));
}

/// Under whatever name the object is found, and no longer than it lives.
pub fn xattrs_belong_to_the_object(f: &Fixture) {
    if !f.has_xattrs() {
        return;
    }
    let root = f.root();
    let file = f.file(&root, "file", b"").handle;
    f.put(&file, b"name", b"x");
    f.rename((&root, "file"), (&root, "moved")).unwrap();
    f.link(&f.owner, &file, &root, "link").unwrap();
    f.remove(&f.owner, &root, "moved").unwrap();
    let found = f.find(&root, "link").unwrap().handle;
    assert_eq!(f.value(&found, b"name").unwrap(), "x");
    f.remove(&f.owner, &root, "link").unwrap();
    refused(f.value(&file, b"name"), VfsError::Stale);
    let new = f.file(&root, "file", b"").handle;
    assert!(f.xattr_names(&new, 10).is_empty());
}

/// Links and special files have none.
pub fn xattrs_are_for_files_and_directories(f: &Fixture) {
    if !f.has_xattrs() {
        return;
    }
    let root = f.root();
    let kinds = [
        ("link", NewNode::Symlink(Bytes::from("file"))),
        ("fifo", NewNode::Fifo),
    ];
    f.file(&root, "file", b"");
    for (name, what) in kinds {
        let object = f.make(&f.owner, &root, name, &what, 0o777).unwrap().handle;
        let set = f.set_xattr(&f.owner, &object, (b"name", b""), SetXattr::Either);
        refused(set, VfsError::NotSupported);
        refused(f.value(&object, b"name"), VfsError::NotSupported);
        refused(
            f.remove_xattr(&f.owner, &object, b"name"),
            VfsError::NotSupported,
        );
        refused(
            wait(f.fs.list_xattrs(&object, 0, 1)),
            VfsError::NotSupported,
        );
    }
}
