//! OPEN: finds or creates a file and opens it for a client's owner.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.16>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-16.16>

mod args;
mod delegation;
mod find;

use std::pin::pin;
use std::sync::Arc;

use dittofs_sdk::vfs::{OpenAccess, SetAttr};

pub(crate) use self::args::kind;
pub use self::args::{Args, Claim, How, Opened, OwnerArg};
pub use self::delegation::{Delegation, Want, Why};
use self::find::Found;
use super::courtesy::{Obstacle, past_silent};
use super::io;
use super::owner40::{self, Answer, Refused, Running};
use super::reclaim;
use crate::compound::{Cx, Operation};
use crate::delegations::{self, Access, Hold, Offer, Reason, Refusal};
use crate::exports::{FileKey, Object};
use crate::state::files::{
    self, DelegationKind, Numbered, OpenRequest, Owner, Role, Share, Step, Touch, Turn,
};
use crate::status::Status;
use crate::types::{ClientId, Minor, StateId};

const CONFIRM: u32 = 2;
const LOCKTYPE_POSIX: u32 = 4;
const MAY_NOTIFY_LOCK: u32 = 0x20;

impl Operation for Args {
    type Ok = Answer<Opened>;
    type Err = Refused;

    #[expect(
        clippy::manual_async_fn,
        reason = "what is moved into a block stays where it is; arguments of an async fn are there twice"
    )]
    fn run(self, cx: &mut Cx) -> impl Future<Output = Result<Answer<Opened>, Refused>> + Send {
        async move {
            let client = io::client_of(cx, self.owner.client)?;
            cx.show(client);
            let owner = self.owner.owner(client, Role::Open);
            if cx.minor() == Minor::V40 {
                return Box::pin(self.open_in_turn(cx, owner)).await;
            }
            let result = pin!(self.open(cx, owner, true)).await;
            Running::Unnumbered.finish(result.map_err(Refused::from), None)
        }
    }

    fn reply_room(&self) -> usize {
        // stateid, change_info4, flags, three words of attributes, delegation
        16 + 20 + 4 + 16 + Delegation::SIZE_MAX
    }
}

impl OwnerArg {
    /// The owner, as one of `client`.
    pub fn owner(&self, client: ClientId, role: Role) -> Owner {
        Owner {
            client,
            role,
            // A copy: the name outlives the request's record.
            name: Arc::from(&*self.name),
        }
    }
}

impl Args {
    /// As the next operation of its owner, in 4.0.
    async fn open_in_turn(&self, cx: &mut Cx, owner: Owner) -> Result<Answer<Opened>, Refused> {
        let mut guard = owner40::lock(cx, &owner).await?;
        let step = Step {
            op: Numbered::Open,
            seqid: self.seqid,
        };
        let turn = match guard.turn(step) {
            // An owner that never confirmed itself begins anew (RFC 7530 §16.18.5).
            Err(Status::BadSeqid) if !guard.confirmed => Turn::Run,
            turn => turn?,
        };
        if let Turn::Replay(cached) = turn {
            if let Some(key) = cached.current {
                enter(cx, &key)?;
            }
            return owner40::replay(cached);
        }
        if !guard.confirmed {
            drop(cx.server.state.files.release_owner(&owner));
        }
        // Reclaims are never to be confirmed (RFC 7530 §9.1.11).
        guard.confirmed |= self.claim.is_reclaim();
        let confirmed = guard.confirmed;
        let running = Running::Numbered(guard, step);
        let result = self.open(cx, owner, confirmed).await.map_err(Refused::from);
        let current = match (&result, &cx.current) {
            (Ok(_), Some(Object::Share(object))) => Some(object.key()),
            _ => None,
        };
        running.finish(result, current)
    }

    /// Whether its time has come, or has not passed. What is under a delegation is as old as that.
    fn in_time(&self, cx: &Cx, client: ClientId) -> Result<(), Status> {
        match self.claim {
            Claim::Null(_) | Claim::Handle => reclaim::may_get_new(cx),
            Claim::Previous(_) => reclaim::may_reclaim(cx, client),
            Claim::Delegated(_) | Claim::DelegatedName(..) | Claim::DelegatedBefore => Ok(()),
        }
    }

    // What is rare has an allocation of its own here, so that it is not moved with every OPEN.
    async fn open(&self, cx: &mut Cx, owner: Owner, confirmed: bool) -> Result<Opened, Status> {
        let (share, want) = self.share(cx.minor())?;
        self.in_time(cx, owner.client)?;
        let found = pin!(find::find(cx, &self.claim, &self.how, share.access())).await?;
        if let Some(stateid) = self.claim.delegation() {
            check_delegation(cx, stateid, &found, share, owner.client)?;
        }
        let hold = match delegations::hold_off(cx) {
            None => Box::pin(make_way(cx, &found, share)).await?,
            hold => hold,
        };
        let client = owner.client;
        let opened = pin!(self.make(cx, owner, &found, share, confirmed)).await?;
        if cx.minor() == Minor::V40
            && let Err(status) = Box::pin(established(cx, client)).await
        {
            drop(cx.server.state.files.undo_open(opened));
            return Err(status);
        }
        if found.truncate
            && let Err(status) = Box::pin(truncate(cx, &found, share.access())).await
        {
            drop(cx.server.state.files.undo_open(opened));
            return Err(status);
        }
        drop(hold);
        let delegation = pin!(self.delegation(cx, &found, share, want, client, confirmed)).await;
        cx.set_current(Object::Share(found.object));
        cx.current_stateid = Some(opened.stateid);
        Ok(Opened {
            stateid: opened.stateid,
            change: found.change,
            flags: LOCKTYPE_POSIX | if confirmed { 0 } else { CONFIRM } | may_notify_lock(cx),
            attrs: found.attrs,
            delegation,
        })
    }

