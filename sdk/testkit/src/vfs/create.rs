//! Files created, in each of the three ways.

use std::sync::Arc;

use bytes::Bytes;
use dittofs_sdk::vfs::{
    CreateHow, Cred, NewNode, OpenAccess, SetAttr, SetTime, Stability, Time, VfsError,
};

use super::{Fixture, name, read, refused, wait, write};

/// The second one is refused, whatever has the name.
pub fn guarded_creates_once(f: &Fixture) {
    let root = f.root();
    let made = f
        .create(&f.owner, &root, "file", CreateHow::Guarded, 0o644)
        .unwrap();
    assert!(made.created);
    assert_ne!(made.dir.before, made.dir.after);
    f.dir(&root, "dir", 0o755);
    for taken in ["file", "dir"] {
        let again = f.create(&f.owner, &root, taken, CreateHow::Guarded, 0o644);
        refused(again, VfsError::Exists);
    }
}

/// What is there is opened and stays as it is.
pub fn unchecked_opens_what_is_there(f: &Fixture) {
    let root = f.root();
    let before = f.file(&root, "file", b"content");
    let opened = f
        .create(&f.owner, &root, "file", CreateHow::Unchecked, 0o600)
        .unwrap();
    assert!(!opened.created);
    assert_eq!(opened.dir.before, opened.dir.after);
    assert_eq!(opened.node, before);
    assert_eq!(read(&opened.file, 0, 100), (b"content".to_vec(), true));
    assert!(
        f.create(&f.owner, &root, "new", CreateHow::Unchecked, 0o600)
            .unwrap()
            .created
    );
}

/// The same verifier finds its file, another one does not.
pub fn exclusive_knows_its_retry(f: &Fixture) {
    let root = f.root();
    for verifier in [[0; 8], [0xff; 8], *b"\x80\x01\x02\x03\x84\x05\x06\x07"] {
        let how = CreateHow::Exclusive(verifier);
        let first = f.create(&f.owner, &root, "file", how, 0o600).unwrap();
        let retry = f.create(&f.owner, &root, "file", how, 0o600).unwrap();
        assert!(first.created && retry.created);
        assert_eq!(first.node.handle, retry.node.handle);
        let mut other = verifier;
        other[7] ^= 1;
        let stranger = f.create(&f.owner, &root, "file", CreateHow::Exclusive(other), 0o600);
        refused(stranger, VfsError::Exists);
        write(&retry.file, 0, b"usable");
        f.remove(&f.owner, &root, "file").unwrap();
    }
    f.file(&root, "plain", b"");
    let plain = f.create(
        &f.owner,
        &root,
        "plain",
        CreateHow::Exclusive([0; 8]),
        0o600,
    );
    refused(plain, VfsError::Exists);
}

/// As a client does at once after an exclusive create.
pub fn exclusive_is_forgotten_when_times_are_set(f: &Fixture) {
    let root = f.root();
    let how = CreateHow::Exclusive([3; 8]);
    let made = f.create(&f.owner, &root, "file", how, 0o600).unwrap();
    let now = SetAttr {
        atime: Some(SetTime::Now),
        mtime: Some(SetTime::Now),
        ..SetAttr::default()
    };
    f.set(&f.owner, &made.node.handle, now).unwrap();
    refused(
        f.create(&f.owner, &root, "file", how, 0o600),
        VfsError::Exists,
    );
}

/// No mask of the process shows.
pub fn modes_come_out_as_asked(f: &Fixture) {
    let root = f.root();
    for mode in [0o000, 0o777, 0o666, 0o1777, 0o4755, 0o2755, 0o7777] {
        let file = f
            .create(&f.owner, &root, "file", CreateHow::Guarded, mode)
            .unwrap();
        assert_eq!(file.node.attr.mode, mode, "file {mode:o}");
        let dir = f.make(&f.owner, &root, "dir", &NewNode::Dir, mode).unwrap();
        assert_eq!(dir.attr.mode, mode, "directory {mode:o}");
        f.remove(&f.owner, &root, "file").unwrap();
        f.remove(&f.owner, &root, "dir").unwrap();
    }
}

