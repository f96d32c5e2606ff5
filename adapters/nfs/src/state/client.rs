//! One confirmed client, of either minor version.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::rpc::Auth;
use crate::types::{ClientId, Minor, SessionId, Verifier};

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
    minor: Minor,
    lease: Lease,
    reclaim_complete: AtomicBool,
    pub(super) sessions: Mutex<Vec<SessionId>>,
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
            lease,
            reclaim_complete: AtomicBool::new(false),
            sessions: Mutex::default(),
        }
    }

    /// Whether it came by SETCLIENTID.
    pub fn is_v40(&self) -> bool {
        self.minor == Minor::V40
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

    /// Notes RECLAIM_COMPLETE; false if it was noted already.
    pub fn complete_reclaim(&self) -> bool {
        !self.reclaim_complete.swap(true, Ordering::AcqRel)
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
