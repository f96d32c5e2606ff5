//! All clients: who is known, under which number.

use std::hash::RandomState;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use super::client::{Client, Lease};
use super::recent::Recent;
use super::shards::Shards;
use super::{v40, v41};
use crate::status::Status;
use crate::types::ClientId;

/// All clients of one server.
pub struct Clients {
    boot: u32,
    epoch: Instant,
    last: AtomicU32,
    confirmed: Shards<ClientId, Arc<Client>>,
    /// What only the operations on clients themselves need; taken before any other lock.
    pub(super) v40: Mutex<v40::Registry>,
    pub(super) v41: Mutex<v41::Registry>,
    /// 4.0 clients whose leases ran out or that were replaced.
    gone: Mutex<Recent<ClientId, REMEMBERED>>,
}

/// How many clients that are gone are remembered.
const REMEMBERED: usize = 4096;

impl Clients {
    pub(super) fn new(boot: u32, now: Instant, keys: &RandomState) -> Self {
        Self {
            boot,
            epoch: now,
            last: AtomicU32::new(0),
            confirmed: Shards::new(keys),
            v40: Mutex::default(),
            v41: Mutex::default(),
            gone: Mutex::default(),
        }
    }

    /// The confirmed client of this number.
    pub fn find(&self, id: ClientId) -> Option<Arc<Client>> {
        self.confirmed.find(&id)
    }

    /// The 4.0 client that an operation names; using it renews its lease (RFC 7530 §9.5), also one that
    /// ran out while nobody wanted what it covers (§9.6.3.1).
    /// One that was known in this start is NFS4ERR_EXPIRED, others are NFS4ERR_STALE_CLIENTID.
    pub fn v40(&self, id: ClientId, now: Instant) -> Result<Arc<Client>, Status> {
        let Some(client) = self.find(id).filter(|client| client.is_v40()) else {
            return Err(if self.gone.lock().contains(&id) {
                Status::Expired
            } else {
                Status::StaleClientid
            });
        };
        client.renew(now);
        Ok(client)
    }

    /// All confirmed clients.
    pub fn all(&self) -> Vec<Arc<Client>> {
        self.confirmed.values()
    }

    /// A number that no client had before: the start's number, then a count.
    pub(super) fn next_id(&self) -> ClientId {
        let count = self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        ClientId(u64::from(self.boot) << 32 | u64::from(count))
    }

    pub(super) fn lease(&self, now: Instant) -> Lease {
        Lease::new(self.epoch, now)
    }

    pub(super) fn note_gone(&self, id: ClientId) {
        self.gone.lock().note(id);
    }

    pub(super) fn insert(&self, client: &Arc<Client>) {
        self.confirmed.insert(client.id, Arc::clone(client));
    }

    pub(super) fn remove(&self, id: ClientId) {
        self.confirmed.remove(&id);
    }

    pub(super) fn confirmed_count(&self) -> usize {
        self.confirmed.len()
    }
}
