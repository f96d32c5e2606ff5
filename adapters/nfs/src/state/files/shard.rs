//! The files of one shard and the states on them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use dittofs_sdk::vfs::{File, OpenAccess};

use super::delegation::{Delegation, DelegationKind, History};
use super::index::Index;
use super::range::{Held, Locks};
use super::revoked::{Losses, Revoked};
use super::share::{Modes, Tally};
use super::stateid::{Caller, Id};
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
    pub(super) files: HashMap<FileKey, OpenFile>,
    pub(super) states: HashMap<Id, Entry>,
    /// What 4.0 clients lost with their leases.
    pub(super) expired: Recent<Id, EXPIRED>,
    /// Files over whose delegations there were conflicts.
    pub(super) history: History,
    /// Files whose locks are still to be swept.
    unswept: Vec<FileKey>,
    losses: Arc<Losses>,
    waiting: Arc<Waiting>,
}

/// What a stateid names.
pub(super) enum Entry {
    Open(Open),
    Lock(Lock),
    Delegation(Delegation),
}

/// A file that someone has open, or delegated, or is about to change.
#[derive(Default)]
pub(super) struct OpenFile {
    pub(super) opens: HashMap<Owner, Id>,
    pub(super) lockers: HashMap<Owner, Id>,
    pub(super) tally: Tally,
    pub(super) locks: Locks,
    /// Who waits for them.
    pub(super) waiters: Waiters,
    pub(super) delegations: HashMap<ClientId, (Id, DelegationKind)>,
    /// Changes under way.
    pub(super) held: usize,
}

/// One owner's open of one file.
pub(super) struct Open {
    pub(super) owner: Owner,
    pub(super) key: FileKey,
    /// As whom the files are open.
    pub(super) user: u32,
    pub(super) seqid: u32,
    pub(super) modes: Modes,
    /// False until OPEN_CONFIRM, in 4.0.
    pub(super) confirmed: bool,
    pub(super) reader: Option<Arc<dyn File>>,
    pub(super) writer: Option<Arc<dyn File>>,
    /// Lock stateids that came from this open and end with it.
    pub(super) lockers: BTreeSet<Id>,
}

/// One lock owner's locks of one file.
pub(super) struct Lock {
    pub(super) owner: Owner,
    pub(super) key: FileKey,
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
}

impl Open {
    /// The open file that serves `access`. A stateid proves nothing of who shows it: another user
    /// is judged as any other.
    pub(super) fn file(&self, access: OpenAccess, user: u32) -> Option<Arc<dyn File>> {
        if user != self.user {
            None
        } else if access.writes() {
            self.writer.clone()
        } else {
            self.reader.clone()
        }
    }

    /// Uses `file` for all that it was opened for; returns what it takes the place of.
    pub(super) fn adopt(&mut self, file: &Arc<dyn File>, access: OpenAccess) -> ToClose {
        let mut replaced = ToClose::new();
        if access.reads() {
            replaced.extend(self.reader.replace(Arc::clone(file)));
        }
        if access.writes() {
            replaced.extend(self.writer.replace(Arc::clone(file)));
        }
        replaced
    }

