//! Attributes and the change counter.

use bytes::Bytes;
use dittofs_sdk::vfs::{
    Attr, CreateHow, Handle, Kind, NewNode, OpenAccess, SetAttr, SetTime, Stability, Time, VfsError,
};

use super::{Fixture, name, refused, wait, with_mode, write};

fn grows<T>(f: &Fixture, object: &Handle, what: &str, mutate: impl FnOnce() -> T) {
    let before = f.attr(object).change;
    let _done = mutate();
    let after = f.attr(object).change;
    assert!(after > before, "{what}: {before} → {after}");
    assert_eq!(
        f.attr(object).change,
        after,
        "{what}: moves without a change"
    );
}

/// Strictly, even when the clock does not move in between.
pub fn every_mutation_moves_the_change_counter(f: &Fixture) {
    let root = f.root();
    for round in 0..30 {
        let dir = f.dir(&root, &format!("dir-{round}"), 0o755);
        let file = f.file(&dir, "file", b"x").handle;
        let open = f.open(&f.owner, &file, OpenAccess::Both).unwrap();
        grows(f, &file, "write", || write(&open, 0, b"y"));
        grows(f, &file, "truncate", || wait(open.truncate(10)).unwrap());
        grows(f, &file, "mode", || {
            f.set(&f.owner, &file, with_mode(0o600)).unwrap();
        });
        grows(f, &file, "owner", || f.give(&file, 5, 6, 0o644));
        let now = SetAttr {
            mtime: Some(SetTime::Now),
            ..SetAttr::default()
        };
        grows(f, &file, "times", || f.set(&f.owner, &file, now).unwrap());
        grows(f, &file, "link", || {
            f.link(&f.owner, &file, &dir, "link").unwrap();
        });
        grows(f, &file, "unlink", || {
            f.remove(&f.owner, &dir, "link").unwrap();
        });
        grows(f, &file, "rename", || {
            f.rename((&dir, "file"), (&dir, "moved")).unwrap();
        });
        grows(f, &dir, "rename within", || {
            f.rename((&dir, "moved"), (&dir, "file")).unwrap();
        });
        grows(f, &dir, "create", || f.file(&dir, "new", b""));
        grows(f, &dir, "remove", || {
            f.remove(&f.owner, &dir, "new").unwrap();
        });
        grows(f, &dir, "mkdir", || f.dir(&dir, "sub", 0o755));
        grows(f, &dir, "rmdir", || {
            f.remove(&f.owner, &dir, "sub").unwrap();
        });
        grows(f, &dir, "link into", || {
            f.link(&f.owner, &file, &dir, "link").unwrap();
        });
        grows(f, &root, "rename out", || {
            f.rename((&dir, "link"), (&root, "link")).unwrap();
        });
        f.remove(&f.owner, &root, "link").unwrap();
    }
}

/// What an operation tells about its directory is what the directory's attributes say.
pub fn directory_changes_are_reported(f: &Fixture) {
    let root = f.root();
    let to = f.dir(&root, "to", 0o755);
    let change = |dir: &Handle| f.attr(dir).change;
    let before = change(&root);
    let made = f
        .create(&f.owner, &root, "file", CreateHow::Guarded, 0o644)
        .unwrap();
    assert_eq!((made.dir.before, made.dir.after), (before, change(&root)));
    let attr = with_mode(0o755);
    let made = wait(f.fs.make(&f.owner, &root, name("dir"), &NewNode::Dir, &attr)).unwrap();
    assert!(made.dir.before < made.dir.after);
    assert_eq!(made.dir.after, change(&root));
    let moved = wait(f.fs.rename(&f.owner, &root, name("file"), &to, name("file"))).unwrap();
    assert_eq!((moved.0.after, moved.1.after), (change(&root), change(&to)));
    assert!(moved.0.before < moved.0.after && moved.1.before < moved.1.after);
    let within = wait(f.fs.rename(&f.owner, &to, name("file"), &to, name("other"))).unwrap();
    assert_eq!(within.0.after, change(&to));
    assert_eq!(within.1.after, change(&to));
    let removed = wait(f.fs.remove(&f.owner, &to, name("other"))).unwrap();
    assert!(removed.before < removed.after);
    assert_eq!(removed.after, change(&to));
}

/// To the nanosecond, and before 1970 too.
pub fn times_are_exact(f: &Fixture) {
    let root = f.root();
    let file = f.file(&root, "file", b"").handle;
    let dir = f.dir(&root, "dir", 0o755);
    let times = [
        (0, 0),
        (1_234_567_890, 123_456_789),
        (1, 999_999_999),
        (-1_000_000, 500),
    ];
    for object in [&file, &dir] {
        for (sec, nsec) in times {
            let atime = Time { sec, nsec };
            let mtime = Time {
                sec: sec + 100,
                nsec,
            };
            let changes = SetAttr {
                atime: Some(SetTime::To(atime)),
                mtime: Some(SetTime::To(mtime)),
                ..SetAttr::default()
            };
            let attr = f.set(&f.owner, object, changes).unwrap();
            assert_eq!((attr.atime, attr.mtime), (atime, mtime));
            let only = SetAttr {
                atime: Some(SetTime::To(mtime)),
                ..SetAttr::default()
            };
            let attr = f.set(&f.owner, object, only).unwrap();
            assert_eq!((attr.atime, attr.mtime), (mtime, mtime));
        }
    }
}

