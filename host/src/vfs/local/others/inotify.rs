//! Events by inotify, which does not tell who did it.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use super::super::cache::Object;
use super::super::core::proc_path;
use super::observer::{Happened, Mark};
use super::{ATTRIB, OVERFLOW};

/// A set of marks.
pub(super) struct Inotify(OwnedFd);

impl Inotify {
    pub(super) fn new() -> Result<Self, Errno> {
        let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
        inotify::init(flags).map(Self)
    }

    /// Whether the objects of the file system of `dir` can be marked.
    pub(super) fn works_for(&self, dir: BorrowedFd<'_>) -> bool {
        let flags = WatchFlags::from_bits_retain(ATTRIB);
        inotify::add_watch(&self.0, proc_path(dir), flags)
            .and_then(|number| inotify::remove_watch(&self.0, number))
            .is_ok()
    }

    pub(super) fn add(&self, object: &Object, events: u32) -> Result<Mark, Errno> {
        let flags = WatchFlags::from_bits_retain(events) | WatchFlags::MASK_ADD;
        inotify::add_watch(&self.0, proc_path(object.as_fd()), flags).map(Mark::Number)
    }

    /// Leaves `rest` of what is marked on `object`.
    pub(super) fn leave(&self, object: &Object, mark: &Mark, rest: u32) -> Result<(), Errno> {
        match mark {
            Mark::Number(number) if rest == 0 => inotify::remove_watch(&self.0, *number),
            _ => {
                let flags = WatchFlags::from_bits_retain(rest);
                inotify::add_watch(&self.0, proc_path(object.as_fd()), flags).map(drop)
            }
        }
    }

    /// Reads some events. False if there are none.
    pub(super) fn read(&self, buffer: &mut [u8], each: &mut dyn FnMut(Happened)) -> bool {
        let mut room = vec![MaybeUninit::uninit(); buffer.len()];
        let mut reader = inotify::Reader::new(&self.0, &mut room);
        loop {
            match reader.next() {
                Ok(event) if event.events().bits() & OVERFLOW != 0 => each(Happened::Anything),
                Ok(event) => {
                    let mark = Mark::Number(event.wd());
                    each(Happened::To(mark, event.events().bits()));
                }
                Err(Errno::AGAIN) => return false,
                Err(Errno::INTR) => {}
                Err(_) => {
                    each(Happened::Anything);
                    return false;
                }
            }
        }
    }
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
