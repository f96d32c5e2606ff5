//! All clients: who is known, under which number.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client::Client;
use super::shards::Shards;
use crate::status::Status;
use crate::types::ClientId;

/// All clients of one server.
pub struct Clients {
    boot: u32,
    epoch: Instant,
    confirmed: Shards<ClientId, Arc<Client>>,
}

impl Clients {
    pub(super) fn new(boot: u32, now: Instant) -> Self {
        Self {
            boot,
            epoch: now,
            confirmed: Shards::new(),
        }
    }

    /// The confirmed client of this number.
    pub fn find(&self, id: ClientId) -> Option<Arc<Client>> {
        self.confirmed.find(&id)
    }

    /// The 4.0 client that an operation names; using it renews its lease (RFC 7530 §9.5).
    pub fn v40(&self, id: ClientId, now: Instant, lease: Duration) -> Result<Arc<Client>, Status> {
        let client = self
            .find(id)
            .filter(|client| client.is_v40())
            .ok_or(Status::StaleClientid)?;
        if client.silence(now) > lease {
            return Err(Status::Expired);
        }
        client.renew(now);
        Ok(client)
    }
}
