//! Events by fanotify, which names objects by their handles and tells who did it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use super::super::cache::Object;
use super::super::core::proc_path;
use super::super::sys::{self, MarkChange};
use super::OVERFLOW;
use super::observer::{Happened, Mark};

/// A group of marks.
pub(super) struct Fanotify {
    group: OwnedFd,
    /// This process, as events name it.
    own: u32,
}

impl Fanotify {
    pub(super) fn new() -> Result<Self, Errno> {
        Ok(Self {
            group: sys::fanotify_group()?,
            own: std::process::id(),
        })
    }

    /// Whether the objects of the file system of `dir` can be marked.
    pub(super) fn works_for(&self, dir: BorrowedFd<'_>) -> bool {
        let path = proc_path(dir);
        let change = |how| sys::fanotify_mark(self.group.as_fd(), how, super::ATTRIB, &path);
        sys::name_to_handle(dir, c"", true).is_ok()
            && change(MarkChange::Add).is_ok()
            && change(MarkChange::Remove).is_ok()
    }

    pub(super) fn add(&self, object: &Object, events: u32) -> Result<Mark, Errno> {
        let mark = mark_of(object)?;
        let path = proc_path(object.as_fd());
        sys::fanotify_mark(self.group.as_fd(), MarkChange::Add, events, &path)?;
        Ok(mark)
    }

    pub(super) fn remove(&self, object: &Object, events: u32) -> Result<(), Errno> {
        let path = proc_path(object.as_fd());
        sys::fanotify_mark(self.group.as_fd(), MarkChange::Remove, events, &path)
    }

    /// Reads some events, those of this process left out. False if there are none.
    pub(super) fn read(&self, buffer: &mut [u8], each: &mut dyn FnMut(Happened)) -> bool {
        let got = match rustix::io::read(&self.group, &mut *buffer) {
            Ok(0) | Err(Errno::AGAIN) => return false,
            Ok(got) => got,
            Err(Errno::INTR) => return true,
            Err(_) => {
                each(Happened::Anything);
                return false;
            }
        };
        let mut rest = buffer.get(..got).unwrap_or_default();
        while let Some((event, after)) = Event::parse(rest) {
            rest = after;
            match event.object {
                _ if event.events & OVERFLOW != 0 => each(Happened::Anything),
                _ if event.process == self.own => {}
                Some(mark) => each(Happened::To(mark, event.events)),
                None => {}
            }
        }
        true
    }
}

impl AsFd for Fanotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.group.as_fd()
    }
}

/// Objects are named alike in events and here. The file system is not part of it: where two file
/// systems number alike, a watcher is told once too often.
fn mark_of(object: &Object) -> Result<Mark, Errno> {
    let handle = match sys::name_to_handle(object.as_fd(), c"", false) {
        Err(Errno::OPNOTSUPP) => sys::name_to_handle(object.as_fd(), c"", true)?,
        handle => handle?,
    };
    Ok(Mark::Handle(handle.kind(), handle.bytes().into()))
}

/// One event as the kernel lays it out: `fanotify_event_metadata`, then information records.
#[derive(Debug, PartialEq, Eq)]
struct Event {
    events: u32,
    process: u32,
    object: Option<Mark>,
}

impl Event {
    /// The first event of `bytes`, and what follows it.
    fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let len = u32_at(bytes, 0)? as usize;
        let (event, rest) = bytes.split_at_checked(len)?;
        let start = usize::from(u16_at(event, 6)?);
        let records = event.get(start..)?;
        let parsed = Self {
            // Of 64 bits, all that we ask for are among the low ones.
            events: u64_at(event, 8)? as u32,
            process: u32_at(event, 20)?,
            object: object(records),
        };
        (len > 0).then_some((parsed, rest))
    }
}

/// The object named by the record of type `FAN_EVENT_INFO_TYPE_FID`: header of 4 bytes, 8 bytes for
/// the file system, then a `struct file_handle`.
fn object(mut records: &[u8]) -> Option<Mark> {
    const FID: u8 = 1;
    loop {
        let kind = *records.first()?;
        let len = usize::from(u16_at(records, 2)?);
        let (record, rest) = records.split_at_checked(len)?;
        if kind == FID {
            let count = u32_at(record, 12)? as usize;
            let bytes = record.get(20..)?.get(..count)?;
            return Some(Mark::Handle(
                u32_at(record, 16)?.cast_signed(),
                bytes.into(),
            ));
        }
        if len == 0 {
            return None;
        }
        records = rest;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(process: u32, records: &[&[u8]]) -> Vec<u8> {
        let records = records.concat();
        let mut bytes = ((24 + records.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend([3, 0]);
        bytes.extend(24_u16.to_ne_bytes());
        bytes.extend(2_u64.to_ne_bytes());
        bytes.extend((-1_i32).to_ne_bytes());
        bytes.extend(process.to_ne_bytes());
        bytes.extend(records);
        bytes
    }

    fn record(kind: u8, handle: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind, 0];
        bytes.extend(((20 + handle.len()) as u16).to_ne_bytes());
        bytes.extend([7; 8]);
        bytes.extend((handle.len() as u32).to_ne_bytes());
        bytes.extend(129_i32.to_ne_bytes());
        bytes.extend(handle);
        bytes
    }

    #[test]
    fn events_are_parsed_one_after_the_other() {
        let first = event(5, &[&record(9, b"other"), &record(1, b"handle")]);
        let second = event(6, &[]);
        let both = [&first[..], &second[..]].concat();
        let (parsed, rest) = Event::parse(&both).unwrap();
        let handle = Mark::Handle(129, b"handle"[..].into());
        assert_eq!((parsed.events, parsed.process), (2, 5));
        assert_eq!(parsed.object, Some(handle));
        let (parsed, rest) = Event::parse(rest).unwrap();
        assert_eq!((parsed.process, parsed.object), (6, None));
        assert_eq!(Event::parse(rest), None);
    }

    #[test]
    fn what_is_cut_short_or_makes_no_sense_is_no_event() {
        let whole = event(5, &[&record(1, b"handle")]);
        for len in 0..whole.len() {
            assert_eq!(Event::parse(&whole[..len]), None);
        }
        assert_eq!(Event::parse(&[0; 64]), None);
        assert_eq!(object(&[0; 64]), None);
    }
}
