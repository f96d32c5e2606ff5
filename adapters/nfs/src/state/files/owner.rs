//! Owners of 4.0: their operations are numbered, run one after another, and are answered again
//! when they are sent again. 4.1 has sessions instead and none of this.
//! <https://www.rfc-editor.org/rfc/rfc7530#section-9.1.7>

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

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
    clients: HashMap<ClientId, HashMap<Owner, Slot>>,
    /// Whose the opens were that owners closed last: a repeated CLOSE finds its owner here.
    closed: HashMap<Id, Owner>,
    /// When idle owners were last looked for.
    swept: Option<Instant>,
}

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
        let owners = inner
            .clients
            .get_mut(&owner.client)
            .ok_or(Status::Expired)?;
        if let Some(slot) = owners.get_mut(owner) {
            slot.used = now;
            return Ok(slot.sequence.clone());
        }
        if owners.len() >= limit {
            forget_idle(owners, &mut inner.closed, now, lease, &has_state);
        }
        if owners.len() >= limit {
            return Err(Status::Resource);
        }
        let sequence = Shared::default();
        owners.insert(
            owner.clone(),
            Slot {
                sequence: sequence.clone(),
                used: now,
                closed: None,
            },
        );
        Ok(sequence)
    }

    /// At most once in a lease, as all owners are looked at.
    pub(super) fn forget_idle(
        &self,
        now: Instant,
        lease: Duration,
        has_state: impl Fn(&Owner) -> bool,
    ) {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        if inner
            .swept
            .is_some_and(|at| now.saturating_duration_since(at) < lease)
        {
            return;
        }
        inner.swept = Some(now);
        for owners in inner.clients.values_mut() {
            forget_idle(owners, &mut inner.closed, now, lease, &has_state);
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
            .and_then(|owners| owners.get_mut(owner));
        if let Some(slot) = slot {
            if let Some(earlier) = slot.closed.replace(id) {
                inner.closed.remove(&earlier);
            }
            inner.closed.insert(id, owner.clone());
        }
    }

    pub(super) fn forget(&self, owner: &Owner) {
        let mut inner = self.inner.lock();
        if let Some(owners) = inner.clients.get_mut(&owner.client) {
            owners.remove(owner);
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        let inner = self.inner.lock();
        inner.clients.values().map(HashMap::len).sum()
    }

    pub(super) fn release_client(&self, client: ClientId) {
        let mut inner = self.inner.lock();
        let owners = inner.clients.remove(&client).unwrap_or_default();
        for id in owners.into_values().filter_map(|slot| slot.closed) {
            inner.closed.remove(&id);
        }
    }
}

fn forget_idle(
    owners: &mut HashMap<Owner, Slot>,
    closed: &mut HashMap<Id, Owner>,
    now: Instant,
    lease: Duration,
    has_state: &impl Fn(&Owner) -> bool,
) {
    owners.retain(|owner, slot| {
        let keep = now.saturating_duration_since(slot.used) <= lease
            || slot.sequence.is_wanted()
            || has_state(owner);
        if let (false, Some(id)) = (keep, slot.closed) {
            closed.remove(&id);
        }
        keep
    });
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
