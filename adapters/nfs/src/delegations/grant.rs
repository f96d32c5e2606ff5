//! Who gets a delegation: whoever opens a file that nobody else uses, as long as that pays.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-10.4>

use std::sync::Arc;
use std::time::Instant;

use dittofs_sdk::vfs::{File, OpenAccess};

use super::recall::{self, Reason};
use super::{changed_elsewhere, foreign};
use crate::compound::Cx;
use crate::exports::ShareObject;
use crate::ops::io;
use crate::rpc::Auth;
use crate::state::files::{DelegationKind, DelegationRequest, NoDelegation};
use crate::types::{ClientId, StateId};

/// A client that has opened a file might get a delegation of it.
pub struct Offer<'a> {
    /// The client.
    pub client: ClientId,
    /// The file.
    pub object: &'a ShareObject,
    /// The open file.
    pub file: &'a Arc<dyn File>,
    /// What it is open for.
    pub access: OpenAccess,
}

/// A delegation, and what its client must know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// What for.
    pub kind: DelegationKind,
    /// Its stateid.
    pub stateid: StateId,
    /// Whether it is wanted back already.
    pub recalled: bool,
    /// The user who may open the file at the client as `access` says without further question, if
    /// the client knows that user under the number that the server does.
    pub user: Option<u32>,
    /// What that user may do.
    pub access: OpenAccess,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The state says why.
    State(NoDelegation),
    /// They are switched off, or the client can't be called, or owes an answer.
    Unavailable,
    /// It is for writing where nothing is written.
    NotWritable,
    /// It is of a named attribute, which is not worth one.
    Named,
}

/// Grants a delegation of the first of these kinds that can be had.
pub async fn offer(
    cx: &Cx,
    offer: &Offer<'_>,
    kinds: &[DelegationKind],
) -> Result<Granted, Refusal> {
    if offer.object.is_named() {
        return Err(Refusal::Named);
    }
    let mut refusal = Refusal::Unavailable;
    if kinds.is_empty() || !may_have(cx, offer) {
        return Err(refusal);
    }
    for &kind in kinds {
        match Box::pin(grant(cx, offer, kind, false)).await {
            Ok(granted) => return Ok(granted),
            Err(other) => refusal = other,
        }
    }
    Err(refusal)
}

/// Grants again what the client had before a restart of the server (RFC 8881 §18.16.3), and
/// wants it back at once if it could not be recalled later.
pub async fn take_back(
    cx: &Cx,
    offer: &Offer<'_>,
    kind: DelegationKind,
) -> Result<Granted, Refusal> {
    if offer.object.is_named() {
        return Err(Refusal::Named);
    }
    let keep = may_have(cx, offer);
    let mut granted = Box::pin(grant(cx, offer, kind, true)).await?;
    let files = &cx.server.state.files;
    if !keep && let Some(recall) = files.recall(io::caller(cx), &granted.stateid, Instant::now()) {
        recall::start(
            &cx.server,
            offer.object.key(),
            recall,
            Reason::Reclaim,
            false,
        );
        granted.recalled = true;
    }
    Ok(granted)
}

/// Whether the client could be asked to give a delegation back, and gave back what it was asked
/// for.
fn may_have(cx: &Cx, offer: &Offer<'_>) -> bool {
    let state = &cx.server.state;
    cx.settings.delegates(&offer.object.share.name)
        && state.files.losses(offer.client) == 0
        && state
            .clients
            .find(offer.client)
            .is_some_and(|client| cx.server.callbacks.reaches(&client))
}

async fn grant(
    cx: &Cx,
    offer: &Offer<'_>,
    kind: DelegationKind,
    reclaim: bool,
) -> Result<Granted, Refusal> {
    let object = offer.object;
    let mut change = 0;
    if kind == DelegationKind::Write {
        object.writable().map_err(|_| Refusal::NotWritable)?;
    }
    // Before anything is read that the client will rely on.
    let watch = foreign::watch(&cx.server, object, kind).await;
    let watch = watch.map_err(|_| Refusal::Unavailable)?;
    if kind == DelegationKind::Write {
        let attr = offer.file.attr().await;
        let attr = attr.map_err(|_| Refusal::Unavailable)?;
        change = attr.change;
    }
    let request = DelegationRequest {
        client: offer.client,
        key: object.key(),
        kind,
        cred: object.cred.clone(),
        file: watch
            .as_ref()
            .map_or_else(|| Arc::clone(offer.file), |watch| watch.keep(offer.file)),
        access: offer.access,
        change,
        granted_by: cx.session().ok().map(|session| session.request),
        most: if reclaim {
            0
        } else {
            cx.settings.max_delegations as usize
        },
        reclaim,
    };
    let files = &cx.server.state.files;
    let stateid = files
        .delegate(request, Instant::now())
        .map_err(Refusal::State)?;
    cx.server.metrics.delegations.granted(kind);
    // Who was told before there was anything to recall does not tell again.
    if watch.is_some_and(|watch| !watch.is_untouched()) {
        changed_elsewhere(&cx.server, object.key());
    }
    let user = match &cx.call.auth {
        Auth::Sys(cred) if cred.uid == object.cred.uid => Some(cred.uid),
        _ => None,
    };
    Ok(Granted {
        kind,
        stateid,
        recalled: false,
        user,
        access: offer.access,
    })
}
