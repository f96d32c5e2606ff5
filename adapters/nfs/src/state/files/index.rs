//! What each client has, and how much of it.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;

use super::Owner;
use super::stateid::{Caller, Id};
use crate::status::Status;
use crate::types::ClientId;

/// Finds the states of a client and of an owner. Only a client that was admitted has any, so that
/// a request which is still under way when its client is released leaves nothing behind.
#[derive(Debug, Default)]
pub(super) struct Index {
    clients: Mutex<HashMap<ClientId, Held>>,
}

#[derive(Debug, Default)]
struct Held {
    owners: HashMap<Owner, HashSet<Id>>,
    opens: usize,
    ranges: usize,
}

impl Index {
    pub(super) fn admit(&self, client: ClientId) {
        self.clients.lock().entry(client).or_default();
    }

    /// Notes an open, unless the client has `limit` already.
    pub(super) fn add_open(
        &self,
        caller: Caller,
        owner: &Owner,
        id: Id,
        limit: usize,
    ) -> Result<(), Status> {
        let mut clients = self.clients.lock();
        let held = clients.get_mut(&owner.client).ok_or(Status::Expired)?;
        if held.opens >= limit {
            return Err(caller.exhausted());
        }
        held.opens += 1;
        held.owners.entry(owner.clone()).or_default().insert(id);
        Ok(())
    }

    pub(super) fn remove_open(&self, owner: &Owner, id: Id) {
        self.change(owner.client, |held| {
            held.opens = held.opens.saturating_sub(1);
            held.forget(owner, id);
        });
    }

    pub(super) fn add_lock(&self, owner: &Owner, id: Id) -> Result<(), Status> {
        let mut clients = self.clients.lock();
        let held = clients.get_mut(&owner.client).ok_or(Status::Expired)?;
        held.owners.entry(owner.clone()).or_default().insert(id);
        Ok(())
    }

    pub(super) fn remove_lock(&self, owner: &Owner, id: Id) {
        self.change(owner.client, |held| held.forget(owner, id));
    }

    /// Notes that a lock stateid that held `before` ranges holds `after` now.
    pub(super) fn add_ranges(&self, client: ClientId, before: usize, after: usize) {
        self.change(client, |held| {
            held.ranges = held.ranges.saturating_sub(before).saturating_add(after);
        });
    }

    /// Number of ranges that the client has locked.
    pub(super) fn ranges(&self, client: ClientId) -> usize {
        self.clients
            .lock()
            .get(&client)
            .map_or(0, |held| held.ranges)
    }

    /// Number of ranges that anybody has locked.
    pub(super) fn all_ranges(&self) -> usize {
        self.clients.lock().values().map(|held| held.ranges).sum()
    }

    pub(super) fn has_client(&self, client: ClientId) -> bool {
        let clients = self.clients.lock();
        clients
            .get(&client)
            .is_some_and(|held| !held.owners.is_empty())
    }

    pub(super) fn has_owner(&self, owner: &Owner) -> bool {
        let clients = self.clients.lock();
        clients
            .get(&owner.client)
            .is_some_and(|held| held.owners.contains_key(owner))
    }

    /// All states of a client, which gets no more.
    pub(super) fn take_client(&self, client: ClientId) -> Vec<Id> {
        let held = self.clients.lock().remove(&client);
        held.into_iter()
            .flat_map(|held| held.owners.into_values())
            .flatten()
            .collect()
    }

    /// All states of a client.
    pub(super) fn of_client(&self, client: ClientId) -> Vec<Id> {
        let clients = self.clients.lock();
        let held = clients.get(&client).into_iter();
        held.flat_map(|held| held.owners.values().flatten())
            .copied()
            .collect()
    }

    /// All states of an owner.
    pub(super) fn of_owner(&self, owner: &Owner) -> Vec<Id> {
        let clients = self.clients.lock();
        clients
            .get(&owner.client)
            .and_then(|held| held.owners.get(owner))
            .map(|ids| ids.iter().copied().collect())
            .unwrap_or_default()
    }

    fn change(&self, client: ClientId, change: impl FnOnce(&mut Held)) {
        let mut clients = self.clients.lock();
        if let Some(held) = clients.get_mut(&client) {
            change(held);
        }
    }
}

impl Held {
    fn forget(&mut self, owner: &Owner, id: Id) {
        if let Some(ids) = self.owners.get_mut(owner) {
            ids.remove(&id);
            if ids.is_empty() {
                self.owners.remove(owner);
            }
        }
    }
}
