//! Opens: made, widened, narrowed, closed.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-9.8>

use std::sync::Arc;

use dittofs_sdk::vfs::File;

use super::delegation::Touch;
use super::few::Rare;
use super::serving::Serving;
use super::shard::{Entry, Open, Shard};
use super::share::{Modes, Share};
use super::stateid::{Caller, Id, next_seqid};
use super::table::Place;
use super::{Bound, Files, Owner, ToClose};
use crate::exports::FileKey;
use crate::status::Status;
use crate::types::StateId;

/// An OPEN whose file is open in the file system already.
pub struct OpenRequest {
    /// Who opens.
    pub owner: Owner,
    /// Which file.
    pub key: FileKey,
    /// The user as whom the file system has opened it.
    pub user: u32,
    /// What for.
    pub share: Share,
    /// What it does to delegations of others.
    pub touch: Touch,
    /// The file, open for `share`'s access.
    pub file: Arc<dyn File>,
    /// Whether the owner has confirmed itself (4.0), or need not (4.1).
    pub confirmed: bool,
    /// Most opens.
    pub limit: Bound,
}

/// An open that was made or widened.
pub struct Opened {
    /// Its stateid.
    pub stateid: StateId,
    /// Files that the new one takes the place of.
    pub replaced: ToClose,
    id: Id,
    before: Before,
}

/// What there was before an OPEN.
enum Before {
    Nothing,
    Open(Modes),
}

impl Files {
    /// Opens: a second open of one owner and file widens the first. NFS4ERR_SHARE_DENIED if
    /// another open stands against it, NFS4ERR_DELAY if another client's delegation does; nothing has
    /// changed then.
    pub fn open(&self, caller: Caller, request: &OpenRequest) -> Result<Opened, Status> {
        let number = self.number_of(&request.key);
        let mut guard = self.shard(number).ok_or(Status::Serverfault)?;
        let shard = &mut *guard;
        let mut own = None;
        if let Some(file) = shard.files.get(&request.key) {
            // The owner's own reservation counts too (RFC 8881 §9.7).
            if file.tally.conflicts(request.share) {
                return Err(Status::ShareDenied);
            }
            let who = Some(request.owner.client);
            if file.broken(who, request.touch).next().is_some() {
                return Err(Status::Delay);
            }
            own = file.opens.get(&request.owner).copied();
        }
        match own {
            Some(id) => self.widen(shard, id, request),
            None => self.insert(shard, number, caller, request),
        }
    }

    fn widen(&self, shard: &mut Shard, id: Id, request: &OpenRequest) -> Result<Opened, Status> {
        let open = shard.open(id)?;
        let (file, before) = (open.file, open.modes);
        let after = before.with(request.share);
        shard.retally(file, before.share(), after.share());
        let open = shard.open_mut(id)?;
        open.modes = after;
        open.user = request.user;
        open.seqid = next_seqid(open.seqid);
        Ok(Opened {
            replaced: open.files.adopt(&request.file, request.share.access()),
            stateid: self.ids.stateid(id, open.seqid),
            id,
            before: Before::Open(before),
        })
    }

    fn insert(
        &self,
        shard: &mut Shard,
        number: usize,
        caller: Caller,
        request: &OpenRequest,
    ) -> Result<Opened, Status> {
        let id = self.unused_id(shard, number);
        let owner = self
            .index
            .add_open(caller, &request.owner, id, request.limit)?;
        let place = shard.files.enter(&request.key);
        if let Some(file) = shard.files.at_mut(place) {
            file.tally.add(request.share);
            file.opens.insert(Arc::clone(&owner), id);
        }
        let mut open = Open {
            owner,
            file: place,
            user: request.user,
            seqid: 1,
            modes: Modes::new(request.share),
            confirmed: request.confirmed,
            files: Serving::None,
            lockers: Rare::default(),
        };
        let replaced = open.files.adopt(&request.file, request.share.access());
        shard.states.insert(id, Box::new(Entry::Open(open)));
        Ok(Opened {
            stateid: self.ids.stateid(id, 1),
            replaced,
            id,
            before: Before::Nothing,
        })
    }

