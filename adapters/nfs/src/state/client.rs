//! One confirmed client, of any minor version.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::grace::Name;
use super::session::Session;
use crate::callback::Dial;
use crate::rpc::Auth;
use crate::types::{ClientId, Minor, Verifier};

/// Whom a client's own requests come from: what the RFC compares (RFC 8881 §2.4, RFC 7530 §9.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Principal {
    /// AUTH_NONE: nobody, and so equal to any other nobody.
    Nobody,
    /// AUTH_SYS: the user. The groups may change under a running client.
    Sys(u32),
}

impl From<&Auth> for Principal {
    fn from(auth: &Auth) -> Self {
        match auth {
            Auth::None => Self::Nobody,
            Auth::Sys(cred) => Self::Sys(cred.uid),
        }
    }
}

/// A confirmed client: one incarnation, which has one lease over all of its state.
#[derive(Debug)]
pub struct Client {
    /// Its number.
    pub id: ClientId,
    /// What the client calls itself, in all incarnations.
    pub owner: Bytes,
    /// Tells this incarnation from others.
    pub verifier: Verifier,
    /// Who established it.
    pub principal: Principal,
    /// The minor version in which it introduced itself.
    pub minor: Minor,
    /// How it is called, if it came by SETCLIENTID. Ends with the client.
    pub dial: Arc<Dial>,
    /// Rung when a connection is bound to the back channel of one of its sessions.
    pub path_found: Notify,
    lease: Lease,
    has_path: AtomicBool,
    reclaim_complete: AtomicBool,
    established: AtomicBool,
    suspect: AtomicBool,
    leaving: AtomicBool,
    notices: Arc<Notices>,
    address: Mutex<Option<SocketAddr>>,
    pub(super) sessions: Mutex<Vec<Weak<Session>>>,
}

impl Client {
    pub(super) fn new(
        id: ClientId,
        minor: Minor,
        owner: Bytes,
        verifier: Verifier,
        principal: Principal,
        lease: Lease,
    ) -> Self {
        Self {
            id,
            owner,
            verifier,
            principal,
            minor,
            dial: Arc::default(),
            path_found: Notify::new(),
            lease,
            has_path: AtomicBool::new(false),
            reclaim_complete: AtomicBool::new(false),
            established: AtomicBool::new(false),
            suspect: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            notices: Arc::default(),
            address: Mutex::default(),
            sessions: Mutex::default(),
        }
    }

    /// Whether it came by SETCLIENTID.
    pub fn is_v40(&self) -> bool {
        self.minor == Minor::V40
    }

    /// What it calls itself, and in which minor versions.
    pub fn name(&self) -> Name {
        (self.minor.family(), self.owner.clone())
    }

    /// Notes where it is.
    pub fn seen_at(&self, address: SocketAddr) {
        *self.address.lock() = Some(address);
    }

    /// Where it was when it was confirmed, or made its last session.
    pub fn address(&self) -> Option<SocketAddr> {
        *self.address.lock()
    }

    /// How many sessions it has.
    pub fn session_count(&self) -> usize {
        self.sessions.lock().len()
    }

    /// Renews the lease.
    pub fn renew(&self, now: Instant) {
        self.lease.renew(now);
    }

    /// How long the client has been silent.
    pub fn silence(&self, now: Instant) -> Duration {
        self.lease.silence(now)
    }

    /// Whether RECLAIM_COMPLETE came for all file systems (RFC 8881 §18.51). 4.0 has no such
    /// operation.
    pub fn reclaim_complete(&self) -> bool {
        self.reclaim_complete.load(Ordering::Acquire)
    }

    /// Notes whether the client may have state that it could reclaim after a restart.
    pub fn establish(&self, established: bool) {
        self.established.store(established, Ordering::Release);
    }

    /// Whether the client may have state that it could reclaim after a restart.
    pub fn is_established(&self) -> bool {
        self.established.load(Ordering::Acquire)
    }

    /// Notes whether the client loses, or has lost, state without having acknowledged that.
    pub fn suspect(&self, suspect: bool) {
        self.suspect.store(suspect, Ordering::Release);
    }

