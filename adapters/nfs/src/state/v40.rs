//! How 4.0 clients come and go.
//! <https://www.rfc-editor.org/rfc/rfc7530#section-16.33.5>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-16.34.5>

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use dittofs_sdk::vfs::File;

use super::client::{Client, Principal};
use super::{Limits, State, registry};
use crate::callback::Endpoint;
use crate::status::Status;
use crate::types::{ClientId, Minor, Verifier};

/// Where and with which mark callbacks of a 4.0 client are to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Callback {
    /// The client's callback program.
    pub program: u32,
    /// Its network, such as `tcp`.
    pub netid: Bytes,
    /// Its universal address.
    pub address: Bytes,
    /// The mark that every callback carries.
    pub ident: u32,
    /// Where the address leads, if it leads anywhere.
    pub endpoint: Option<Endpoint>,
}

/// What SETCLIENTID says of the client.
#[derive(Debug, Clone)]
pub struct Introduction {
    /// What the client calls itself.
    pub owner: Bytes,
    /// Which incarnation it is.
    pub verifier: Verifier,
    /// Who calls.
    pub principal: Principal,
    /// Where callbacks go.
    pub callback: Callback,
    /// What the confirmation has to repeat; unpredictable.
    pub confirm: Verifier,
}

/// What SETCLIENTID found or made.
pub enum Introduced {
    /// The client's number; to close are the files of one that had gone silent.
    Id(ClientId, Vec<Arc<dyn File>>),
    /// Somebody else has the name, and state under it.
    InUse(Callback),
}

/// The records by owner.
pub(super) type Registry = registry::Registry<Confirmed, Pending>;
type Owner = registry::Owner<Confirmed, Pending>;

pub(super) struct Confirmed {
    client: Arc<Client>,
    confirm: Verifier,
}

pub(super) struct Pending {
    id: ClientId,
    verifier: Verifier,
    principal: Principal,
    callback: Callback,
    confirm: Verifier,
    since: Instant,
}

impl State {
    /// SETCLIENTID.
    pub fn introduce(
        &self,
        introduction: Introduction,
        now: Instant,
        limits: &Limits,
    ) -> Result<Introduced, Status> {
        let mut registry = self.clients.v40.lock();
        let mut files = Vec::new();
        let mut id = None;
        let confirmed = registry
            .owners
            .get(&introduction.owner)
            .and_then(|owner| owner.confirmed.as_ref());
        if let Some(confirmed) = confirmed {
            let client = Arc::clone(&confirmed.client);
            if client.principal != introduction.principal {
                let alive = client.silence(now) <= limits.lease;
                if alive && self.files.has_state(client.id) {
                    return Ok(Introduced::InUse(client.dial.target()));
                }
                files = self.forget_v40(&mut registry, &client);
            } else if client.verifier == introduction.verifier {
                // The same incarnation wants its callbacks elsewhere, and keeps its number.
                id = Some(client.id);
            }
        }
        registry.make_room(now, limits)?;
        let id = id.unwrap_or_else(|| self.clients.next_id());
        let pending = Pending {
            id,
            verifier: introduction.verifier,
            principal: introduction.principal,
            callback: introduction.callback,
            confirm: introduction.confirm,
            since: now,
        };
        registry.await_confirmation(&introduction.owner, pending);
        Ok(Introduced::Id(id, files))
    }

    /// SETCLIENTID_CONFIRM. Returns what is to be closed.
    pub fn confirm(
        &self,
        id: ClientId,
        confirm: Verifier,
        principal: Principal,
        now: Instant,
        limits: &Limits,
    ) -> Result<Vec<Arc<dyn File>>, Status> {
        let mut registry = self.clients.v40.lock();
        let name = registry
            .pending
            .get(&id)
            .cloned()
            .or_else(|| Some(self.clients.find(id)?.owner.clone()))
            .ok_or(Status::StaleClientid)?;
        let owner = registry
            .owners
            .get_mut(&name)
            .ok_or(Status::StaleClientid)?;
        let matches = |pending: &&mut Pending| pending.id == id && pending.confirm == confirm;
        let Some(pending) = owner.pending.as_mut().filter(matches) else {
            return owner.confirm_again(id, confirm, principal);
        };
        if pending.principal != principal {
            return Err(Status::ClidInuse);
        }
        if let Some(confirmed) = owner
            .confirmed
            .as_mut()
            .filter(|confirmed| confirmed.client.id == id)
        {
            // A callback update: no state goes.
            let callback = std::mem::take(&mut pending.callback);
            confirmed.client.dial.retarget(callback);
            confirmed.confirm = confirm;
            owner.pending = None;
            registry.pending.remove(&id);
            return Ok(Vec::new());
        }
        if owner.confirmed.is_none() && self.clients.confirmed_count() >= limits.clients {
            return Err(Status::Resource);
        }
        let client = Arc::new(Client::new(
            id,
            Minor::V40,
            name,
            pending.verifier,
            principal,
            self.clients.lease(now),
        ));
        client.dial.retarget(std::mem::take(&mut pending.callback));
        self.files.admit_client(id, client.notices());
        self.clients.insert(&client);
        let replaced = owner.confirmed.replace(Confirmed { client, confirm });
        owner.pending = None;
        registry.pending.remove(&id);
        Ok(replaced.map_or_else(Vec::new, |replaced| self.bury(&replaced.client)))
    }

    /// Takes a client out of the records, with all of its state.
    pub(super) fn forget_v40(
        &self,
        registry: &mut Registry,
        client: &Arc<Client>,
    ) -> Vec<Arc<dyn File>> {
        if let Some(owner) = registry.owners.get_mut(&client.owner) {
            owner
                .confirmed
                .take_if(|confirmed| confirmed.client.id == client.id);
            // An update of what is gone can't be confirmed.
            if owner
                .pending
                .take_if(|pending| pending.id == client.id)
                .is_some()
            {
                registry.pending.remove(&client.id);
            }
            if owner.is_empty() {
                registry.owners.remove(&client.owner);
            }
        }
        self.bury(client)
    }
}

impl Owner {
    /// The confirmation of what is confirmed: a retry whose first reply was lost.
    fn confirm_again(
        &self,
        id: ClientId,
        confirm: Verifier,
        principal: Principal,
    ) -> Result<Vec<Arc<dyn File>>, Status> {
        let confirmed = self
            .confirmed
            .as_ref()
            .filter(|confirmed| confirmed.client.id == id && confirmed.confirm == confirm)
            .ok_or(Status::StaleClientid)?;
        if confirmed.client.principal != principal {
            return Err(Status::ClidInuse);
        }
        Ok(Vec::new())
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
