//! Who waits for a lock, in which order.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-9.6>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-9.4>
//!
//! A blocking request that is denied is remembered. When nothing stands against it any more it is its
//! turn: other blocking requests are denied in its favour until it is repeated, for a time. 4.1
//! clients that can be called are told of their turn (CB_NOTIFY_LOCK), others find out by asking again.
//! A request that does not block never waits: it would be told of a lock that nobody holds.
//!
//! Only a request that could be granted has a turn, so nobody waits for anybody who waits.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::lock::Conflict;
use super::range::{Held, Locks};
use super::stateid::Id;
use super::{Files, Owner};
use crate::exports::FileKey;
use crate::types::{ClientId, FileHandle};

/// Requests that wait for locks of one file; whoever comes then is on his own.
const MOST: usize = 64;
/// How long it stays the turn of one that was told of it.
const TURN: Duration = Duration::from_secs(5);
/// A request is remembered this many times as long as it took to be repeated: clients wait
/// longer each time. At least [`LEAST`], at most a lease, and so long at first.
const REPEATS: u32 = 3;
const LEAST: Duration = Duration::from_secs(5);

/// How a request waits.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// Whether it is repeated if it is denied.
    pub blocking: bool,
    /// When it was made.
    pub now: Instant,
    /// How long at most it is remembered.
    pub lease: Duration,
    /// The name of the file to its client, if that can be told of its turn.
    pub tell: Option<FileHandle>,
}

/// It is somebody's turn, who is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YourTurn {
    /// The file, by the client's name.
    pub file: FileHandle,
    /// Whose turn.
    pub owner: Owner,
}

/// The requests that wait for locks of one file, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Waiters(Vec<Waiter>);

#[derive(Debug)]
struct Waiter {
    owner: Owner,
    wanted: Held,
    tell: Option<FileHandle>,
    asked: Instant,
    patience: Duration,
    turn: Turn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Something stands against it.
    No,
    /// It has just begun.
    Begins,
    /// Since then.
    Since(Instant),
}

/// Files that somebody waits for.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    files: Mutex<HashSet<FileKey>>,
    /// Those of which it has become somebody's turn.
    due: Mutex<HashSet<FileKey>>,
    bell: Notify,
}

impl Waiter {
    fn is_over(&self, now: Instant) -> bool {
        let silent = now.saturating_duration_since(self.asked);
        let missed = match self.turn {
            Turn::Since(since) if self.tell.is_some() => {
                now.saturating_duration_since(since) > TURN
            }
            _ => false,
        };
        missed || silent > self.patience
    }

    fn has_turn(&self) -> bool {
        self.turn != Turn::No
    }
}

impl Waiters {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who is to be let go first, if it is anybody's turn that came before.
    pub(super) fn ahead(&self, owner: &Owner, wanted: Held, now: Instant) -> Option<Conflict> {
        let before = self.0.iter().take_while(|waiter| waiter.owner != *owner);
        before
            .filter(|waiter| waiter.has_turn() && !waiter.is_over(now))
            .find(|waiter| waiter.wanted.stands_against(wanted))
            .map(|waiter| Conflict {
                range: waiter.wanted.range,
                kind: waiter.wanted.kind,
                owner: waiter.owner.clone(),
            })
    }

    /// Remembers a request that was denied. One that its owner repeats keeps its place; another
    /// one takes the last.
    fn note(&mut self, owner: &Owner, wanted: Held, waits: &Waits) {
        self.0.retain(|waiter| !waiter.is_over(waits.now));
        let known = self.0.iter().position(|waiter| waiter.owner == *owner);
        if let Some(waiter) = known.and_then(|at| self.0.get_mut(at))
            && waiter.wanted == wanted
        {
            let pause = waits.now.saturating_duration_since(waiter.asked);
            if !pause.is_zero() {
                let patience = pause.saturating_mul(REPEATS);
                waiter.patience = patience.max(LEAST).min(waits.lease);
                waiter.asked = waits.now;
            }
            waiter.tell = waits.tell;
            return;
        }
        self.forget(owner);
        if self.0.len() < MOST {
            self.0.push(Waiter {
                owner: owner.clone(),
                wanted,
                tell: waits.tell,
                asked: waits.now,
                patience: waits.lease,
                turn: Turn::No,
            });
        }
    }

