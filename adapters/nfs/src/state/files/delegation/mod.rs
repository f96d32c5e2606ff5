//! Delegations: who may open, read, lock and write a file without asking.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-10.4>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-10.4>
//!
//! A delegation is the client's, whatever owner's OPEN it came with, and each client has at most one
//! of a file. Whether one pays is decided elsewhere; here is what keeps it true.

mod history;
mod pool;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dittofs_sdk::vfs::{Cred, File, OpenAccess};

pub(super) use self::history::History;
pub(super) use self::pool::Pool;
use super::shard::{Entry, OpenFile, Shard};
use super::share::Share;
use super::stateid::{Caller, Id};
use super::table::Place;
use super::{Files, Rival, ToClose};
use crate::callback::Referral;
use crate::exports::FileKey;
use crate::status::Status;
use crate::types::{ClientId, StateId};

/// What a delegation assures its client of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DelegationKind {
    /// That nobody else changes the file.
    Read,
    /// That nobody else uses the file.
    Write,
}

impl DelegationKind {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 2] = [Self::Read, Self::Write];

    /// The value of the label `type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// What an access does to delegations of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// It stands against those for writing.
    Look,
    /// It stands against all.
    Change,
}

impl Touch {
    /// That of an access without an open.
    pub fn by(access: OpenAccess) -> Self {
        if access.writes() {
            Self::Change
        } else {
            Self::Look
        }
    }

    /// That of an OPEN. Who holds a delegation for reading lets its own open for reading.
    pub fn of_open(share: Share) -> Self {
        if share.denies_reading() {
            Self::Change
        } else {
            Self::by(share.access())
        }
    }

    fn breaks(self, kind: DelegationKind) -> bool {
        self == Self::Change || kind == DelegationKind::Write
    }
}

/// A delegation that is to be granted.
pub struct DelegationRequest {
    /// Whose it will be.
    pub client: ClientId,
    /// Which file.
    pub key: FileKey,
    /// What for.
    pub kind: DelegationKind,
    /// The user who opened the file.
    pub cred: Cred,
    /// The file, open for `access`.
    pub file: Arc<dyn File>,
    /// What the file is open for.
    pub access: OpenAccess,
    /// The file's change counter now; of interest for writing alone.
    pub change: u64,
    /// The request that it came with, if that was in a session.
    pub granted_by: Option<Referral>,
    /// Most delegations of all clients together; 0 for no limit.
    pub most: usize,
    /// Whether it is taken back after a restart: nobody got anything that stands against it, and what
    /// there was before the restart counts more than what pays.
    pub reclaim: bool,
}

/// Why there is no delegation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoDelegation {
    /// Somebody else uses the file, or did a moment ago.
    Contention,
    /// There are enough.
    Resource,
    /// The client has one for reading and wants to write.
    Upgrade,
    /// The client has one for writing and wants to read.
    Downgrade,
}

/// One client's delegation of one file.
pub(super) struct Delegation {
    pub(super) client: ClientId,
    pub(super) file: Place,
    pub(super) seqid: u32,
    pub(super) kind: DelegationKind,
    cred: Cred,
    open: Arc<dyn File>,
    access: OpenAccess,
    granted_by: Option<Referral>,
    recalled: Option<Instant>,
    /// The change counter at the grant: what the client returns as long as it has changed nothing.
    granted: u64,
    /// The largest change counter that others were told since.
    told: u64,
}

/// A delegation that is in somebody's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recall {
    /// Whose it is.
    pub client: ClientId,
    /// Its stateid.
    pub stateid: StateId,
    /// What it is for.
    pub kind: DelegationKind,
    /// Whether this is the first one whose way it is in: its client does not know yet.
    pub first: bool,
    /// The request that it came with, if that was in a session.
    pub granted_by: Option<Referral>,
    pub(crate) id: Id,
}

impl Recall {
    /// The delegation, as what stands against an operation.
    pub fn rival(&self) -> Rival {
        Rival {
            client: self.client,
            id: self.id,
        }
    }
}

/// A delegation that was recalled and has not come back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Overdue {
    pub(crate) id: Id,
    pub(crate) client: ClientId,
    /// How long ago the recall began.
    pub(crate) since: Duration,
}

