//! How a delegation comes back: CB_RECALL until the client has understood, then time to give it
//! back, then it is taken away.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-10.4.4>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-10.4.6>

use std::sync::Arc;
use std::time::Instant;

use crate::callback::{Call, Heard, READ_DELEGATIONS, WRITE_DELEGATIONS, insist};
use crate::exports::FileKey;
use crate::server::Server;
use crate::state::Client;
use crate::state::files::{DelegationKind, Recall, Revoked};
use crate::types::Bitmap;

/// What a delegation was in the way of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are called as they are")]
pub enum Reason {
    Open,
    ReadWrite,
    Getattr,
    Setattr,
    Setxattr,
    Remove,
    Rename,
    Link,
    Lock,
    Foreign,
    Reclaim,
}

impl Reason {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 11] = [
        Self::Open,
        Self::ReadWrite,
        Self::Getattr,
        Self::Setattr,
        Self::Setxattr,
        Self::Remove,
        Self::Rename,
        Self::Link,
        Self::Lock,
        Self::Foreign,
        Self::Reclaim,
    ];

    /// The value of the label `reason`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::ReadWrite => "read_write",
            Self::Getattr => "getattr",
            Self::Setattr => "setattr",
            Self::Setxattr => "setxattr",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::Link => "link",
            Self::Lock => "lock",
            Self::Foreign => "foreign_change",
            Self::Reclaim => "reclaim",
        }
    }
}

/// Begins to recall, in the background. There is one such task for each delegation at most.
pub(super) fn start(
    server: &Arc<Server>,
    key: FileKey,
    recall: Recall,
    reason: Reason,
    truncate: bool,
) {
    server.metrics.delegations.recalled(recall.kind, reason);
    let Some(client) = server.state.clients.find(recall.client) else {
        return;
    };
    let server = Arc::clone(server);
    let call = Call::Recall {
        stateid: recall.stateid,
        truncate,
        file: key.file_handle(),
        granted: recall.granted_by,
    };
    tokio::spawn(async move { ask_back(&server, &client, &recall, &call).await });
}

/// Until the client has understood, has given it back or has lost it.
async fn ask_back(server: &Arc<Server>, client: &Client, recall: &Recall, call: &Call) {
    let wanted = || server.state.files.is_recalled(recall.id);
    match insist(server, client, call, wanted).await {
        Heard::Unknown => {
            // It does not have it, so there is nothing to wait for.
            server.revoke(recall.rival(), Revoked::Recallable).await;
            server.delegations.returned();
        }
        // Overdue in the end, whatever the client makes of the call.
        Heard::Understood | Heard::Refused | Heard::Over => {}
    }
}

/// Takes away what was recalled and is overdue, and asks for some back before there are too many.
pub async fn sweep(server: &Arc<Server>, now: Instant) {
    let settings = server.settings();
    let (lease, timeout) = (settings.lease(), settings.delegation_recall_timeout());
    let state = &server.state;
    for overdue in state.files.overdue(now, timeout) {
        let client = state.clients.find(overdue.client);
        // A 4.0 client that can't be called learns so from RENEW, and must have had a lease's time
        // for that (RFC 7530 §10.4.6).
        if client.is_some_and(|client| client.is_v40()) && overdue.since < lease {
            continue;
        }
        server.revoke(overdue.rival(), Revoked::Recallable).await;
    }
    // Others may have ended with their clients.
    server.delegations.returned();
    thin(server, now, settings.max_delegations as usize);
}

/// Asks clients that have many delegations for those that they need least, before nobody can get one
/// any more (RFC 8881 §20.6).
fn thin(server: &Arc<Server>, now: Instant, most: usize) {
    let Some((keep, clients)) = server.state.files.crowding(most) else {
        return;
    };
    if !server.delegations.is_time_to_thin(now) {
        return;
    }
    for id in clients {
        if let Some(client) = server
            .state
            .clients
            .find(id)
            .filter(|client| !client.is_v40())
        {
            let server = Arc::clone(server);
            let call = Call::RecallAny {
                keep: u32::try_from(keep).unwrap_or(u32::MAX),
                kinds: Bitmap::of(&[READ_DELEGATIONS, WRITE_DELEGATIONS]),
            };
            // Who does not answer keeps what it has, and gets no more.
            tokio::spawn(async move { drop(server.callbacks.call(&client, &call).await) });
        }
    }
}

impl crate::metrics::Delegations {
    /// Counts a recall.
    pub fn recalled(&self, kind: DelegationKind, reason: Reason) {
        if let Some(counter) = self
            .recalled
            .get(kind as usize)
            .and_then(|reasons| reasons.get(reason as usize))
        {
            counter.inc();
        }
    }

    /// Counts a grant.
    pub fn granted(&self, kind: DelegationKind) {
        if let Some(counter) = self.granted.get(kind as usize) {
            counter.inc();
        }
    }
}
