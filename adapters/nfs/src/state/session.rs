//! Sessions: what SEQUENCE finds, and the slots that it takes.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-2.10>
//!
//! No lock of a session is shared by two slots on the way of a request, except when a
//! connection is new to the session or its slot table changes its size.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::Limits;
use super::budget::Share;
use super::client::{Client, Principal};
use super::meter::{Meter, Unbound};
use super::slot::{Kept, Request, Turn};
use super::slots::{self, Found, SlotTable, Wish};
use crate::compound::REFUSAL_MAX;
use crate::ops::sequence;
use crate::status::Status;
use crate::types::SessionId;

/// Size of an accepted reply's RPC header. The channel's limits include it (RFC 8881 §18.36.3),
/// results are counted without.
const REPLY_HEADER: u32 = 24;

/// Limits of the fore channel, as negotiated. Sizes are in bytes with RPC headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fore {
    /// Largest request.
    pub request: u32,
    /// Largest reply.
    pub response: u32,
    /// Largest reply that is kept for a retry.
    pub cached: u32,
    /// Most operations in one COMPOUND.
    pub operations: u32,
    /// Number of slots to begin with.
    pub slots: u32,
    /// Number of slots that the client asked for: the table never grows beyond.
    pub most_slots: u32,
}

/// Where and as whom callbacks of a session are to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backchannel {
    /// The client's callback program.
    pub program: u32,
    /// The credential that the client wants to see, of those that it offered.
    pub credential: Option<CallbackCred>,
}

/// A credential that the client accepts on callbacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallbackCred {
    /// AUTH_NONE.
    Nobody,
    /// AUTH_SYS.
    Sys(dittofs_sdk::vfs::Cred),
}

/// One session.
pub struct Session {
    /// Its name.
    pub id: SessionId,
    /// Whose it is.
    pub client: Arc<Client>,
    /// Limits of requests and replies.
    pub fore: Fore,
    backchannel: Mutex<Backchannel>,
    slots: SlotTable,
    share: Share,
    connections: Mutex<VecDeque<u64>>,
    pub(super) created: Instant,
    meter: Arc<Meter>,
}

/// What SEQUENCE must know of the request around it.
#[derive(Debug, Clone, Copy)]
pub struct RequestInfo {
    /// Size of the whole call in bytes, RPC header included.
    pub size: usize,
    /// Number of operations.
    pub announced: usize,
    /// Size of COMPOUND4res up to and including the result of SEQUENCE, in bytes.
    pub reply: usize,
    /// Tells a retry from another request.
    pub digest: u64,
    /// Who calls.
    pub principal: Principal,
    /// Number of the connection.
    pub connection: u64,
}

/// What SEQUENCE found.
#[derive(Debug)]
pub enum Begun {
    /// A new request: run it, and finish the slot with its reply.
    New(SlotGuard, InSession, sequence::Ok),
    /// A retry: the encoded COMPOUND4res of the first time.
    Replay(Arc<[u8]>),
    /// A retry of a request of whose reply only the result of SEQUENCE is known; the operation
    /// after it, if any, fails with this status.
    Unkept(sequence::Ok, Status),
}

/// A session in use by one request.
#[derive(Debug)]
pub struct InSession {
    /// The session's client.
    pub client: Arc<Client>,
    /// The session.
    pub session: Arc<Session>,
    /// How large the encoded COMPOUND result may become, in bytes.
    pub reply_limit: usize,
    /// Whether that limit is the cache's rather than the channel's.
    pub limited_by_cache: bool,
}

/// A slot in use. Dropped without [`finish`](Self::finish) it keeps NFS4ERR_SERVERFAULT as the
/// result of what followed SEQUENCE, so that nothing is ever run twice.
#[derive(Debug)]
pub struct SlotGuard {
    session: Arc<Session>,
    ok: sequence::Ok,
    cache: bool,
    finished: bool,
}

/// How large a COMPOUND4res may be, in bytes.
#[derive(Debug, Clone, Copy)]
struct Limit {
    bytes: usize,
    by_cache: bool,
}

impl Limit {
    fn status(self) -> Status {
        if self.by_cache {
            Status::RepTooBigToCache
        } else {
            Status::RepTooBig
        }
    }
}

