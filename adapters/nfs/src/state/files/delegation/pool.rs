//! How many delegations there are, whose they are and which of them are being recalled.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use parking_lot::Mutex;

use super::DelegationKind;
use crate::state::files::stateid::Id;
use crate::types::ClientId;

/// All delegations. Its lock is taken after any shard's.
#[derive(Debug, Default)]
pub(in crate::state::files) struct Pool {
    inner: Mutex<Inner>,
    /// How many there are of each kind, in the order of [`DelegationKind::ALL`].
    counts: [AtomicUsize; 2],
    /// Changes under way that looked for no delegation, as there was none.
    unguarded: AtomicUsize,
}

#[derive(Debug, Default)]
struct Inner {
    clients: HashMap<ClientId, HashSet<Id>>,
    /// Clients that have any.
    holders: usize,
    recalled: HashSet<Id>,
}

impl Pool {
    pub(in crate::state::files) fn admit(&self, client: ClientId) {
        self.inner.lock().clients.entry(client).or_default();
    }

    /// Notes a delegation, unless there are `most` already, or the client has its share of them:
    /// as many as each would have if all who have any had the same. 0 stands for no limit.
    pub(super) fn add(&self, client: ClientId, id: Id, kind: DelegationKind, most: usize) -> bool {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let Some(own) = inner.clients.get_mut(&client) else {
            return false;
        };
        let holders = inner.holders + usize::from(own.is_empty());
        let full = most != 0 && (self.len() >= most || own.len() >= (most / holders).max(1));
        if full {
            return false;
        }
        // Announced before it is looked for changes that look for none: one of the two sees the
        // other.
        self.count(kind).fetch_add(1, SeqCst);
        if self.unguarded.load(SeqCst) != 0 {
            self.count(kind).fetch_sub(1, SeqCst);
            return false;
        }
        own.insert(id);
        inner.holders = holders;
        true
    }

    pub(in crate::state::files) fn remove(&self, client: ClientId, id: Id, kind: DelegationKind) {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        inner.recalled.remove(&id);
        self.count(kind).fetch_sub(1, SeqCst);
        if let Some(own) = inner.clients.get_mut(&client)
            && own.remove(&id)
            && own.is_empty()
        {
            inner.holders -= 1;
        }
    }

    pub(super) fn note_recalled(&self, id: Id) {
        self.inner.lock().recalled.insert(id);
    }

    /// All that are being recalled.
    pub(super) fn recalled(&self) -> Vec<Id> {
        self.inner.lock().recalled.iter().copied().collect()
    }

    pub(in crate::state::files) fn has_client(&self, client: ClientId) -> bool {
        let inner = self.inner.lock();
        inner
            .clients
            .get(&client)
            .is_some_and(|own| !own.is_empty())
    }

    /// All of a client, in no order.
    pub(in crate::state::files) fn of_client(&self, client: ClientId) -> Vec<Id> {
        let inner = self.inner.lock();
        let own = inner.clients.get(&client).into_iter().flatten();
        own.copied().collect()
    }

    /// All of a client, which gets no more.
    pub(in crate::state::files) fn take_client(&self, client: ClientId) -> HashSet<Id> {
        let mut inner = self.inner.lock();
        let own = inner.clients.remove(&client).unwrap_or_default();
        if !own.is_empty() {
            inner.holders -= 1;
        }
        own
    }

    /// How many a client has.
    pub(in crate::state::files) fn count_of(&self, client: ClientId) -> usize {
        let inner = self.inner.lock();
        inner.clients.get(&client).map_or(0, HashSet::len)
    }

    /// Clients that have more than their share of `most`, and what that share is.
    pub(super) fn above_share(&self, most: usize) -> (usize, Vec<ClientId>) {
        let inner = self.inner.lock();
        let share = most / inner.holders.max(1);
        let above = inner.clients.iter().filter(|(_, own)| own.len() > share);
        (share, above.map(|(client, _)| *client).collect())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        DelegationKind::ALL
            .map(|kind| self.of_kind(kind))
            .iter()
            .sum()
    }

    /// How many there are of a kind.
    pub(super) fn of_kind(&self, kind: DelegationKind) -> usize {
        self.count(kind).load(SeqCst)
    }

    /// Begins a change without looking for delegations, if there are none; until
    /// [`end_unguarded`](Self::end_unguarded) there will be none.
    pub(super) fn begin_unguarded(&self) -> bool {
        self.unguarded.fetch_add(1, SeqCst);
        let none = self.len() == 0;
        if !none {
            self.end_unguarded();
        }
        none
    }

    pub(super) fn end_unguarded(&self) {
        self.unguarded.fetch_sub(1, SeqCst);
    }

    fn count(&self, kind: DelegationKind) -> &AtomicUsize {
        let [read, write] = &self.counts;
        match kind {
            DelegationKind::Read => read,
            DelegationKind::Write => write,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: DelegationKind = DelegationKind::Read;

    fn pool() -> Pool {
        let pool = Pool::default();
        for client in 1..=3 {
            pool.admit(ClientId(client));
        }
        pool
    }

    #[test]
    fn who_is_alone_may_have_all_and_who_is_not_a_share() {
        let pool = pool();
        let add = |client, id| pool.add(ClientId(client), Id(id), READ, 4);
        assert!(add(1, 1) && add(1, 2) && add(1, 3));
        assert!(add(2, 4), "there is room for one");
        assert!(!add(2, 5), "there is none");
        assert_eq!(pool.above_share(4), (2, vec![ClientId(1)]));
        pool.remove(ClientId(1), Id(1), READ);
        assert!(!add(1, 6), "it has its share");
        assert!(add(2, 7));
        assert!(!pool.add(ClientId(9), Id(8), READ, 0), "nobody knows it");
    }

    #[test]
    fn nothing_is_added_while_a_change_looks_for_nothing() {
        let pool = pool();
        assert!(pool.begin_unguarded());
        assert!(!pool.add(ClientId(1), Id(1), READ, 0));
        pool.end_unguarded();
        assert!(pool.add(ClientId(1), Id(1), READ, 0));
        assert!(!pool.begin_unguarded());
        assert!(pool.add(ClientId(1), Id(2), READ, 0));
        assert_eq!(pool.len(), 2);
    }

    #[test]
    fn a_client_that_is_gone_leaves_nothing() {
        let pool = pool();
        assert!(pool.add(ClientId(1), Id(1), READ, 0));
        pool.note_recalled(Id(1));
        for id in pool.take_client(ClientId(1)) {
            pool.remove(ClientId(1), id, READ);
        }
        assert_eq!((pool.len(), pool.recalled().len()), (0, 0));
        assert_eq!(pool.inner.lock().holders, 0);
        assert!(!pool.add(ClientId(1), Id(2), READ, 0));
    }
}
