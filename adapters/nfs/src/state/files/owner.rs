//! Owners of 4.0: their operations are numbered, run one after another, and are answered again
//! when they are sent again. 4.1 has sessions instead and none of this.
//! <https://www.rfc-editor.org/rfc/rfc7530#section-9.1.7>

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};

use super::Owner;
use super::stateid::Id;
use crate::exports::FileKey;
use crate::status::Status;
use crate::turn::Turns;
use crate::types::ClientId;

/// An owner's sequence; its operations hold it while they run.
pub type Shared = Turns<OwnerSeq>;

/// One operation in an owner's sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Which operation.
    pub op: Numbered,
    /// Its number.
    pub seqid: u32,
}

/// The operations that are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are called as they are")]
pub enum Numbered {
    Open,
    OpenConfirm,
    OpenDowngrade,
    Close,
    Lock,
    Locku,
}

/// Where an owner is in its sequence.
#[derive(Debug, Default)]
pub struct OwnerSeq {
    last: Option<(Step, Cached)>,
    /// Whether OPEN_CONFIRM came.
    pub confirmed: bool,
}

/// The result of an owner's last operation.
#[derive(Debug, Clone)]
pub struct Cached {
    /// Its status.
    pub status: Status,
    /// Its body, encoded.
    pub body: Bytes,
    /// The file that it made the current one (OPEN).
    pub current: Option<FileKey>,
}

/// What a sequence number means.
#[derive(Debug)]
pub enum Turn {
    /// It is the next one: run the operation.
    Run,
    /// It is the last one again: here is what was answered.
    Replay(Cached),
}

impl OwnerSeq {
    /// Judges the number of an operation; any but the next, and that of the last operation's
    /// repetition, is NFS4ERR_BAD_SEQID. The first one of an owner is what the client says.
    pub fn turn(&self, step: Step) -> Result<Turn, Status> {
        match &self.last {
            None => Ok(Turn::Run),
            Some((last, cached)) if *last == step => Ok(Turn::Replay(cached.clone())),
            Some((last, _)) if last.seqid.wrapping_add(1) == step.seqid => Ok(Turn::Run),
            Some(_) => Err(Status::BadSeqid),
        }
    }

    /// Keeps the result of an operation, unless it is one of those that leave the number
    /// unused.
    pub fn finish(&mut self, step: Step, cached: Cached) {
        let unused = matches!(
            cached.status,
            Status::StaleClientid
                | Status::StaleStateid
                | Status::BadStateid
                | Status::BadSeqid
                | Status::Badxdr
                | Status::Resource
                | Status::Nofilehandle
                | Status::Moved
        );
        if !unused {
            self.last = Some((step, cached));
        }
    }
}

/// The owners of all 4.0 clients.
#[derive(Debug, Default)]
pub struct Owners {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    clients: HashMap<ClientId, Own>,
    /// Whose the opens were that owners closed last: a repeated CLOSE finds its owner here.
    closed: HashMap<Id, Owner>,
    /// When idle owners were last looked for.
    swept: Option<Instant>,
}

/// The owners of one client.
#[derive(Debug, Default)]
struct Own {
    slots: BTreeMap<Owner, Slot>,
    /// The last one that was looked at for room.
    looked: Option<Owner>,
}

/// Owners that are looked at at once, to see whether they are idle.
const LOOKED: usize = 1024;

#[derive(Debug)]
struct Slot {
    sequence: Shared,
    used: Instant,
    closed: Option<Id>,
}

impl Owners {
    pub(super) fn admit_client(&self, client: ClientId) {
        self.inner.lock().clients.entry(client).or_default();
    }

    /// The sequence of an owner, which begins here if there was none. A client has at most
    /// `limit` owners; those without state (`has_state`) that were silent for `lease` make room.
    pub fn sequence(
        &self,
        owner: &Owner,
        now: Instant,
        lease: Duration,
        limit: usize,
        has_state: impl Fn(&Owner) -> bool,
    ) -> Result<Shared, Status> {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let own = inner
            .clients
            .get_mut(&owner.client)
            .ok_or(Status::Expired)?;
        if let Some(slot) = own.slots.get_mut(owner) {
            slot.used = now;
            return Ok(slot.sequence.clone());
        }
        if own.slots.len() >= limit {
            // Some of them each time, round and round.
            let from = own.looked.take();
            own.looked = own.forget_idle(from, &mut inner.closed, (now, lease), &has_state);
        }
        if own.slots.len() >= limit {
            return Err(Status::Resource);
        }
        let sequence = Shared::default();
        own.slots.insert(
            owner.clone(),
            Slot {
                sequence: sequence.clone(),
                used: now,
                closed: None,
            },
        );
        Ok(sequence)
    }

