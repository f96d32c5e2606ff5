//! The files of one shard and the states on them.

use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::Arc;

use dittofs_sdk::vfs::{File, OpenAccess};

use super::delegation::{Delegation, DelegationKind, History};
use super::few::{Few, Rare};
use super::index::Index;
use super::range::{Held, Locks};
use super::revoked::{Losses, Revoked};
use super::serving::Serving;
use super::share::{Modes, Tally};
use super::stateid::{Caller, Id};
use super::table::{Key, Place, Table};
use super::wait::{Waiters, Waiting, Waits};
use super::{Owner, ToClose};
use crate::exports::FileKey;
use crate::state::recent::Recent;
use crate::status::Status;
use crate::types::ClientId;

/// How many lost states a shard remembers.
const EXPIRED: usize = 256;

/// Ranges that are taken out at once when nobody holds them any more.
const SWEPT: usize = 1024;

pub(super) struct Shard {
    pub(super) files: Table,
    pub(super) states: HashMap<Id, Box<Entry>, ahash::RandomState>,
    /// What 4.0 clients lost with their leases.
    pub(super) expired: Recent<Id, EXPIRED>,
    /// Files over whose delegations there were conflicts.
    pub(super) history: History,
    /// Files whose locks are still to be swept.
    unswept: Vec<Place>,
    losses: Arc<Losses>,
    waiting: Arc<Waiting>,
}

/// What a stateid names.
pub(super) enum Entry {
    Open(Open),
    Lock(Lock),
    /// Larger than what there is most of.
    Delegation(Box<Delegation>),
}

// With what the allocator adds, the next larger takes 16 more.
const _: () = assert!(size_of::<Entry>() <= 56 && size_of::<OpenFile>() <= 120);

/// Owners that have something of one file. Their names are the clients'.
pub(super) type ByOwner = Few<Arc<Owner>, Id, RandomState>;

/// States of one owner.
pub(super) type Ids = Few<Id, (), ahash::RandomState>;

/// A file that someone has open, or delegated, or is about to change.
pub(super) struct OpenFile {
    pub(super) key: Key,
    pub(super) opens: ByOwner,
    pub(super) delegations: Rare<ClientId, (Id, DelegationKind), ahash::RandomState>,
    pub(super) tally: Tally,
    /// Changes under way.
    pub(super) held: usize,
    /// Of most files nothing is ever locked.
    pub(super) locking: Option<Box<Locking>>,
}

/// Who has locked, or would like to lock, what of one file.
pub(super) struct Locking {
    key: FileKey,
    pub(super) lockers: ByOwner,
    pub(super) ranges: Locks,
    /// Who waits for them.
    pub(super) waiters: Waiters,
}

/// One owner's open of one file.
pub(super) struct Open {
    pub(super) owner: Arc<Owner>,
    pub(super) file: Place,
    /// As whom the files are open.
    pub(super) user: u32,
    pub(super) seqid: u32,
    pub(super) modes: Modes,
    /// False until OPEN_CONFIRM, in 4.0.
    pub(super) confirmed: bool,
    pub(super) files: Serving,
    /// Lock stateids that came from this open and end with it.
    pub(super) lockers: Rare<Id, (), ahash::RandomState>,
}

/// One lock owner's locks of one file.
pub(super) struct Lock {
    pub(super) owner: Arc<Owner>,
    pub(super) file: Place,
    pub(super) seqid: u32,
    pub(super) open: Id,
}

impl Entry {
    /// Whose it is; a delegation has no owner but the client.
    pub(super) fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Open(open) => Some(&open.owner),
            Self::Lock(lock) => Some(&lock.owner),
            Self::Delegation(_) => None,
        }
    }

    pub(super) fn client(&self) -> ClientId {
        match self {
            Self::Open(open) => open.owner.client,
            Self::Lock(lock) => lock.owner.client,
            Self::Delegation(delegation) => delegation.client,
        }
    }

    /// The file that it is of.
    pub(super) fn file(&self) -> Place {
        match self {
            Self::Open(open) => open.file,
            Self::Lock(lock) => lock.file,
            Self::Delegation(delegation) => delegation.file,
        }
    }

    fn seqid(&self) -> u32 {
        match self {
            Self::Open(open) => open.seqid,
            Self::Lock(lock) => lock.seqid,
            Self::Delegation(delegation) => delegation.seqid,
        }
    }
}

impl Open {
    /// The open file that serves `access`. A stateid proves nothing of who shows it: another user
    /// is judged as any other.
    pub(super) fn serving(&self, access: OpenAccess, user: u32) -> Option<Arc<dyn File>> {
        let files = Some(&self.files).filter(|_| user == self.user);
        files?.of(access).cloned()
    }

