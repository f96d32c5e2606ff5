//! How clients of 4.1 and later come and go.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.35.4>,
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.36.4>

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use dittofs_sdk::vfs::File;

use super::client::{Client, News, Principal};
use super::link::Link;
use super::session::{Fore, Session};
use super::{Backchannel, End, Limits, State, registry};
use crate::ops::bind_conn_to_session::Wanted;
use crate::ops::create_session;
use crate::status::Status;
use crate::types::{ClientId, Minor, SessionId, Verifier};

/// What EXCHANGE_ID says of the client.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// What the client calls itself.
    pub owner: Bytes,
    /// In which minor version.
    pub minor: Minor,
    /// Which incarnation it is.
    pub verifier: Verifier,
    /// Who calls.
    pub principal: Principal,
    /// Whether it wants to change a confirmed record.
    pub update: bool,
}

/// What EXCHANGE_ID found or made.
pub struct Exchanged {
    /// The client's number.
    pub id: ClientId,
    /// The number that the first CREATE_SESSION has to have.
    pub sequence: u32,
    /// Whether the client is confirmed.
    pub confirmed: bool,
    /// To close.
    pub files: Vec<Arc<dyn File>>,
}

/// What CREATE_SESSION asks for, after its arguments were understood.
pub struct Creation<'a> {
    /// The client.
    pub client: ClientId,
    /// The minor version of the session.
    pub minor: Minor,
    /// Number of this CREATE_SESSION among the client's.
    pub sequence: u32,
    /// Who calls.
    pub principal: Principal,
    /// The connection.
    pub link: &'a Arc<Link>,
    /// Name of the new session, unpredictable.
    pub id: SessionId,
    /// The session's properties, or why they are refused.
    pub session: Result<(Fore, Backchannel, create_session::Ok), Status>,
}

/// What CREATE_SESSION did.
pub struct Created {
    /// Its result, perhaps that of an earlier one with the same number.
    pub result: Result<create_session::Ok, Status>,
    /// To close.
    pub files: Vec<Arc<dyn File>>,
}

/// The records by owner.
pub(super) type Registry = registry::Registry<Confirmed, Pending>;
type Owner = registry::Owner<Confirmed, Pending>;

pub(super) struct Confirmed {
    client: Arc<Client>,
    creations: Creations,
}

/// Waits for its first CREATE_SESSION.
pub(super) struct Pending {
    id: ClientId,
    minor: Minor,
    verifier: Verifier,
    principal: Principal,
    since: Instant,
    creations: Creations,
}

/// The one slot for CREATE_SESSION that a client has (RFC 8881 §18.36.4).
struct Creations {
    sequence: u32,
    /// What was answered under that number, be it good or bad. Nothing, if no session could be
    /// made of what was asked: the client may mend it and send it again under the same number, as
    /// pynfs and Linux's server have it, or go on to the next, as the RFC has it.
    last: Option<Result<create_session::Ok, Status>>,
}

impl Creations {
    /// The number of a client's first CREATE_SESSION.
    const FIRST: u32 = 1;

    fn new() -> Self {
        Self {
            sequence: Self::FIRST.wrapping_sub(1),
            // "A contrived result".
            last: Some(Err(Status::SeqMisordered)),
        }
    }

    /// The number that a new CREATE_SESSION has to have.
    fn next(&self) -> u32 {
        self.sequence.wrapping_add(1)
    }

    /// What is known of number `sequence`: nothing (`None`) if its request is to be executed.
    fn known(&self, sequence: u32) -> Option<Result<create_session::Ok, Status>> {
        if sequence == self.next() {
            None
        } else if sequence == self.sequence {
            self.last.clone()
        } else {
            Some(Err(Status::SeqMisordered))
        }
    }

    /// Keeps the result of number `sequence`. One that says "later" uses no number: its client
    /// sends the same request again.
    fn finish(&mut self, sequence: u32, result: &Result<create_session::Ok, Status>) {
        if !matches!(result, Err(Status::Delay)) {
            self.sequence = sequence;
            self.last = Some(result.clone());
        }
    }

    /// Nothing came of number `sequence`.
    fn waste(&mut self, sequence: u32) {
        self.sequence = sequence;
        self.last = None;
    }
}

