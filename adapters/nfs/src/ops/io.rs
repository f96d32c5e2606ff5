//! Stateids as operations use them: who shows them, what they stand for, and which open file
//! serves READ, WRITE and SETATTR.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-8.2.3>,
//! <https://www.rfc-editor.org/rfc/rfc8881#section-9.1.2>

use std::ops::Deref;
use std::sync::Arc;

use dittofs_sdk::vfs::{File, OpenAccess};

use super::courtesy::{Obstacle, past_silent};
use super::reclaim;
use crate::compound::Cx;
use crate::delegations::{self, Hold, Reason};
use crate::exports::{FileKey, ShareObject};
use crate::state::files::{Caller, Touch};
use crate::status::Status;
use crate::types::{ClientId, Minor, StateId};

/// An open file, for one use: until that is over, nobody gets a delegation that stands against it.
pub struct Usable {
    file: Arc<dyn File>,
    /// Mostly none.
    _holds: Vec<Hold>,
}

impl Deref for Usable {
    type Target = Arc<dyn File>;

    fn deref(&self) -> &Self::Target {
        &self.file
    }
}

/// The open file through which the current object may be read or written under `stateid`.
/// A stateid that stands for no open, or for another user's, has the file opened for this one use, as the caller.
pub async fn file_for(
    cx: &mut Cx,
    stateid: StateId,
    access: OpenAccess,
    reason: Reason,
) -> Result<Usable, Status> {
    let object = object_for(cx, access)?;
    let stateid = actual(cx, stateid)?;
    let special = stateid == StateId::READ_BYPASS || stateid == StateId::ANONYMOUS;
    if !special && !object.is_named() {
        let files = &cx.server.state.files;
        let user = object.cred.uid;
        let (client, file) = files.io(caller(cx), &stateid, &object.key(), access, user)?;
        renew_by(cx, client)?;
        cx.show(client);
        if let Some(file) = file {
            return Ok(Usable {
                file,
                _holds: Vec::new(),
            });
        }
    }
    // Rare, and boxed: it must not make every READ larger.
    Box::pin(current_file(cx, stateid, access, reason)).await
}

async fn current_file(
    cx: &mut Cx,
    stateid: StateId,
    access: OpenAccess,
    reason: Reason,
) -> Result<Usable, Status> {
    let object = object_for(cx, access)?.clone();
    file_of(cx, &object, stateid, access, reason).await
}

/// The current object, for this access.
fn object_for(cx: &Cx, access: OpenAccess) -> Result<&ShareObject, Status> {
    if access.writes() {
        cx.writable()
    } else {
        cx.share_object(Status::Isdir)
    }
}

/// As [`file_for`], of this object, and under a stateid that is not the current one's name.
pub async fn file_of(
    cx: &mut Cx,
    object: &ShareObject,
    stateid: StateId,
    access: OpenAccess,
    reason: Reason,
) -> Result<Usable, Status> {
    let files = &cx.server.state.files;
    let key = object.key();
    let bypass = stateid == StateId::READ_BYPASS && !access.writes();
    if bypass || stateid == StateId::READ_BYPASS || stateid == StateId::ANONYMOUS {
        if !bypass {
            // Somebody may have denied it, and be about to say so again.
            reclaim::after_grace(cx)?;
            not_denied(cx, &key, access, Status::Locked).await?;
        }
        // To delegations it is what an OPEN would be (RFC 8881 §10.4.1).
        let touch = delegations::Access::new(cx, key, Touch::by(access), reason);
        let hold = delegations::clear(cx, touch).await?;
        let owner = owner_of(cx, object, access, reason).await?;
        let file = open_once(object, access).await?;
        return Ok(Usable {
            file,
            _holds: Some(hold).into_iter().chain(owner).collect(),
        });
    }
    let (client, file) = files.io(caller(cx), &stateid, &key, access, object.cred.uid)?;
    renew_by(cx, client)?;
    cx.show(client);
    let owner = owner_of(cx, object, access, reason).await?;
    let file = match file {
        Some(file) => file,
        None => open_once(object, access).await?,
    };
    Ok(Usable {
        file,
        _holds: owner.into_iter().collect(),
    })
}

/// What is written into a named attribute changes the object that has it.
async fn owner_of(
    cx: &Cx,
    object: &ShareObject,
    access: OpenAccess,
    reason: Reason,
) -> Result<Option<Hold>, Status> {
    if access.writes() {
        delegations::clear_owner(cx, object, reason).await
    } else {
        Ok(None)
    }
}

/// The stateid that an operation means, with the current one put in its place
/// (RFC 8881 §16.2.3.1.2). 4.0 knows no current stateid.
pub fn actual(cx: &Cx, stateid: StateId) -> Result<StateId, Status> {
    if cx.minor() == Minor::V40 || stateid != StateId::CURRENT {
        return Ok(stateid);
    }
    cx.current_stateid.ok_or(Status::BadStateid)
}

/// Who shows a stateid.
pub fn caller(cx: &Cx) -> Caller {
    cx.session_client()
        .map_or(Caller::V40, |client| Caller::V41(client.id))
}

/// In 4.0 the use of a stateid renews the lease of its client (RFC 7530 §9.5); in 4.1 SEQUENCE
/// has done so. A stateid of a 4.1 client is none of 4.0's.
pub fn renew_by(cx: &Cx, client: ClientId) -> Result<(), Status> {
    renew(cx, client).map_err(|status| match status {
        Status::StaleClientid => Status::BadStateid,
        other => other,
    })
}

fn renew(cx: &Cx, client: ClientId) -> Result<(), Status> {
    if cx.minor() == Minor::V40 {
        cx.server.state.clients.v40(client, cx.now)?;
    }
    Ok(())
}

/// Whose an operation's owner is: in 4.1 the session's client, whatever the argument says
/// (RFC 8881 §18.16.3); in 4.0 the client that it names.
pub fn client_of(cx: &Cx, named: ClientId) -> Result<ClientId, Status> {
    match cx.session_client() {
        Some(client) => Ok(client.id),
        None => renew(cx, named).map(|()| named),
    }
}

/// Refuses, with `status`, an access without an open that somebody's open denies (RFC 8881 §9.7).
pub async fn not_denied(
    cx: &Cx,
    key: &FileKey,
    access: OpenAccess,
    status: Status,
) -> Result<(), Status> {
    let files = &cx.server.state.files;
    let attempt = || {
        if files.denies(key, access) {
            Err(status)
        } else {
            Ok(())
        }
    };
    past_silent(cx, attempt, |_| {
        Obstacle::Rivals(files.denying(key, access))
    })
    .await
}

async fn open_once(object: &ShareObject, access: OpenAccess) -> Result<Arc<dyn File>, Status> {
    let fs = &object.share.fs;
    Ok(fs.open(&object.cred, &object.handle, access).await?)
}
