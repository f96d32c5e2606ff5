//! What each client has, and how much of it.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;

use super::Owner;
use super::stateid::Id;
use crate::types::ClientId;

/// Finds the states of a client and of an owner.
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
    /// Notes an open, unless the client has `limit` already.
    pub(super) fn add_open(&self, owner: &Owner, id: Id, limit: usize) -> bool {
        let mut clients = self.clients.lock();
        let opens = clients.get(&owner.client).map_or(0, |held| held.opens);
        if opens >= limit {
            return false;
        }
        let held = clients.entry(owner.client).or_default();
        held.opens += 1;
        held.owners.entry(owner.clone()).or_default().insert(id);
        true
    }

    pub(super) fn remove_open(&self, owner: &Owner, id: Id) {
        self.change(owner.client, |held| {
            held.opens = held.opens.saturating_sub(1);
            held.forget(owner, id);
        });
    }

    pub(super) fn add_lock(&self, owner: &Owner, id: Id) {
        let mut clients = self.clients.lock();
        let held = clients.entry(owner.client).or_default();
        held.owners.entry(owner.clone()).or_default().insert(id);
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
        self.clients.lock().contains_key(&client)
    }

    pub(super) fn has_owner(&self, owner: &Owner) -> bool {
        let clients = self.clients.lock();
        clients
            .get(&owner.client)
            .is_some_and(|held| held.owners.contains_key(owner))
    }

    /// All states of a client, which is forgotten.
    pub(super) fn take_client(&self, client: ClientId) -> Vec<Id> {
        let held = self.clients.lock().remove(&client);
        held.into_iter()
            .flat_map(|held| held.owners.into_values())
            .flatten()
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
            if held.owners.is_empty() {
                clients.remove(&client);
            }
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
