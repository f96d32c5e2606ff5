//! Holes, allocation, clones, copies and advice. What a file system does not declare, it must
//! refuse.

use std::sync::Arc;

use bytes::Bytes;
use dittofs_sdk::vfs::{
    Advice, Attr, Buffer, Capabilities, Content, Extent, File, Handle, Op, OpenAccess, ReadOk,
    Stability, VfsError, Written,
};

use super::{Fixture, read, refused, wait, write};

/// More than any file system stores in one piece.
const UNIT: u64 = 1 << 20;

impl Fixture {
    /// Whether the file system declares `one`; if not, all of `calls` must be refused.
    fn can(&self, one: Capabilities, refuses: impl FnOnce(&Arc<dyn File>)) -> bool {
        let can = self.fs.info().capabilities.contains(one);
        if !can {
            refuses(&self.scratch("incapable").1);
        }
        can
    }

    /// A new file, open for both.
    fn scratch(&self, name: &str) -> (Handle, Arc<dyn File>) {
        let file = self.file(&self.root(), name, b"").handle;
        let open = self.open(&self.owner, &file, OpenAccess::Both).unwrap();
        (file, open)
    }

    fn open_for(&self, file: &Handle, access: OpenAccess) -> Arc<dyn File> {
        self.open(&self.owner, file, access).unwrap()
    }

    /// A file of three units: data, a hole, data.
    fn holey(&self, name: &str) -> (Handle, Arc<dyn File>) {
        let (file, open) = self.scratch(name);
        write(&open, 0, &unit(1));
        write(&open, 2 * UNIT, &unit(3));
        wait(open.commit(0, 0)).unwrap();
        (file, open)
    }
}

fn unit(byte: u8) -> Vec<u8> {
    vec![byte; UNIT as usize]
}

/// What is at `offset`, and where it ends.
fn extent(file: &Arc<dyn File>, offset: u64) -> Option<(Content, u64)> {
    let extent = wait(file.extent(offset, u64::MAX)).unwrap();
    extent.map(|Extent { content, end }| (content, end))
}

fn all(file: &Arc<dyn File>) -> Vec<u8> {
    read(file, 0, 8 << 20).0
}

/// From any place on, and not beyond the end.
pub fn extents_tell_data_from_holes(f: &Fixture) {
    let can = |file: &Arc<dyn File>| refused(wait(file.extent(0, 1)), VfsError::NotSupported);
    if !f.can(Capabilities::HOLES, can) {
        return;
    }
    let (file, open) = f.holey("file");
    assert_eq!(extent(&open, 0), Some((Content::Data, UNIT)));
    assert_eq!(extent(&open, UNIT - 1), Some((Content::Data, UNIT)));
    assert_eq!(extent(&open, UNIT), Some((Content::Hole, 2 * UNIT)));
    assert_eq!(extent(&open, UNIT + 5), Some((Content::Hole, 2 * UNIT)));
    assert_eq!(extent(&open, 2 * UNIT), Some((Content::Data, 3 * UNIT)));
    for offset in [3 * UNIT, 3 * UNIT + 1, i64::MAX as u64, u64::MAX] {
        assert_eq!(extent(&open, offset), None);
    }
    let near = wait(open.extent(0, 10)).unwrap().unwrap();
    assert_eq!(near.content, Content::Data);
    assert!((10..=UNIT).contains(&near.end));
    wait(open.truncate(4 * UNIT + 7)).unwrap();
    assert_eq!(extent(&open, 3 * UNIT), Some((Content::Hole, 4 * UNIT + 7)));
    let reader = f.open_for(&file, OpenAccess::Read);
    assert_eq!(extent(&reader, 0), Some((Content::Data, UNIT)));
    let (_, empty) = f.scratch("empty");
    assert_eq!(extent(&empty, 0), None);
    wait(empty.truncate(100)).unwrap();
    assert_eq!(extent(&empty, 0), Some((Content::Hole, 100)));
}

/// And has room.
pub fn allocation_grows_a_file_and_keeps_its_content(f: &Fixture) {
    let can = |file: &Arc<dyn File>| refused(wait(file.allocate(0, 1)), VfsError::NotSupported);
    if !f.can(Capabilities::ALLOCATE, can) {
        return;
    }
    let (file, open) = f.scratch("file");
    write(&open, 0, b"abc");
    let before = f.attr(&file);
    wait(open.allocate(1, UNIT)).unwrap();
    let after = f.attr(&file);
    assert_eq!(after.size, UNIT + 1);
    assert!(after.used >= UNIT);
    assert!(after.change > before.change);
    let content = all(&open);
    assert_eq!(content.len() as u64, UNIT + 1);
    assert_eq!(content[..3], b"abc"[..]);
    assert!(content[3..].iter().all(|byte| *byte == 0));
    wait(open.allocate(0, 10)).unwrap();
    assert_eq!(f.attr(&file).size, UNIT + 1);
    for (offset, count) in [(i64::MAX as u64, 1), (u64::MAX, 2), (1, u64::MAX)] {
        refused(wait(open.allocate(offset, count)), VfsError::FileTooBig);
    }
    let reader = f.open_for(&file, OpenAccess::Read);
    refused(wait(reader.allocate(0, 1)), VfsError::AccessDenied);
}