    /// At most once in a lease, as all owners are looked at; others get the lock in between.
    pub(super) fn forget_idle(
        &self,
        now: Instant,
        lease: Duration,
        has_state: impl Fn(&Owner) -> bool,
    ) {
        let clients: Vec<ClientId> = {
            let mut inner = self.inner.lock();
            let early = |at| now.saturating_duration_since(at) < lease;
            if inner.swept.is_some_and(early) {
                return;
            }
            inner.swept = Some(now);
            inner.clients.keys().copied().collect()
        };
        for client in clients {
            let mut from = None;
            loop {
                let mut guard = self.inner.lock();
                let inner = &mut *guard;
                let own = inner.clients.get_mut(&client);
                from = own.and_then(|own| {
                    own.forget_idle(from, &mut inner.closed, (now, lease), &has_state)
                });
                MutexGuard::unlock_fair(guard);
                if from.is_none() {
                    break;
                }
            }
        }
    }

    pub(super) fn of_closed(&self, id: Id) -> Option<Owner> {
        self.inner.lock().closed.get(&id).cloned()
    }

    pub(super) fn note_closed(&self, owner: &Owner, id: Id) {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let slot = inner
            .clients
            .get_mut(&owner.client)
            .and_then(|own| own.slots.get_mut(owner));
        if let Some(slot) = slot {
            if let Some(earlier) = slot.closed.replace(id) {
                inner.closed.remove(&earlier);
            }
            inner.closed.insert(id, owner.clone());
        }
    }