/// The mode is for later openers.
pub fn a_file_without_permissions_is_still_open_to_its_creator(f: &Fixture) {
    let root = f.root();
    f.give(&root, 0, 0, 0o777);
    for mode in [0o000, 0o444] {
        let user = Cred::user(1000, 1000);
        let made = f
            .create(&user, &root, "file", CreateHow::Guarded, mode)
            .unwrap();
        write(&made.file, 0, b"data");
        assert_eq!(read(&made.file, 0, 10).0, b"data");
        f.remove(&f.owner, &root, "file").unwrap();
    }
}

/// A name that is taken by something else than a file.
pub fn create_refuses_other_kinds(f: &Fixture) {
    let root = f.root();
    f.dir(&root, "dir", 0o755);
    f.make(
        &f.owner,
        &root,
        "link",
        &NewNode::Symlink(Bytes::from("dir")),
        0o777,
    )
    .unwrap();
    f.make(&f.owner, &root, "fifo", &NewNode::Fifo, 0o644)
        .unwrap();
    let cases = [
        ("dir", VfsError::IsDir),
        ("link", VfsError::IsSymlink),
        ("fifo", VfsError::WrongType),
    ];
    for (taken, error) in cases {
        refused(
            f.create(&f.owner, &root, taken, CreateHow::Unchecked, 0o644),
            error,
        );
        let exclusive = f.create(&f.owner, &root, taken, CreateHow::Exclusive([0; 8]), 0o644);
        refused(exclusive, VfsError::Exists);
    }
}

/// Whoever is first; the others are told.
pub fn one_of_many_creators_wins(f: &Fixture) {
    for round in 0..20 {
        let text = format!("file-{round}");
        let barrier = Arc::new(std::sync::Barrier::new(4));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (fs, text, barrier) = (f.fs.clone(), text.clone(), barrier.clone());
                let cred = f.owner.clone();
                std::thread::spawn(move || {
                    barrier.wait();
                    let attr = super::with_mode(0o644);
                    let (how, access) = (CreateHow::Guarded, OpenAccess::Both);
                    let root = fs.root();
                    wait(fs.create(&cred, &root, name(&text), how, &attr, access)).map(drop)
                })
            })
            .collect();
        let answers: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        assert_eq!(
            answers.iter().filter(|answer| answer.is_ok()).count(),
            1,
            "{answers:?}"
        );
        let lost = answers
            .iter()
            .filter(|answer| **answer == Err(VfsError::Exists));
        assert_eq!(lost.count(), 3, "{answers:?}");
    }
}

/// All that can be asked for at creation.
pub fn creation_sets_owner_size_and_times(f: &Fixture) {
    let root = f.root();
    let time = Time {
        sec: 1_000_000_007,
        nsec: 123_456_789,
    };
    let attr = SetAttr {
        mode: Some(0o6750),
        uid: Some(1000),
        gid: Some(1001),
        size: Some(5000),
        atime: Some(SetTime::To(time)),
        mtime: Some(SetTime::To(time)),
        ..SetAttr::default()
    };
    let (how, access) = (CreateHow::Guarded, OpenAccess::Write);
    let made = wait(f.fs.create(&f.owner, &root, name("file"), how, &attr, access)).unwrap();
    let got = made.node.attr;
    assert_eq!(
        (got.mode, got.uid, got.gid, got.size),
        (0o6750, 1000, 1001, 5000)
    );
    assert_eq!((got.atime, got.mtime), (time, time));
    let data = Bytes::from_static(b"x");
    assert_eq!(
        wait(made.file.write(0, data, Stability::File))
            .unwrap()
            .count,
        1
    );
    let dir = SetAttr {
        size: None,
        mode: Some(0o2750),
        ..attr
    };
    let made = wait(f.fs.make(&f.owner, &root, name("dir"), &NewNode::Dir, &dir)).unwrap();
    let got = made.node.attr;
    assert_eq!((got.mode, got.uid, got.gid), (0o2750, 1000, 1001));
}
