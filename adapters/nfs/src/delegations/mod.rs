//! Delegations as the server uses them: whom to grant one, whose way they are in, and how they
//! come back. What is granted is state ([`files`](crate::state::files)); here it meets clock,
//! callbacks and file systems.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-10.4>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-10.4>

mod ask;
mod foreign;
mod grant;
mod recall;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dittofs_sdk::vfs::Name;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::compound::Cx;
use crate::exports::{FileKey, ShareObject};
use crate::ops::courtesy;
use crate::server::Server;
use crate::state::files::{DelegationKind, Recall, Revoked, Touch};
use crate::status::Status;
use crate::types::ClientId;

pub use ask::{as_delegate_sees, writer_elsewhere};
pub use grant::{Granted, Offer, Refusal, offer, take_back};
pub use recall::{Reason, sweep};

/// How long an operation waits for a delegation to come back before it answers NFS4ERR_DELAY:
/// enough for a client that has nothing to write.
const PATIENCE: Duration = Duration::from_millis(100);

/// How often clients are asked for delegations that they need least.
const THINNING: Duration = Duration::from_secs(30);

/// What waits for delegations, and what was done about them.
#[derive(Debug, Default)]
pub struct Delegations {
    returned: Notify,
    /// When clients were last asked for those that they need least.
    thinned: Mutex<Option<Instant>>,
}

impl Delegations {
    /// Not more often than clients can be expected to follow.
    fn is_time_to_thin(&self, now: Instant) -> bool {
        let mut thinned = self.thinned.lock();
        let due = thinned.is_none_or(|last| now.saturating_duration_since(last) >= THINNING);
        if due {
            *thinned = Some(now);
        }
        due
    }

    /// A delegation was given back, or taken away.
    pub fn returned(&self) {
        self.returned.notify_waiters();
    }
}

/// An access that delegations may be in the way of.
#[derive(Debug, Clone, Copy)]
pub struct Access {
    /// Who does it, if that is known: a client's own delegation is not in its way.
    pub who: Option<ClientId>,
    /// To which file.
    pub key: FileKey,
    /// What it does to delegations.
    pub touch: Touch,
    /// What it is part of.
    pub reason: Reason,
    /// Whether it cuts the file to size 0, so that nobody need write back what it has.
    pub truncate: bool,
}

impl Access {
    /// One of the client that the COMPOUND is known to come from.
    pub fn new(cx: &Cx, key: FileKey, touch: Touch, reason: Reason) -> Self {
        Self {
            who: cx.client(),
            key,
            touch,
            reason,
            truncate: false,
        }
    }
}

/// As long as it lives, nobody gets a delegation of the file.
#[must_use]
pub struct Hold {
    server: Arc<Server>,
    /// None for all files, as mostly: the key is large, and the hold part of what is moved.
    key: Option<Box<FileKey>>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let files = &self.server.state.files;
        match &self.key {
            Some(key) => files.end_change(key),
            None => files.end_unguarded_change(),
        }
    }
}

/// Makes way for an access: recalls what stands against it, and waits a moment for that to come
/// back. NFS4ERR_DELAY if it does not.
pub async fn clear(cx: &Cx, access: Access) -> Result<Hold, Status> {
    match hold_off(cx) {
        Some(hold) => Ok(hold),
        None => clear_for_long(cx, access).await,
    }
}

/// Keeps all delegations from being granted, if there are none: then nothing is in anybody's way.
pub fn hold_off(cx: &Cx) -> Option<Hold> {
    let server = &cx.server;
    let none = server.state.files.begin_unguarded_change();
    none.then(|| Hold {
        server: Arc::clone(server),
        key: None,
    })
}

/// As [`clear`], for an access that takes long: whoever opens other files gets delegations meanwhile.
pub async fn clear_for_long(cx: &Cx, access: Access) -> Result<Hold, Status> {
    let server = &cx.server;
    // In most cases nothing is in the way, and then nothing is allocated.
    if let Err(recalls) = begin(server, &access) {
        Box::pin(wait(cx, access, recalls)).await?;
    }
    Ok(Hold {
        server: Arc::clone(server),
        key: Some(Box::new(access.key)),
    })
}

fn begin(server: &Server, access: &Access) -> Result<(), Vec<Recall>> {
    let Access {
        key, who, touch, ..
    } = access;
    let files = &server.state.files;
    files.begin_change(key, *who, *touch, Instant::now())
}

async fn wait(cx: &Cx, access: Access, recalls: Vec<Recall>) -> Result<(), Status> {
    let server = &cx.server;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    start(cx, &access, recalls).await;
    loop {
        let returned = server.delegations.returned.notified();
        tokio::pin!(returned);
        // From here on no return is missed.
        returned.as_mut().enable();
        match begin(server, &access) {
            Ok(()) => return Ok(()),
            Err(recalls) => start(cx, &access, recalls).await,
        }
        if tokio::time::timeout_at(deadline, returned).await.is_err() {
            return Err(Status::Delay);
        }
    }
}

/// Recalls what was not recalled before. Silent clients need not be asked; one that has been asked and
/// then fell silent has failed to give back.
async fn start(cx: &Cx, access: &Access, recalls: Vec<Recall>) {
    let (state, lease) = (&cx.server.state, cx.settings.lease());
    for recall in recalls {
        let taken = if recall.first {
            courtesy::make_way(cx, &[recall.rival()]).await
        } else {
            state.is_silent_id(recall.client, cx.now, lease)
                && cx.server.revoke(recall.rival(), Revoked::Recallable).await
        };
        if taken {
            cx.server.delegations.returned();
        } else if recall.first {
            recall::start(
                &cx.server,
                access.key,
                recall,
                access.reason,
                access.truncate,
            );
        }
    }
}

/// Makes way for a change of named attributes, which is one of the object that has them: its change
/// counter moves. They have no delegations of their own. None if `object` is neither an attribute nor a
/// directory of such.
pub async fn clear_owner(
    cx: &Cx,
    object: &ShareObject,
    reason: Reason,
) -> Result<Option<Hold>, Status> {
    let Some(key) = object.owner_key() else {
        return Ok(None);
    };
    let access = Access::new(cx, key, Touch::Change, reason);
    Box::pin(clear(cx, access)).await.map(Some)
}

/// Makes way for a change of an entry of `dir`: the file that it names is what delegations are of.
/// None if there is no such file; what is to be said of that is the operation's to say.
pub async fn clear_entry(
    cx: &Cx,
    dir: &ShareObject,
    name: Name<'_>,
    reason: Reason,
) -> Result<Option<Hold>, Status> {
    if let Some(hold) = hold_off(cx) {
        return Ok(Some(hold));
    }
    if dir.is_named() {
        return clear_owner(cx, dir, reason).await;
    }
    let found = dir.share.fs.lookup(&dir.cred, &dir.handle, name).await;
    let Ok(node) = found else {
        return Ok(None);
    };
    let key = dir.sibling(node.handle).key();
    let access = Access::new(cx, key, Touch::Change, reason);
    clear(cx, access).await.map(Some)
}

/// Whether any client may change a file without telling.
pub fn are_for_writing(cx: &Cx) -> bool {
    cx.server.state.files.delegations(DelegationKind::Write) != 0
}

/// The file was changed by somebody who asked nobody: another protocol, another share or a
/// program on the server.
pub fn changed_elsewhere(server: &Arc<Server>, key: FileKey) {
    for recall in server.state.files.changed(&key, server.now()) {
        if recall.first {
            recall::start(server, key, recall, Reason::Foreign, false);
        }
    }
}