impl State {
    /// EXCHANGE_ID. The numbers are those of the RFC's list of cases.
    pub fn exchange_id(
        &self,
        exchange: &Exchange,
        now: Instant,
        limits: &Limits,
    ) -> Result<Exchanged, Status> {
        let mut registry = self.clients.v41.lock();
        let confirmed = registry
            .owners
            .get(&exchange.owner)
            .and_then(|owner| owner.confirmed.as_ref());
        if exchange.update {
            // 7 to 9, then 6.
            let confirmed = confirmed.ok_or(Status::Noent)?;
            if confirmed.client.verifier != exchange.verifier {
                return Err(Status::NotSame);
            }
            if confirmed.client.principal != exchange.principal {
                return Err(Status::Perm);
            }
            return Ok(confirmed.exchanged());
        }
        let mut files = Vec::new();
        if let Some(confirmed) = confirmed {
            let client = Arc::clone(&confirmed.client);
            if client.principal == exchange.principal {
                if client.verifier == exchange.verifier {
                    // 2
                    return Ok(confirmed.exchanged());
                }
                // 5: the old incarnation lives on until the new one is confirmed.
            } else {
                // 3
                let alive = client.silence(now) <= limits.lease;
                if alive && self.has_state(&client) {
                    return Err(Status::ClidInuse);
                }
                self.end_sessions(&client, End::Expired, now);
                files = self.forget_v41(&mut registry, &client);
            }
        }
        // 1, 4 and 5.
        registry.make_room(now, limits)?;
        let id = self.clients.next_id();
        let pending = Pending {
            id,
            minor: exchange.minor,
            verifier: exchange.verifier,
            principal: exchange.principal,
            since: now,
            creations: Creations::new(),
        };
        registry.await_confirmation(&exchange.owner, pending);
        Ok(Exchanged {
            id,
            sequence: Creations::FIRST,
            confirmed: false,
            files,
        })
    }

    /// CREATE_SESSION, in the RFC's four phases.
    pub fn create_session(&self, creation: Creation<'_>, now: Instant, limits: &Limits) -> Created {
        let mut files = Vec::new();
        let result = self.try_create_session(creation, now, limits, &mut files);
        Created { result, files }
    }

    fn try_create_session(
        &self,
        creation: Creation<'_>,
        now: Instant,
        limits: &Limits,
        files: &mut Vec<Arc<dyn File>>,
    ) -> Result<create_session::Ok, Status> {
        let mut guard = self.clients.v41.lock();
        let registry: &mut Registry = &mut guard;
        let name = registry
            .pending
            .get(&creation.client)
            .cloned()
            .or_else(|| Some(self.clients.find(creation.client)?.owner.clone()))
            .ok_or(Status::StaleClientid)?;
        let owner = registry
            .owners
            .get_mut(&name)
            .ok_or(Status::StaleClientid)?;
        let creations = owner.creations(creation.client, creation.principal)?;
        if let Some(known) = creations.known(creation.sequence) {
            return known;
        }
        if let Err(refused) = creation.session {
            creations.waste(creation.sequence);
            return Err(refused);
        }
        let (id, principal, sequence) = (creation.client, creation.principal, creation.sequence);
        let made = self.make_session(owner, name, creation, now, limits);
        let (result, replaced) = made.map_or_else(
            |status| (Err(status), None),
            |(made, replaced)| (Ok(made), replaced),
        );
        if let Ok(creations) = owner.creations(id, principal) {
            creations.finish(sequence, &result);
        }
        let made = result?;
        registry.pending.remove(&id);
        if let Some(replaced) = replaced {
            self.end_sessions(&replaced, End::Replaced, now);
            files.extend(self.bury(&replaced));
        }
        Ok(made)
    }

