//! Sessions: what SEQUENCE finds, and the slots that it takes.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-2.10>
//!
//! No lock of a session is shared by two slots on the way of a request, except when a
//! connection is new to the session or its slot table changes its size.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::Limits;
use super::back::{Back, Backchannel};
use super::budget::Share;
use super::client::{Client, News, Principal};
use super::fence::{Aside, Fence};
use super::link::{Direction, Link, Links};
use super::meter::Meter;
use super::slot::{Kept, Request, Turn};
use super::slots::{self, Found, SlotTable, Wish};
use crate::callback::Referral;
use crate::compound::REFUSAL_MAX;
use crate::ops::bind_conn_to_session::Wanted;
use crate::ops::create_session::ChannelAttrs;
use crate::ops::sequence;
use crate::status::Status;
use crate::types::{Minor, SessionId};

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

/// One session.
pub struct Session {
    /// Its name.
    pub id: SessionId,
    /// Whose it is.
    pub client: Arc<Client>,
    /// The minor version that it was made in: of its requests, and of its callbacks.
    pub minor: Minor,
    /// Limits of requests and replies.
    pub fore: Fore,
    /// The channel of callbacks.
    pub back: Back,
    slots: SlotTable,
    fence: Fence,
    share: Share,
    links: Links,
    /// SEQ4_STATUS_* bits that are the session's rather than the client's.
    news: AtomicU32,
    pub(super) created: Instant,
    meter: Arc<Meter>,
}

/// What SEQUENCE must know of the request around it.
#[derive(Debug, Clone, Copy)]
pub struct RequestInfo<'a> {
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
    /// The connection.
    pub link: &'a Arc<Link>,
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

/// The path of callbacks, as the client is told of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    /// Whether the client has asked for it.
    pub(super) wanted: bool,
    /// Whether it works.
    pub(super) works: bool,
}

/// A session in use by one request.
#[derive(Debug)]
pub struct InSession {
    /// The session.
    pub session: Arc<Session>,
    /// The request, as callbacks about what it did refer to it.
    pub request: Referral,
    /// How large the encoded COMPOUND result may become, in bytes.
    pub reply_limit: usize,
    /// Whether that limit is the cache's rather than the channel's.
    pub limited_by_cache: bool,
}