    /// Makes the open in the client's state.
    async fn make(
        &self,
        cx: &Cx,
        owner: Owner,
        found: &Found,
        share: Share,
        confirmed: bool,
    ) -> Result<files::Opened, Status> {
        let request = OpenRequest {
            owner,
            key: found.object.key(),
            user: found.object.cred.uid,
            share,
            touch: touch(found, share),
            file: Arc::clone(&found.file),
            confirmed,
            limit: cx.settings.open_bound(),
        };
        match self.claim {
            Claim::Previous(_) => {
                let files = &cx.server.state.files;
                let opened = files.open(io::caller(cx), &request);
                let opened = opened.map_err(reclaim::conflict);
                let status = opened.as_ref().err().copied();
                cx.server.metrics.grace.asked(status.unwrap_or(Status::Ok));
                opened
            }
            _ => match cx.server.state.files.open(io::caller(cx), &request) {
                Ok(opened) => Ok(opened),
                Err(_) => Box::pin(open_again(cx, &request)).await,
            },
        }
    }

    /// No delegation comes with an open that has yet to be confirmed (RFC 7530 §9.1.11), nor with one
    /// that is made under a delegation; one that is taken back has what it had.
    async fn delegation(
        &self,
        cx: &Cx,
        found: &Found,
        share: Share,
        want: Want,
        client: ClientId,
        confirmed: bool,
    ) -> Delegation {
        let offer = Offer {
            client,
            object: &found.object,
            file: &found.file,
            access: share.access(),
        };
        let result = match &self.claim {
            Claim::Previous(Some(kind)) => delegations::take_back(cx, &offer, *kind).await,
            Claim::Null(_) | Claim::Handle if confirmed => {
                delegations::offer(cx, &offer, want.kinds(share.access())).await
            }
            _ => Err(Refusal::Unavailable),
        };
        Delegation::of(result, want)
    }
}

/// What the open does to delegations of others.
fn touch(found: &Found, share: Share) -> Touch {
    if found.truncate {
        Touch::Change
    } else {
        Touch::of_open(share)
    }
}

/// Recalls the delegations that the open stands against, unless a reservation refuses it: it would
/// do so afterwards as well.
async fn make_way(cx: &Cx, found: &Found, share: Share) -> Result<Option<Hold>, Status> {
    let key = found.object.key();
    if cx.server.state.files.refuses(&key, share) {
        return Ok(None);
    }
    let access = Access {
        truncate: found.truncate,
        ..Access::new(cx, key, touch(found, share), Reason::Open)
    };
    delegations::clear(cx, access).await.map(Some)
}

/// An open under a delegation is one that the delegation allows (RFC 8881 §10.4.4).
fn check_delegation(
    cx: &Cx,
    stateid: &StateId,
    found: &Found,
    share: Share,
    client: ClientId,
) -> Result<(), Status> {
    let files = &cx.server.state.files;
    let key = found.object.key();
    let (delegate, kind) = files.delegated(io::caller(cx), stateid, &key)?;
    if delegate != client {
        return Err(Status::BadStateid);
    }
    if kind == DelegationKind::Read && share.access().writes() {
        return Err(Status::Inval);
    }
    Ok(())
}

/// The first OPEN of a 4.0 client in this start is what entitles it to reclaim after the next
/// (RFC 7530 §9.6.3.4); in 4.1 RECLAIM_COMPLETE has done so.
async fn established(cx: &Cx, client: ClientId) -> Result<(), Status> {
    match cx.server.state.clients.find(client) {
        Some(client) => cx.server.established(&client).await,
        None => Err(Status::Expired),
    }
}

/// OPEN4_RESULT_MAY_NOTIFY_LOCK for clients that can be called (RFC 8881 §20.11.3): they may
/// ask less often for locks that they wait for.
fn may_notify_lock(cx: &Cx) -> u32 {
    let client = cx.session_client();
    let told = client.is_some_and(|client| cx.server.callbacks.reaches(client));
    if told { MAY_NOTIFY_LOCK } else { 0 }
}

/// Makes an open that something stands against, unless that is of a client that is not silent.
async fn open_again(cx: &Cx, request: &OpenRequest) -> Result<files::Opened, Status> {
    let files = &cx.server.state.files;
    let attempt = || files.open(io::caller(cx), request);
    let obstacle = |status: &Status| match status {
        Status::ShareDenied => Obstacle::Rivals(files.open_rivals(request)),
        _ if files.opens_exhausted(request.limit.all) => Obstacle::Full,
        _ => Obstacle::Other,
    };
    past_silent(cx, attempt, obstacle).await
}

/// Cuts a file that was there before to size 0. Needs the right to write, whatever it is opened
/// for, and nobody who denies writing.
async fn truncate(cx: &Cx, found: &Found, access: OpenAccess) -> Result<(), Status> {
    if access.writes() {
        found.file.truncate(0).await?;
        return Ok(());
    }
    let object = &found.object;
    let key = object.key();
    io::not_denied(cx, &key, OpenAccess::Write, Status::ShareDenied).await?;
    let size = SetAttr {
        size: Some(0),
        ..SetAttr::default()
    };
    let fs = &object.share.fs;
    fs.set_attr(&object.cred, &object.handle, &size).await?;
    Ok(())
}

/// Makes the file of a repeated OPEN the current one, as the caller of now.
fn enter(cx: &mut Cx, key: &FileKey) -> Result<(), Status> {
    let current = cx.share_object(Status::Stale)?;
    if current.share.id != key.share {
        return Err(Status::Stale);
    }
    let object = current.sibling(key.handle);
    cx.set_current(Object::Share(object));
    Ok(())
}

#[cfg(test)]
mod tests;
