//! Clients that have been silent for longer than a lease. What they have is kept as a courtesy,
//! and stands against nobody: it is taken away when somebody else wants it, or room is needed, or
//! after a very long time. Who comes back before goes on with what is left.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-8.4.3>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-9.6.3>
//!
//! In 4.1 a client loses just what was wanted, and SEQUENCE tells it so. 4.0 has no such word: there
//! the lease is cancelled as a whole (RFC 7530 §9.6.3.2), so that a client can't miss that it lost something.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::files::{Revoked, Rival, ToClose};
use super::{Client, End, Limits, State};
use crate::types::ClientId;

impl State {
    /// Whether the client has been silent for longer than a lease. One that waits for a slow reply
    /// is not.
    pub fn is_silent(&self, client: &Client, now: Instant, lease: Duration) -> bool {
        client.silence(now) > lease && !client.is_busy()
    }

    /// As [`is_silent`](Self::is_silent), by number; one that is gone is silent.
    pub fn is_silent_id(&self, client: ClientId, now: Instant, lease: Duration) -> bool {
        let client = self.clients.find(client);
        client.is_none_or(|client| self.is_silent(&client, now, lease))
    }

    /// The clients of `rivals` if all of them are silent, so that what they have may be taken away.
    pub fn silent_owners(
        &self,
        rivals: &[Rival],
        now: Instant,
        lease: Duration,
    ) -> Option<Vec<Arc<Client>>> {
        let mut clients: Vec<Arc<Client>> = Vec::new();
        for rival in rivals {
            if clients.iter().any(|client| client.id == rival.client) {
                continue;
            }
            // One that has just gone stands in nobody's way.
            if let Some(client) = self.clients.find(rival.client) {
                if !self.is_silent(&client, now, lease) {
                    return None;
                }
                clients.push(client);
            }
        }
        Some(clients)
    }

    /// Takes away what is in the way, unless its owner has come back.
    pub fn take_from_silent(&self, rivals: &[Rival], now: Instant, lease: Duration) -> ToClose {
        let mut closed = ToClose::new();
        for rival in rivals {
            let Some(client) = self.clients.find(rival.client) else {
                continue;
            };
            if !self.is_silent(&client, now, lease) {
                continue;
            }
            if client.is_v40() {
                closed.extend(self.discard(&client, now));
            } else {
                closed.extend(self.files.revoke(rival.id, Revoked::Expired));
            }
        }
        closed
    }

    /// The client that has been silent for the longest time.
    pub fn most_silent(&self, now: Instant, lease: Duration) -> Option<Arc<Client>> {
        let silent = self.silent(now, lease).into_iter();
        silent.max_by_key(|client| client.silence(now))
    }

    /// Whether a further client would be one too many.
    pub fn is_full(&self, limits: &Limits) -> bool {
        self.clients.confirmed_count() >= limits.clients
    }

    /// Whether the client of this number has introduced itself, and is not confirmed.
    pub fn awaits_confirmation(&self, id: ClientId) -> bool {
        self.clients.find(id).is_none()
            && (self.clients.v40.lock().pending.contains_key(&id)
                || self.clients.v41.lock().pending.contains_key(&id))
    }

    /// Clients that are not kept any longer: those without state after a lease, others when the time
    /// of courtesy is over too.
    pub fn overdue(&self, now: Instant, limits: &Limits) -> Vec<Arc<Client>> {
        let patience = limits.lease.saturating_add(limits.courtesy);
        let mut clients = self.silent(now, limits.lease);
        clients.retain(|client| client.silence(now) > patience || !self.files.has_state(client.id));
        clients
    }

    /// Takes a client out of the records, with all that it has.
    pub fn discard(&self, client: &Arc<Client>, now: Instant) -> ToClose {
        if client.is_v40() {
            let mut registry = self.clients.v40.lock();
            self.forget_v40(&mut registry, client)
        } else {
            let mut registry = self.clients.v41.lock();
            self.end_sessions(client, End::Expired, now);
            self.forget_v41(&mut registry, client)
        }
    }

    /// Forgets who introduced itself and never confirmed that, and owners that are of no use.
    pub fn forget_unused(&self, now: Instant, lease: Duration) {
        self.clients.v40.lock().expire(now, lease);
        self.clients.v41.lock().expire(now, lease);
        self.files.forget_idle_owners(now, lease);
    }

    fn silent(&self, now: Instant, lease: Duration) -> Vec<Arc<Client>> {
        let mut clients = self.clients.all();
        clients.retain(|client| self.is_silent(client, now, lease));
        clients
    }
}
