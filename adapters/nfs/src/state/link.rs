//! Which connections are part of which sessions: many to many.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-2.10.3.1>

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::meter::{Meter, Unbound};
use super::session::Session;
use crate::callback::Line;
use crate::ops::bind_conn_to_session::Wanted;
use crate::status::Status;
use crate::types::SessionId;

/// A connection as sessions know it. It knows them too, so that its end costs as much as it has
/// sessions, and not as much as there are.
pub struct Link {
    /// The connection's number.
    pub id: u64,
    /// Its callbacks.
    pub line: Arc<Line>,
    /// `None` once the connection is closed.
    sessions: Mutex<Option<HashMap<SessionId, Weak<Session>>>>,
}

/// What a connection carries of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Requests.
    Fore,
    /// Callbacks.
    Back,
    /// Either.
    Both,
}

/// The connections of one session.
#[derive(Debug, Default)]
pub(super) struct Links(Mutex<VecDeque<(Arc<Link>, Direction)>>);

impl Link {
    /// The link of the connection of this number.
    pub fn new(id: u64) -> Arc<Self> {
        Arc::new(Self {
            id,
            line: Arc::default(),
            sessions: Mutex::new(Some(HashMap::new())),
        })
    }

    /// Notes that it is part of a session; false if the connection is closed.
    fn join(&self, session: &Arc<Session>) -> bool {
        let mut sessions = self.sessions.lock();
        let Some(sessions) = &mut *sessions else {
            return false;
        };
        // Those that ended are forgotten whenever the map would have to grow.
        if sessions.len() == sessions.capacity() {
            sessions.retain(|_, session| session.strong_count() > 0);
        }
        sessions.insert(session.id, Arc::downgrade(session));
        true
    }

    /// The connection is closed. Returns the sessions that it was part of.
    pub(super) fn close(&self) -> Vec<Arc<Session>> {
        self.line.close();
        let sessions = self.sessions.lock().take().unwrap_or_default();
        sessions.values().filter_map(Weak::upgrade).collect()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.id)
    }
}

impl Direction {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 3] = [Self::Fore, Self::Back, Self::Both];

    /// The value of the label `direction`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fore => "fore",
            Self::Back => "back",
            Self::Both => "both",
        }
    }

    /// Whether callbacks may be sent.
    pub fn is_back(self) -> bool {
        self != Self::Fore
    }

    /// What a connection is to carry that carries `now` and whose client wants `wanted`. One that is
    /// part of the session keeps what it has: a client that insists on something else
    /// gets NFS4ERR_INVAL (RFC 8881 §18.34.3). To offer more is not to insist: SEQUENCE alone made
    /// most connections part of the fore channel, and "or both" is how their clients ask for
    /// callbacks afterwards.
    fn agree(now: Option<Self>, wanted: Wanted, can_call: bool) -> Result<Self, Status> {
        match (wanted, now) {
            (Wanted::ForeOrBoth | Wanted::BackOrBoth, _) if can_call => Ok(Self::Both),
            (Wanted::Fore, None | Some(Self::Fore)) | (Wanted::ForeOrBoth, _) => Ok(Self::Fore),
            (Wanted::Back, None | Some(Self::Back)) if can_call => Ok(Self::Back),
            (Wanted::Fore | Wanted::Back | Wanted::BackOrBoth, _) => Err(Status::Inval),
        }
    }
}

impl Links {
    /// Makes a connection one of the fore channel; false if it was one already.
    pub(super) fn associate(
        &self,
        session: &Arc<Session>,
        link: &Arc<Link>,
        most: usize,
        meter: &Meter,
    ) -> bool {
        let mut links = self.0.lock();
        let joined = match direction(&mut links, link.id) {
            Some(Direction::Fore | Direction::Both) => return false,
            Some(now) => {
                *now = Direction::Both;
                meter.rebound(Direction::Both);
                return true;
            }
            None => link.join(session),
        };
        if joined {
            add(&mut links, link, Direction::Fore, most, meter);
        }
        joined
    }

    /// Makes a connection carry what its client wants.
    pub(super) fn bind(
        &self,
        session: &Arc<Session>,
        link: &Arc<Link>,
        (wanted, can_call): (Wanted, bool),
        most: usize,
        meter: &Meter,
    ) -> Result<Direction, Status> {
        let mut links = self.0.lock();
        let now = direction(&mut links, link.id);
        let agreed = Direction::agree(now.as_deref().copied(), wanted, can_call)?;
        if agreed.is_back() {
            link.line.open();
        }
        match now {
            Some(now) if *now == agreed => {}
            Some(now) => {
                *now = agreed;
                meter.rebound(agreed);
            }
            None if link.join(session) => add(&mut links, link, agreed, most, meter),
            // The connection is gone, and with it whoever would read the answer.
            None => {}
        }
        Ok(agreed)
    }

    /// Takes a connection out; whether callbacks could be sent over it.
    pub(super) fn remove(&self, id: u64, meter: &Meter) -> bool {
        let mut links = self.0.lock();
        let at = links.iter().position(|(link, _)| link.id == id);
        let Some((_, direction)) = at.and_then(|at| links.remove(at)) else {
            return false;
        };
        meter.unbound(Unbound::Closed, 1);
        direction.is_back()
    }

    /// Takes all out.
    pub(super) fn clear(&self, meter: &Meter) {
        let left = std::mem::take(&mut *self.0.lock()).len();
        meter.unbound(Unbound::SessionEnded, left);
    }

    pub(super) fn contains(&self, id: u64) -> bool {
        self.0.lock().iter().any(|(link, _)| link.id == id)
    }

    /// Whether callbacks may be sent over any.
    pub(super) fn has_back(&self) -> bool {
        self.0
            .lock()
            .iter()
            .any(|(_, direction)| direction.is_back())
    }

    /// Those over which callbacks may be sent, the latest first.
    pub(super) fn back(&self) -> Vec<Arc<Link>> {
        let links = self.0.lock();
        let back = links.iter().rev();
        back.filter(|(_, direction)| direction.is_back())
            .map(|(link, _)| Arc::clone(link))
            .collect()
    }
}

fn direction(links: &mut VecDeque<(Arc<Link>, Direction)>, id: u64) -> Option<&mut Direction> {
    links
        .iter_mut()
        .find_map(|(link, direction)| (link.id == id).then_some(direction))
}

/// Adds a connection, of which there may be `most`. Beyond, the oldest is forgotten: one of the
/// fore channel if there is one, which costs its client a SEQUENCE before DESTROY_SESSION.
fn add(
    links: &mut VecDeque<(Arc<Link>, Direction)>,
    link: &Arc<Link>,
    direction: Direction,
    most: usize,
    meter: &Meter,
) {
    while links.len() >= most.max(1) {
        let fore = links.iter().position(|(_, other)| !other.is_back());
        links.remove(fore.unwrap_or(0));
        meter.unbound(Unbound::Limit, 1);
    }
    links.push_back((Arc::clone(link), direction));
    meter.bound(direction);
}