impl Session {
    pub(super) fn new(
        id: SessionId,
        client: Arc<Client>,
        fore: Fore,
        share: Share,
        backchannel: Backchannel,
        created: Instant,
        meter: Arc<Meter>,
    ) -> Self {
        Self {
            id,
            client,
            fore,
            backchannel: Mutex::new(backchannel),
            slots: SlotTable::new(share.slots()),
            share,
            connections: Mutex::default(),
            created,
            meter,
        }
    }

    /// Takes the slot for a request, or finds that it was run already. A refusal changes nothing
    /// (RFC 8881 §18.46.3).
    pub fn begin(
        self: Arc<Self>,
        info: &RequestInfo,
        args: &sequence::Args,
        limits: &Limits,
        now: Instant,
    ) -> Result<Begun, Status> {
        self.admit(info, args)?;
        let wanted = self.wanted(limits);
        self.slots.aim(wanted.min(self.slots.accepted()));
        let wish = Wish {
            slot: args.slot,
            request: info.request(args.sequence),
            connection: info.connection,
            highest: args.highest_slot,
        };
        let (turn, found) = self.slots.begin(&wish)?;
        if found.other_connection {
            self.associate(info.connection, limits.connections_per_session);
        }
        self.client.renew(now);
        match turn {
            Turn::Retry(Kept::Whole(_, reply)) => Ok(Begun::Replay(reply)),
            Turn::Retry(Kept::Sequence(ok)) => Ok(Begun::Unkept(ok, Status::RetryUncachedRep)),
            Turn::Retry(Kept::Fault(ok)) => Ok(Begun::Unkept(ok, Status::Serverfault)),
            Turn::Execute(before) => {
                self.forgot(before.as_deref().map_or(0, <[u8]>::len));
                if wanted != self.slots.accepted() {
                    self.resize(wanted, &wish, &found, limits, now);
                }
                let accepted = self.slots.accepted();
                let ok = sequence::Ok {
                    session: self.id,
                    sequence: args.sequence,
                    slot: args.slot,
                    highest_slot: accepted.saturating_sub(1),
                    target_highest_slot: found.told.min(accepted).saturating_sub(1),
                    status_flags: self.client.news(),
                };
                Ok(self.execute(args.cache_this, ok))
            }
        }
    }

    /// What is refused whatever the slot remembers.
    fn admit(&self, info: &RequestInfo, args: &sequence::Args) -> Result<(), Status> {
        if info.announced > self.fore.operations as usize {
            return Err(Status::TooManyOps);
        }
        if info.size > self.fore.request as usize {
            return Err(Status::ReqTooBig);
        }
        // The second operation must at least be able to fail.
        let next = if info.announced > 1 { REFUSAL_MAX } else { 0 };
        let limit = self.limit(args.cache_this);
        if info.reply.saturating_add(next) > limit.bytes {
            return Err(limit.status());
        }
        if args.slot >= self.slots.accepted() {
            return Err(Status::Badslot);
        }
        // Compared to the most there ever were, not to the most there are: a request that was
        // sent before its sender knew of a withdrawal may arrive after those that came of it.
        if args.highest_slot >= self.slots.granted() {
            return Err(Status::BadHighSlot);
        }
        Ok(())
    }

    /// How many slots the client should use.
    fn wanted(&self, limits: &Limits) -> u32 {
        let most = self.fore.most_slots.min(limits.slots).min(slots::MOST);
        self.share.fair(most, limits.reply_cache)
    }

    /// Brings the table nearer to the size that is wanted: more slots are granted at once, as
    /// far as there is memory for their replies; fewer as soon as the client knows.
    fn resize(&self, wanted: u32, wish: &Wish, found: &Found, limits: &Limits, now: Instant) {
        let accepted = self.slots.accepted();
        if wanted < accepted {
            let withdrawn = self.slots.shrink(wish, found, now);
            self.share.shrink(withdrawn.slots);
            self.forgot(withdrawn.bytes);
            return;
        }
        let reserve = |more| self.share.grow(more, limits.reply_cache);
        self.slots.grow(wanted, now, limits.lease, reserve);
    }