impl InSession {
    /// The session's client.
    pub fn client(&self) -> &Arc<Client> {
        &self.session.client
    }
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
        (id, minor): (SessionId, Minor),
        client: Arc<Client>,
        fore: Fore,
        share: Share,
        (target, back): (Backchannel, &ChannelAttrs),
        created: Instant,
        meter: Arc<Meter>,
    ) -> Self {
        Self {
            id,
            client,
            minor,
            fore,
            back: Back::new(target, back),
            slots: SlotTable::new(share.slots()),
            fence: Fence::default(),
            share,
            links: Links::default(),
            news: AtomicU32::new(0),
            created,
            meter,
        }
    }

    /// Takes the slot for a request, or finds that it was run already. A refusal changes nothing
    /// (RFC 8881 §18.46.3).
    pub fn begin(
        self: Arc<Self>,
        info: &RequestInfo<'_>,
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
            connection: info.link.id,
            highest: args.highest_slot,
        };
        let (turn, found) = self.slots.begin(&wish)?;
        if found.other_connection {
            self.associate(info.link, limits.connections_per_session);
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
                    status_flags: self.client.news() | self.news.load(Ordering::Relaxed),
                };
                Ok(self.execute(args.cache_this, ok))
            }
        }
    }

    /// What is refused whatever the slot remembers.
    fn admit(&self, info: &RequestInfo<'_>, args: &sequence::Args) -> Result<(), Status> {
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
            session: Arc::clone(&self),
            request: Referral {
                session: self.id,
                slot: ok.slot,
                sequence: ok.sequence,
            },
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

    /// Makes a connection one of the session's fore channel, if it is not yet. Callbacks go only
    /// where the client said so.
    pub fn associate(self: &Arc<Self>, link: &Arc<Link>, most: usize) {
        if self.links.associate(self, link, most, &self.meter) {
            // It may have taken the place of one that carried callbacks.
            self.client.review_paths();
        }
    }

    /// Makes a connection carry what its client wants, of what it may have.
    pub fn bind(
        self: &Arc<Self>,
        link: &Arc<Link>,
        wanted: Wanted,
        most: usize,
    ) -> Result<Direction, Status> {
        let wanted = (wanted, self.back.usable);
        let bound = self.links.bind(self, link, wanted, most, &self.meter)?;
        if bound.is_back() {
            self.back.wanted.store(true, Ordering::Relaxed);
            self.back.failed.store(false, Ordering::Relaxed);
            self.client.review_paths();
            self.client.path_found.notify_waiters();
        }
        Ok(bound)
    }

    /// Takes a connection out of the session.
    pub(super) fn dissociate(&self, connection: u64) {
        if self.links.remove(connection, &self.meter) {
            self.client.review_paths();
        }
    }

    /// The session has ended, and no connection is part of it. Callbacks that are under way are
    /// given up.
    pub(super) fn end(&self) {
        self.links.clear(&self.meter);
        self.back.end();
    }

    /// Whether a connection is one of the session's.
    pub fn is_associated(&self, connection: u64) -> bool {
        self.links.contains(connection)
    }

    /// The connections over which callbacks may be sent, the latest first.
    pub fn back_links(&self) -> Vec<Arc<Link>> {
        self.links.back()
    }

    /// Whether callbacks can be sent, as far as is known.
    pub fn has_path(&self) -> bool {
        !self.back.failed.load(Ordering::Relaxed)
            && !self.back.faulty.load(Ordering::Relaxed)
            && self.links.has_back()
    }

    /// Callbacks do not get through, until the client binds a connection again.
    pub fn path_failed(&self) {
        self.back.failed.store(true, Ordering::Relaxed);
        self.client.review_paths();
    }

    /// A callback got through.
    pub fn path_works(&self) {
        if self.back.failed.swap(false, Ordering::Relaxed) {
            self.client.review_paths();
        }
    }

    /// Client and server disagree on a slot of the back channel: the client has to make another
    /// session (RFC 8881 §18.46.3, SEQ4_STATUS_BACKCHANNEL_FAULT).
    pub fn path_is_faulty(&self) {
        self.back.faulty.store(true, Ordering::Relaxed);
        self.client.review_paths();
    }

    /// Whether the session's requests tell the client that it has no callbacks; also sets what they
    /// tell. A client that never asked for callbacks misses none.
    pub(super) fn review_path(&self) -> Path {
        let wanted = self.back.wanted.load(Ordering::Relaxed);
        let works = self.has_path();
        let mut news = 0;
        if wanted && !works {
            news |= News::CB_PATH_DOWN_SESSION.0;
        }
        if self.back.faulty.load(Ordering::Relaxed) {
            news |= News::BACKCHANNEL_FAULT.0;
        }
        self.news.store(news, Ordering::Relaxed);
        Path { wanted, works }
    }

    /// Whether this is the last request that came in its slot: if not, the client has seen its
    /// reply.
    pub fn is_last(&self, request: &Referral) -> bool {
        self.slots.is_last(request.slot, request.sequence)
    }

    /// Waits until every request has ended that is being executed now, but those that wait so
    /// themselves. Neither a lock nor a slot is held meanwhile.
    pub async fn settle(&self) {
        self.fence.settle(&self.slots).await;
    }

    /// As long as what this answers lives, nobody waits for the request in this slot.
    pub fn stand_aside(&self, slot: u32) -> Aside<'_> {
        self.fence.stand_aside(slot)
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
        self.links.clear(&self.meter);
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

impl RequestInfo<'_> {
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
        session.fence.ended();
    }
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        if !self.finished {
            self.end(Kept::Fault(self.ok));
        }
    }
}
