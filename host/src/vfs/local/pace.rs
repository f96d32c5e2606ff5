//! Whether writes into the page cache go through without waiting.
//!
//! The kernel has no such writes that say so beforehand on all file systems. Mostly they touch memory
//! only, but a file system that is behind with its device makes writers wait, up to a fifth of a
//! second each. So they are made in place as long as none had to wait; after one that did, all go
//! to the pool for a while.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What memory alone never takes.
const WAITED: Duration = Duration::from_millis(2);
/// For how long the pool is used then.
const PAUSE: Duration = Duration::from_millis(500);

/// When a write had to wait last.
pub(super) struct Pace {
    start: Instant,
    /// Nanoseconds after the start.
    pool_until: AtomicU64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            pool_until: AtomicU64::new(0),
        }
    }
}

impl Pace {
    /// Runs `write`, if nothing has to be waited for at this time.
    pub(super) fn run<T>(&self, write: impl FnOnce() -> T) -> Option<T> {
        let before = self.start.elapsed();
        if nanoseconds(before) < self.pool_until.load(Ordering::Relaxed) {
            return None;
        }
        let done = write();
        self.took(before, self.start.elapsed());
        Some(done)
    }

    fn took(&self, before: Duration, after: Duration) {
        if after.saturating_sub(before) >= WAITED {
            let until = nanoseconds(after + PAUSE);
            self.pool_until.fetch_max(until, Ordering::Relaxed);
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_write_that_waited_the_pool_is_used_for_a_while() {
        let pace = Pace::default();
        assert_eq!(pace.run(|| 7), Some(7));
        let now = pace.start.elapsed();
        pace.took(now, now + WAITED);
        assert_eq!(pace.run(|| 7), None);
    }
}