    fn execute(self: Arc<Self>, cache: bool, ok: sequence::Ok) -> Begun {
        let limit = self.limit(cache);
        let in_session = InSession {
            client: Arc::clone(&self.client),
            session: Arc::clone(&self),
            reply_limit: limit.bytes,
            limited_by_cache: limit.by_cache,
        };
        let guard = SlotGuard {
            session: self,
            ok,
            cache,
            finished: false,
        };
        Begun::New(guard, in_session, ok)
    }

    /// How large a COMPOUND4res may be.
    fn limit(&self, cache: bool) -> Limit {
        let by_cache = cache && self.fore.cached < self.fore.response;
        let limit = if by_cache {
            self.fore.cached
        } else {
            self.fore.response
        };
        Limit {
            bytes: limit.saturating_sub(REPLY_HEADER) as usize,
            by_cache,
        }
    }

    /// Makes a connection one of the session's fore channel, of which there may be `most`. Beyond,
    /// the oldest is forgotten, which costs its client a SEQUENCE before DESTROY_SESSION.
    pub fn associate(&self, connection: u64, most: usize) {
        let mut connections = self.connections.lock();
        if connections.contains(&connection) {
            return;
        }
        while connections.len() >= most.max(1) {
            connections.pop_front();
            self.meter.unbound(Unbound::Limit, 1);
        }
        connections.push_back(connection);
        self.meter.bound();
    }

    /// Takes a connection out of the session.
    pub(super) fn dissociate(&self, connection: u64) {
        let mut connections = self.connections.lock();
        if let Some(at) = connections.iter().position(|other| *other == connection) {
            connections.remove(at);
            self.meter.unbound(Unbound::Closed, 1);
        }
    }

    /// Takes all connections out of the session, which has ended.
    pub(super) fn leave_all(&self) {
        let left = std::mem::take(&mut *self.connections.lock()).len();
        self.meter.unbound(Unbound::SessionEnded, left);
    }

    /// Whether a connection is one of the session's.
    pub fn is_associated(&self, connection: u64) -> bool {
        self.connections.lock().contains(&connection)
    }

    /// Where callbacks are to be sent.
    pub fn backchannel(&self) -> Backchannel {
        self.backchannel.lock().clone()
    }

    /// Sends callbacks elsewhere from now on.
    pub fn set_backchannel(&self, backchannel: Backchannel) {
        *self.backchannel.lock() = backchannel;
    }

    /// Whether any request is being executed.
    pub(super) fn is_busy(&self) -> bool {
        self.in_use() != 0
    }

    /// Number of slots that execute a request.
    pub(crate) fn in_use(&self) -> i64 {
        self.slots.in_use().into()
    }

    #[cfg(test)]
    pub(super) fn table(&self) -> (&SlotTable, &Share) {
        (&self.slots, &self.share)
    }

    fn forgot(&self, bytes: usize) {
        if bytes != 0 {
            self.meter.replay_bytes.add(-(bytes as i64));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.forgot(self.slots.kept());
        // Those that joined while it ended.
        self.leave_all();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("client", &self.client.id)
            .field("fore", &self.fore)
            .finish_non_exhaustive()
    }
}

impl RequestInfo {
    /// A retry by another user is a false one (RFC 8881 §2.10.6.1.3.1).
    fn request(&self, sequence: u32) -> Request {
        let user = match self.principal {
            Principal::Nobody => 0,
            Principal::Sys(uid) => u64::from(uid) + 1,
        };
        Request {
            sequence,
            digest: self.digest.rotate_left(32) ^ user,
        }
    }
}

impl SlotGuard {
    /// Keeps the encoded COMPOUND4res, as far as it is to be kept, and frees the slot.
    pub fn finish(mut self, reply: &[u8]) {
        let limit = self.session.fore.cached.saturating_sub(REPLY_HEADER) as usize;
        let kept = if self.cache && reply.len() <= limit {
            Kept::Whole(self.ok, Arc::from(reply))
        } else {
            Kept::Sequence(self.ok)
        };
        self.end(kept);
    }

    fn end(&mut self, kept: Kept) {
        self.finished = true;
        let session = &self.session;
        if let Kept::Whole(_, reply) = &kept {
            session.meter.replay_bytes.add(reply.len() as i64);
        }
        session.slots.finish(self.ok.slot, kept);
    }
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        if !self.finished {
            self.end(Kept::Fault(self.ok));
        }
    }
}
