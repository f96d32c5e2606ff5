//! COMPOUNDs of a connection that were not ready at once, bounded in number and in memory.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use dittofs_sdk::vfs::Buffer;
use tokio::task::{JoinError, JoinSet};

use super::Compound;
use crate::server::Server;

/// COMPOUNDs of one connection that may be under way at once; beyond, the connection is not
/// read, and TCP holds the client back.
const MOST: usize = 256;
/// Bytes that the requests and replies of those of one connection may have: more than the slots of a session
/// hold as a rule, so that what a client gives back is not left unread behind what waits for it.
const OWN: usize = 128 << 20;
/// Bytes that those of all connections may have, one of each connection apart.
const ALL: usize = 512 << 20;

/// Bytes that the requests and replies of all COMPOUNDs under way may have.
#[derive(Debug, Default)]
pub struct Load(AtomicUsize);

type Ended = Result<(Buffer, UnderWay), JoinError>;

/// COMPOUNDs under way. They run to their end also without the connection.
pub(super) struct Waiting {
    server: Arc<Server>,
    tasks: JoinSet<(Buffer, UnderWay)>,
    /// Bytes that their requests and replies may have.
    weight: usize,
}

/// It panicked. Its client learns that from the connection, and what became of the request from its
/// retry on another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Panicked;

impl Waiting {
    pub(super) fn new(server: &Arc<Server>) -> Self {
        Self {
            server: Arc::clone(server),
            tasks: JoinSet::new(),
            weight: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Whether one more may come. Every connection may have one, so that none waits for another:
    /// what it has to say may be what the other waits for.
    pub(super) fn has_room(&self) -> bool {
        self.is_empty()
            || self.tasks.len() < MOST
                && self.weight < OWN
                && self.server.load.0.load(Ordering::Relaxed) < ALL
    }

    /// Goes on with a COMPOUND whose request and reply may have `weight` bytes, or as many as the settings
    /// allow.
    pub(super) fn push(&mut self, compound: Compound, weight: usize) {
        let settings = self.server.settings();
        let weight = weight.min(settings.max_record() + settings.reply_limit());
        let under_way = UnderWay::new(&self.server, weight);
        self.weight += weight;
        self.tasks.spawn(async move { (compound.await, under_way) });
    }

    /// Waits until one has ended; its reply.
    pub(super) async fn ended(&mut self) -> Result<Buffer, Panicked> {
        let ended = poll_fn(|cx| match self.tasks.poll_join_next(cx) {
            Poll::Ready(Some(ended)) => Poll::Ready(ended),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        });
        let ended = ended.await;
        self.taken(ended)
    }

    /// The reply of another one that has ended.
    pub(super) fn also_ended(&mut self) -> Option<Result<Buffer, Panicked>> {
        let ended = self.tasks.try_join_next()?;
        Some(self.taken(ended))
    }

    fn taken(&mut self, ended: Ended) -> Result<Buffer, Panicked> {
        let (reply, under_way) = ended.map_err(|_| Panicked)?;
        self.weight = self.weight.saturating_sub(under_way.weight);
        Ok(reply)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.tasks.detach_all();
    }
}

/// Counts a COMPOUND that was not answered at once, also when it panics, until its reply joins the batch.
struct UnderWay {
    server: Arc<Server>,
    weight: usize,
}

impl UnderWay {
    fn new(server: &Arc<Server>, weight: usize) -> Self {
        server.metrics.in_flight.add(1);
        server.load.0.fetch_add(weight, Ordering::Relaxed);
        Self {
            server: Arc::clone(server),
            weight,
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.server.metrics.in_flight.add(-1);
        self.server.load.0.fetch_sub(self.weight, Ordering::Relaxed);
    }
}
