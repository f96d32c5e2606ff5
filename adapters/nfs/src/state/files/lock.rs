//! Byte-range locks under stateids.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-9.4>

use std::ops::ControlFlow;
use std::sync::Arc;

use parking_lot::MutexGuard;

use super::range::{Held, LockKind, Range};
use super::shard::{Entry, Lock, Shard};
use super::stateid::{Caller, Id, next_seqid};
use super::table::Place;
use super::wait::Waits;
use super::{Bound, Files, Owner};
use crate::exports::FileKey;
use crate::status::Status;
use crate::types::{ClientId, StateId};

/// Ranges that LOCKU takes away at once.
const CUT: usize = 1024;

/// A lock that is wanted.
#[derive(Debug, Clone, Copy)]
pub struct LockRequest {
    /// Which bytes.
    pub range: Range,
    /// For what.
    pub kind: LockKind,
    /// Most locked ranges.
    pub limit: Bound,
    /// How it waits if it is denied.
    pub waits: Waits,
}

/// A lock that stands against a wanted one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Its bytes.
    pub range: Range,
    /// Its kind.
    pub kind: LockKind,
    /// Whose it is.
    pub owner: Owner,
}

/// Why there is no lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockError {
    /// NFS4ERR_DENIED
    Denied(Conflict),
    /// Something else.
    Status(Status),
}

impl From<Status> for LockError {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl Files {
    /// LOCK by an owner that shows an open (open_to_lock_owner4).
    pub fn lock_first(
        &self,
        caller: Caller,
        open: &StateId,
        key: &FileKey,
        owner: &Owner,
        request: LockRequest,
    ) -> Result<StateId, LockError> {
        let open_id = self.ids.read(caller, open)?;
        let number = open_id.shard();
        let mut guard = self.shard(number).ok_or(Status::BadStateid)?;
        let shard = &mut *guard;
        let Entry::Open(state) = shard.find_owned(caller, open_id, open.seqid, key)? else {
            return Err(Status::BadStateid.into());
        };
        let file = state.file;
        // Both owners are of one client (RFC 8881 §18.10.3).
        if state.owner.client != owner.client {
            return Err(Status::Inval.into());
        }
        shard.check_mode(open_id, request.kind)?;
        let locking = shard.locking(file);
        let known = locking.and_then(|locking| locking.lockers.get(owner).copied());
        // Who has locks here has a sequence of its own by now (RFC 7530 §16.10.5). A stateid that
        // holds none might as well be gone, and clients begin with it anew.
        let holds = |id| shard.belongs(id, open_id) && shard.locks_of(file, id) != 0;
        if caller == Caller::V40 && known.is_some_and(holds) {
            return Err(Status::BadSeqid.into());
        }
        self.check(shard, caller, key, owner, known, request)?;
        let id = match known {
            Some(id) => id,
            None => self.add_locker(shard, number, open_id, key, owner)?,
        };
        self.take(shard, id, file, request)
    }

    /// LOCK by an owner that shows its lock stateid (exist_lock_owner4).
    pub fn lock_more(
        &self,
        caller: Caller,
        stateid: &StateId,
        key: &FileKey,
        request: LockRequest,
    ) -> Result<StateId, LockError> {
        let id = self.ids.read(caller, stateid)?;
        let mut guard = self.shard(id.shard()).ok_or(Status::BadStateid)?;
        let shard = &mut *guard;
        let Entry::Lock(lock) = shard.find_owned(caller, id, stateid.seqid, key)? else {
            return Err(Status::BadStateid.into());
        };
        let (file, open, owner) = (lock.file, lock.open, Arc::clone(&lock.owner));
        shard.check_mode(open, request.kind)?;
        self.check(shard, caller, key, &owner, Some(id), request)?;
        self.take(shard, id, file, request)
    }

    /// LOCKU; bytes that are not locked are no error (RFC 8881 §18.12.3).
    pub fn unlock(
        &self,
        caller: Caller,
        stateid: &StateId,
        key: &FileKey,
        range: Range,
        limit: usize,
    ) -> Result<StateId, Status> {
        let id = self.ids.read(caller, stateid)?;
        let mut shard = self.shard(id.shard()).ok_or(Status::BadStateid)?;
        let Entry::Lock(lock) = shard.find_owned(caller, id, stateid.seqid, key)? else {
            return Err(Status::BadStateid);
        };
        let (file, client) = (lock.file, lock.owner.client);
        // A hole in the middle makes one range two.
        if self.index.ranges(client) > limit {
            return Err(caller.exhausted());
        }
        let mut left = Some(range);
        while let (Some(range), Some(locking)) = (left, shard.locking_mut(file)) {
            let before = locking.ranges.count(id);
            left = locking.ranges.unlock(id, range, CUT);
            self.index
                .add_ranges(client, before, locking.ranges.count(id));
            shard.review_waiters(file);
            if left.is_some() {
                // Whoever wants the shard gets it in between.
                MutexGuard::bump(&mut shard);
                // The owner may have closed the file meanwhile.
                shard.lock_mut(id)?;
            }
        }
        let lock = shard.lock_mut(id)?;
        lock.seqid = next_seqid(lock.seqid);
        Ok(self.ids.stateid(id, lock.seqid))
    }

