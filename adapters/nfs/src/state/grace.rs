//! The grace period: after a restart, clients take back what they had before others get
//! anything new.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-8.4.2.1>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-9.6.2>
//!
//! Only clients that are on record from before the restart may reclaim, and without any such there is no
//! grace period. It ends when all of them have said that they are done (4.1: RECLAIM_COMPLETE; 4.0 has no
//! such word), or with its time. The end has two steps, since what is on record has to say who did not come
//! back before anybody gets what that client may believe to have (RFC 8881 §8.4.3).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{Client, Principal};
use crate::types::Family;

/// While clients reclaim, the end waits for this long after the last reclaim, but not forever.
const PAUSE: Duration = Duration::from_secs(1);

/// What a client calls itself, in which minor versions: the two families know nothing of each other.
pub type Name = (Family, Bytes);

/// A client that is on record from before the restart, and may reclaim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// What it calls itself.
    pub name: Name,
    /// Who established it.
    pub principal: Principal,
}

/// The grace period, or that there is none.
#[derive(Debug, Default)]
pub struct Grace {
    phase: AtomicU8,
    period: Mutex<Period>,
}

/// Nobody reclaims, everybody gets new state.
const OVER: u8 = 0;
/// Claimants reclaim, nobody gets new state.
const ACTIVE: u8 = 1;
/// Nobody reclaims, nobody gets new state: records are being brought up to date.
const ENDING: u8 = 2;

#[derive(Debug, Default)]
struct Period {
    claimants: HashMap<Name, Claim>,
    times: Option<Times>,
}

#[derive(Debug)]
struct Claim {
    principal: Principal,
    done: bool,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    start: Instant,
    end: Instant,
    /// The end at the latest, whatever is reclaimed meanwhile.
    latest: Instant,
    reclaimed: Option<Instant>,
}

/// How the grace period stands, for operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Whether there is one.
    pub active: bool,
    /// How long it lasts yet, unless it ends before.
    pub remaining: Duration,
    /// How long it lasts altogether.
    pub total: Duration,
    /// How long ago it began.
    pub age: Duration,
    /// Clients that may reclaim.
    pub expected: usize,
    /// Those of them that are done.
    pub done: usize,
}

impl Grace {
    /// Begins a grace period of this length, if there is anybody to wait for. For clients that are
    /// still reclaiming at its end, it may become longer by `lease`.
    pub fn begin(&self, claimants: Vec<Claimant>, now: Instant, length: Duration, lease: Duration) {
        if claimants.is_empty() {
            return;
        }
        let mut period = self.period.lock();
        let claims = claimants.into_iter().map(|Claimant { name, principal }| {
            let done = false;
            (name, Claim { principal, done })
        });
        period.claimants = claims.collect();
        period.times = Some(Times {
            start: now,
            end: now + length,
            latest: now + length + lease,
            reclaimed: None,
        });
        self.phase.store(ACTIVE, Ordering::Release);
    }

    /// Whether new state might be what somebody has not reclaimed yet.
    pub fn is_active(&self) -> bool {
        self.phase.load(Ordering::Acquire) != OVER
    }

    /// Whether a client of this name may reclaim: it was on record, is who it was, and has not said that it
    /// reclaims nothing more. What it got since is not what it had before, also if it was forgotten meanwhile.
    pub fn expects(&self, name: &Name, principal: Principal) -> bool {
        if self.phase.load(Ordering::Acquire) != ACTIVE {
            return false;
        }
        let period = self.period.lock();
        let claim = period.claimants.get(name);
        claim.is_some_and(|claim| claim.principal == principal && !claim.done)
    }

    /// Whether the client may reclaim now. One of 4.1 may not any more after RECLAIM_COMPLETE
    /// (RFC 8881 §18.51.3).
    pub fn admits(&self, client: &Client) -> bool {
        let complete = !client.is_v40() && client.reclaim_complete();
        !complete && self.expects(&client.name(), client.principal)
    }

    /// Something was reclaimed.
    pub fn reclaimed(&self, now: Instant) {
        if let Some(times) = &mut self.period.lock().times {
            times.reclaimed = Some(now);
        }
    }

    /// A client will not reclaim anything more; true if that was the last one.
    pub fn done(&self, name: &Name) -> bool {
        if self.phase.load(Ordering::Acquire) != ACTIVE {
            return false;
        }
        let mut period = self.period.lock();
        let Some(claim) = period.claimants.get_mut(name) else {
            return false;
        };
        claim.done = true;
        period.claimants.values().all(|claim| claim.done)
    }

    /// Whether the time is over, or the end has begun and was not finished.
    pub fn is_due(&self, now: Instant) -> bool {
        match self.phase.load(Ordering::Acquire) {
            OVER => false,
            ACTIVE => self
                .period
                .lock()
                .times
                .is_none_or(|times| times.is_over(now)),
            _ => true,
        }
    }

