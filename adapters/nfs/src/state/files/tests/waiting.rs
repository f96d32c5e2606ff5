//! Who waits for a lock, and whose turn it is, in virtual time.

use super::*;
use crate::types::FileHandle;

const LEASE: Duration = Duration::from_secs(90);

/// Three clients that have the same file open.
struct Queue {
    w: World,
    opens: Vec<StateId>,
    now: Instant,
}

impl Queue {
    fn new() -> Self {
        let w = world();
        w.files.admit_client(ClientId(3), &Arc::default());
        let opens = (1..=3)
            .map(|client| w.open(opener(client, 1), 1, 3, 0).unwrap())
            .collect();
        Self {
            w,
            opens,
            now: Instant::now(),
        }
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    /// LOCK by the client's owner `name`.
    fn lock(
        &self,
        (client, name): (u64, u8),
        request: LockRequest,
        blocking: bool,
    ) -> Result<StateId, LockError> {
        let request = LockRequest {
            waits: Waits {
                blocking,
                now: self.now,
                lease: LEASE,
                // The third client can't be called.
                tell: (client < 3).then_some(handle()),
            },
            ..request
        };
        let caller = Caller::V41(ClientId(client));
        let open = &self.opens[client as usize - 1];
        let owner = locker(client, name);
        self.w
            .files
            .lock_first(caller, open, &key(1), &owner, request)
    }

    fn takes(&self, who: (u64, u8)) -> StateId {
        self.lock(who, write(), false).unwrap()
    }

    /// Whether a blocking request for the whole file is denied, and in whose favour.
    fn waits(&self, who: (u64, u8)) -> Option<Owner> {
        match self.lock(who, write(), true) {
            Err(LockError::Denied(conflict)) => Some(conflict.owner),
            Ok(_) => None,
            Err(LockError::Status(status)) => panic!("{status:?}"),
        }
    }

    fn unlock(&self, client: u64, lock: &StateId) {
        let range = Range::new(0, u64::MAX).unwrap();
        let caller = Caller::V41(ClientId(client));
        self.w
            .files
            .unlock(caller, lock, &key(1), range, 100)
            .unwrap();
    }

    fn told(&self) -> Vec<Owner> {
        let turns = self.w.files.turns(self.now);
        assert!(turns.iter().all(|turn| turn.file == handle()));
        turns.into_iter().map(|turn| turn.owner).collect()
    }
}

fn handle() -> FileHandle {
    FileHandle::of(&[b"file"])
}

fn write() -> LockRequest {
    want(0, u64::MAX, LockKind::Write)
}

#[test]
fn who_waits_longest_is_told_once_and_goes_first() {
    let q = Queue::new();
    let held = q.takes((1, 1));
    assert_eq!(q.waits((2, 1)), Some(locker(1, 1)));
    assert_eq!(q.waits((1, 2)), Some(locker(1, 1)));
    assert_eq!(q.told(), []);
    q.unlock(1, &held);
    assert_eq!(q.told(), [locker(2, 1)]);
    assert_eq!(q.told(), [], "once");
    assert_eq!(
        q.waits((1, 2)),
        Some(locker(2, 1)),
        "after whoever was first"
    );
    assert_eq!(q.waits((2, 1)), None);
    assert_eq!(q.told(), []);
    q.w.files.release_client(ClientId(2));
    assert_eq!(q.told(), [locker(1, 2)], "the holder is gone");
    assert_eq!(q.waits((1, 2)), None);
}

#[test]
fn who_does_not_wait_never_waits() {
    let q = Queue::new();
    let held = q.takes((1, 1));
    assert_eq!(q.waits((2, 1)), Some(locker(1, 1)));
    q.unlock(1, &held);
    let stolen = q.takes((1, 2));
    assert_eq!(q.waits((2, 1)), Some(locker(1, 2)), "it keeps its place");
    q.unlock(1, &stolen);
    // It has had no turn since, and is told of this one.
    assert_eq!(q.told(), [locker(2, 1)]);
}

#[test]
fn a_last_request_that_does_not_block_ends_the_wait() {
    let q = Queue::new();
    let held = q.takes((1, 1));
    assert_eq!(q.waits((2, 1)), Some(locker(1, 1)));
    assert!(q.lock((2, 1), write(), false).is_err());
    q.unlock(1, &held);
    assert_eq!(q.told(), []);
    assert_eq!(q.waits((1, 2)), None);
}

#[test]
fn those_who_can_share_have_their_turn_together() {
    let q = Queue::new();
    let held = q.takes((1, 1));
    let read = want(0, 10, LockKind::Read);
    assert!(q.lock((2, 1), read, true).is_err());
    assert!(q.lock((2, 2), want(5, 10, LockKind::Read), true).is_err());
    assert!(q.lock((2, 3), want(0, 5, LockKind::Write), true).is_err());
    assert!(q.lock((2, 4), want(20, 5, LockKind::Write), true).is_err());
    q.unlock(1, &held);
    assert_eq!(q.told(), [locker(2, 1), locker(2, 2), locker(2, 4)]);
    assert!(q.lock((2, 1), read, true).is_ok());
}

#[test]
fn nobody_waits_for_who_waits_for_him() {
    let q = Queue::new();
    q.lock((1, 1), want(50, 10, LockKind::Write), false)
        .unwrap();
    assert_eq!(q.waits((2, 1)), Some(locker(1, 1)));
    // The one waits for the other's lock: that one may go on.
    assert!(q.lock((1, 2), want(0, 10, LockKind::Write), true).is_ok());
}

#[test]
fn a_turn_that_is_not_used_passes() {
    let mut q = Queue::new();
    let held = q.takes((1, 1));
    assert_eq!(q.waits((2, 1)), Some(locker(1, 1)));
    assert_eq!(q.waits((3, 1)), Some(locker(1, 1)));
    q.unlock(1, &held);
    assert_eq!(q.told(), [locker(2, 1)]);
    q.wait(4);
    assert_eq!(q.waits((3, 1)), Some(locker(2, 1)));
    q.wait(2);
    assert_eq!(q.waits((3, 1)), None);
    assert_eq!(q.w.files.all_turns(q.now), []);
}

#[test]
fn who_is_told_nothing_has_as_long_as_he_took_before() {
    let mut q = Queue::new();
    let held = q.takes((1, 1));
    assert_eq!(q.waits((3, 1)), Some(locker(1, 1)));
    q.wait(10);
    assert_eq!(q.waits((3, 1)), Some(locker(1, 1)));
    q.unlock(1, &held);
    assert_eq!(q.told(), [], "it can't be called");
    q.wait(29);
    assert_eq!(q.waits((2, 1)), Some(locker(3, 1)));
    q.wait(2);
    assert_eq!(q.w.files.all_turns(q.now).len(), 1, "the next is told");
    assert_eq!(q.waits((2, 1)), None);

    // At first, nothing is known but the lease.
    let mut q = Queue::new();
    let held = q.takes((1, 1));
    assert_eq!(q.waits((3, 1)), Some(locker(1, 1)));
    q.wait(89);
    q.unlock(1, &held);
    assert_eq!(q.waits((2, 1)), Some(locker(3, 1)));
    q.wait(2);
    assert_eq!(q.waits((2, 1)), None);
}

#[test]
fn who_closes_the_file_or_is_gone_does_not_wait() {
    let q = Queue::new();
    let held = q.takes((1, 1));
    assert_eq!(q.waits((2, 1)), Some(locker(1, 1)));
    assert_eq!(q.waits((3, 1)), Some(locker(1, 1)));
    drop(q.w.files.close(OTHER, &q.opens[1], &key(1)).unwrap());
    q.w.files.release_client(ClientId(3));
    q.unlock(1, &held);
    assert_eq!(q.told(), []);
    assert_eq!(q.waits((1, 2)), None);
    q.w.files.release_client(ClientId(1));
    assert_eq!(q.w.files.all_turns(q.now), []);
    assert!(q.w.files.waiting.is_empty());
}

#[test]
fn those_who_wait_are_bounded() {
    let q = Queue::new();
    let held = q.takes((1, 1));
    for name in 0..100 {
        assert_eq!(q.waits((2, name)), Some(locker(1, 1)));
    }
    q.unlock(1, &held);
    let mut turns = 0;
    for name in 0..100 {
        if q.told() == [locker(2, name)] {
            turns += 1;
            assert_eq!(q.waits((2, name)), None);
            q.w.files.release_lock_owner(&locker(2, name)).unwrap_err();
            drop(q.w.files.release_owner(&locker(2, name)));
        }
    }
    assert_eq!(turns, 64);
}