    /// Whoever has the lock, or asks without waiting, does not wait any more.
    pub(super) fn forget(&mut self, owner: &Owner) {
        self.0.retain(|waiter| waiter.owner != *owner);
    }

    /// Whether any request is the client's.
    pub(super) fn are_of(&self, client: ClientId) -> bool {
        self.0.iter().any(|waiter| waiter.owner.client == client)
    }

    /// The client has closed the file.
    pub(super) fn forget_client(&mut self, client: ClientId) {
        self.0.retain(|waiter| waiter.owner.client != client);
    }

    /// Finds out whose turn it is, after the locks or the order have changed; whether a turn begins.
    fn review(&mut self, locks: &Locks, id: impl Fn(&Owner) -> Option<Id>) -> bool {
        let mut first: Vec<Held> = Vec::new();
        let mut begins = false;
        for waiter in &mut self.0 {
            let wanted = waiter.wanted;
            let free = locks.conflict(id(&waiter.owner), wanted).is_none()
                && !first.iter().any(|held| held.stands_against(wanted));
            if !free {
                waiter.turn = Turn::No;
                continue;
            }
            first.push(wanted);
            if waiter.turn == Turn::No {
                waiter.turn = Turn::Begins;
                begins = true;
            }
        }
        begins
    }

    /// Those whose turn begins, to be told.
    fn begin(&mut self, now: Instant) -> impl Iterator<Item = YourTurn> {
        self.0.iter_mut().filter_map(move |waiter| {
            if waiter.turn != Turn::Begins {
                return None;
            }
            waiter.turn = Turn::Since(now);
            Some(YourTurn {
                file: waiter.tell?,
                owner: waiter.owner.clone(),
            })
        })
    }
}

impl super::shard::Locking {
    /// The locks or the order have changed; whether it has become anybody's turn.
    pub(super) fn review_waiters(&mut self) -> bool {
        let lockers = &self.lockers;
        self.waiters
            .review(&self.ranges, |owner| lockers.get(owner).copied())
    }

    /// A request was denied; whether it has become anybody's turn.
    pub(super) fn denied(&mut self, owner: &Owner, wanted: Held, waits: &Waits) -> bool {
        if waits.blocking {
            self.waiters.note(owner, wanted, waits);
        } else {
            // The last time that it asks (§9.6).
            self.waiters.forget(owner);
        }
        self.review_waiters()
    }
}

impl Waiting {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.files.lock().is_empty()
    }

    /// Somebody waits for a lock of this file.
    pub(super) fn begun(&self, key: &FileKey) {
        self.files.lock().insert(*key);
    }

    /// It has become somebody's turn.
    pub(super) fn ring(&self, key: &FileKey) {
        self.due.lock().insert(*key);
        self.bell.notify_one();
    }
}

impl Files {
    /// Resolves when it may be somebody's turn to lock something.
    pub async fn turns_due(&self) {
        self.waiting.bell.notified().await;
    }

    /// Those who are to be told that it is their turn, since the last call.
    pub fn turns(&self, now: Instant) -> Vec<YourTurn> {
        let due = std::mem::take(&mut *self.waiting.due.lock());
        due.iter().flat_map(|key| self.turns_of(key, now)).collect()
    }

    /// The same over all files, as time goes by: whoever does not use his turn loses it.
    pub fn all_turns(&self, now: Instant) -> Vec<YourTurn> {
        let waiting = self.waiting.files.lock().clone();
        let turns = waiting.iter().flat_map(|key| self.turns_of(key, now));
        turns.collect()
    }

    fn turns_of(&self, key: &FileKey, now: Instant) -> Vec<YourTurn> {
        let Some(mut shard) = self.shard_of(key) else {
            return Vec::new();
        };
        let locking = shard
            .files
            .place(key)
            .and_then(|file| shard.locking_mut(file));
        let Some(locking) = locking.filter(|locking| !locking.waiters.is_empty()) else {
            self.waiting.files.lock().remove(key);
            return Vec::new();
        };
        locking.waiters.0.retain(|waiter| !waiter.is_over(now));
        locking.review_waiters();
        locking.waiters.begin(now).collect()
    }
}
