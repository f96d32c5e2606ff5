//! Calls that a client has to hear.

use std::sync::Arc;
use std::time::Duration;

use super::{Call, Failure};
use crate::server::Server;
use crate::state::Client;
use crate::status::Status;

/// How long to wait before a call is sent again: to a client that did not understand it, or over
/// a way to it that may be there by then.
const RETRY: Duration = Duration::from_secs(1);
/// The longest such wait.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// How often a client may say that it does not know what the call is about. It may not have read yet that
/// it has got that.
const UNKNOWN: u32 = 3;

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The client has understood.
    Understood,
    /// It does not know what it is about.
    Unknown,
    /// It has no such call.
    Refused,
    /// The call is not wanted any more, or the server drains.
    Over,
}

/// Says it until the client has understood, as long as it is `wanted`. What may have come through is not
/// said again over the same way.
pub async fn insist(
    server: &Arc<Server>,
    client: &Client,
    call: &Call,
    wanted: impl Fn() -> bool,
) -> Heard {
    let (mut unknown, mut pause) = (0, RETRY);
    while wanted() {
        match server.callbacks.call(client, call).await {
            Ok(_) => return Heard::Understood,
            Err(Failure::Refused(Status::BadStateid | Status::Badhandle)) => {
                unknown += 1;
                if unknown == UNKNOWN {
                    return Heard::Unknown;
                }
            }
            Err(Failure::Refused(Status::Notsupp | Status::OpIllegal)) => return Heard::Refused,
            Err(Failure::Refused(_)) => pause = (pause * 2).min(RETRY_MAX),
            Err(Failure::NoPath | Failure::Timeout) => {
                while wanted() && !server.callbacks.reaches(client) {
                    if !slept(server, RETRY).await {
                        return Heard::Over;
                    }
                }
            }
        }
        if !slept(server, pause).await {
            return Heard::Over;
        }
    }
    Heard::Over
}

/// Waits; false if the server drains.
async fn slept(server: &Server, pause: Duration) -> bool {
    tokio::select! {
        () = server.draining() => false,
        () = tokio::time::sleep(pause) => true,
    }
}