    /// Whether the client loses, or has lost, state without having acknowledged that.
    pub fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Acquire)
    }

    /// Notes whether the client is about to be forgotten.
    pub fn leave(&self, leaving: bool) {
        self.leaving.store(leaving, Ordering::Release);
    }

    /// What is to be on record of the client; `expected` is whether it may reclaim now.
    pub(super) fn standing(&self, expected: bool) -> Option<Standing> {
        if self.leaving.load(Ordering::Acquire) {
            return None;
        }
        Some(Standing {
            id: self.id,
            principal: self.principal,
            reclaimable: expected || (self.is_established() && !self.is_suspect()),
        })
    }

    /// Tells the client from the next SEQUENCE on.
    pub fn tell(&self, news: News) {
        self.notices.tell(news);
    }

    /// Tells the client no longer.
    pub fn untell(&self, news: News) {
        self.notices.untell(news);
    }

    /// The status flags of SEQUENCE that are the client's rather than the session's.
    pub fn news(&self) -> u32 {
        self.notices.flags()
    }

    /// The same, for whoever keeps them up to date.
    pub(super) fn notices(&self) -> &Arc<Notices> {
        &self.notices
    }

    /// Its sessions.
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        let sessions = self.sessions.lock();
        sessions.iter().filter_map(Weak::upgrade).collect()
    }

    /// Whether callbacks can be sent in any of its sessions, as far as is known.
    pub fn has_path(&self) -> bool {
        self.has_path.load(Ordering::Acquire)
    }

    /// Whether any request of its sessions is being executed.
    pub(super) fn is_busy(&self) -> bool {
        self.sessions().iter().any(|session| session.is_busy())
    }

    /// Tells the client of its paths of callbacks as they are now. To be called after every change;
    /// the lock sees to it that the last change is told last.
    pub(super) fn review_paths(&self) {
        let sessions = self.sessions.lock();
        let (mut wanted, mut works) = (false, false);
        for session in sessions.iter().filter_map(Weak::upgrade) {
            let path = session.review_path();
            wanted |= path.wanted;
            works |= path.works;
        }
        self.has_path.store(works, Ordering::Release);
        if wanted && !works {
            self.tell(News::CB_PATH_DOWN);
        } else {
            self.untell(News::CB_PATH_DOWN);
        }
    }

    /// Notes RECLAIM_COMPLETE; false if it was noted already.
    pub fn complete_reclaim(&self) -> bool {
        !self.reclaim_complete.swap(true, Ordering::AcqRel)
    }
}

/// What SEQUENCE tells a client of its state: SEQ4_STATUS_* bits (RFC 8881 §18.46.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News(pub(super) u32);

impl News {
    /// No connection of any session carries callbacks.
    pub const CB_PATH_DOWN: Self = Self(0x1);
    /// The lease ran out, and all state went with it.
    pub const EXPIRED_ALL_STATE_REVOKED: Self = Self(0x8);
    /// The lease ran out, and some state went with it.
    pub const EXPIRED_SOME_STATE_REVOKED: Self = Self(0x10);
    /// State was taken away by an administrator.
    pub const ADMIN_STATE_REVOKED: Self = Self(0x20);
    /// A delegation was recalled in vain and taken away.
    pub const RECALLABLE_STATE_REVOKED: Self = Self(0x40);
    /// No connection of the session carries callbacks.
    pub(super) const CB_PATH_DOWN_SESSION: Self = Self(0x200);
    /// Client and server disagree on the session's callbacks.
    pub(super) const BACKCHANNEL_FAULT: Self = Self(0x400);
    /// The server has restarted and the client has not said that it took back all it had.
    pub const RESTART_RECLAIM_NEEDED: Self = Self(0x100);
}

/// What is to be on record of a confirmed client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its number in this start.
    pub id: ClientId,
    /// Who established it.
    pub principal: Principal,
    /// Whether it could reclaim if the server restarted now.
    pub reclaimable: bool,
}

/// All that SEQUENCE tells a client.
#[derive(Debug, Default)]
pub struct Notices(AtomicU32);

impl Notices {
    pub(super) fn tell(&self, news: News) {
        self.0.fetch_or(news.0, Ordering::AcqRel);
    }

    pub(super) fn untell(&self, news: News) {
        self.0.fetch_and(!news.0, Ordering::AcqRel);
    }

    pub(super) fn flags(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

/// When a client was last heard of. Renewed by every request, so it is no lock but a stamp.
#[derive(Debug)]
pub(super) struct Lease {
    epoch: Instant,
    /// Milliseconds from `epoch`.
    renewed: AtomicU64,
}

impl Lease {
    pub(super) fn new(epoch: Instant, now: Instant) -> Self {
        let lease = Self {
            epoch,
            renewed: AtomicU64::new(0),
        };
        lease.renew(now);
        lease
    }

    fn renew(&self, now: Instant) {
        let stamp = self.stamp(now);
        // Written only when it moves: cores that serve one client do not fight for the line.
        if self.renewed.load(Ordering::Relaxed) < stamp {
            self.renewed.fetch_max(stamp, Ordering::Relaxed);
        }
    }

    fn silence(&self, now: Instant) -> Duration {
        let renewed = self.renewed.load(Ordering::Relaxed);
        Duration::from_millis(self.stamp(now).saturating_sub(renewed))
    }

    fn stamp(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_millis() as u64
    }
}