    /// Confirms the client, if need be, and makes the session. Returns the incarnation that the
    /// confirmed one replaces.
    fn make_session(
        &self,
        owner: &mut Owner,
        name: Bytes,
        creation: Creation<'_>,
        now: Instant,
        limits: &Limits,
    ) -> Result<(create_session::Ok, Option<Arc<Client>>), Status> {
        let (mut fore, backchannel, mut result) = creation.session?;
        let share = self
            .replies
            .admit(fore.slots, fore.cached, limits.reply_cache)
            .ok_or(Status::Nospc)?;
        (fore.slots, fore.cached) = (share.slots(), share.each());
        (result.fore.requests, result.fore.cached) = (fore.slots, fore.cached);
        let (client, replaced) = match &owner.confirmed {
            Some(confirmed) if confirmed.client.id == creation.client => {
                let client = Arc::clone(&confirmed.client);
                if client.sessions.lock().len() >= limits.sessions_per_client {
                    return Err(Status::Nospc);
                }
                client.renew(now);
                (client, None)
            }
            replaced => {
                if replaced.is_none() && self.clients.confirmed_count() >= limits.clients {
                    return Err(Status::Nospc);
                }
                let pending = owner.pending.take().ok_or(Status::StaleClientid)?;
                let client = Arc::new(Client::new(
                    pending.id,
                    pending.minor,
                    name,
                    pending.verifier,
                    pending.principal,
                    self.clients.lease(now),
                ));
                if self.grace.expects(&client.name(), client.principal) {
                    client.tell(News::RESTART_RECLAIM_NEEDED);
                }
                self.files.admit_client(client.id, client.notices());
                self.clients.insert(&client);
                let replaced = owner.confirmed.replace(Confirmed {
                    client: Arc::clone(&client),
                    creations: pending.creations,
                });
                (client, replaced.map(|replaced| replaced.client))
            }
        };
        let session = Arc::new(Session::new(
            (creation.id, creation.minor),
            Arc::clone(&client),
            fore,
            share,
            (backchannel, &result.back),
            now,
            Arc::clone(&self.meter),
        ));
        client.sessions.lock().push(Arc::downgrade(&session));
        let wanted = if result.flags & create_session::CONN_BACK_CHAN == 0 {
            Wanted::Fore
        } else {
            Wanted::BackOrBoth
        };
        session.bind(creation.link, wanted, limits.connections_per_session)?;
        self.session_began(session, limits);
        Ok((result, replaced))
    }

    /// DESTROY_SESSION. Requests that still run in it end as if nothing had happened.
    pub fn destroy_session(
        &self,
        id: SessionId,
        connection: u64,
        now: Instant,
    ) -> Result<(), Status> {
        let session = self.session(id)?;
        if !session.is_associated(connection) {
            return Err(Status::ConnNotBoundToSession);
        }
        self.session_ended(id, End::Destroyed, now);
        let client = &session.client;
        client
            .sessions
            .lock()
            .retain(|other| other.upgrade().is_some_and(|other| other.id != id));
        client.review_paths();
        Ok(())
    }

    /// DESTROY_CLIENTID.
    pub fn destroy_client(&self, id: ClientId) -> Result<Vec<Arc<dyn File>>, Status> {
        let mut registry = self.clients.v41.lock();
        if let Some(name) = registry.pending.remove(&id) {
            registry.drop_pending(&name, id);
            return Ok(Vec::new());
        }
        let client = self
            .clients
            .find(id)
            .filter(|client| !client.is_v40())
            .ok_or(Status::StaleClientid)?;
        if self.has_state(&client) {
            return Err(Status::ClientidBusy);
        }
        Ok(self.forget_v41(&mut registry, &client))
    }

    /// Whether the client has anything that keeps its name from others.
    pub fn has_state(&self, client: &Client) -> bool {
        !client.sessions.lock().is_empty() || self.files.has_state(client.id)
    }

    /// Takes a client out of the records, with all of its state.
    pub(super) fn forget_v41(
        &self,
        registry: &mut Registry,
        client: &Arc<Client>,
    ) -> Vec<Arc<dyn File>> {
        if let Some(owner) = registry.owners.get_mut(&client.owner) {
            owner
                .confirmed
                .take_if(|confirmed| confirmed.client.id == client.id);
            if owner.is_empty() {
                registry.owners.remove(&client.owner);
            }
        }
        self.bury(client)
    }
}

impl Confirmed {
    fn exchanged(&self) -> Exchanged {
        Exchanged {
            id: self.client.id,
            sequence: self.creations.next(),
            confirmed: true,
            files: Vec::new(),
        }
    }
}

impl Owner {
    /// What the record of this number remembers of CREATE_SESSION. Only who made an unconfirmed
    /// one may confirm it; that comes before the slot, which nobody else may move.
    fn creations(&mut self, id: ClientId, caller: Principal) -> Result<&mut Creations, Status> {
        if let Some(pending) = self.pending.as_mut().filter(|pending| pending.id == id) {
            if pending.principal != caller {
                return Err(Status::ClidInuse);
            }
            return Ok(&mut pending.creations);
        }
        self.confirmed
            .as_mut()
            .filter(|confirmed| confirmed.client.id == id)
            .map(|confirmed| &mut confirmed.creations)
            .ok_or(Status::StaleClientid)
    }
}

impl registry::Confirmation for Confirmed {
    fn client(&self) -> &Arc<Client> {
        &self.client
    }
}

impl registry::Unconfirmed for Pending {
    fn id(&self) -> ClientId {
        self.id
    }

    fn since(&self) -> Instant {
        self.since
    }
}
