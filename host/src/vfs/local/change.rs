//! The change counter, made from ctime.
//!
//! Linux 6.13 and later give ctime fine granularity whenever somebody looked at it since the last
//! change (multigrain timestamps, on ext4, XFS and Btrfs); there ctime in nanoseconds is the
//! counter. Elsewhere (also on tmpfs, whose directories take over the coarse ctime of the entry
//! that changed) ctime moves with the kernel's tick of up to 10 ms, and two changes in
//! one tick look alike. Then every change made through us is remembered in a bounded table that
//! keeps the counter growing. Its limits: changes that other processes make within one tick
//! stay unseen, as with knfsd on such kernels; and an entry that is pushed out by 65,536 later
//! ones, or lost in a restart, may take the counter back by the few nanoseconds it had added.
//! In all cases a clock that is set back takes the counter back too.
//!
//! Attributes that were seen before are true as long as nobody changed the object since. That we
//! did not is told by a mark, one for all objects whose numbers meet in it, which moves with every
//! change of ours. Counters and marks are one for a device, whatever share its files are reached by.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};

use super::numbers::{ByNumber, Factor};

const REMEMBERED: usize = 65_536;
/// So many that two files written at the same time seldom share one: 32 KiB.
const MARKS: usize = 4096;

/// What is known of changes on one device.
pub(super) struct Changes {
    counters: Counters,
    spread: Factor,
    marks: Box<[AtomicU64]>,
}

/// A change of ours that is under way; the mark has moved when it is dropped.
#[must_use]
pub(super) struct Changing<'a>(Option<&'a AtomicU64>);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        if let Some(mark) = self.0 {
            mark.fetch_add(1, Ordering::Release);
        }
    }
}

/// Makes counters.
enum Counters {
    /// ctime alone is enough.
    Fine,
    /// ctime, raised to what the table holds.
    Coarse(Mutex<Raised>),
}

type Devices = HashMap<(u32, u32), Weak<Changes>>;

#[derive(Default)]
struct Raised {
    values: ByNumber<u64>,
    order: VecDeque<u64>,
}

impl Changes {
    /// Those of `device`, the file system of `dir`. How fine ctime is there is found out with an
    /// unnamed temporary file, unless it is known to be coarse.
    pub(super) fn of(device: (u32, u32), dir: BorrowedFd<'_>, known_coarse: bool) -> Arc<Self> {
        static DEVICES: Mutex<Option<Devices>> = Mutex::new(None);
        let mut devices = DEVICES.lock();
        let devices = devices.get_or_insert_default();
        devices.retain(|_, changes| changes.strong_count() > 0);
        if let Some(known) = devices.get(&device).and_then(Weak::upgrade) {
            return known;
        }
        let is_fine = !known_coarse && is_fine(dir).unwrap_or(false);
        let new = Arc::new(Self::new(if is_fine {
            Counters::Fine
        } else {
            Counters::Coarse(Mutex::default())
        }));
        devices.insert(device, Arc::downgrade(&new));
        new
    }

    fn new(counters: Counters) -> Self {
        Self {
            counters,
            spread: Factor::default(),
            marks: std::iter::repeat_with(AtomicU64::default)
                .take(MARKS)
                .collect(),
        }
    }

    pub(super) fn is_fine(&self) -> bool {
        matches!(self.counters, Counters::Fine)
    }

    /// To be kept while an object is changed by us, until nothing more is changed or said of it.
    pub(super) fn changing(&self, fileid: u64) -> Changing<'_> {
        Changing(self.mark_of(fileid))
    }

    /// The same as before if the object was not changed by us in between.
    pub(super) fn mark(&self, fileid: u64) -> u64 {
        self.mark_of(fileid)
            .map_or(0, |mark| mark.load(Ordering::Acquire))
    }

    fn mark_of(&self, fileid: u64) -> Option<&AtomicU64> {
        self.marks
            .get(self.spread.hash_one(fileid) as usize % MARKS)
    }

    /// The counter of an object whose ctime is `ctime` nanoseconds.
    pub(super) fn value(&self, fileid: u64, ctime: u64) -> u64 {
        match &self.counters {
            Counters::Fine => ctime,
            Counters::Coarse(raised) => raised
                .lock()
                .values
                .get(&fileid)
                .map_or(ctime, |value| ctime.max(*value)),
        }
    }

    /// Notes a change through us; `ctime` was read after it.
    pub(super) fn bump(&self, fileid: u64, ctime: u64) {
        if let Counters::Coarse(raised) = &self.counters {
            raised.lock().bump(fileid, ctime);
        }
    }
}

impl Raised {
    fn bump(&mut self, fileid: u64, ctime: u64) {
        if let Some(value) = self.values.get_mut(&fileid) {
            *value = ctime.max(*value) + 1;
            return;
        }
        if self.values.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
        self.values.insert(fileid, ctime + 1);
        self.order.push_back(fileid);
    }
}

fn is_fine(dir: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = rustix::fs::openat(dir, c".", flags, Mode::RUSR | Mode::WUSR)?;
    let mut last = None;
    for _ in 0..8 {
        rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR)?;
        let stat = rustix::fs::statx(file.as_fd(), c"", AtFlags::EMPTY_PATH, StatxFlags::CTIME)?;
        let ctime = (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec);
        if last.replace(ctime) == Some(ctime) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coarse_counters_grow_within_one_tick_and_join_the_clock_after_it() {
        let changes = Changes::new(Counters::Coarse(Mutex::default()));
        assert_eq!(changes.value(5, 1000), 1000);
        changes.bump(5, 1000);
        changes.bump(5, 1000);
        assert_eq!(changes.value(5, 1000), 1002);
        assert_eq!(changes.value(6, 1000), 1000);
        assert_eq!(changes.value(5, 5000), 5000);
    }

    #[test]
    fn a_mark_moves_when_a_change_has_ended_well_or_not() {
        let changes = Changes::new(Counters::Fine);
        let before = changes.mark(5);
        let changing = changes.changing(5);
        assert_eq!(changes.mark(5), before);
        drop(changing);
        assert_ne!(changes.mark(5), before);
    }

    #[test]
    fn all_shares_of_a_device_have_one_counter() {
        let dir = tempfile::tempdir().unwrap();
        let dir = std::fs::File::open(dir.path()).unwrap();
        let of = |device| Changes::of(device, dir.as_fd(), true);
        let (one, same, other) = (of((9, 1)), of((9, 1)), of((9, 2)));
        one.bump(5, 1000);
        assert_eq!((same.value(5, 1000), other.value(5, 1000)), (1001, 1000));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut raised = Raised::default();
        for fileid in 0..2 * REMEMBERED as u64 {
            raised.bump(fileid, 1);
        }
        assert_eq!(
            (raised.values.len(), raised.order.len()),
            (REMEMBERED, REMEMBERED)
        );
    }
}