    pub(super) fn forget(&self, owner: &Owner) {
        let mut inner = self.inner.lock();
        if let Some(own) = inner.clients.get_mut(&owner.client) {
            own.slots.remove(owner);
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        let inner = self.inner.lock();
        inner.clients.values().map(|own| own.slots.len()).sum()
    }

    pub(super) fn release_client(&self, client: ClientId) {
        let mut inner = self.inner.lock();
        let own = inner.clients.remove(&client).unwrap_or_default();
        for id in own.slots.into_values().filter_map(|slot| slot.closed) {
            inner.closed.remove(&id);
        }
    }
}

impl Own {
    /// Forgets those of the next owners after `from` that were silent for `lease` and have no state.
    /// Returns the last one that was looked at, if there may be more.
    fn forget_idle(
        &mut self,
        from: Option<Owner>,
        closed: &mut HashMap<Id, Owner>,
        (now, lease): (Instant, Duration),
        has_state: &impl Fn(&Owner) -> bool,
    ) -> Option<Owner> {
        let after = from.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.slots.range((after, Bound::Unbounded)).take(LOOKED);
        let next: Vec<_> = next.collect();
        let last = next.get(LOOKED - 1).map(|(owner, _)| Owner::clone(owner));
        let is_idle = |(owner, slot): &(&Owner, &Slot)| {
            now.saturating_duration_since(slot.used) > lease
                && !slot.sequence.is_wanted()
                && !has_state(owner)
        };
        let idle = next.into_iter().filter(is_idle);
        let idle: Vec<Owner> = idle.map(|(owner, _)| owner.clone()).collect();
        for owner in idle {
            if let Some(id) = self.slots.remove(&owner).and_then(|slot| slot.closed) {
                closed.remove(&id);
            }
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn cached(status: Status) -> Cached {
        Cached {
            status,
            body: Bytes::from_static(b"body"),
            current: None,
        }
    }

    fn step(seqid: u32) -> Step {
        Step {
            op: Numbered::Open,
            seqid,
        }
    }

    #[test]
    fn the_next_runs_the_last_is_replayed_and_others_are_bad() {
        let mut seq = OwnerSeq::default();
        assert!(matches!(seq.turn(step(u32::MAX)), Ok(Turn::Run)));
        seq.finish(step(u32::MAX), cached(Status::Ok));
        assert!(
            matches!(seq.turn(step(0)), Ok(Turn::Run)),
            "0 is an ordinary number"
        );
        let Ok(Turn::Replay(replay)) = seq.turn(step(u32::MAX)) else {
            panic!("the last one is replayed");
        };
        assert_eq!(replay.body, &b"body"[..]);
        assert_eq!(seq.turn(step(1)).unwrap_err(), Status::BadSeqid);
        let close = Step {
            op: Numbered::Close,
            seqid: u32::MAX,
        };
        assert_eq!(
            seq.turn(close).unwrap_err(),
            Status::BadSeqid,
            "no repetition"
        );
    }

    #[test]
    fn an_error_that_says_nothing_of_the_owner_leaves_the_number_unused() {
        let mut seq = OwnerSeq::default();
        seq.finish(step(7), cached(Status::Ok));
        seq.finish(step(8), cached(Status::BadStateid));
        assert!(matches!(seq.turn(step(8)), Ok(Turn::Run)));
        seq.finish(step(8), cached(Status::Noent));
        assert!(matches!(seq.turn(step(8)), Ok(Turn::Replay(_))));
    }

    #[test]
    fn owners_without_state_make_room_after_a_lease() {
        let owners = Owners::default();
        owners.admit_client(ClientId(1));
        let start = Instant::now();
        let lease = Duration::from_secs(90);
        let owner = |name: u8| Owner {
            client: ClientId(1),
            role: super::super::Role::Open,
            name: Arc::from([name]),
        };
        let sequence = |name, now, busy: bool| {
            owners
                .sequence(&owner(name), now, lease, 2, |_| busy)
                .map(|_| ())
        };
        assert_eq!(sequence(1, start, false), Ok(()));
        assert_eq!(sequence(2, start, false), Ok(()));
        assert_eq!(sequence(3, start, false), Err(Status::Resource));
        let later = start + lease + Duration::from_secs(1);
        assert_eq!(sequence(3, later, true), Err(Status::Resource));
        assert_eq!(sequence(3, later, false), Ok(()));
    }

    #[test]
    fn idle_owners_are_found_step_by_step_however_many_there_are() {
        let (owners, start) = (Owners::default(), Instant::now());
        let lease = Duration::from_secs(90);
        owners.admit_client(ClientId(1));
        let count = 2 * LOOKED + 1;
        let owner = |number: usize| Owner {
            client: ClientId(1),
            role: super::super::Role::Open,
            name: Arc::from(number.to_be_bytes()),
        };
        let sequence = |number, now, busy: &dyn Fn(&Owner) -> bool| {
            let all = count;
            let sequence = owners.sequence(&owner(number), now, lease, all, busy);
            sequence.map(|_| ())
        };
        for number in 0..count {
            sequence(number, start, &|_| false).unwrap();
        }
        let later = start + lease * 2;
        let last = owner(count - 1);
        let busy = |owner: &Owner| *owner != last;
        let tries = (0..4).map(|_| sequence(count, later, &busy).is_ok());
        assert_eq!(tries.collect::<Vec<_>>(), [false, false, true, true]);
        assert_eq!(owners.count(), count, "the last one made room");
        owners.forget_idle(later, lease, |owner| owner.name.ends_with(&[0]));
        assert_eq!(
            owners.count(),
            count / 256 + 1,
            "and the new one is not idle"
        );
    }

    #[test]
    fn an_idle_owner_is_forgotten_with_the_open_that_it_closed() {
        let (owners, start) = (Owners::default(), Instant::now());
        let lease = Duration::from_secs(90);
        let me = Owner {
            client: ClientId(1),
            role: super::super::Role::Open,
            name: Arc::from(*b"me"),
        };
        owners.admit_client(me.client);
        drop(owners.sequence(&me, start, lease, 1, |_| false).unwrap());
        owners.note_closed(&me, Id(7));
        owners.forget_idle(start + lease, lease, |_| false);
        assert_eq!(owners.of_closed(Id(7)).as_ref(), Some(&me));
        owners.forget_idle(start + lease * 2, lease, |_| true);
        assert!(owners.of_closed(Id(7)).is_some(), "it has state");
        owners.forget_idle(start + lease * 3, lease, |_| false);
        assert_eq!(owners.of_closed(Id(7)), None);
    }
}
