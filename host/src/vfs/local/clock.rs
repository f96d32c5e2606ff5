//! What time it is, in nanoseconds.

use rustix::time::ClockId;

/// In nanoseconds.
pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const MILLISECOND: u64 = 1_000_000;

/// By `clock`; a time before its beginning counts as 0. The coarse ones cost next to nothing and lag by
/// a tick of the kernel, 10 ms at most.
pub(super) fn now(clock: ClockId) -> u64 {
    let now = rustix::time::clock_gettime(clock);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let rest = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(SECOND).saturating_add(rest)
}
