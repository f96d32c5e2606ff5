//! Records of clients by the name that they give themselves: at most one that is confirmed and one
//! that is not, in either family of minor versions (RFC 7530 §16.33.5, RFC 8881 §18.35.4).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Client, Limits};
use crate::status::Status;
use crate::types::ClientId;

/// A record that waits to be confirmed.
pub(super) trait Unconfirmed {
    /// Its number.
    fn id(&self) -> ClientId;
    /// When it was made.
    fn since(&self) -> Instant;
}

/// A record that is confirmed.
pub(super) trait Confirmation {
    /// The client.
    fn client(&self) -> &Arc<Client>;
}

/// The records by owner.
pub(super) struct Registry<C, P> {
    pub(super) owners: HashMap<Bytes, Owner<C, P>>,
    /// Unconfirmed numbers; in 4.0 that of a callback update is a confirmed one as well.
    pub(super) pending: HashMap<ClientId, Bytes>,
}

/// The records of one owner.
pub(super) struct Owner<C, P> {
    pub(super) confirmed: Option<C>,
    pub(super) pending: Option<P>,
}

impl<C, P> Default for Registry<C, P> {
    fn default() -> Self {
        Self {
            owners: HashMap::new(),
            pending: HashMap::new(),
        }
    }
}

impl<C, P> Default for Owner<C, P> {
    fn default() -> Self {
        Self {
            confirmed: None,
            pending: None,
        }
    }
}

impl<C, P> Owner<C, P> {
    pub(super) fn is_empty(&self) -> bool {
        self.confirmed.is_none() && self.pending.is_none()
    }
}

impl<C: Confirmation, P> Registry<C, P> {
    /// The confirmed client of this name.
    pub(super) fn confirmed(&self, owner: &[u8]) -> Option<Arc<Client>> {
        let confirmed = self.owners.get(owner)?.confirmed.as_ref()?;
        Some(Arc::clone(confirmed.client()))
    }
}

impl<C, P: Unconfirmed> Registry<C, P> {
    /// Replaces the owner's unconfirmed record, if there is one.
    pub(super) fn await_confirmation(&mut self, owner: &[u8], pending: P) {
        // A copy: the original pins the whole request in memory.
        let name = Bytes::copy_from_slice(owner);
        let id = pending.id();
        let owner = self.owners.entry(name.clone()).or_default();
        if let Some(old) = owner.pending.replace(pending) {
            self.pending.remove(&old.id());
        }
        self.pending.insert(id, name);
    }

    /// Unconfirmed records cost their maker nothing: they are bounded.
    pub(super) fn make_room(&mut self, now: Instant, limits: &Limits) -> Result<(), Status> {
        if self.pending.len() < limits.clients {
            return Ok(());
        }
        self.expire(now, limits.lease);
        if self.pending.len() < limits.clients {
            Ok(())
        } else {
            Err(Status::Delay)
        }
    }

    /// Forgets unconfirmed records that are older than a lease.
    pub(super) fn expire(&mut self, now: Instant, lease: Duration) {
        let owners = &mut self.owners;
        self.pending.retain(|_, name| {
            let Some(owner) = owners.get_mut(name) else {
                return false;
            };
            let old = |pending: &mut P| now.saturating_duration_since(pending.since()) > lease;
            if owner.pending.take_if(old).is_none() {
                return true;
            }
            if owner.is_empty() {
                owners.remove(name);
            }
            false
        });
    }

    /// Forgets the owner's unconfirmed record if it has this number.
    pub(super) fn drop_pending(&mut self, name: &Bytes, id: ClientId) {
        if let Some(owner) = self.owners.get_mut(name) {
            owner.pending.take_if(|pending| pending.id() == id);
            if owner.is_empty() {
                self.owners.remove(name);
            }
        }
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn is_empty(&self) -> bool {
        self.owners.is_empty() && self.pending.is_empty()
    }
}