impl Overdue {
    /// The delegation, as what stands against an operation.
    pub(crate) fn rival(self) -> Rival {
        Rival {
            client: self.client,
            id: self.id,
        }
    }
}

/// Who may have changed a file without having told.
#[derive(Debug, Clone)]
pub struct Writer {
    /// The client.
    pub client: ClientId,
    /// The user who opened the file there.
    pub cred: Cred,
    /// The change counter that it was told.
    pub granted: u64,
    id: Id,
}

impl Files {
    /// Grants a delegation, unless anybody else has an open or a delegation that stands against it,
    /// or is about to change the file.
    pub fn delegate(
        &self,
        request: DelegationRequest,
        now: Instant,
    ) -> Result<StateId, NoDelegation> {
        let DelegationRequest { client, kind, .. } = request;
        let number = self.number_of(&request.key);
        let mut guard = self.shard(number).ok_or(NoDelegation::Resource)?;
        let shard = &mut *guard;
        if let Some(file) = shard.files.get(&request.key) {
            if let Some((_, own)) = file.delegations.get(&client) {
                return Err(match (own, kind) {
                    (DelegationKind::Read, DelegationKind::Write) => NoDelegation::Upgrade,
                    (DelegationKind::Write, DelegationKind::Read) => NoDelegation::Downgrade,
                    _ => NoDelegation::Contention,
                });
            }
            if file.held != 0 || shard.stands_against(file, client, kind) {
                return Err(NoDelegation::Contention);
            }
        }
        if !request.reclaim && !shard.history.is_settled(&request.key, now) {
            return Err(NoDelegation::Contention);
        }
        let id = self.unused_id(shard, number);
        if !self.index.pool.add(client, id, kind, request.most) {
            return Err(NoDelegation::Resource);
        }
        let place = shard.files.enter(&request.key);
        if let Some(file) = shard.files.at_mut(place) {
            file.delegations.insert(client, (id, kind));
        }
        let delegation = Delegation {
            client,
            file: place,
            seqid: 1,
            kind,
            cred: request.cred,
            open: request.file,
            access: request.access,
            granted_by: request.granted_by,
            recalled: None,
            granted: request.change,
            told: request.change,
        };
        shard
            .states
            .insert(id, Box::new(Entry::Delegation(Box::new(delegation))));
        Ok(self.ids.stateid(id, 1))
    }

    /// DELEGRETURN (RFC 8881 §18.6).
    pub fn return_delegation(
        &self,
        caller: Caller,
        stateid: &StateId,
        key: &FileKey,
    ) -> Result<(ClientId, ToClose), Status> {
        let id = self.ids.read(caller, stateid)?;
        let mut shard = self.shard(id.shard()).ok_or(Status::BadStateid)?;
        let Entry::Delegation(delegation) = shard.find(caller, id, stateid.seqid, Some(key))?
        else {
            return Err(Status::BadStateid);
        };
        let client = delegation.client;
        Ok((client, shard.remove(id, &self.index)))
    }

    /// What a client may do under a delegation that it shows with an OPEN, whether or not it is
    /// being recalled (RFC 8881 §10.4.4).
    pub fn delegated(
        &self,
        caller: Caller,
        stateid: &StateId,
        key: &FileKey,
    ) -> Result<(ClientId, DelegationKind), Status> {
        let id = self.ids.read(caller, stateid)?;
        let shard = self.shard(id.shard()).ok_or(Status::BadStateid)?;
        match shard.find(caller, id, stateid.seqid, Some(key))? {
            Entry::Delegation(delegation) => Ok((delegation.client, delegation.kind)),
            _ => Err(Status::BadStateid),
        }
    }

    /// Keeps delegations of the file from being granted until [`end_change`](Self::end_change), if no
    /// one's but the client's own are in the way. If others are, they are to be recalled.
    pub fn begin_change(
        &self,
        key: &FileKey,
        who: Option<ClientId>,
        touch: Touch,
        now: Instant,
    ) -> Result<(), Vec<Recall>> {
        let Some(mut guard) = self.shard_of(key) else {
            return Ok(());
        };
        let shard = &mut *guard;
        let recalls = self.mark_recalled(shard, key, who, touch, now);
        if !recalls.is_empty() {
            return Err(recalls);
        }
        let place = shard.files.enter(key);
        if let Some(file) = shard.files.at_mut(place) {
            file.held += 1;
        }
        Ok(())
    }

