//! Clients, sessions, opens and locks. Knows neither clock nor socket nor chance: the time and
//! random bytes are arguments, and what must be closed or sent is returned. No lock here is held
//! across anything that waits.

pub mod answers;
pub mod clients;
pub mod copies;
pub mod files;
pub mod grace;
mod registry;
pub mod session;
pub mod v40;
pub mod v41;

mod back;
mod budget;
mod census;
mod client;
mod courtesy;
mod fence;
mod link;
mod meter;
#[cfg(test)]
mod model;
mod recent;
mod shards;
mod slot;
mod slots;
mod sync;
#[cfg(test)]
mod tests;

use std::hash::RandomState;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dittofs_sdk::vfs::File;

use crate::status::Status;
use crate::types::{Family, Minor, SessionId};

pub use answers::Answers;
pub use back::{Back, BackSlot, Backchannel};
pub use census::Census;
pub use client::{Client, News, Principal, Standing};
pub use clients::Clients;
pub use copies::Copies;
pub use files::Files;
pub use grace::Grace;
pub use link::{Direction, Link};
pub use meter::{End, Meter, SlotSeries, Unbound};
pub use session::{Begun, InSession, RequestInfo, Session, SlotGuard};

use budget::Budget;
use files::DelegationKind;
use shards::Shards;

/// All state of one server.
pub struct State {
    /// Who has state here.
    pub clients: Clients,
    /// Opens and locks.
    pub files: Files,
    /// Whether clients take back what they had before a restart.
    pub grace: Grace,
    /// Copies that go on in the background.
    pub copies: Copies,
    /// What was answered to 4.0 clients.
    pub answers: Answers,
    sessions: Shards<SessionId, Arc<Session>>,
    meter: Arc<Meter>,
    replies: Arc<Budget>,
}

/// What clients may have; from the settings.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long a client may be silent.
    pub lease: Duration,
    /// How long, beyond that, the state of a silent client is kept if nobody wants it.
    pub courtesy: Duration,
    /// Confirmed clients; and, apart from them, unconfirmed ones of either family of minor versions.
    pub clients: usize,
    /// Sessions of one client.
    pub sessions_per_client: usize,
    /// Connections of one session.
    pub connections_per_session: usize,
    /// Sessions that are reported one by one.
    pub metered_sessions: usize,
    /// Slots of one session.
    pub slots: u32,
    /// Bytes that replies kept for retries may take, over all sessions.
    pub reply_cache: u64,
}

impl State {
    /// No state, in the server's start `boot`. The random `keys` keep clients from choosing where
    /// in a table their entries go, and from guessing each other's stateids.
    pub fn new(boot: u32, now: Instant, keys: &RandomState, meter: Arc<Meter>) -> Self {
        Self {
            clients: Clients::new(boot, now, keys),
            files: Files::new(boot, keys.clone()),
            grace: Grace::default(),
            copies: Copies::new(boot, keys.clone()),
            answers: Answers::default(),
            sessions: Shards::new(keys),
            meter,
            replies: Arc::default(),
        }
    }

    /// The session of this name.
    pub fn session(&self, id: SessionId) -> Result<Arc<Session>, Status> {
        self.sessions.find(&id).ok_or(Status::Badsession)
    }

    /// The session of this name, if it was made in this minor version: nothing that one hands out
    /// may be used in another (RFC 8881 §2.7).
    pub fn session_of(&self, minor: Minor, id: SessionId) -> Result<Arc<Session>, Status> {
        let session = self.session(id)?;
        if session.minor == minor {
            Ok(session)
        } else {
            Err(Status::Badsession)
        }
    }

    /// What is to be on record of the client of this name; nothing if there is none.
    pub fn standing(&self, name: &grace::Name) -> Option<Standing> {
        let client = self.named(name)?;
        client.standing(self.grace.expects(name, client.principal))
    }

    /// The confirmed client of this name.
    pub fn named(&self, (family, owner): &grace::Name) -> Option<Arc<Client>> {
        match family {
            Family::V40 => self.clients.v40.lock().confirmed(owner),
            Family::Sessions => self.clients.v41.lock().confirmed(owner),
        }
    }

    /// A connection was closed: it is part of no session any more.
    pub fn disconnected(&self, link: &Link) {
        for session in link.close() {
            session.dissociate(link.id);
        }
    }

    /// Reports what is not reported where it happens. `sessions` is how many sessions at most are
    /// reported one by one.
    pub fn publish(&self, sessions: usize) {
        self.meter.slots.publish(&self.sessions.values(), sessions);
        self.meter.locks.set(self.files.ranges() as i64);
        for (kind, gauge) in DelegationKind::ALL.iter().zip(&self.meter.delegations) {
            gauge.set(self.files.delegations(*kind) as i64);
        }
    }

    /// What is left of clients, by name. Nothing may be when all are gone.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn leftovers(&self) -> Vec<(&'static str, usize)> {
        let records = [
            self.clients.v40.lock().is_empty(),
            self.clients.v41.lock().is_empty(),
        ];
        let mut all = vec![
            ("clients", self.clients.all().len()),
            ("records", records.iter().filter(|empty| !**empty).count()),
            ("sessions", self.sessions.len()),
            ("bytes for replies", self.replies.reserved() as usize),
            ("copies", self.copies.count()),
        ];
        all.extend(self.files.leftovers());
        all.retain(|(_, count)| *count != 0);
        all
    }

    fn session_began(&self, session: Arc<Session>, limits: &Limits) {
        let id = session.id;
        self.sessions.insert(id, session);
        self.meter.created.inc();
        self.meter.active.add(1);
        if self.sessions.len() <= limits.metered_sessions {
            self.meter.slots.began(id);
        }
    }

    /// Requests that still run in it end as if nothing had happened.
    fn session_ended(&self, id: SessionId, end: End, now: Instant) {
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        session.end();
        self.meter.slots.ended(id);
        self.meter.active.add(-1);
        if let Some(counter) = self.meter.destroyed.get(end as usize) {
            counter.inc();
        }
        let lifetime = now.saturating_duration_since(session.created);
        self.meter.lifetime.observe(lifetime.as_secs_f64());
    }

    fn end_sessions(&self, client: &Client, end: End, now: Instant) {
        for session in client.sessions() {
            self.session_ended(session.id, end, now);
        }
        client.sessions.lock().clear();
    }

    /// Takes away all that a client without sessions has. Its record is gone already, or goes now.
    /// One of 4.1 has lost its sessions and so knows; one of 4.0 has to be told.
    fn bury(&self, client: &Client) -> Vec<Arc<dyn File>> {
        self.clients.remove(client.id);
        self.copies.release_client(client.id);
        if client.is_v40() {
            self.clients.note_gone(client.id);
            self.files.expire_client(client.id)
        } else {
            self.files.release_client(client.id)
        }
    }
}
