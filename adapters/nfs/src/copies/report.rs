//! Tells a client the result of a copy in the background.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-16.1>

use std::sync::Arc;

use super::background::Request;
use crate::callback::{Call, Heard, Lost, Offloaded, insist};
use crate::server::Server;
use crate::state::copies::{Job, Phase};

/// Says it until the client has heard it, or has asked for it no more. A client that can't be told
/// may still ask.
pub(super) async fn tell<R>(server: &Arc<Server>, job: &Job, request: Request<R>)
where
    R: Future<Output = Result<(), Lost>>,
{
    let Phase::Ended(result) = job.phase() else {
        return;
    };
    let Some(client) = server.state.clients.find(job.order.client) else {
        server.state.copies.forget(job);
        return;
    };
    // The reply has to come first for clients that do not know what the callback refers to. Its
    // connection may be gone.
    let patience = server.settings().callback_timeout();
    let _ = tokio::time::timeout(patience, request.replied).await;
    let call = Call::Offload {
        file: job.order.target.key.file_handle(),
        stateid: job.stateid,
        result: Offloaded {
            result,
            count: job.done(),
            verifier: server.identity.write_verifier,
        },
        ordered: request.place,
    };
    let wanted = || server.state.copies.knows(job);
    match insist(server, &client, &call, wanted).await {
        Heard::Understood | Heard::Unknown => server.state.copies.forget(job),
        Heard::Refused | Heard::Over => {}
    }
}
