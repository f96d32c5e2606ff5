//! What each client has, and how much of it.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use parking_lot::Mutex;

use super::Owner;
use super::delegation::Pool;
use super::few::Few;
use super::shard::Ids;
use super::stateid::{Caller, Id};
use crate::status::Status;
use crate::types::ClientId;

/// Finds the states of a client and of an owner. Only a client that was admitted has any, so that
/// a request which is still under way when its client is released leaves nothing behind.
#[derive(Debug, Default)]
pub(super) struct Index {
    inner: Mutex<Inner>,
    /// Delegations, which are the client's.
    pub(super) pool: Pool,
}

#[derive(Debug, Default)]
struct Inner {
    clients: HashMap<ClientId, Held>,
    /// Of all clients.
    opens: usize,
    ranges: usize,
}

/// How much a client has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holdings {
    /// Opens.
    pub opens: usize,
    /// Locked ranges.
    pub ranges: usize,
    /// Delegations.
    pub delegations: usize,
}

/// How much of something there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Of one client.
    pub each: usize,
    /// Of all clients together.
    pub all: usize,
}

impl Bound {
    fn reached(self, own: usize, all: usize) -> bool {
        own >= self.each || all >= self.all
    }
}

#[derive(Debug, Default)]
struct Held {
    owners: HashTable<Owned>,
    /// Of the names, which the client chooses.
    hasher: RandomState,
    opens: usize,
    ranges: usize,
}

/// What one owner has. Its name is kept here once for all of that.
#[derive(Debug)]
struct Owned {
    owner: Arc<Owner>,
    states: Ids,
}

impl Index {
    pub(super) fn admit(&self, client: ClientId) {
        self.inner.lock().clients.entry(client).or_default();
        self.pool.admit(client);
    }

    /// Notes an open, unless there are as many as there may be.
    pub(super) fn add_open(
        &self,
        caller: Caller,
        owner: &Owner,
        id: Id,
        bound: Bound,
    ) -> Result<Arc<Owner>, Status> {
        let mut inner = self.inner.lock();
        let Inner { clients, opens, .. } = &mut *inner;
        let held = clients.get_mut(&owner.client).ok_or(Status::Expired)?;
        if bound.reached(held.opens, *opens) {
            return Err(caller.exhausted());
        }
        held.opens += 1;
        *opens += 1;
        Ok(held.note(owner, id))
    }

    pub(super) fn remove_open(&self, owner: &Owner, id: Id) {
        let mut inner = self.inner.lock();
        let Inner { clients, opens, .. } = &mut *inner;
        if let Some(held) = clients.get_mut(&owner.client) {
            held.opens = held.opens.saturating_sub(1);
            *opens = opens.saturating_sub(1);
            held.forget(owner, id);
        }
    }

    pub(super) fn add_lock(&self, owner: &Owner, id: Id) -> Result<Arc<Owner>, Status> {
        let mut inner = self.inner.lock();
        let held = inner.clients.get_mut(&owner.client);
        let held = held.ok_or(Status::Expired)?;
        Ok(held.note(owner, id))
    }

    pub(super) fn remove_lock(&self, owner: &Owner, id: Id) {
        let mut inner = self.inner.lock();
        if let Some(held) = inner.clients.get_mut(&owner.client) {
            held.forget(owner, id);
        }
    }

    /// Notes that a lock stateid that held `before` ranges holds `after` now.
    pub(super) fn add_ranges(&self, client: ClientId, before: usize, after: usize) {
        let mut inner = self.inner.lock();
        let Inner {
            clients, ranges, ..
        } = &mut *inner;
        if let Some(held) = clients.get_mut(&client) {
            for count in [&mut held.ranges, ranges] {
                *count = count.saturating_sub(before).saturating_add(after);
            }
        }
    }

    /// Whether the client may lock no further range.
    pub(super) fn ranges_full(&self, client: ClientId, bound: Bound) -> bool {
        let inner = self.inner.lock();
        let own = inner.clients.get(&client).map_or(0, |held| held.ranges);
        bound.reached(own, inner.ranges)
    }