    /// Returns what `modes` do not allow any more.
    pub(super) fn restrict(&mut self, modes: Modes) -> ToClose {
        self.modes = modes;
        self.files.restrict(modes.share().access())
    }
}

/// A refusal of what is no state of an owner.
pub(super) fn not_delegated(status: Status) -> Status {
    match status {
        Status::DelegRevoked => Status::BadStateid,
        other => other,
    }
}

impl Shard {
    pub(super) fn new(
        hasher: ahash::RandomState,
        losses: Arc<Losses>,
        waiting: Arc<Waiting>,
    ) -> Self {
        Self {
            files: Table::new(hasher.clone()),
            // The ids are random, and the server's.
            states: HashMap::with_hasher(hasher),
            expired: Recent::default(),
            history: History::default(),
            unswept: Vec::new(),
            losses,
            waiting,
        }
    }

    pub(super) fn state(&self, id: Id) -> Option<&Entry> {
        self.states.get(&id).map(Box::as_ref)
    }

    pub(super) fn state_mut(&mut self, id: Id) -> Option<&mut Entry> {
        self.states.get_mut(&id).map(Box::as_mut)
    }

    /// The state of `id`, if the caller may use it, it is of the file, and the counter is the
    /// current one. Wrong client and wrong file are NFS4ERR_BAD_STATEID (RFC 8881 §8.2.4).
    pub(super) fn find(
        &self,
        caller: Caller,
        id: Id,
        seqid: u32,
        key: Option<&FileKey>,
    ) -> Result<&Entry, Status> {
        let entry = self.state(id).ok_or_else(|| self.missing(caller, id))?;
        let is_of = |key| {
            self.files
                .at(entry.file())
                .is_some_and(|file| file.key.is(key))
        };
        if !caller.owns(entry.client()) || !key.is_none_or(is_of) {
            return Err(Status::BadStateid);
        }
        caller.check_seqid(seqid, entry.seqid())?;
        Ok(entry)
    }

    /// As [`find`](Self::find), where an open or lock is meant. A delegation is neither, be it
    /// revoked or not: NFS4ERR_BAD_STATEID (RFC 8881 §8.2.4).
    pub(super) fn find_owned(
        &self,
        caller: Caller,
        id: Id,
        seqid: u32,
        key: &FileKey,
    ) -> Result<&Entry, Status> {
        self.find(caller, id, seqid, Some(key))
            .map_err(not_delegated)
    }

    /// Why there is no state of `id`: it was revoked, or never was. A 4.0 client that is forgotten is
    /// told as well if it was too late (RFC 7530 §9.6.3.2); one of 4.1 has lost its session and knows.
    pub(super) fn missing(&self, caller: Caller, id: Id) -> Status {
        if let Some(revoked) = self.losses.status(caller, id) {
            return revoked;
        }
        match caller {
            Caller::V40 if self.expired.contains(&id) => Status::Expired,
            _ => Status::BadStateid,
        }
    }

    pub(super) fn open(&self, id: Id) -> Result<&Open, Status> {
        match self.state(id) {
            Some(Entry::Open(open)) => Ok(open),
            _ => Err(Status::BadStateid),
        }
    }

    pub(super) fn open_mut(&mut self, id: Id) -> Result<&mut Open, Status> {
        match self.state_mut(id) {
            Some(Entry::Open(open)) => Ok(open),
            _ => Err(Status::BadStateid),
        }
    }

    pub(super) fn lock_mut(&mut self, id: Id) -> Result<&mut Lock, Status> {
        match self.state_mut(id) {
            Some(Entry::Lock(lock)) => Ok(lock),
            _ => Err(Status::BadStateid),
        }
    }

    /// How many ranges a lock stateid holds.
    pub(super) fn locks_of(&self, file: Place, id: Id) -> usize {
        self.locking(file)
            .map_or(0, |locking| locking.ranges.count(id))
    }

    /// The locks of a file, if anybody ever locked or waited.
    pub(super) fn locking(&self, file: Place) -> Option<&Locking> {
        self.files.at(file)?.locking.as_deref()
    }

    pub(super) fn locking_mut(&mut self, file: Place) -> Option<&mut Locking> {
        self.files.at_mut(file)?.locking.as_deref_mut()
    }

    /// Takes away a state and what hangs on it, and remembers that.
    pub(super) fn revoke(&mut self, id: Id, why: Revoked, index: &Index) -> ToClose {
        let lockers = match self.state(id) {
            Some(Entry::Open(open)) => Some(&open.lockers),
            _ => None,
        };
        let lockers = lockers.into_iter().flat_map(Rare::iter);
        for id in [id].into_iter().chain(lockers.map(|(id, ())| *id)) {
            if let Some(entry) = self.state(id) {
                self.losses.note(id, entry, why);
            }
        }
        self.remove(id, index)
    }