    pub(super) fn unused_id(&self, shard: &Shard, number: usize) -> Id {
        loop {
            let id = self.ids.make(number);
            if !shard.states.contains_key(&id) {
                return id;
            }
        }
    }

    /// Takes an OPEN back whose last step failed, unless the open has changed since.
    pub fn undo_open(&self, opened: Opened) -> ToClose {
        let mut closed = opened.replaced;
        let Some(mut guard) = self.shard(opened.id.shard()) else {
            return closed;
        };
        let shard = &mut *guard;
        let Ok(open) = shard.open_mut(opened.id) else {
            return closed;
        };
        if open.seqid != opened.stateid.seqid {
            return closed;
        }
        match opened.before {
            Before::Nothing => closed.extend(shard.remove(opened.id, &self.index)),
            Before::Open(modes) => {
                let after = open.modes;
                // 0 never stands here: the counter was raised at least once.
                open.seqid = match open.seqid.wrapping_sub(1) {
                    0 => u32::MAX,
                    seqid => seqid,
                };
                closed.extend(open.restrict(modes));
                let file = open.file;
                shard.retally(file, after.share(), modes.share());
            }
        }
        closed
    }

    /// OPEN_CONFIRM: the open may be used from now on.
    pub fn confirm(&self, stateid: &StateId, key: &FileKey) -> Result<StateId, Status> {
        let (id, mut shard) = self.locate(Caller::V40, stateid, key)?;
        let open = shard.open_mut(id)?;
        if open.confirmed {
            return Err(Status::BadStateid);
        }
        open.confirmed = true;
        open.seqid = next_seqid(open.seqid);
        Ok(self.ids.stateid(id, open.seqid))
    }

    /// OPEN_DOWNGRADE to a union of earlier OPENs (RFC 8881 §18.18.3).
    pub fn downgrade(
        &self,
        caller: Caller,
        stateid: &StateId,
        key: &FileKey,
        to: Share,
    ) -> Result<(StateId, ToClose), Status> {
        let (id, mut shard) = self.locate(caller, stateid, key)?;
        let open = shard.open_mut(id)?;
        if !open.confirmed {
            return Err(Status::BadStateid);
        }
        let (file, before) = (open.file, open.modes.share());
        let after = open.modes.downgraded(to)?;
        let closed = open.restrict(after);
        open.seqid = next_seqid(open.seqid);
        let stateid = self.ids.stateid(id, open.seqid);
        shard.retally(file, before, after.share());
        Ok((stateid, closed))
    }

    /// CLOSE: locks that are held through the open go with it (RFC 8881 §18.2.3). A 4.0 client gets
    /// the stateid with its counter raised, a 4.1 client one that is never valid.
    pub fn close(
        &self,
        caller: Caller,
        stateid: &StateId,
        key: &FileKey,
    ) -> Result<(StateId, ToClose), Status> {
        let (id, mut shard) = self.locate(caller, stateid, key)?;
        let open = shard.open(id)?;
        if !open.confirmed {
            return Err(Status::BadStateid);
        }
        let (owner, seqid) = (Arc::clone(&open.owner), open.seqid);
        let closed = shard.remove(id, &self.index);
        self.sweep_locks(id.shard(), shard);
        Ok(match caller {
            Caller::V40 => {
                self.owners.note_closed(&owner, id);
                (self.ids.stateid(id, next_seqid(seqid)), closed)
            }
            Caller::V41(_) => (StateId::INVALID, closed),
        })
    }

    /// The shard of an open that a stateid names.
    fn locate(
        &self,
        caller: Caller,
        stateid: &StateId,
        key: &FileKey,
    ) -> Result<(Id, parking_lot::MutexGuard<'_, Shard>), Status> {
        let id = self.ids.read(caller, stateid)?;
        let shard = self.shard(id.shard()).ok_or(Status::BadStateid)?;
        match shard.find_owned(caller, id, stateid.seqid, key)? {
            Entry::Open(_) => Ok((id, shard)),
            Entry::Lock(_) | Entry::Delegation(_) => Err(Status::BadStateid),
        }
    }
}

impl Shard {
    fn retally(&mut self, file: Place, before: Share, after: Share) {
        if let Some(file) = self.files.at_mut(file) {
            file.tally.remove(before);
            file.tally.add(after);
        }
    }
}