    /// LOCKT: a lock that stands against what `owner` might want, and is of none of the clients
    /// `except`.
    pub fn lock_conflict(
        &self,
        key: &FileKey,
        owner: &Owner,
        (range, kind): (Range, LockKind),
        except: &[ClientId],
    ) -> Option<Conflict> {
        let shard = self.shard_of(key)?;
        let locking = shard.files.get(key)?.locking.as_ref()?;
        let known = locking.lockers.get(owner).copied();
        let wanted = Held { range, kind };
        let found =
            locking.ranges.against(
                known,
                wanted,
                &mut |id, held| match shard.conflict_of(id, held) {
                    Some(conflict) if !except.contains(&conflict.owner.client) => {
                        ControlFlow::Break(conflict)
                    }
                    _ => ControlFlow::Continue(()),
                },
            );
        found.break_value()
    }

    /// RELEASE_LOCKOWNER: forgets a lock owner that holds no locks (RFC 7530 §16.37).
    pub fn release_lock_owner(&self, owner: &Owner) -> Result<(), Status> {
        let ids = self.index.of_owner(owner);
        let held = ids.iter().any(|&id| {
            self.shard(id.shard())
                .is_some_and(|shard| match shard.state(id) {
                    Some(Entry::Lock(lock)) => shard.locks_of(lock.file, id) != 0,
                    _ => false,
                })
        });
        if held {
            return Err(Status::LocksHeld);
        }
        drop(self.discard(ids));
        self.owners.forget(owner);
        Ok(())
    }

    /// Refuses what conflicts or exceeds the client's share of memory, and remembers who waits.
    fn check(
        &self,
        shard: &mut Shard,
        caller: Caller,
        key: &FileKey,
        owner: &Owner,
        known: Option<Id>,
        request: LockRequest,
    ) -> Result<(), LockError> {
        let wanted = Held {
            range: request.range,
            kind: request.kind,
        };
        let held = shard.conflict(key, known, wanted);
        let conflict = held.or_else(|| shard.ahead(key, owner, wanted, &request.waits));
        if let Some(conflict) = conflict {
            shard.note_denied(key, owner, wanted, &request.waits);
            return Err(LockError::Denied(conflict));
        }
        if self.index.ranges_full(owner.client, request.limit) {
            return Err(caller.exhausted().into());
        }
        Ok(())
    }

    fn add_locker(
        &self,
        shard: &mut Shard,
        number: usize,
        open: Id,
        key: &FileKey,
        owner: &Owner,
    ) -> Result<Id, Status> {
        let id = self.unused_id(shard, number);
        let owner = self.index.add_lock(owner, id)?;
        let open_state = shard.open_mut(open)?;
        open_state.lockers.insert(id, ());
        let file = open_state.file;
        if let Some(file) = shard.files.at_mut(file) {
            file.locking_for(key).lockers.insert(Arc::clone(&owner), id);
        }
        let lock = Lock {
            owner,
            file,
            seqid: 0,
            open,
        };
        shard.states.insert(id, Box::new(Entry::Lock(lock)));
        Ok(id)
    }

    fn take(
        &self,
        shard: &mut Shard,
        id: Id,
        file: Place,
        request: LockRequest,
    ) -> Result<StateId, LockError> {
        let lock = shard.lock_mut(id)?;
        lock.seqid = next_seqid(lock.seqid);
        let (stateid, client) = (self.ids.stateid(id, lock.seqid), lock.owner.client);
        let locking = shard.locking_mut(file).ok_or(Status::BadStateid)?;
        let before = locking.ranges.count(id);
        let wanted = Held {
            range: request.range,
            kind: request.kind,
        };
        locking.ranges.lock(id, wanted);
        self.index
            .add_ranges(client, before, locking.ranges.count(id));
        shard.granted(file, id);
        Ok(stateid)
    }
}

impl Shard {
    fn belongs(&self, lock: Id, open: Id) -> bool {
        matches!(self.state(lock), Some(Entry::Lock(lock)) if lock.open == open)
    }

    /// Whoever waits for the file and goes first, if the request waits too.
    fn ahead(&self, key: &FileKey, owner: &Owner, wanted: Held, waits: &Waits) -> Option<Conflict> {
        let file = self.files.get(key).filter(|_| waits.blocking)?;
        file.locking
            .as_ref()?
            .waiters
            .ahead(owner, wanted, waits.now)
    }

    /// A lock was granted: its owner waits no more, and may have let others go by asking for less
    /// than it had.
    fn granted(&mut self, file: Place, id: Id) {
        let Self { files, states, .. } = self;
        let Some(locking) = files.at_mut(file).and_then(|file| file.locking.as_mut()) else {
            return;
        };
        if locking.waiters.is_empty() {
            return;
        }
        if let Some(Entry::Lock(lock)) = states.get(&id).map(Box::as_ref) {
            locking.waiters.forget(&lock.owner);
        }
        self.review_waiters(file);
    }

    fn conflict(&self, key: &FileKey, own: Option<Id>, wanted: Held) -> Option<Conflict> {
        let locking = self.files.get(key)?.locking.as_ref()?;
        let (id, held) = locking.ranges.conflict(own, wanted)?;
        self.conflict_of(id, held)
    }

    fn conflict_of(&self, id: Id, held: Held) -> Option<Conflict> {
        Some(Conflict {
            range: held.range,
            kind: held.kind,
            owner: self.state(id)?.owner()?.clone(),
        })
    }

    /// A write lock needs an open for writing, a read lock one for reading
    /// (RFC 8881 §18.10.4: NFS4ERR_OPENMODE).
    fn check_mode(&self, open: Id, kind: LockKind) -> Result<(), Status> {
        let open = self.open(open)?;
        if !open.confirmed {
            return Err(Status::BadStateid);
        }
        let access = open.modes.share().access();
        let allowed = match kind {
            LockKind::Read => access.reads(),
            LockKind::Write => access.writes(),
        };
        if allowed {
            Ok(())
        } else {
            Err(Status::Openmode)
        }
    }
}
