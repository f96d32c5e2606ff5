//! Opens, share reservations, byte-range locks and delegations.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-9>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-9>
//!
//! Sharded by file; `index` finds a client's state again. A shard's lock is taken before the
//! index's and never held while a file system is called: files come in open and are
//! returned to be closed.

mod delegation;
mod few;
mod index;
mod intervals;
mod lock;
mod open;
mod owner;
mod range;
mod revoked;
mod rivals;
mod serving;
mod shard;
mod share;
mod stateid;
mod table;
mod wait;

use std::hash::RandomState;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dittofs_sdk::vfs::{File, OpenAccess};
use parking_lot::{Mutex, MutexGuard};

use self::index::Index;
use self::revoked::Losses;
use self::shard::{Entry, Shard, not_delegated};
use self::stateid::{Ids, SHARDS};
use self::wait::Waiting;
use super::census::Census;
use super::client::Notices;
use super::shards::fast;
use crate::exports::FileKey;
use crate::status::Status;
use crate::types::{ClientId, StateId};

pub use delegation::{DelegationKind, DelegationRequest, NoDelegation, Recall, Touch, Writer};
pub use index::{Bound, Holdings};
pub use lock::{Conflict, LockError, LockRequest};
pub use open::{OpenRequest, Opened};
pub use owner::{Cached, Numbered, OwnerSeq, Owners, Shared, Step, Turn};
pub use range::{LockKind, Range};
pub use revoked::Revoked;
pub use rivals::Rival;
pub use share::Share;
pub use stateid::Caller;
pub(crate) use stateid::Id;
pub use wait::{Waits, YourTurn};

/// Who opens or locks: a name that a client gives to a process or user of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// The client.
    pub client: ClientId,
    /// Whether it opens or locks; the two have separate names.
    pub role: Role,
    /// The client's name for it.
    pub name: Arc<[u8]>,
}

/// What an owner owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Opens.
    Open,
    /// Byte-range locks.
    Lock,
}

/// Files that nothing refers to any more: drop them where no lock is held.
pub type ToClose = Vec<Arc<dyn File>>;

/// Opens and locks of all clients.
pub struct Files {
    /// Owners of 4.0, whose operations are numbered.
    pub owners: Owners,
    ids: Ids,
    hasher: ahash::RandomState,
    shards: Box<[Mutex<Shard>]>,
    index: Index,
    losses: Arc<Losses>,
    waiting: Arc<Waiting>,
}

impl Files {
    /// No opens and locks, in the server's start `boot`. With the random `keys`, nobody can guess
    /// a stateid or choose the shard of a file.
    pub fn new(boot: u32, keys: RandomState) -> Self {
        let losses = Arc::<Losses>::default();
        let waiting = Arc::<Waiting>::default();
        let hasher = fast(&keys);
        let shard = |_| {
            let (losses, waiting) = (Arc::clone(&losses), Arc::clone(&waiting));
            Mutex::new(Shard::new(hasher.clone(), losses, waiting))
        };
        Self {
            owners: Owners::default(),
            ids: Ids::new(boot, keys),
            shards: (0..SHARDS).map(shard).collect(),
            hasher,
            index: Index::default(),
            losses,
            waiting,
        }
    }

    /// Lets a client have opens and locks from now on. What it loses of them is told by `notices`.
    pub fn admit_client(&self, client: ClientId, notices: &Arc<Notices>) {
        self.owners.admit_client(client);
        self.losses.admit_client(client, notices);
        self.index.admit(client);
    }

    /// Takes away all opens and locks of a client, for good: it gets no more, not even from
    /// requests that are under way. The files are returned, to be closed after all locks of the
    /// state are released.
    pub fn release_client(&self, client: ClientId) -> ToClose {
        self.owners.release_client(client);
        self.losses.release_client(client);
        self.discard(self.index.take_client(client))
    }

