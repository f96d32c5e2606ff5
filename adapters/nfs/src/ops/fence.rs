//! What is answered only when nothing of a session, or of a client's former incarnation, is under
//! way any more: EXCHGID4_FLAG_SUPP_FENCE_OPS, which is in effect for all clients of 4.2.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-14.1>

use std::sync::Arc;

use crate::compound::{Cx, Mode};
use crate::state::Session;
use crate::types::Minor;

/// Waits for what these sessions are executing now, as far as that was promised to their client.
pub async fn settle(cx: &Cx, sessions: &[Arc<Session>]) {
    let _aside = match &cx.mode {
        Mode::Session(own) => Some(own.session.stand_aside(own.request.slot)),
        Mode::V40 | Mode::Lone(_) => None,
    };
    for session in sessions {
        if session.minor >= Minor::V42 {
            session.settle().await;
        }
    }
}
