//! State that was taken away from clients: remembered until they acknowledge the loss.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-8.5>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-9.8>
//!
//! A client that uses such state learns why it is gone, and one of 4.1 learns from SEQUENCE that
//! there is something to ask for (RFC 8881 §18.46.3), until FREE_STATEID.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use super::Owner;
use super::shard::Entry;
use super::stateid::{Caller, Id};
use crate::state::client::{News, Notices};
use crate::status::Status;
use crate::types::ClientId;

/// How many losses of one client are remembered; of older ones it learns no more than that they
/// are no state.
const REMEMBERED: usize = 1024;

/// Why state was taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// The lease ran out, and somebody else wanted what it stood against.
    Expired,
    /// An administrator did it.
    Admin,
    /// It was recalled, and not given back in time.
    Recallable,
}

impl Revoked {
    /// What whoever uses the state is told (RFC 8881 §8.2.4). 4.0 does not tell a recall in vain from
    /// an administrator's act (RFC 7530 §13.1.5.1).
    fn status(self, caller: Caller) -> Status {
        match (self, caller) {
            (Self::Expired, _) => Status::Expired,
            (Self::Admin, _) | (Self::Recallable, Caller::V40) => Status::AdminRevoked,
            (Self::Recallable, Caller::V41(_)) => Status::DelegRevoked,
        }
    }

    /// What SEQUENCE tells. A lease that ran out costs only what somebody else wanted, never all at
    /// once: a client that loses all is forgotten with its sessions.
    fn news(self) -> News {
        match self {
            Self::Expired => News::EXPIRED_SOME_STATE_REVOKED,
            Self::Admin => News::ADMIN_STATE_REVOKED,
            Self::Recallable => News::RECALLABLE_STATE_REVOKED,
        }
    }
}

/// What clients have lost. Its lock is taken after any shard's.
#[derive(Debug, Default)]
pub(super) struct Losses {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    clients: HashMap<ClientId, Lost>,
    states: HashMap<Id, Loss>,
}

#[derive(Debug)]
struct Lost {
    notices: Arc<Notices>,
    order: VecDeque<(Id, Revoked)>,
}

#[derive(Debug)]
struct Loss {
    client: ClientId,
    /// None of a delegation.
    owner: Option<Owner>,
    why: Revoked,
}

impl Losses {
    pub(super) fn admit_client(&self, client: ClientId, notices: &Arc<Notices>) {
        let mut inner = self.inner.lock();
        inner.clients.entry(client).or_insert_with(|| Lost {
            notices: Arc::clone(notices),
            order: VecDeque::new(),
        });
    }

    /// Notes a loss, unless its client is gone itself.
    pub(super) fn note(&self, id: Id, entry: &Entry, why: Revoked) {
        self.note_of(id, entry.client(), entry.owner(), why);
    }

    fn note_of(&self, id: Id, client: ClientId, owner: Option<&Owner>, why: Revoked) {
        let mut inner = self.inner.lock();
        let Inner { clients, states } = &mut *inner;
        let Some(lost) = clients.get_mut(&client) else {
            return;
        };
        if lost.order.len() >= REMEMBERED
            && let Some((oldest, _)) = lost.order.front().copied()
        {
            states.remove(&oldest);
            lost.forget(oldest);
        }
        lost.order.push_back((id, why));
        lost.notices.tell(why.news());
        let owner = owner.cloned();
        states.insert(id, Loss { client, owner, why });
    }

    /// Why the caller has lost a state, if it has.
    pub(super) fn status(&self, caller: Caller, id: Id) -> Option<Status> {
        let inner = self.inner.lock();
        let loss = inner.states.get(&id)?;
        let own = caller.owns(loss.client);
        own.then(|| loss.why.status(caller))
    }

    /// Whose a lost state was.
    pub(super) fn owner(&self, id: Id) -> Option<Owner> {
        self.inner.lock().states.get(&id)?.owner.clone()
    }

    /// The caller knows that it has lost a state; false if it has not.
    pub(super) fn acknowledge(&self, caller: Caller, id: Id) -> bool {
        let mut inner = self.inner.lock();
        let Inner { clients, states } = &mut *inner;
        let Some(client) = states.get(&id).map(|loss| loss.client) else {
            return false;
        };
        if !caller.owns(client) {
            return false;
        }
        states.remove(&id);
        if let Some(lost) = clients.get_mut(&client) {
            lost.forget(id);
        }
        true
    }

