//! Memory for replies that are kept for retries, over all sessions.
//!
//! A client may have every reply kept (RFC 8881 §2.10.6.4: the server MUST), so what counts is
//! what it could pin: a session reserves slots × largest kept reply when it is made, more when its
//! table grows, and gives back what is withdrawn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What a client may always keep of one reply, unless it asked for less: enough for OPEN with
/// GETFH and GETATTR.
const FLOOR: u32 = 2048;
/// No session takes more than this part of what is free at once.
const HOLD_BACK: u64 = 8;

/// What all sessions have reserved.
#[derive(Debug, Default)]
pub(super) struct Budget {
    reserved: AtomicU64,
    sessions: AtomicU32,
}

/// What one session has reserved; given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    each: u32,
    slots: AtomicU32,
}

impl Budget {
    /// Bytes that are reserved.
    pub(super) fn reserved(&self) -> u64 {
        self.reserved.load(Ordering::Relaxed)
    }

    /// Reserves for a session that would like `slots` slots and to have replies of up to `cached`
    /// bytes kept. It may get fewer of either: no more than its part of `limit` if all sessions
    /// got the same, and a small part of what is free, so that others can follow. `None` if even
    /// one slot is too much.
    pub(super) fn admit(self: &Arc<Self>, slots: u32, cached: u32, limit: u64) -> Option<Share> {
        let free = limit.saturating_sub(self.reserved());
        let sessions = self.sessions.load(Ordering::Relaxed).saturating_add(1);
        let room = (free / HOLD_BACK).min(limit / u64::from(sessions));
        let each = cached.min(u32::try_from(room).unwrap_or(u32::MAX).max(FLOOR));
        let affordable = room.checked_div(u64::from(each)).unwrap_or(u64::MAX);
        let slots = slots
            .min(u32::try_from(affordable).unwrap_or(u32::MAX))
            .max(1);
        if !self.reserve(slots, each, limit) {
            return None;
        }
        self.sessions.fetch_add(1, Ordering::Relaxed);
        Some(Share {
            budget: Arc::clone(self),
            each,
            slots: AtomicU32::new(slots),
        })
    }

    fn reserve(&self, slots: u32, each: u32, limit: u64) -> bool {
        let bytes = u64::from(slots) * u64::from(each);
        let add = |reserved: u64| reserved.checked_add(bytes).filter(|sum| *sum <= limit);
        self.reserved
            .try_update(Ordering::Relaxed, Ordering::Relaxed, add)
            .is_ok()
    }

    fn release(&self, slots: u32, each: u32) {
        let bytes = u64::from(slots) * u64::from(each);
        self.reserved.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Share {
    /// Bytes of the largest reply that is kept.
    pub(super) fn each(&self) -> u32 {
        self.each
    }

    /// Slots that are reserved for.
    pub(super) fn slots(&self) -> u32 {
        self.slots.load(Ordering::Relaxed)
    }

    /// How many of `slots` slots the session may have if all sessions are to have the same part of
    /// `limit`; at least one.
    pub(super) fn fair(&self, slots: u32, limit: u64) -> u32 {
        let each = u64::from(self.each);
        let sessions = u64::from(self.budget.sessions.load(Ordering::Relaxed).max(1));
        let cost = each.saturating_mul(sessions);
        if cost.saturating_mul(u64::from(slots)) <= limit {
            return slots;
        }
        u32::try_from(limit / cost.max(1))
            .unwrap_or(slots)
            .clamp(1, slots.max(1))
    }

    /// Reserves for more slots, or as many as that part of what is free suffices for; returns how many.
    pub(super) fn grow(&self, by: u32, limit: u64) -> u32 {
        let free = limit.saturating_sub(self.budget.reserved()) / HOLD_BACK;
        let affordable = free.checked_div(u64::from(self.each)).unwrap_or(u64::MAX);
        let by = by.min(u32::try_from(affordable).unwrap_or(u32::MAX));
        if by == 0 || !self.budget.reserve(by, self.each, limit) {
            return 0;
        }
        self.slots.fetch_add(by, Ordering::Relaxed);
        by
    }

    /// Gives back what was reserved for this many slots.
    pub(super) fn shrink(&self, by: u32) {
        self.slots.fetch_sub(by, Ordering::Relaxed);
        self.budget.release(by, self.each);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.release(self.slots(), self.each);
        self.budget.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_is_ample_is_given_as_asked() {
        let budget = Arc::new(Budget::default());
        let share = budget.admit(64, 16 * 1024, 64 * MIB).unwrap();
        assert_eq!((share.slots(), share.each()), (64, 16 * 1024));
        assert_eq!(budget.reserved(), MIB);
        drop(share);
        assert_eq!(budget.reserved(), 0);
    }

    #[test]
    fn the_more_sessions_there_are_the_less_each_gets_and_the_limit_holds() {
        let budget = Arc::new(Budget::default());
        let mut shares = Vec::new();
        while let Some(share) = budget.admit(64, 16 * 1024, MIB) {
            assert!(share.slots() >= 1 && share.each() >= FLOOR);
            assert!(budget.reserved() <= MIB);
            shares.push(share);
        }
        let last = shares.last().unwrap();
        assert_eq!((last.slots(), last.each()), (1, FLOOR));
        assert!(shares.len() > 30, "{}", shares.len());
        // Who has much is to give it back.
        let first = shares.first().unwrap();
        assert_eq!(first.fair(first.slots(), MIB), 1);
        drop(shares);
        assert_eq!(budget.reserved(), 0);
    }

    #[test]
    fn a_client_that_keeps_nothing_costs_nothing() {
        let budget = Arc::new(Budget::default());
        let share = budget.admit(64, 0, 0).unwrap();
        assert_eq!((share.slots(), share.fair(64, 0)), (64, 64));
        assert_eq!(share.grow(10, 0), 10);
        assert_eq!(budget.reserved(), 0);
    }

    #[test]
    fn growing_and_shrinking_is_accounted_for() {
        let budget = Arc::new(Budget::default());
        let share = budget.admit(4, 1024, MIB).unwrap();
        assert_eq!(share.grow(60, MIB), 60);
        assert_eq!(budget.reserved(), 64 * 1024);
        share.shrink(63);
        assert_eq!(budget.reserved(), 1024);
        assert_eq!(share.grow(5000, MIB), 127, "an eighth of what is free");
        drop(share);
        assert_eq!(budget.reserved(), 0);
    }
}
