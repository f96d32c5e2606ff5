//! Every order in which threads can meet in the slot table, tried by loom: the table's own source,
//! over locks and atomics that loom controls. Each test is a race; what holds in all its orders is
//! asserted (RFC 8881 §2.10.6.1).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use dittofs_nfs::ops::sequence::Ok as Told;
use dittofs_nfs::status::Status;
use dittofs_nfs::types::SessionId;
use loom::thread;

// What the table's files name.
use dittofs_nfs::{ops, status, types};

#[allow(dead_code, reason = "the tests need not all of it")]
#[path = "../src/state/slot.rs"]
mod slot;
#[allow(dead_code, reason = "the tests need not all of it")]
#[path = "../src/state/slots.rs"]
mod slots;

use slot::{Kept, Request, Turn};
use slots::{SlotTable, Wish};

/// As `state/sync.rs`, with loom's.
mod sync {
    pub(super) use loom::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

    #[derive(Debug)]
    pub(super) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(super) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(super) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }

        pub(super) fn try_lock(&self) -> Option<loom::sync::MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }
}

const TOLD: Told = Told {
    session: SessionId([0; 16]),
    sequence: 0,
    slot: 0,
    highest_slot: 0,
    target_highest_slot: 0,
    status_flags: 0,
};

fn wish(slot: u32, sequence: u32, digest: u64) -> Wish {
    Wish {
        slot,
        request: Request { sequence, digest },
        connection: digest,
        highest: slot,
    }
}

fn reply(digest: u64) -> Kept {
    Kept::Whole(TOLD, Arc::from(digest.to_be_bytes()))
}

/// Executes a request if it is new; whether it was, or the reply to a retry.
fn request(table: &SlotTable, wish: &Wish) -> Result<Option<Kept>, Status> {
    match table.begin(wish)?.0 {
        Turn::Execute(_) => {
            table.finish(wish.slot, reply(wish.request.digest));
            Ok(None)
        }
        Turn::Retry(kept) => Ok(Some(kept)),
    }
}

/// Runs both at once; what they return.
fn race<A: 'static, B>(a: impl FnOnce() -> A + 'static, b: impl FnOnce() -> B) -> (A, B) {
    let a = thread::spawn(a);
    let b = b();
    (a.join().unwrap(), b)
}

#[test]
fn a_request_and_its_retry_execute_once() {
    loom::model(|| {
        let table = Arc::new(SlotTable::new(1));
        let other = Arc::clone(&table);
        let (a, b) = race(
            move || request(&other, &wish(0, 1, 7)),
            || request(&table, &wish(0, 1, 7)),
        );
        let outcomes = [a, b];
        assert_eq!(
            outcomes
                .iter()
                .filter(|outcome| **outcome == Ok(None))
                .count(),
            1
        );
        for outcome in outcomes {
            assert!(
                [Ok(None), Ok(Some(reply(7))), Err(Status::Delay)].contains(&outcome),
                "{outcome:?}"
            );
        }
        assert_eq!(request(&table, &wish(0, 1, 7)), Ok(Some(reply(7))));
        assert_eq!((table.kept(), table.in_use()), (8, 0));
    });
}

#[test]
fn of_two_requests_under_one_number_one_executes_and_one_is_false() {
    loom::model(|| {
        let table = Arc::new(SlotTable::new(1));
        let other = Arc::clone(&table);
        let (a, b) = race(
            move || request(&other, &wish(0, 1, 7)),
            || request(&table, &wish(0, 1, 8)),
        );
        let expected = (Ok(None), Err(Status::SeqFalseRetry));
        let outcomes = if a.is_ok() { (a, b) } else { (b, a) };
        assert_eq!(outcomes, expected);
    });
}

#[test]
fn the_next_request_races_a_late_retry() {
    loom::model(|| {
        let table = Arc::new(SlotTable::new(1));
        request(&table, &wish(0, 1, 7)).unwrap();
        let other = Arc::clone(&table);
        let (late, next) = race(
            move || request(&other, &wish(0, 1, 7)),
            || request(&table, &wish(0, 2, 8)),
        );
        assert_eq!(next, Ok(None));
        assert!(
            late == Ok(Some(reply(7))) || late == Err(Status::SeqMisordered),
            "{late:?}"
        );
        assert_eq!((table.kept(), table.in_use()), (8, 0));
    });
}

#[test]
fn requests_of_different_slots_do_not_meet() {
    loom::model(|| {
        let table = Arc::new(SlotTable::new(2));
        let other = Arc::clone(&table);
        let (a, b) = race(
            move || request(&other, &wish(0, 1, 7)),
            || request(&table, &wish(1, 1, 8)),
        );
        assert_eq!((a, b), (Ok(None), Ok(None)));
        assert_eq!((table.kept(), table.in_use()), (16, 0));
    });
}

/// A table of two slots whose second is about to be withdrawn by the next request in the first.
fn about_to_shrink(now: Instant) -> SlotTable {
    let table = SlotTable::new(2);
    request(&table, &wish(1, 1, 6)).unwrap();
    table.aim(1);
    for sequence in 1..=2 {
        let wish = wish(0, sequence, 7);
        let (_, found) = table.begin(&wish).unwrap();
        assert_eq!(table.shrink(&wish, &found, now).slots, 0, "not yet known");
        table.finish(0, reply(7));
    }
    table
}

#[test]
fn a_slot_that_is_withdrawn_under_a_request_executes_it_or_is_gone() {
    loom::model(|| {
        let now = Instant::now();
        let table = Arc::new(about_to_shrink(now));
        let other = Arc::clone(&table);
        let (intruder, withdrawn) = race(
            move || request(&other, &wish(1, 2, 8)),
            || {
                let wish = wish(0, 3, 9);
                let (_, found) = table.begin(&wish).unwrap();
                let withdrawn = table.shrink(&wish, &found, now);
                table.finish(0, reply(9));
                withdrawn.slots
            },
        );
        // What was executed keeps its reply until it is withdrawn, and memory is exact either way.
        let kept = match (intruder, withdrawn) {
            (Ok(None), 0) => 16,
            (Ok(None) | Err(Status::Badslot), 1) => 8,
            other => panic!("{other:?}"),
        };
        assert_eq!((table.kept(), table.in_use()), (kept, 0));
        assert_eq!(table.accepted(), 2 - withdrawn);
    });
}

#[test]
fn shrinking_and_growing_at_once_leave_a_sound_table() {
    loom::model(|| {
        let now = Instant::now();
        let table = Arc::new(about_to_shrink(now));
        let other = Arc::clone(&table);
        let (granted, withdrawn) = race(
            move || {
                let mut granted = 0;
                other.grow(3, now, Duration::MAX, |more| {
                    granted = more;
                    more
                });
                granted
            },
            || {
                let wish = wish(0, 3, 9);
                let (_, found) = table.begin(&wish).unwrap();
                let withdrawn = table.shrink(&wish, &found, now);
                table.finish(0, reply(9));
                withdrawn.slots
            },
        );
        assert_eq!(table.accepted(), 2 + granted - withdrawn);
    });
}