/// Which read as zeros; the size stays.
pub fn deallocation_makes_holes(f: &Fixture) {
    let can = |file: &Arc<dyn File>| refused(wait(file.deallocate(0, 1)), VfsError::NotSupported);
    if !f.can(Capabilities::DEALLOCATE, can) {
        return;
    }
    let (file, open) = f.scratch("file");
    let mut expected = vec![7; 3 * UNIT as usize];
    write(&open, 0, &expected);
    wait(open.commit(0, 0)).unwrap();
    let before = f.attr(&file);
    let ranges = [
        (UNIT, UNIT),
        (10, 5),
        (3 * UNIT - 10, 100),
        (3 * UNIT, UNIT),
        (9 * UNIT, 1),
    ];
    for (offset, count) in ranges {
        wait(open.deallocate(offset, count)).unwrap();
        let end = (offset + count).min(3 * UNIT);
        expected[offset.min(3 * UNIT) as usize..end as usize].fill(0);
    }
    let after = f.attr(&file);
    assert_eq!(after.size, 3 * UNIT);
    assert!(after.used <= before.used - UNIT);
    assert!(after.change > before.change);
    assert_eq!(all(&open), expected);
    if f.fs.info().capabilities.contains(Capabilities::HOLES) {
        assert_eq!(extent(&open, UNIT + 1), Some((Content::Hole, 2 * UNIT)));
    }
    refused(wait(open.deallocate(u64::MAX, 2)), VfsError::FileTooBig);
    let reader = f.open_for(&file, OpenAccess::Read);
    refused(wait(reader.deallocate(0, 1)), VfsError::AccessDenied);
}

/// Until one of them is written.
pub fn clones_have_the_same_content(f: &Fixture) {
    if !can_clone(f) {
        return;
    }
    let (_, source) = f.holey("source");
    wait(source.truncate(3 * UNIT - 5)).unwrap();
    let (copy, target) = f.scratch("target");
    let before = f.attr(&copy).change;
    wait(target.clone_range(&*source, 0, 0, 0)).unwrap();
    assert!(f.attr(&copy).change > before);
    assert_eq!(all(&target), all(&source));
    let original = all(&source);
    write(&target, 3, b"x");
    assert_eq!(all(&source), original);
    assert_eq!(read(&target, 0, 5).0, [1, 1, 1, b'x', 1]);
    wait(target.clone_range(&*source, 2 * UNIT, 4 * UNIT, UNIT - 5)).unwrap();
    assert_eq!(f.attr(&copy).size, 5 * UNIT - 5);
    assert_eq!(read(&target, 4 * UNIT, 2 << 20).0, &unit(3)[5..]);
    wait(source.clone_range(&*source, 0, UNIT, UNIT)).unwrap();
    assert_eq!(read(&source, UNIT, UNIT as u32).0, unit(1));
}

/// That can't be shared.
pub fn clones_refuse_odd_ranges(f: &Fixture) {
    if !can_clone(f) {
        return;
    }
    let (file, source) = f.holey("source");
    let (copy, target) = f.scratch("target");
    write(&target, 0, &unit(9));
    let odd = [
        (1, 0, UNIT),
        (0, 1, UNIT),
        (0, 0, UNIT - 1),
        (0, 0, 4 * UNIT),
        (4 * UNIT, 0, 0),
    ];
    for (from, to, count) in odd {
        let answer = wait(target.clone_range(&*source, from, to, count));
        assert_eq!(answer, Err(VfsError::Invalid), "{count} of {from} at {to}");
    }
    let within = source.clone_range(&*source, 0, UNIT, 2 * UNIT);
    refused(wait(within), VfsError::Invalid);
    assert_eq!(all(&target), unit(9));
    let (reader, writer) = (
        f.open_for(&copy, OpenAccess::Read),
        f.open_for(&file, OpenAccess::Write),
    );
    let calls = [
        reader.clone_range(&*source, 0, 0, 0),
        target.clone_range(&*writer, 0, 0, 0),
    ];
    for call in calls {
        refused(wait(call), VfsError::AccessDenied);
    }
    let strange = target.clone_range(&Stranger, 0, 0, 0);
    refused(wait(strange), VfsError::CrossDevice);
}

fn can_clone(f: &Fixture) -> bool {
    let can = f.can(Capabilities::CLONE, |file| {
        let answer = wait(file.clone_range(&**file, 0, 0, 0));
        refused(answer, VfsError::NotSupported);
    });
    let block = u64::from(f.fs.info().clone_block);
    assert_eq!(can, block != 0);
    assert!(!can || UNIT.is_multiple_of(block));
    can
}

