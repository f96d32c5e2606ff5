//! Which operations have to wait for the grace period, and which may not come after it.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-8.4.2.1>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-9.6.2>

use crate::compound::Cx;
use crate::status::Status;
use crate::types::ClientId;

/// Refuses, with NFS4ERR_GRACE, what could be in the way of something that is not reclaimed yet. What
/// that is nobody knows: no open and no lock is on record.
pub fn after_grace(cx: &Cx) -> Result<(), Status> {
    if cx.server.state.grace.is_active() {
        return Err(Status::Grace);
    }
    Ok(())
}

/// Refuses new state too early: before the grace period is over, and, in 4.1, before the client has said
/// that it reclaims nothing more (RFC 8881 §18.51.3); 4.0 has no such word.
pub fn may_get_new(cx: &Cx) -> Result<(), Status> {
    match cx.session_client() {
        Some(client) if !client.reclaim_complete() => Err(Status::Grace),
        _ => after_grace(cx),
    }
}

/// Refuses, with NFS4ERR_NO_GRACE, a reclaim by a client that may not: there is no grace period, the client
/// was not on record, lost something before the restart, or did not reclaim everything after an earlier
/// one (RFC 8881 §8.4.3, RFC 7530 §9.6.3.4), or has said that it is done.
pub fn may_reclaim(cx: &Cx, client: ClientId) -> Result<(), Status> {
    let state = &cx.server.state;
    match state.clients.find(client) {
        Some(client) if state.grace.admits(&client) => {
            state.grace.reclaimed(cx.now);
            Ok(())
        }
        _ => {
            cx.server.metrics.grace.asked(Status::NoGrace);
            Err(Status::NoGrace)
        }
    }
}

/// The name of a reclaim's conflict (RFC 8881 §15.1.9.5).
pub fn conflict(status: Status) -> Status {
    match status {
        Status::ShareDenied | Status::Denied => Status::ReclaimConflict,
        other => other,
    }
}
