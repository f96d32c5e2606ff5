//! What the state reports of itself. The handles may be inert, so that the state knows nothing of
//! where they lead.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dittofs_sdk::metrics::{Counter, Gauge, Gauges, Histogram};
use parking_lot::Mutex;

use super::files::DelegationKind;
use super::link::Direction;
use super::session::Session;
use crate::types::SessionId;

/// Label value of the one series that stands for too many sessions.
const ALL: &str = "all";

/// What the state reports.
#[derive(Default)]
pub struct Meter {
    /// Sessions made.
    pub created: Counter,
    /// Sessions that ended, in the order of [`End::ALL`].
    pub destroyed: [Counter; End::ALL.len()],
    /// Sessions now.
    pub active: Gauge,
    /// How long sessions lasted, in seconds.
    pub lifetime: Histogram,
    /// Bytes of replies kept.
    pub replay_bytes: Gauge,
    /// Connections in sessions, now.
    pub bound: Gauge,
    /// Connections that began to carry something of a session, in the order of
    /// [`Direction::ALL`].
    pub binds: [Counter; Direction::ALL.len()],
    /// Connections that left one, in the order of [`Unbound::ALL`].
    pub unbinds: [Counter; Unbound::ALL.len()],
    /// Slots in use by session.
    pub slots: SlotSeries,
    /// Byte-range locks now.
    pub locks: Gauge,
    /// Delegations now, in the order of [`DelegationKind::ALL`].
    pub delegations: [Gauge; DelegationKind::ALL.len()],
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// DESTROY_SESSION.
    Destroyed,
    /// The client's lease was over.
    Expired,
    /// The client began anew.
    Replaced,
}

/// Why a connection left a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unbound {
    /// It was closed.
    Closed,
    /// The session ended.
    SessionEnded,
    /// The session has too many.
    Limit,
}

impl End {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 3] = [Self::Destroyed, Self::Expired, Self::Replaced];

    /// The value of the label `reason`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Destroyed => "destroy_session",
            Self::Expired => "lease_expired",
            Self::Replaced => "client_restarted",
        }
    }
}

impl Unbound {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 3] = [Self::Closed, Self::SessionEnded, Self::Limit];

    /// The value of the label `reason`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "connection_closed",
            Self::SessionEnded => "session_ended",
            Self::Limit => "limit",
        }
    }
}

impl Meter {
    pub(super) fn bound(&self, direction: Direction) {
        self.rebound(direction);
        self.bound.add(1);
    }

    /// A connection of the session carries something else from now on.
    pub(super) fn rebound(&self, direction: Direction) {
        if let Some(counter) = self.binds.get(direction as usize) {
            counter.inc();
        }
    }

    pub(super) fn unbound(&self, why: Unbound, count: usize) {
        if let Some(counter) = self.unbinds.get(why as usize) {
            counter.add(count as u64);
        }
        self.bound.add(-(count as i64));
    }
}

/// A series for each session, or one for all of them when there are too many: the number of
/// series stays bounded whatever clients do.
#[derive(Default)]
pub struct SlotSeries {
    family: Gauges,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    sessions: HashMap<SessionId, Gauge>,
    all: Option<Gauge>,
}

impl SlotSeries {
    /// Of this family, which has one label.
    pub fn new(family: Gauges) -> Self {
        Self {
            family,
            shown: Mutex::default(),
        }
    }

    /// Shows the sessions as they are now: each if there are at most `most`, else their sum.
    pub(super) fn publish(&self, sessions: &[Arc<Session>], most: usize) {
        if self.family.is_inert() {
            return;
        }
        let mut shown = self.shown.lock();
        if sessions.len() > most {
            self.forget(&mut shown, |_| true);
            let sum = sessions.iter().map(|session| session.in_use()).sum();
            shown
                .all
                .get_or_insert_with(|| self.family.with(&[ALL]))
                .set(sum);
            return;
        }
        if shown.all.take().is_some() {
            self.family.remove(&[ALL]);
        }
        for session in sessions {
            shown
                .sessions
                .entry(session.id)
                .or_insert_with(|| self.family.with(&[&session.id.to_string()]))
                .set(session.in_use());
        }
        if shown.sessions.len() > sessions.len() {
            let alive: HashSet<_> = sessions.iter().map(|session| session.id).collect();
            self.forget(&mut shown, |id| !alive.contains(id));
        }
    }

    /// Shows a session that has just begun, one of at most as many as are shown.
    pub(super) fn began(&self, id: SessionId) {
        if self.family.is_inert() {
            return;
        }
        let mut shown = self.shown.lock();
        if shown.all.is_none() {
            let gauge = || self.family.with(&[&id.to_string()]);
            shown.sessions.entry(id).or_insert_with(gauge).set(0);
        }
    }

    /// Forgets a session that has ended.
    pub(super) fn ended(&self, id: SessionId) {
        if !self.family.is_inert() {
            self.forget(&mut self.shown.lock(), |other| *other == id);
        }
    }

    fn forget(&self, shown: &mut Shown, gone: impl Fn(&SessionId) -> bool) {
        let family = &self.family;
        for (id, _) in shown.sessions.extract_if(|id, _| gone(id)) {
            family.remove(&[&id.to_string()]);
        }
    }
}

/// The next instance begins without sessions.
impl Drop for SlotSeries {
    fn drop(&mut self) {
        let mut shown = std::mem::take(&mut *self.shown.lock());
        self.forget(&mut shown, |_| true);
        if shown.all.is_some() {
            self.family.remove(&[ALL]);
        }
    }
}
