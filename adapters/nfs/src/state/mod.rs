//! Clients, sessions, opens and locks. Knows neither clock nor socket nor chance: the time and
//! random bytes are arguments, and what must be closed or sent is returned. No lock here is held
//! across anything that waits.

pub mod clients;
pub mod files;

mod client;
mod shards;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dittofs_sdk::vfs::File;

use crate::ops;

pub use client::{Client, Principal};
pub use clients::Clients;
pub use files::Files;

/// All state of one server.
pub struct State {
    /// Who has state here.
    pub clients: Clients,
    /// Opens and locks.
    pub files: Files,
}

impl State {
    /// No state, in the server's start number `boot`.
    pub fn new(boot: u32, now: Instant) -> Self {
        Self {
            clients: Clients::new(boot, now),
            files: Files::new(boot),
        }
    }

    /// Takes away the state of clients whose lease is over. The files to close are returned, so
    /// that they are closed after all locks are released.
    pub fn expire(&self, now: Instant, lease: Duration) -> Vec<Arc<dyn File>> {
        let _ = (now, lease);
        Vec::new()
    }
}

/// What SEQUENCE must know of the request around it.
#[derive(Debug, Clone, Copy)]
pub struct RequestInfo {
    /// Size of the COMPOUND's arguments in bytes.
    pub size: usize,
    /// Number of operations.
    pub announced: usize,
    /// Tells a retry from another request.
    pub digest: u64,
}

/// What SEQUENCE found.
pub enum Begun {
    /// A new request: run it, and finish the slot with its reply.
    New(SlotGuard, InSession, ops::sequence::Ok),
    /// A retry: the encoded COMPOUND4res of the first time.
    Replay(Arc<[u8]>),
    /// A retry of a request whose reply was not kept.
    Uncached(ops::sequence::Ok),
}

/// A session in use by one request.
#[derive(Debug)]
pub struct InSession {
    /// The session's client.
    pub client: Arc<Client>,
    /// How large the encoded COMPOUND result may become, in bytes.
    pub reply_limit: usize,
    /// Whether that limit is the cache's rather than the channel's.
    pub limited_by_cache: bool,
}

/// A slot in use. Dropped without [`finish`](Self::finish) it keeps NFS4ERR_SERVERFAULT as its
/// reply, so that the operations are never run twice.
#[derive(Debug)]
pub struct SlotGuard;

impl SlotGuard {
    /// Keeps the encoded COMPOUND4res, as far as it is to be kept, and frees the slot.
    pub fn finish(self, _reply: &[u8]) {}
}
