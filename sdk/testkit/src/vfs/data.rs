//! Content: read, written, cut, committed.

use bytes::Bytes;
use dittofs_sdk::vfs::{Buffer, NewNode, OpenAccess, SetAttr, Stability, VfsError};

use super::{Fixture, read, refused, wait, write};

/// In any order of offsets.
pub fn what_is_written_is_read(f: &Fixture) {
    let file = f.file(&f.root(), "file", b"").handle;
    let open = f.open(&f.owner, &file, OpenAccess::Both).unwrap();
    let big: Vec<u8> = (0..300_000_u32).map(|n| ((n * 7) >> 3) as u8).collect();
    write(&open, 0, &big);
    write(&open, 70_000, b"in the middle");
    let mut expected = big.clone();
    expected[70_000..70_013].copy_from_slice(b"in the middle");
    assert_eq!(read(&open, 0, 1_000_000), (expected.clone(), true));
    assert_eq!(read(&open, 69_990, 30).0, &expected[69_990..70_020]);
    assert_eq!(wait(open.attr()).unwrap().size, 300_000);
    let mut earlier = Buffer::default();
    earlier.extend_from_slice(b"kept");
    let ok = wait(open.read(70_000, 2, earlier)).unwrap();
    assert_eq!((&ok.buffer[..], ok.eof), (&b"keptin"[..], false));
}

/// What was never written.
pub fn holes_read_as_zeros(f: &Fixture) {
    let file = f.file(&f.root(), "file", b"").handle;
    let open = f.open(&f.owner, &file, OpenAccess::Both).unwrap();
    write(&open, 200_000, b"end");
    let (bytes, eof) = read(&open, 0, 400_000);
    assert!(eof);
    assert_eq!(bytes.len(), 200_003);
    assert!(bytes[..200_000].iter().all(|byte| *byte == 0));
    assert_eq!(&bytes[200_000..], b"end");
}

/// A terabyte of nothing.
pub fn a_huge_file_needs_no_space(f: &Fixture) {
    let file = f.file(&f.root(), "file", b"").handle;
    let size = SetAttr {
        size: Some(1 << 40),
        ..SetAttr::default()
    };
    let attr = f.set(&f.owner, &file, size).unwrap();
    assert_eq!(attr.size, 1 << 40);
    assert!(attr.used < 1 << 20);
    let open = f.open(&f.owner, &file, OpenAccess::Both).unwrap();
    write(&open, (1 << 40) - 1, b"x");
    assert_eq!(read(&open, (1 << 40) - 3, 10), (b"\0\0x".to_vec(), true));
    assert_eq!(wait(open.truncate(0)).unwrap().size, 0);
}

/// What was cut off does not come back.
pub fn truncation_forgets(f: &Fixture) {
    let file = f.file(&f.root(), "file", &[7; 10_000]).handle;
    let open = f.open(&f.owner, &file, OpenAccess::Both).unwrap();
    for (size, ones) in [(5000, 5000), (8000, 5000), (0, 0), (100, 0)] {
        assert_eq!(wait(open.truncate(size)).unwrap().size, size);
        let (bytes, eof) = read(&open, 0, 20_000);
        assert!(eof);
        assert_eq!(bytes.len() as u64, size);
        assert_eq!(
            bytes
                .iter()
                .map(|byte| usize::from(*byte == 7))
                .sum::<usize>(),
            ones
        );
    }
    let by_handle = SetAttr {
        size: Some(3),
        ..SetAttr::default()
    };
    assert_eq!(f.set(&f.owner, &file, by_handle).unwrap().size, 3);
}

/// Until it is closed.
pub fn a_removed_file_stays_open(f: &Fixture) {
    let root = f.root();
    let file = f.file(&root, "file", b"content").handle;
    let open = f.open(&f.owner, &file, OpenAccess::Both).unwrap();
    f.remove(&f.owner, &root, "file").unwrap();
    write(&open, 7, b" and more");
    assert_eq!(read(&open, 0, 100), (b"content and more".to_vec(), true));
    assert_eq!(wait(open.attr()).unwrap().nlink, 0);
    drop(open);
    f.file(&root, "file", b"another");
}

/// As stable as asked for, or more.
pub fn commit_and_stable_writes_are_acknowledged(f: &Fixture) {
    let file = f.file(&f.root(), "file", b"").handle;
    let open = f.open(&f.owner, &file, OpenAccess::Both).unwrap();
    for how in [Stability::Unstable, Stability::Data, Stability::File] {
        let done = wait(open.write(0, Bytes::from_static(b"data"), how)).unwrap();
        assert_eq!(done.count, 4);
        assert!(done.stability >= how);
        wait(open.commit(0, 0)).unwrap();
        wait(open.commit(2, 1)).unwrap();
    }
}

/// And says so exactly there.
pub fn reading_ends_at_the_end(f: &Fixture) {
    let file = f.file(&f.root(), "file", &[1; 100]).handle;
    let open = f.open(&f.owner, &file, OpenAccess::Read).unwrap();
    let cases = [
        (0, 99, 99, false),
        (0, 100, 100, true),
        (0, 101, 100, true),
        (50, 10, 10, false),
        (100, 1, 0, true),
        (1 << 50, 10, 0, true),
        (0, 0, 0, false),
    ];
    for (offset, count, len, at_end) in cases {
        let (bytes, eof) = read(&open, offset, count);
        assert_eq!(
            (bytes.len(), eof),
            (len, at_end),
            "{count} bytes at {offset}"
        );
    }
}

/// Not even the size.
pub fn an_empty_write_changes_nothing(f: &Fixture) {
    let file = f.file(&f.root(), "file", b"abc");
    let open = f.open(&f.owner, &file.handle, OpenAccess::Write).unwrap();
    write(&open, 1000, b"");
    assert_eq!(f.attr(&file.handle).size, 3);
}

/// An offset or size that cannot be.
pub fn a_file_beyond_the_limit_is_refused(f: &Fixture) {
    let file = f.file(&f.root(), "file", b"").handle;
    let open = f.open(&f.owner, &file, OpenAccess::Write).unwrap();
    for offset in [i64::MAX as u64, u64::MAX] {
        let answer = wait(open.write(offset, Bytes::from_static(b"xx"), Stability::Unstable));
        refused(answer, VfsError::FileTooBig);
    }
    refused(wait(open.truncate(u64::MAX)), VfsError::FileTooBig);
    let size = SetAttr {
        size: Some(1 << 63),
        ..SetAttr::default()
    };
    refused(f.set(&f.owner, &file, size), VfsError::FileTooBig);
    assert_eq!(f.attr(&file).size, 0);
}

/// Only regular files have content.
pub fn open_refuses_other_kinds(f: &Fixture) {
    let root = f.root();
    let link = NewNode::Symlink(Bytes::from("x"));
    let link = f
        .make(&f.owner, &root, "link", &link, 0o777)
        .unwrap()
        .handle;
    let fifo = f
        .make(&f.owner, &root, "fifo", &NewNode::Fifo, 0o666)
        .unwrap()
        .handle;
    for access in [OpenAccess::Read, OpenAccess::Write, OpenAccess::Both] {
        refused(f.open(&f.owner, &root, access), VfsError::IsDir);
        refused(f.open(&f.owner, &link, access), VfsError::IsSymlink);
        refused(f.open(&f.owner, &fifo, access), VfsError::WrongType);
    }
}
