//! Clients, sessions, opens and locks. Knows neither clock nor socket nor chance: the time and
//! random bytes are arguments, and what must be closed or sent is returned. No lock here is held
//! across anything that waits.

pub mod clients;
pub mod files;
pub mod session;
pub mod v40;
pub mod v41;

mod client;
mod shards;
mod slot;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dittofs_sdk::vfs::File;

use crate::status::Status;
use crate::types::SessionId;

pub use client::{Client, Principal};
pub use clients::Clients;
pub use files::Files;
pub use session::{Begun, InSession, RequestInfo, Session, SlotGuard};

use shards::Shards;

/// All state of one server.
pub struct State {
    /// Who has state here.
    pub clients: Clients,
    /// Opens and locks.
    pub files: Files,
    sessions: Shards<SessionId, Arc<Session>>,
}

/// What clients may have; from the settings.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long a client may be silent.
    pub lease: Duration,
    /// Confirmed clients; and, apart from them, unconfirmed ones of either minor version.
    pub clients: usize,
    /// Sessions of one client.
    pub sessions_per_client: usize,
}

impl State {
    /// No state, in the server's start number `boot`.
    pub fn new(boot: u32, now: Instant) -> Self {
        Self {
            clients: Clients::new(boot, now),
            files: Files::new(boot),
            sessions: Shards::new(),
        }
    }

    /// The session of this name.
    pub fn session(&self, id: SessionId) -> Result<Arc<Session>, Status> {
        self.sessions.find(&id).ok_or(Status::Badsession)
    }

    /// Takes away the state of clients whose lease is over. The files to close are returned, so
    /// that they are closed after all locks are released.
    pub fn expire(&self, now: Instant, lease: Duration) -> Vec<Arc<dyn File>> {
        let mut files = self.reap();
        {
            let mut v40 = self.clients.v40.lock();
            v40.expire(now, lease);
            for client in self.silent(now, lease) {
                if client.is_v40() {
                    files.extend(self.forget_v40(&mut v40, &client));
                }
            }
        }
        let mut v41 = self.clients.v41.lock();
        v41.expire(now, lease);
        for client in self.silent(now, lease) {
            if !client.is_v40() {
                files.extend(self.forget_v41(&mut v41, &client));
            }
        }
        files
    }

    /// Clients that have been silent for longer than a lease. One that waits for a slow reply is
    /// not.
    fn silent(&self, now: Instant, lease: Duration) -> Vec<Arc<Client>> {
        let mut clients = self.clients.all();
        clients.retain(|client| client.silence(now) > lease && !self.is_busy(client));
        clients
    }

    fn is_busy(&self, client: &Client) -> bool {
        let sessions = client.sessions.lock().clone();
        sessions.iter().any(|id| {
            self.sessions
                .find(id)
                .is_some_and(|session| session.is_busy())
        })
    }

    /// Takes away all that a client has. Its record is gone already, or goes now.
    fn bury(&self, client: &Arc<Client>) -> Vec<Arc<dyn File>> {
        self.clients.remove(client.id);
        for id in std::mem::take(&mut *client.sessions.lock()) {
            self.sessions.remove(&id);
        }
        self.clients.forgotten.lock().push(Arc::clone(client));
        self.files.release_client(client.id)
    }

    /// Takes away what requests that were under way gave to forgotten clients, once no request
    /// can do so any more.
    fn reap(&self) -> Vec<Arc<dyn File>> {
        let forgotten = std::mem::take(&mut *self.clients.forgotten.lock());
        let mut files = Vec::new();
        for client in forgotten {
            match Arc::try_unwrap(client) {
                Ok(client) => files.extend(self.files.release_client(client.id)),
                Err(client) => self.clients.forgotten.lock().push(client),
            }
        }
        files
    }
}