    /// Forgets a client and what it had lost.
    pub(super) fn release_client(&self, client: ClientId) {
        let mut inner = self.inner.lock();
        let lost = inner.clients.remove(&client);
        for (id, _) in lost.into_iter().flat_map(|lost| lost.order) {
            inner.states.remove(&id);
        }
    }

    /// How many losses there are of all clients.
    pub(super) fn total(&self) -> usize {
        self.inner.lock().states.len()
    }

    /// How many losses of the client are not acknowledged.
    pub(super) fn count(&self, client: ClientId) -> usize {
        let inner = self.inner.lock();
        inner
            .clients
            .get(&client)
            .map_or(0, |lost| lost.order.len())
    }
}

impl Lost {
    /// SEQUENCE tells of a kind of loss until there is none of it to acknowledge.
    fn forget(&mut self, id: Id) {
        let Some(at) = self.order.iter().position(|(other, _)| *other == id) else {
            return;
        };
        if let Some((_, why)) = self.order.remove(at)
            && !self.order.iter().any(|(_, other)| *other == why)
        {
            self.notices.untell(why.news());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Role;
    use super::*;

    const V41: Caller = Caller::V41(ClientId(1));

    fn owner(client: u64) -> Owner {
        Owner {
            client: ClientId(client),
            role: Role::Open,
            name: Arc::from(*b"o"),
        }
    }

    fn note(losses: &Losses, id: u64, why: Revoked) {
        losses.note_of(Id(id), ClientId(1), Some(&owner(1)), why);
    }

    fn losses() -> (Losses, Arc<Notices>) {
        let (losses, notices) = (Losses::default(), Arc::default());
        losses.admit_client(ClientId(1), &notices);
        (losses, notices)
    }

    #[test]
    fn each_minor_version_has_its_own_name_for_a_loss() {
        let all = [Revoked::Expired, Revoked::Admin, Revoked::Recallable];
        let names = |caller| all.map(|why| why.status(caller));
        assert_eq!(
            names(V41),
            [Status::Expired, Status::AdminRevoked, Status::DelegRevoked]
        );
        assert_eq!(
            names(Caller::V40),
            [Status::Expired, Status::AdminRevoked, Status::AdminRevoked]
        );
    }

    #[test]
    fn a_flag_is_told_until_the_last_loss_of_its_kind_is_acknowledged() {
        let (losses, notices) = losses();
        note(&losses, 1, Revoked::Recallable);
        note(&losses, 2, Revoked::Recallable);
        note(&losses, 3, Revoked::Expired);
        assert_eq!(notices.flags(), 0x50);
        assert!(losses.acknowledge(V41, Id(1)));
        assert_eq!(notices.flags(), 0x50);
        assert!(!losses.acknowledge(V41, Id(1)));
        assert!(losses.acknowledge(V41, Id(2)));
        assert_eq!(notices.flags(), 0x10);
        assert!(losses.acknowledge(V41, Id(3)));
        assert_eq!(notices.flags(), 0);
    }

    #[test]
    fn nobody_learns_of_or_acknowledges_the_loss_of_another() {
        let (losses, notices) = losses();
        note(&losses, 1, Revoked::Admin);
        let other = Caller::V41(ClientId(2));
        assert_eq!(losses.status(other, Id(1)), None);
        assert!(!losses.acknowledge(other, Id(1)));
        assert_eq!(losses.status(V41, Id(1)), Some(Status::AdminRevoked));
        assert_eq!(notices.flags(), 0x20);
    }

    #[test]
    fn losses_are_bounded_and_end_with_their_client() {
        let (losses, _notices) = losses();
        for id in 0..2 * REMEMBERED as u64 {
            note(&losses, id, Revoked::Expired);
        }
        assert_eq!(losses.count(ClientId(1)), REMEMBERED);
        assert_eq!(losses.status(V41, Id(0)), None);
        losses.release_client(ClientId(1));
        note(&losses, 5, Revoked::Expired);
        let inner = losses.inner.lock();
        assert!(inner.clients.is_empty() && inner.states.is_empty());
    }
}