/// Piece by piece, to the end of the source.
pub fn copies_have_the_same_content(f: &Fixture) {
    if !can_copy(f) {
        return;
    }
    let (_, source) = f.holey("source");
    let (copy, target) = f.scratch("target");
    write(&target, 0, &vec![9; 3 * UNIT as usize]);
    let before = f.attr(&copy).change;
    copy_all(&target, &source, (0, 0), u64::MAX >> 2);
    assert!(f.attr(&copy).change > before);
    assert_eq!(all(&target), all(&source));
    copy_all(&target, &source, (5, 4 * UNIT + 3), 100);
    assert_eq!(f.attr(&copy).size, 4 * UNIT + 103);
    assert_eq!(read(&target, 4 * UNIT + 2, 102).0[1..], [1; 100]);
    copy_all(&source, &source, (2 * UNIT, 10), 1000);
    assert_eq!(read(&source, 9, 1002).0[..2], [1, 3]);
    wait(target.commit(0, 0)).unwrap();
}

fn copy_all(target: &Arc<dyn File>, source: &Arc<dyn File>, (from, to): (u64, u64), count: u64) {
    let mut done = 0;
    while done < count {
        let piece = target.copy_range(&**source, from + done, to + done, count - done);
        match wait(piece).unwrap() {
            0 => break,
            some => done += some,
        }
    }
}

/// A hundred gigabytes of nothing take no time and no space.
pub fn copies_leave_holes(f: &Fixture) {
    let needed = Capabilities::COPY | Capabilities::HOLES | Capabilities::DEALLOCATE;
    if !f.fs.info().capabilities.contains(needed) {
        return;
    }
    let (_, source) = f.scratch("source");
    let size = 100 << 30;
    write(&source, size / 2, b"middle");
    wait(source.truncate(size)).unwrap();
    let (copy, target) = f.scratch("target");
    write(&target, 0, &unit(9));
    copy_all(&target, &source, (0, 0), size);
    let attr = f.attr(&copy);
    assert_eq!(attr.size, size);
    assert!(attr.used < UNIT);
    assert_eq!(read(&target, 0, UNIT as u32).0, unit(0));
    assert_eq!(read(&target, size / 2 - 1, 8).0, b"\0middle\0");
}

/// That make no sense, or are not the caller's.
pub fn copies_refuse_odd_ranges(f: &Fixture) {
    if !can_copy(f) {
        return;
    }
    let (file, source) = f.holey("source");
    let (copy, target) = f.scratch("target");
    for from in [3 * UNIT, 4 * UNIT] {
        assert_eq!(wait(target.copy_range(&*source, from, 0, 10)), Ok(0));
    }
    assert_eq!(f.attr(&copy).size, 0);
    let within = source.copy_range(&*source, 0, 5, 10);
    refused(wait(within), VfsError::Invalid);
    let far = target.copy_range(&*source, 0, i64::MAX as u64, 10);
    refused(wait(far), VfsError::FileTooBig);
    let (reader, writer) = (
        f.open_for(&copy, OpenAccess::Read),
        f.open_for(&file, OpenAccess::Write),
    );
    let calls = [
        reader.copy_range(&*source, 0, 0, 1),
        target.copy_range(&*writer, 0, 0, 1),
    ];
    for call in calls {
        refused(wait(call), VfsError::AccessDenied);
    }
    let strange = target.copy_range(&Stranger, 0, 0, 1);
    refused(wait(strange), VfsError::CrossDevice);
}

fn can_copy(f: &Fixture) -> bool {
    f.can(Capabilities::COPY, |file| {
        let answer = wait(file.copy_range(&**file, 0, 1, 1));
        refused(answer, VfsError::NotSupported);
    })
}

/// Of all kinds, for any range.
pub fn advice_is_taken(f: &Fixture) {
    let can = |file: &Arc<dyn File>| {
        refused(
            wait(file.advise(0, 0, Advice::Normal)),
            VfsError::NotSupported,
        );
    };
    if !f.can(Capabilities::ADVISE, can) {
        return;
    }
    let (_, open) = f.holey("file");
    let kinds = [
        Advice::Normal,
        Advice::Sequential,
        Advice::Random,
        Advice::WillNeed,
        Advice::DontNeed,
        Advice::NoReuse,
    ];
    for advice in kinds {
        for (offset, count) in [(0, 0), (10, 5), (9 * UNIT, 1), (u64::MAX, u64::MAX)] {
            wait(open.advise(offset, count, advice)).unwrap();
        }
    }
    assert_eq!(read(&open, 2 * UNIT - 1, 2).0, [0, 3]);
}

/// A file of no file system.
struct Stranger;

impl File for Stranger {
    fn attr(&self) -> Op<Attr> {
        Op::err(VfsError::Io)
    }
    fn read(&self, _: u64, _: u32, _: Buffer) -> Op<ReadOk> {
        Op::err(VfsError::Io)
    }
    fn write(&self, _: u64, _: Bytes, _: Stability) -> Op<Written> {
        Op::err(VfsError::Io)
    }
    fn commit(&self, _: u64, _: u64) -> Op<()> {
        Op::err(VfsError::Io)
    }
    fn truncate(&self, _: u64) -> Op<Attr> {
        Op::err(VfsError::Io)
    }
}