    /// Returns what `modes` do not allow any more.
    pub(super) fn restrict(&mut self, modes: Modes) -> ToClose {
        self.modes = modes;
        let access = modes.share().access();
        let mut closed = ToClose::new();
        if !access.reads() {
            closed.extend(self.reader.take());
        }
        if !access.writes() {
            closed.extend(self.writer.take());
        }
        closed
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
    pub(super) fn new(losses: Arc<Losses>, waiting: Arc<Waiting>) -> Self {
        Self {
            files: HashMap::new(),
            states: HashMap::new(),
            expired: Recent::default(),
            history: History::default(),
            unswept: Vec::new(),
            losses,
            waiting,
        }
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
        let entry = self
            .states
            .get(&id)
            .ok_or_else(|| self.missing(caller, id))?;
        let (own_key, current) = match entry {
            Entry::Open(open) => (&open.key, open.seqid),
            Entry::Lock(lock) => (&lock.key, lock.seqid),
            Entry::Delegation(delegation) => (&delegation.key, delegation.seqid),
        };
        if !caller.owns(entry.client()) || key.is_some_and(|key| key != own_key) {
            return Err(Status::BadStateid);
        }
        caller.check_seqid(seqid, current)?;
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
        match self.states.get(&id) {
            Some(Entry::Open(open)) => Ok(open),
            _ => Err(Status::BadStateid),
        }
    }

    pub(super) fn open_mut(&mut self, id: Id) -> Result<&mut Open, Status> {
        match self.states.get_mut(&id) {
            Some(Entry::Open(open)) => Ok(open),
            _ => Err(Status::BadStateid),
        }
    }

    pub(super) fn lock_mut(&mut self, id: Id) -> Result<&mut Lock, Status> {
        match self.states.get_mut(&id) {
            Some(Entry::Lock(lock)) => Ok(lock),
            _ => Err(Status::BadStateid),
        }
    }

    /// How many ranges a lock stateid holds.
    pub(super) fn locks_of(&self, key: &FileKey, id: Id) -> usize {
        self.files.get(key).map_or(0, |file| file.locks.count(id))
    }

    /// Takes away a state and what hangs on it, and remembers that.
    pub(super) fn revoke(&mut self, id: Id, why: Revoked, index: &Index) -> ToClose {
        let lockers = match self.states.get(&id) {
            Some(Entry::Open(open)) => Some(&open.lockers),
            _ => None,
        };
        for id in [id].iter().chain(lockers.into_iter().flatten()) {
            if let Some(entry) = self.states.get(id) {
                self.losses.note(*id, entry, why);
            }
        }
        self.remove(id, index)
    }

    /// Forgets a state and what hangs on it.
    pub(super) fn remove(&mut self, id: Id, index: &Index) -> ToClose {
        let mut closed = ToClose::new();
        match self.states.remove(&id) {
            Some(Entry::Open(open)) => {
                for locker in open.lockers {
                    closed.extend(self.remove(locker, index));
                }
                index.remove_open(&open.owner, id);
                if let Some(file) = self.files.get_mut(&open.key) {
                    file.opens.remove(&open.owner);
                    let client = open.owner.client;
                    if file.waiters.are_of(client)
                        && !file.opens.keys().any(|owner| owner.client == client)
                    {
                        file.waiters.forget_client(client);
                    }
                    file.tally.remove(open.modes.share());
                }
                self.review_waiters(&open.key);
                self.forget_unused(&open.key);
                closed.extend(open.reader);
                closed.extend(open.writer);
            }
            Some(Entry::Lock(lock)) => {
                if let Some(file) = self.files.get_mut(&lock.key) {
                    index.add_ranges(lock.owner.client, file.locks.count(id), 0);
                    file.locks.clear(id);
                    if file.locks.sweep(SWEPT) && !self.unswept.contains(&lock.key) {
                        self.unswept.push(lock.key);
                    }
                    file.lockers.remove(&lock.owner);
                }
                index.remove_lock(&lock.owner, id);
                if let Ok(open) = self.open_mut(lock.open) {
                    open.lockers.remove(&id);
                }
                self.review_waiters(&lock.key);
                self.forget_unused(&lock.key);
            }
            Some(Entry::Delegation(delegation)) => {
                let (client, key) = (delegation.client, delegation.key);
                if let Some(file) = self.files.get_mut(&key) {
                    file.delegations.remove(&client);
                }
                index.pool.remove(client, id, delegation.kind);
                self.forget_unused(&key);
                closed.push(delegation.into_file());
            }
            None => {}
        }
        closed
    }

    /// Takes out some of the ranges that nobody holds any more, which is a moment's work. Whether
    /// more are left.
    pub(super) fn sweep_locks(&mut self) -> bool {
        if let Some(key) = self.unswept.last().copied() {
            let file = self.files.get_mut(&key);
            if !file.is_some_and(|file| file.locks.sweep(SWEPT)) {
                self.unswept.pop();
                self.forget_unused(&key);
            }
        }
        !self.unswept.is_empty()
    }

    /// Locks of a file have changed: it may be the turn of somebody who waits for them.
    pub(super) fn review_waiters(&mut self, key: &FileKey) {
        let file = self.files.get_mut(key);
        if file.is_some_and(|file| !file.waiters.is_empty() && file.review_waiters()) {
            self.waiting.ring(key);
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
        let Some(file) = self.files.get_mut(key) else {
            return;
        };
        if waits.blocking {
            self.waiting.begun(key);
        } else if file.waiters.is_empty() {
            return;
        }
        if file.denied(owner, wanted, waits) {
            self.waiting.ring(key);
        }
    }

    pub(super) fn forget_unused(&mut self, key: &FileKey) {
        if self.files.get(key).is_some_and(OpenFile::is_unused) {
            self.files.remove(key);
        }
    }
}

impl OpenFile {
    fn is_unused(&self) -> bool {
        self.opens.is_empty()
            && self.lockers.is_empty()
            && self.delegations.is_empty()
            && self.locks.is_empty()
            && self.held == 0
    }
}