    /// What the client has.
    pub(super) fn holdings(&self, client: ClientId) -> Holdings {
        let delegations = self.pool.count_of(client);
        let inner = self.inner.lock();
        let held = inner.clients.get(&client);
        Holdings {
            opens: held.map_or(0, |held| held.opens),
            ranges: held.map_or(0, |held| held.ranges),
            delegations,
        }
    }

    /// Number of ranges that the client has locked.
    pub(super) fn ranges(&self, client: ClientId) -> usize {
        let inner = self.inner.lock();
        inner.clients.get(&client).map_or(0, |held| held.ranges)
    }

    /// Number of opens that anybody has.
    pub(super) fn all_opens(&self) -> usize {
        self.inner.lock().opens
    }

    /// Number of ranges that anybody has locked.
    pub(super) fn all_ranges(&self) -> usize {
        self.inner.lock().ranges
    }

    pub(super) fn has_client(&self, client: ClientId) -> bool {
        let has_owners = {
            let inner = self.inner.lock();
            let held = inner.clients.get(&client);
            held.is_some_and(|held| !held.owners.is_empty())
        };
        has_owners || self.pool.has_client(client)
    }

    pub(super) fn has_owner(&self, owner: &Owner) -> bool {
        let inner = self.inner.lock();
        let held = inner.clients.get(&owner.client);
        held.is_some_and(|held| held.of(owner).is_some())
    }

    /// All states of a client, which gets no more.
    pub(super) fn take_client(&self, client: ClientId) -> Vec<Id> {
        let held = {
            let mut inner = self.inner.lock();
            let held = inner.clients.remove(&client).unwrap_or_default();
            inner.opens = inner.opens.saturating_sub(held.opens);
            inner.ranges = inner.ranges.saturating_sub(held.ranges);
            held
        };
        held.states().chain(self.pool.take_client(client)).collect()
    }

    /// All states of a client.
    pub(super) fn of_client(&self, client: ClientId) -> Vec<Id> {
        let inner = self.inner.lock();
        let held = inner.clients.get(&client).into_iter();
        held.flat_map(Held::states)
            .chain(self.pool.of_client(client))
            .collect()
    }

    /// All states of an owner.
    pub(super) fn of_owner(&self, owner: &Owner) -> Vec<Id> {
        let inner = self.inner.lock();
        let held = inner.clients.get(&owner.client);
        held.and_then(|held| held.of(owner))
            .map(|owned| owned.states.keys().copied().collect())
            .unwrap_or_default()
    }

    /// How many opens and locked ranges there are, and clients that may have some.
    pub(super) fn totals(&self) -> (usize, usize, usize) {
        let inner = self.inner.lock();
        (inner.opens, inner.ranges, inner.clients.len())
    }
}

impl Held {
    fn of(&self, owner: &Owner) -> Option<&Owned> {
        let hash = self.hasher.hash_one(&owner.name);
        self.owners.find(hash, |owned| *owned.owner == *owner)
    }

    fn states(&self) -> impl Iterator<Item = Id> {
        let owned = self.owners.iter();
        owned.flat_map(|owned| owned.states.keys().copied())
    }

    /// Notes a state of an owner; returns the owner as all of its states refer to it.
    fn note(&mut self, owner: &Owner, id: Id) -> Arc<Owner> {
        let Self { owners, hasher, .. } = self;
        let entry = owners.entry(
            hasher.hash_one(&owner.name),
            |owned| *owned.owner == *owner,
            |owned| hasher.hash_one(&owned.owner.name),
        );
        let mut entry = entry.or_insert_with(|| Owned {
            owner: Arc::new(owner.clone()),
            states: Few::None,
        });
        let owned = entry.get_mut();
        owned.states.insert(id, ());
        Arc::clone(&owned.owner)
    }

    fn forget(&mut self, owner: &Owner, id: Id) {
        let hash = self.hasher.hash_one(&owner.name);
        if let Ok(mut entry) = self.owners.find_entry(hash, |owned| *owned.owner == *owner) {
            entry.get_mut().states.remove(&id);
            if entry.get().states.is_empty() {
                entry.remove();
            }
        }
    }
}