    /// The change has been made, or was not.
    pub fn end_change(&self, key: &FileKey) {
        if let Some(mut shard) = self.shard_of(key)
            && let Some(place) = shard.files.place(key)
        {
            if let Some(file) = shard.files.at_mut(place) {
                file.held = file.held.saturating_sub(1);
            }
            shard.forget_unused(place);
        }
    }

    /// As [`begin_change`](Self::begin_change), for any file, if there are no delegations at all.
    pub fn begin_unguarded_change(&self) -> bool {
        self.index.pool.begin_unguarded()
    }

    /// What [`begin_unguarded_change`](Self::begin_unguarded_change) began has ended.
    pub fn end_unguarded_change(&self) {
        self.index.pool.end_unguarded();
    }

    /// Delegations that are to be recalled because the file was changed already, by somebody who
    /// asked nobody.
    pub fn changed(&self, key: &FileKey, now: Instant) -> Vec<Recall> {
        if self.index.pool.len() == 0 {
            return Vec::new();
        }
        self.shard_of(key).map_or_else(Vec::new, |mut shard| {
            self.mark_recalled(&mut shard, key, None, Touch::Change, now)
        })
    }

    /// Recalls a client's own delegation at once: it was granted to be given back.
    pub fn recall(&self, caller: Caller, stateid: &StateId, now: Instant) -> Option<Recall> {
        let id = self.ids.read(caller, stateid).ok()?;
        let mut shard = self.shard(id.shard())?;
        self.mark(&mut shard, id, now)
    }

    /// Whether the delegation is still there and being recalled.
    pub(crate) fn is_recalled(&self, id: Id) -> bool {
        self.shard(id.shard()).is_some_and(|shard| {
            matches!(shard.state(id), Some(Entry::Delegation(delegation)) if delegation.recalled.is_some())
        })
    }

    /// Delegations whose recall began at least `timeout` ago.
    pub(crate) fn overdue(&self, now: Instant, timeout: Duration) -> Vec<Overdue> {
        let recalled = self.index.pool.recalled().into_iter();
        let since = recalled.filter_map(|id| {
            let shard = self.shard(id.shard())?;
            let delegation = shard.delegation(id)?;
            Some(Overdue {
                id,
                client: delegation.client,
                since: now.saturating_duration_since(delegation.recalled?),
            })
        });
        since.filter(|overdue| overdue.since >= timeout).collect()
    }

    /// Who else than `who` may have changed the file without having told.
    pub fn writer_elsewhere(&self, key: &FileKey, who: Option<ClientId>) -> Option<Writer> {
        if self.delegations(DelegationKind::Write) == 0 {
            return None;
        }
        let shard = self.shard_of(key)?;
        let held = &shard.files.get(key)?.delegations;
        // At most one, as one for writing stands against all others.
        let (client, (id, _)) = held
            .iter()
            .find(|(_, (_, kind))| *kind == DelegationKind::Write)?;
        if Some(*client) == who {
            return None;
        }
        let delegation = shard.delegation(*id)?;
        Some(Writer {
            client: *client,
            cred: delegation.cred.clone(),
            granted: delegation.granted,
            id: *id,
        })
    }

    /// The change counter that others are told of a file which its delegate has changed: larger than
    /// what they were told before, and no less than `now`, the file system's (RFC 8881 §10.4.3). None
    /// if the delegation was given back meanwhile, so that the file system knows best.
    pub fn next_change(&self, writer: &Writer, now: u64) -> Option<u64> {
        let mut shard = self.shard(writer.id.shard())?;
        let Some(Entry::Delegation(delegation)) = shard.state_mut(writer.id) else {
            return None;
        };
        delegation.told = delegation.told.wrapping_add(1).max(now);
        Some(delegation.told)
    }

    /// The client that a stateid is of, if it is good.
    pub fn client_of(&self, caller: Caller, stateid: &StateId, key: &FileKey) -> Option<ClientId> {
        let id = self.ids.read(caller, stateid).ok()?;
        let shard = self.shard(id.shard())?;
        let entry = shard.find(caller, id, stateid.seqid, Some(key)).ok()?;
        Some(entry.client())
    }