    /// The first step of the end: nobody reclaims from now on. Returns whose records have to be brought
    /// up to date before [`finish`](Self::finish).
    pub fn close(&self) -> Vec<Name> {
        if !self.is_active() {
            return Vec::new();
        }
        self.phase.store(ENDING, Ordering::Release);
        self.period.lock().claimants.keys().cloned().collect()
    }

    /// The second step of the end: everybody gets new state from now on.
    pub fn finish(&self) {
        let mut period = self.period.lock();
        self.phase.store(OVER, Ordering::Release);
        *period = Period::default();
    }

    /// How it stands.
    pub fn report(&self, now: Instant) -> Report {
        let period = self.period.lock();
        let Some(times) = period.times else {
            return Report::default();
        };
        let done = period.claimants.values().filter(|claim| claim.done);
        Report {
            active: true,
            remaining: times.end.saturating_duration_since(now),
            total: times.end.saturating_duration_since(times.start),
            age: now.saturating_duration_since(times.start),
            expected: period.claimants.len(),
            done: done.count(),
        }
    }
}

impl Times {
    fn is_over(self, now: Instant) -> bool {
        let pausing = self
            .reclaimed
            .is_none_or(|at| now.saturating_duration_since(at) > PAUSE);
        now >= self.latest || (now >= self.end && pausing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(90);
    const LEASE: Duration = Duration::from_mins(1);
    const ME: Principal = Principal::Sys(0);

    fn name(family: Family, owner: &'static str) -> Name {
        (family, Bytes::from_static(owner.as_bytes()))
    }

    fn begun(names: &[Name], now: Instant) -> Grace {
        let grace = Grace::default();
        let claimants = names.iter().map(|name| Claimant {
            name: name.clone(),
            principal: ME,
        });
        grace.begin(claimants.collect(), now, LENGTH, LEASE);
        grace
    }

    #[test]
    fn without_clients_on_record_there_is_none() {
        let grace = begun(&[], Instant::now());
        assert!(!grace.is_active());
        assert_eq!(grace.report(Instant::now()), Report::default());
        assert!(grace.close().is_empty());
    }

    #[test]
    fn only_who_was_on_record_is_expected_and_only_as_who_it_was() {
        let (a, b) = (name(Family::Sessions, "a"), name(Family::V40, "b"));
        let grace = begun(&[a.clone(), b.clone()], Instant::now());
        assert!(grace.is_active() && grace.expects(&a, ME) && grace.expects(&b, ME));
        assert!(!grace.expects(&name(Family::V40, "a"), ME));
        assert!(!grace.expects(&name(Family::Sessions, "c"), ME));
        assert!(!grace.expects(&a, Principal::Sys(1)));
    }

    #[test]
    fn it_ends_early_when_all_are_done() {
        let (a, b) = (name(Family::Sessions, "a"), name(Family::Sessions, "b"));
        let now = Instant::now();
        let grace = begun(&[a.clone(), b.clone()], now);
        assert!(grace.expects(&a, ME));
        assert!(!grace.done(&a) && !grace.done(&a));
        assert!(!grace.expects(&a, ME), "it said so");
        assert!(
            !grace.done(&name(Family::Sessions, "c")),
            "nobody waits for it"
        );
        let report = grace.report(now + Duration::from_secs(10));
        assert_eq!((report.expected, report.done), (2, 1));
        assert_eq!(report.remaining, Duration::from_secs(80));
        assert!(grace.done(&b));
    }

    #[test]
    fn its_end_has_a_step_in_which_nothing_is_granted() {
        let a = name(Family::Sessions, "a");
        let now = Instant::now();
        let grace = begun(std::slice::from_ref(&a), now);
        assert!(!grace.is_due(now + LENGTH / 2));
        assert!(grace.is_due(now + LENGTH));
        assert_eq!(grace.close(), std::slice::from_ref(&a));
        assert!(grace.is_active() && !grace.expects(&a, ME));
        assert!(grace.is_due(now), "until it is finished");
        assert_eq!(grace.close().len(), 1, "it may be tried again");
        grace.finish();
        assert!(!grace.is_active() && !grace.is_due(now) && !grace.done(&a));
    }

    #[test]
    fn who_is_reclaiming_at_the_end_may_go_on_for_a_lease_at_most() {
        let a = name(Family::V40, "a");
        let now = Instant::now();
        let grace = begun(&[a], now);
        let end = now + LENGTH;
        grace.reclaimed(now + LENGTH / 2);
        assert!(grace.is_due(end));
        grace.reclaimed(now + Duration::from_millis(89_500));
        assert!(!grace.is_due(end));
        assert!(grace.is_due(end + Duration::from_secs(1)));
        for second in 0..60 {
            let now = end + Duration::from_secs(second);
            grace.reclaimed(now);
            assert!(!grace.is_due(now));
        }
        assert!(grace.is_due(end + LEASE));
    }
}
