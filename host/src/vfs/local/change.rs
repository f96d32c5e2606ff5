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

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};

use parking_lot::Mutex;
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};

use super::numbers::ByNumber;

const REMEMBERED: usize = 65_536;

/// Makes counters.
pub(super) enum Changes {
    /// ctime alone is enough.
    Fine,
    /// ctime, raised to what the table holds.
    Coarse(Mutex<Raised>),
}

#[derive(Default)]
pub(super) struct Raised {
    values: ByNumber<u64>,
    order: VecDeque<u64>,
}

impl Changes {
    /// Finds out how fine ctime is on the file system of `dir`, with an unnamed temporary file.
    pub(super) fn probe(dir: BorrowedFd<'_>) -> Self {
        if is_fine(dir).unwrap_or(false) {
            Self::Fine
        } else {
            Self::coarse()
        }
    }

    /// With the table, for where ctime is known to be coarse.
    pub(super) fn coarse() -> Self {
        Self::Coarse(Mutex::default())
    }

    pub(super) fn is_fine(&self) -> bool {
        matches!(self, Self::Fine)
    }

    /// The counter of an object whose ctime is `ctime` nanoseconds.
    pub(super) fn value(&self, fileid: u64, ctime: u64) -> u64 {
        match self {
            Self::Fine => ctime,
            Self::Coarse(raised) => raised
                .lock()
                .values
                .get(&fileid)
                .map_or(ctime, |value| ctime.max(*value)),
        }
    }

    /// Notes a change through us; `ctime` was read after it.
    pub(super) fn bump(&self, fileid: u64, ctime: u64) {
        if let Self::Coarse(raised) = self {
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
        let changes = Changes::Coarse(Mutex::default());
        assert_eq!(changes.value(5, 1000), 1000);
        changes.bump(5, 1000);
        changes.bump(5, 1000);
        assert_eq!(changes.value(5, 1000), 1002);
        assert_eq!(changes.value(6, 1000), 1000);
        assert_eq!(changes.value(5, 5000), 5000);
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