    /// What there is, by name; nothing when there is no client.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn leftovers(&self) -> Vec<(&'static str, usize)> {
        let (opens, ranges, clients) = self.index.totals();
        let shards = || self.shards.iter().map(Mutex::lock);
        vec![
            ("opens", opens),
            ("locked ranges", ranges),
            ("clients with files", clients),
            ("open files", shards().map(|shard| shard.files.len()).sum()),
            ("stateids", shards().map(|shard| shard.states.len()).sum()),
        ]
    }

    /// Number of byte ranges that are locked.
    pub fn ranges(&self) -> usize {
        self.index.all_ranges()
    }

    /// As [`release_client`](Self::release_client), for a 4.0 client, whose stateids are
    /// NFS4ERR_EXPIRED from now on.
    pub fn expire_client(&self, client: ClientId) -> ToClose {
        self.owners.release_client(client);
        self.losses.release_client(client);
        let ids = self.index.take_client(client);
        for &id in &ids {
            if let Some(mut shard) = self.shard(id.shard()) {
                shard.expired.note(id);
            }
        }
        self.discard(ids)
    }

    /// Takes one state away, with the locks that hang on it. Its reservations are gone at once; who uses
    /// it is told why, until the client has acknowledged that.
    pub(crate) fn revoke(&self, id: Id, why: Revoked) -> ToClose {
        let Some(mut shard) = self.shard(id.shard()) else {
            return ToClose::new();
        };
        let closed = shard.revoke(id, why, &self.index);
        self.sweep_locks(id.shard(), shard);
        closed
    }

    /// Takes away all that a client has, but lets it have more, and be told.
    pub fn revoke_client(&self, client: ClientId, why: Revoked) -> ToClose {
        let ids = self.index.of_client(client);
        ids.into_iter()
            .flat_map(|id| self.revoke(id, why))
            .collect()
    }

    /// How many states the client has lost without having acknowledged that.
    pub fn losses(&self, client: ClientId) -> usize {
        self.losses.count(client)
    }

    /// Forgets owners of 4.0 that have no state and were silent for longer than a lease.
    pub fn forget_idle_owners(&self, now: Instant, lease: Duration) {
        let has_state = |owner: &Owner| self.index.has_owner(owner);
        self.owners.forget_idle(now, lease, has_state);
    }

    /// What a client has.
    pub fn held(&self, client: ClientId) -> Holdings {
        self.index.holdings(client)
    }

    /// How much there is of all clients.
    pub(super) fn census(&self) -> Census {
        let (opens, ranges, admitted) = self.index.totals();
        let mut census = Census {
            opens,
            ranges,
            admitted,
            owners: self.owners.count(),
            losses: self.losses.total(),
            delegations: DelegationKind::ALL
                .map(|kind| self.delegations(kind))
                .iter()
                .sum(),
            ..Census::default()
        };
        for shard in &self.shards {
            let shard = shard.lock();
            census.states += shard.states.len();
            census.files += shard.files.len();
        }
        census
    }

    /// Whether the client has any open, lock or delegation.
    pub fn has_state(&self, client: ClientId) -> bool {
        self.index.has_client(client)
    }

    /// Takes away all opens, or all lock stateids, of an owner.
    pub fn release_owner(&self, owner: &Owner) -> ToClose {
        self.discard(self.index.of_owner(owner))
    }

    /// Whether the owner has an open, or a lock stateid.
    pub fn has_owner(&self, owner: &Owner) -> bool {
        self.index.has_owner(owner)
    }

    /// Whose open or lock a stateid is, whatever its counter: 4.0 looks at the owner's sequence
    /// first (RFC 7530 §9.1.7).
    pub fn owner_of(&self, caller: Caller, stateid: &StateId) -> Result<Owner, Status> {
        let id = self.ids.read(caller, stateid)?;
        let missing = {
            let shard = self.shard(id.shard()).ok_or(Status::BadStateid)?;
            match shard.state(id) {
                Some(entry) => return entry.owner().cloned().ok_or(Status::BadStateid),
                None => shard.missing(caller, id),
            }
        };
        let known = self.owners.of_closed(id);
        let known = known.or_else(|| self.losses.owner(id));
        known.ok_or_else(|| not_delegated(missing))
    }

    /// The client whose a 4.0 stateid is, whatever its counter.
    pub fn client_by(&self, stateid: &StateId) -> Option<ClientId> {
        let id = self.ids.read(Caller::V40, stateid).ok()?;
        let shard = self.shard(id.shard())?;
        shard.state(id).map(Entry::client)
    }

    /// The open file that `user` may use for I/O under a stateid, and the client whose it is. The
    /// file is `None` if the file system has to be asked: another user opened the file, or opened it
    /// only for the other kind of access that the RFC lets pass, a READ through an open for writing
    /// (RFC 8881 §9.1.2).
    pub fn io(
        &self,
        caller: Caller,
        stateid: &StateId,
        key: &FileKey,
        access: OpenAccess,
        user: u32,
    ) -> Result<(ClientId, Option<Arc<dyn File>>), Status> {
        let id = self.ids.read(caller, stateid)?;
        let shard = self.shard(id.shard()).ok_or(Status::BadStateid)?;
        let open = match shard.find(caller, id, stateid.seqid, Some(key))? {
            Entry::Open(open) => open,
            Entry::Lock(lock) => shard.open(lock.open)?,
            Entry::Delegation(delegation) => {
                return Ok((delegation.client, delegation.serving(access, user)?));
            }
        };
        if !open.confirmed {
            return Err(Status::BadStateid);
        }
        if access.writes() && !open.modes.share().access().writes() {
            return Err(Status::Openmode);
        }
        Ok((open.owner.client, open.serving(access, user)))
    }

    /// An open of `user` that serves to write to the file, if there is one.
    pub fn writer(&self, key: &FileKey, user: u32) -> Option<Arc<dyn File>> {
        let shard = self.shard_of(key)?;
        let opens = shard.files.get(key)?.opens.values();
        opens
            .filter_map(|&id| shard.open(id).ok())
            .find_map(|open| open.serving(OpenAccess::Write, user))
    }

    /// Whether an open denies others this access (RFC 8881 §9.7).
    pub fn denies(&self, key: &FileKey, access: OpenAccess) -> bool {
        self.shard_of(key)
            .and_then(|shard| Some(shard.files.get(key)?.tally.denies(access)))
            .unwrap_or(false)
    }

    /// Whether a client has anything of the file that lets it read, or write.
    pub fn lets(&self, client: ClientId, key: &FileKey, access: OpenAccess) -> bool {
        let Some(shard) = self.shard_of(key) else {
            return false;
        };
        let Some(file) = shard.files.get(key) else {
            return false;
        };
        let delegated = file.delegations.get(&client);
        let by_delegation =
            delegated.is_some_and(|(_, kind)| !access.writes() || *kind == DelegationKind::Write);
        by_delegation
            || file.opens.iter().any(|(owner, &id)| {
                let lets = |open: &shard::Open| open.modes.share().access().writes();
                owner.client == client && (!access.writes() || shard.open(id).is_ok_and(lets))
            })
    }

    /// TEST_STATEID: whether a stateid is good (RFC 8881 §18.48).
    pub fn test(&self, caller: Caller, stateid: &StateId) -> Status {
        let found = self.ids.read(caller, stateid).and_then(|id| {
            let shard = self.shard(id.shard()).ok_or(Status::BadStateid)?;
            shard.find(caller, id, stateid.seqid, None).map(|_| ())
        });
        found.err().unwrap_or(Status::Ok)
    }

    /// FREE_STATEID: forgets a lock stateid without locks, or acknowledges that state was revoked
    /// (RFC 8881 §18.38). An open, or locks that are held, are NFS4ERR_LOCKS_HELD.
    pub fn free(&self, caller: Caller, stateid: &StateId) -> Result<(), Status> {
        let id = self.ids.read(caller, stateid)?;
        if self.losses.acknowledge(caller, id) {
            return Ok(());
        }
        let mut shard = self.shard(id.shard()).ok_or(Status::BadStateid)?;
        let Entry::Lock(lock) = shard.find(caller, id, stateid.seqid, None)? else {
            return Err(Status::LocksHeld);
        };
        if shard.locks_of(lock.file, id) != 0 {
            return Err(Status::LocksHeld);
        }
        drop(shard.remove(id, &self.index));
        Ok(())
    }

    fn discard(&self, ids: impl IntoIterator<Item = Id>) -> ToClose {
        let remove = |id: Id| {
            let Some(mut shard) = self.shard(id.shard()) else {
                return ToClose::new();
            };
            let closed = shard.remove(id, &self.index);
            self.sweep_locks(id.shard(), shard);
            closed
        };
        ids.into_iter().flat_map(remove).collect()
    }

    /// Takes out the ranges of owners that are gone. They stand against nobody any more; whoever
    /// wants the shard meanwhile gets it in between.
    fn sweep_locks(&self, number: usize, shard: MutexGuard<'_, Shard>) {
        let mut left = !shard.is_swept();
        drop(shard);
        while left && let Some(mut shard) = self.shard(number) {
            left = shard.sweep_locks();
            MutexGuard::unlock_fair(shard);
        }
    }

    /// By other bits of the hash than those by which the shard finds the file.
    fn number_of(&self, key: &FileKey) -> usize {
        (self.hasher.hash_one(key.handle.as_bytes()) >> 32) as usize & (SHARDS - 1)
    }

    fn shard_of(&self, key: &FileKey) -> Option<MutexGuard<'_, Shard>> {
        self.shard(self.number_of(key))
    }

    /// There are `SHARDS` of them, and every number is below.
    fn shard(&self, number: usize) -> Option<MutexGuard<'_, Shard>> {
        self.shards.get(number).map(Mutex::lock)
    }
}

#[cfg(test)]
mod tests;