/// Within the time that the call took.
pub fn time_now_is_now(f: &Fixture) {
    let file = f.file(&f.root(), "file", b"").handle;
    let clock = || {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        since.as_secs() as i64
    };
    let old = SetTime::To(Time { sec: 1000, nsec: 0 });
    let changes = SetAttr {
        atime: Some(old),
        mtime: Some(old),
        ..SetAttr::default()
    };
    f.set(&f.owner, &file, changes).unwrap();
    // Kernels stamp with the time of their last tick, which may lie in the second before.
    let before = clock() - 1;
    let now = SetAttr {
        mtime: Some(SetTime::Now),
        ..SetAttr::default()
    };
    let attr = f.set(&f.owner, &file, now).unwrap();
    assert!((before..=clock()).contains(&attr.mtime.sec));
    assert_eq!(attr.atime.sec, 1000);
}

/// More than a second of nanoseconds.
pub fn impossible_times_are_refused(f: &Fixture) {
    let file = f.file(&f.root(), "file", b"").handle;
    let time = SetTime::To(Time {
        sec: 0,
        nsec: 1_000_000_000,
    });
    let changes = SetAttr {
        mtime: Some(time),
        ..SetAttr::default()
    };
    refused(f.set(&f.owner, &file, changes), VfsError::Invalid);
}

/// Of every kind of object.
pub fn attributes_are_sane(f: &Fixture) {
    let root = f.root();
    let file = f.file(&root, "file", b"12345").attr;
    let check = |attr: &Attr, kind, nlink| {
        assert_eq!((attr.kind, attr.nlink), (kind, nlink));
        assert_ne!(attr.fileid, 0);
        assert!(
            [attr.atime, attr.mtime, attr.ctime]
                .iter()
                .all(|time| time.nsec < 1_000_000_000)
        );
    };
    check(&file, Kind::File, 1);
    assert_eq!((file.size, file.mode), (5, 0o644));
    let dir = f.attr(&f.dir(&root, "dir", 0o751));
    assert_eq!((dir.kind, dir.mode), (Kind::Dir, 0o751));
    let what = NewNode::Symlink(Bytes::from("target"));
    check(
        &f.make(&f.owner, &root, "link", &what, 0o777).unwrap().attr,
        Kind::Symlink,
        1,
    );
    assert_ne!(file.fileid, dir.fileid);
    let nothing = f.set(&f.owner, &root, SetAttr::default()).unwrap();
    assert_eq!(nothing, f.attr(&root));
}

/// Names of files, and subdirectories of directories.
pub fn links_count(f: &Fixture) {
    let root = f.root();
    let file = f.file(&root, "file", b"shared").handle;
    let base = f.attr(&root).nlink;
    f.link(&f.owner, &file, &root, "second").unwrap();
    assert_eq!(f.attr(&file).nlink, 2);
    assert_eq!(f.find(&root, "second").unwrap().handle, file);
    f.remove(&f.owner, &root, "file").unwrap();
    assert_eq!(f.attr(&file).nlink, 1);
    let dir = f.dir(&root, "dir", 0o755);
    // Btrfs counts no subdirectories: then a directory has one link always.
    let counts = f.attr(&dir).nlink == 2;
    assert_eq!(f.attr(&root).nlink, base + u32::from(counts));
    f.remove(&f.owner, &root, "dir").unwrap();
    assert_eq!(f.attr(&root).nlink, base);
}

/// No other kind has one.
pub fn a_size_needs_a_file(f: &Fixture) {
    let root = f.root();
    let what = NewNode::Symlink(Bytes::from("x"));
    let link = f
        .make(&f.owner, &root, "link", &what, 0o777)
        .unwrap()
        .handle;
    let fifo = f
        .make(&f.owner, &root, "fifo", &NewNode::Fifo, 0o644)
        .unwrap()
        .handle;
    let size = SetAttr {
        size: Some(0),
        ..SetAttr::default()
    };
    refused(f.set(&f.owner, &root, size), VfsError::IsDir);
    refused(f.set(&f.owner, &link, size), VfsError::IsSymlink);
    refused(f.set(&f.owner, &fifo, size), VfsError::WrongType);
}

/// What it points to is left alone.
pub fn a_symlinks_owner_and_times_are_its_own(f: &Fixture) {
    let root = f.root();
    let file = f.file(&root, "file", b"");
    let what = NewNode::Symlink(Bytes::from("file"));
    let link = f
        .make(&f.owner, &root, "link", &what, 0o777)
        .unwrap()
        .handle;
    let time = Time {
        sec: 12_345,
        nsec: 6789,
    };
    let changes = SetAttr {
        uid: Some(77),
        gid: Some(78),
        mtime: Some(SetTime::To(time)),
        ..SetAttr::default()
    };
    let attr = f.set(&f.owner, &link, changes).unwrap();
    assert_eq!((attr.uid, attr.gid, attr.mtime), (77, 78, time));
    assert_eq!(f.attr(&file.handle), file.attr);
    let ignored = f.set(&f.owner, &link, with_mode(0o600)).unwrap();
    assert_eq!(ignored.mode, attr.mode, "a link's mode is ignored");
}

/// Space and limits.
pub fn the_file_system_knows_its_space(f: &Fixture) {
    let stat = wait(f.fs.stat_fs()).unwrap();
    assert!(stat.total_bytes > 0);
    assert!(stat.free_bytes <= stat.total_bytes && stat.avail_bytes <= stat.free_bytes);
    assert!(stat.free_files <= stat.total_files);
    let info = f.fs.info();
    assert_eq!(info.max_name, 255);
    assert!(info.max_file_size > 1 << 40);
    let file = f.file(&f.root(), "file", b"").handle;
    let open = f.open(&f.owner, &file, OpenAccess::Write).unwrap();
    let data = Bytes::from(vec![1; 1 << 20]);
    wait(open.write(0, data, Stability::File)).unwrap();
    assert!(f.attr(&file).used >= 1 << 20);
}