    /// Forgets a state and what hangs on it.
    pub(super) fn remove(&mut self, id: Id, index: &Index) -> ToClose {
        let mut closed = ToClose::new();
        let Some(entry) = self.states.remove(&id) else {
            return closed;
        };
        let place = entry.file();
        match *entry {
            Entry::Open(open) => {
                for (&locker, ()) in open.lockers.iter() {
                    closed.extend(self.remove(locker, index));
                }
                index.remove_open(&open.owner, id);
                if let Some(file) = self.files.at_mut(place) {
                    file.opens.remove(&*open.owner);
                    file.tally.remove(open.modes.share());
                    file.forget_waiters_of(open.owner.client);
                }
                closed.extend(open.files.into_files());
            }
            Entry::Lock(lock) => {
                if let Some(locking) = self.locking_mut(place) {
                    locking.lockers.remove(&*lock.owner);
                    let held = locking.ranges.count(id);
                    locking.ranges.clear(id);
                    let swept = !locking.ranges.sweep(SWEPT);
                    index.add_ranges(lock.owner.client, held, 0);
                    if !swept && !self.unswept.contains(&place) {
                        self.unswept.push(place);
                    }
                }
                index.remove_lock(&lock.owner, id);
                if let Ok(open) = self.open_mut(lock.open) {
                    open.lockers.remove(&id);
                }
            }
            Entry::Delegation(delegation) => {
                if let Some(file) = self.files.at_mut(place) {
                    file.delegations.remove(&delegation.client);
                }
                index.pool.remove(delegation.client, id, delegation.kind);
                closed.push(delegation.into_open());
            }
        }
        self.review_waiters(place);
        self.forget_unused(place);
        closed
    }

    /// Whether ranges that nobody holds any more are to be taken out.
    pub(super) fn is_swept(&self) -> bool {
        self.unswept.is_empty()
    }

    /// Takes out some of the ranges that nobody holds any more, which is a moment's work. Whether
    /// more are left.
    pub(super) fn sweep_locks(&mut self) -> bool {
        if let Some(place) = self.unswept.last().copied() {
            let locking = self.locking_mut(place);
            if !locking.is_some_and(|locking| locking.ranges.sweep(SWEPT)) {
                self.unswept.pop();
                self.forget_unused(place);
            }
        }
        !self.unswept.is_empty()
    }

    /// Locks of a file have changed: it may be the turn of somebody who waits for them.
    pub(super) fn review_waiters(&mut self, file: Place) {
        if let Some(locking) = self.locking_mut(file)
            && !locking.waiters.is_empty()
            && locking.review_waiters()
        {
            let key = locking.key;
            self.waiting.ring(&key);
        }
    }

    /// A lock was denied: remembers who waits for it.
    pub(super) fn note_denied(
        &mut self,
        key: &FileKey,
        owner: &Owner,
        wanted: Held,
        waits: &Waits,
    ) {
        let Some(locking) = self.files.get_mut(key).map(|file| file.locking_for(key)) else {
            return;
        };
        if waits.blocking {
            self.waiting.begun(key);
        } else if locking.waiters.is_empty() {
            return;
        }
        if locking.denied(owner, wanted, waits) {
            self.waiting.ring(key);
        }
    }

    pub(super) fn forget_unused(&mut self, place: Place) {
        if self.files.at_mut(place).is_some_and(OpenFile::tidy) {
            self.files.remove(place);
        }
    }
}

impl OpenFile {
    pub(super) fn new(key: Key) -> Self {
        Self {
            key,
            opens: Few::None,
            delegations: Rare::default(),
            tally: Tally::default(),
            held: 0,
            locking: None,
        }
    }

    /// Its locks, which are about to become some.
    pub(super) fn locking_for(&mut self, key: &FileKey) -> &mut Locking {
        self.locking.get_or_insert_with(|| {
            Box::new(Locking {
                key: *key,
                lockers: Few::None,
                ranges: Locks::default(),
                waiters: Waiters::default(),
            })
        })
    }

    /// Who has closed the file waits for none of its locks.
    fn forget_waiters_of(&mut self, client: ClientId) {
        if let Some(locking) = &mut self.locking
            && locking.waiters.are_of(client)
            && !self.opens.keys().any(|owner| owner.client == client)
        {
            locking.waiters.forget_client(client);
        }
    }

    /// Drops what is of no use; whether nothing is.
    fn tidy(&mut self) -> bool {
        let unlocked = self
            .locking
            .as_ref()
            .is_none_or(|locking| locking.lockers.is_empty() && locking.ranges.is_empty());
        if unlocked
            && self
                .locking
                .as_ref()
                .is_some_and(|locking| locking.waiters.is_empty())
        {
            self.locking = None;
        }
        unlocked && self.opens.is_empty() && self.delegations.is_empty() && self.held == 0
    }
}