    /// Whether a reservation stands against `share`.
    pub fn refuses(&self, key: &FileKey, share: Share) -> bool {
        self.shard_of(key)
            .and_then(|shard| Some(shard.files.get(key)?.tally.conflicts(share)))
            .unwrap_or(false)
    }

    /// Number of delegations of this kind.
    pub fn delegations(&self, kind: DelegationKind) -> usize {
        self.index.pool.of_kind(kind)
    }

    /// Whether the client has any delegation.
    pub fn has_delegation(&self, client: ClientId) -> bool {
        self.index.pool.has_client(client)
    }

    /// If nearly as many delegations as `most` are out: how many of them each client may keep, and
    /// who has more.
    pub fn crowding(&self, most: usize) -> Option<(usize, Vec<ClientId>)> {
        let crowded = most != 0 && self.index.pool.len() >= most - most / 10;
        crowded.then(|| self.index.pool.above_share(most))
    }

    fn mark_recalled(
        &self,
        shard: &mut Shard,
        key: &FileKey,
        who: Option<ClientId>,
        touch: Touch,
        now: Instant,
    ) -> Vec<Recall> {
        let file = shard.files.get(key).into_iter();
        let ids: Vec<Id> = file.flat_map(|file| file.broken(who, touch)).collect();
        let recalls: Vec<_> = ids
            .into_iter()
            .filter_map(|id| self.mark(shard, id, now))
            .collect();
        if recalls.iter().any(|recall| recall.first) {
            shard.history.note(*key, now);
        }
        recalls
    }

    fn mark(&self, shard: &mut Shard, id: Id, now: Instant) -> Option<Recall> {
        let Some(Entry::Delegation(delegation)) = shard.state_mut(id) else {
            return None;
        };
        let first = delegation.recalled.is_none();
        if first {
            delegation.recalled = Some(now);
            self.index.pool.note_recalled(id);
        }
        Some(Recall {
            client: delegation.client,
            stateid: self.ids.stateid(id, delegation.seqid),
            kind: delegation.kind,
            first,
            granted_by: delegation.granted_by,
            id,
        })
    }
}

/// Opens of a file that are looked at before it is found too busy to be delegated.
const FEW_OPENS: usize = 64;

impl Shard {
    /// Whether others' delegations or opens stand against a delegation of `client`.
    fn stands_against(&self, file: &OpenFile, client: ClientId, kind: DelegationKind) -> bool {
        let delegated = file.delegations.iter().any(|(other, (_, held))| {
            *other != client && (kind == DelegationKind::Write || *held == DelegationKind::Write)
        });
        if delegated {
            return true;
        }
        if kind == DelegationKind::Read && !file.tally.stands_against_readers() {
            return false;
        }
        file.opens.len() > FEW_OPENS
            || file.opens.iter().any(|(owner, id)| {
                owner.client != client
                    && (kind == DelegationKind::Write
                        || self
                            .open(*id)
                            .is_ok_and(|open| open.modes.share().stands_against_readers()))
            })
    }

    fn delegation(&self, id: Id) -> Option<&Delegation> {
        match self.state(id)? {
            Entry::Delegation(delegation) => Some(delegation),
            _ => None,
        }
    }
}

impl OpenFile {
    /// Others' delegations that are in the way of `touch` by `who`.
    pub(super) fn broken(&self, who: Option<ClientId>, touch: Touch) -> impl Iterator<Item = Id> {
        let others = self.delegations.iter();
        others
            .filter(move |(client, (_, kind))| Some(**client) != who && touch.breaks(*kind))
            .map(|(_, (id, _))| *id)
    }
}

impl Delegation {
    /// The open file that serves `access`; none if the file system has to be asked.
    pub(super) fn serving(
        &self,
        access: OpenAccess,
        user: u32,
    ) -> Result<Option<Arc<dyn File>>, Status> {
        if access.writes() && self.kind == DelegationKind::Read {
            return Err(Status::Openmode);
        }
        let serves = user == self.cred.uid
            && (!access.writes() || self.access.writes())
            && (!access.reads() || self.access.reads());
        Ok(serves.then(|| Arc::clone(&self.open)))
    }

    /// The file, to be closed.
    pub(super) fn into_open(self) -> Arc<dyn File> {
        self.open
    }
}
