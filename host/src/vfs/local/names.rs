//! The entries of directories listed lately, as the kernel told them.
//!
//! A directory whose ctime is the same as before has the same entries under the same cookies: it
//! need be neither opened nor read again. A list is begun only when the directory's ctime lies
//! further back than two changes can lie apart and have the same one; where other machines may
//! change the directory, none is. It grows with each listing that goes on where it ends.
//!
//! Entries remember the object that they stand for, without keeping it in use.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};
use rustix::fs::Statx;
use rustix::time::ClockId;

use super::cache::Object;
use super::core::ctime;
use super::others::is_elsewhere;

/// Most lists of a share; who is used least makes way.
const LISTS: usize = 64;
/// Most entries of all lists of a share, each with its name, and 40 bytes besides.
const ENTRIES: usize = 32_768;
const MILLISECOND: u64 = 1_000_000;

/// The lists of one share.
pub(super) struct Names {
    /// In nanoseconds; none where ctime does not tell of all changes.
    step: Option<u64>,
    /// The one that was used last is the first.
    lists: Mutex<VecDeque<Arc<List>>>,
}

/// What is known of the entries of one directory as it was at `ctime`.
pub(super) struct List {
    dir: u64,
    ctime: u64,
    len: AtomicUsize,
    known: RwLock<Known>,
}

/// The first entries of a directory, or all.
#[derive(Default)]
pub(super) struct Known {
    /// One after the other.
    names: Vec<u8>,
    entries: Vec<Entry>,
    is_whole: bool,
}

/// An entry, but for its name.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) cookie: u64,
    pub(super) fileid: u64,
    pub(super) object: Weak<Object>,
    name_end: u32,
}

impl Names {
    /// For the file system of `dir`, whose times are exact (`is_exact`) or perhaps whole seconds.
    pub(super) fn new(dir: BorrowedFd<'_>, is_exact: bool) -> Self {
        // The clock that gives coarse times ticks every 10 ms at least.
        let step = if is_exact { 20 } else { 3000 } * MILLISECOND;
        Self {
            step: (!is_elsewhere(dir)).then_some(step),
            lists: Mutex::default(),
        }
    }

    /// The list of the directory that looks like this now; an empty one if that can be relied on.
    pub(super) fn of(&self, dir: &Statx) -> Option<Arc<List>> {
        let step = self.step?;
        let (fileid, ctime) = (dir.stx_ino, ctime(dir));
        let mut lists = self.lists.lock();
        let found = lists.iter().position(|list| list.dir == fileid);
        if let Some(found) = found.and_then(|at| lists.remove(at))
            && found.ctime == ctime
        {
            lists.push_front(Arc::clone(&found));
            return Some(found);
        }
        if now() < ctime.saturating_add(step) {
            return None;
        }
        let new = Arc::new(List {
            dir: fileid,
            ctime,
            len: AtomicUsize::new(0),
            known: RwLock::default(),
        });
        lists.truncate(LISTS - 1);
        lists.push_front(Arc::clone(&new));
        Some(new)
    }

    /// Adds to `list` what was found `after` this cookie and nothing else, if it ends there. The directory looks
    /// like this afterwards.
    pub(super) fn extend(&self, list: &List, after: u64, more: Known, dir: &Statx) {
        if list.ctime != ctime(dir) || !self.make_room(list, more.entries.len()) {
            return;
        }
        let mut known = list.known.write();
        if known.ends_at(after) {
            known.append(more);
            list.len.store(known.entries.len(), Ordering::Relaxed);
        }
    }

    /// Drops lists that were used longer ago than `list` until it may have `more` entries.
    fn make_room(&self, list: &List, more: usize) -> bool {
        let len = |list: &List| list.len.load(Ordering::Relaxed);
        let mut lists = self.lists.lock();
        let mut all = more + lists.iter().map(|list| len(list)).sum::<usize>();
        while all > ENTRIES && lists.back().is_some_and(|last| last.dir != list.dir) {
            all -= lists.pop_back().map_or(0, |last| len(&last));
        }
        all <= ENTRIES
    }
}

/// By the clock that ctime is of, in nanoseconds.
fn now() -> u64 {
    let now = rustix::time::clock_gettime(ClockId::Realtime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1000 * MILLISECOND + u64::try_from(now.tv_nsec).unwrap_or(0)
}

impl List {
    pub(super) fn known(&self) -> impl std::ops::Deref<Target = Known> + '_ {
        self.known.read()
    }
}

impl Known {
    /// Adds an entry.
    pub(super) fn push(&mut self, name: &[u8], cookie: u64, fileid: u64, object: Weak<Object>) {
        self.names.extend_from_slice(name);
        self.entries.push(Entry {
            cookie,
            fileid,
            object,
            name_end: self.names.len() as u32,
        });
    }

    /// There are no more.
    pub(super) fn end(&mut self) {
        self.is_whole = true;
    }

    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The entries after `cookie`, where 0 is before all; none if it is of no entry.
    pub(super) fn after(
        &self,
        cookie: u64,
    ) -> Option<impl ExactSizeIterator<Item = (&[u8], &Entry)>> {
        let start = match cookie {
            0 => 0,
            _ => {
                1 + self
                    .entries
                    .iter()
                    .position(|entry| entry.cookie == cookie)?
            }
        };
        let entries = self.entries.get(start..)?;
        let before = start.checked_sub(1).and_then(|at| self.entries.get(at));
        let mut from = before.map_or(0, |entry| entry.name_end as usize);
        Some(entries.iter().map(move |entry| {
            let to = entry.name_end as usize;
            let name = self.names.get(from..to).unwrap_or_default();
            from = to;
            (name, entry)
        }))
    }

    fn ends_at(&self, cookie: u64) -> bool {
        !self.is_whole && self.entries.last().map_or(0, |last| last.cookie) == cookie
    }

    fn append(&mut self, more: Self) {
        let names = self.names.len() as u32;
        self.names.extend_from_slice(&more.names);
        let moved = |entry: Entry| Entry {
            name_end: names + entry.name_end,
            ..entry
        };
        self.entries.extend(more.entries.into_iter().map(moved));
        self.is_whole = more.is_whole;
    }
}
