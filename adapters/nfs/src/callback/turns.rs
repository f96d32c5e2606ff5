//! Tells clients that a lock may be had for which they were waiting.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-20.11>

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;

use super::Call;
use crate::server::Server;
use crate::state::files::YourTurn;

/// Clients that are told at once.
const AT_ONCE: usize = 64;
/// How often those are looked for who do not use their turn.
const TICK: Duration = Duration::from_secs(1);

/// Tells whoever it is the turn of, until the server drains. Whether a client got to know, and what it
/// makes of it, changes nothing: its turn passes as any other.
pub async fn tell_turns(server: Arc<Server>) {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let files = &server.state.files;
        let turns = tokio::select! {
            () = server.draining() => return,
            () = files.turns_due() => files.turns(Instant::now()),
            _ = ticks.tick() => files.all_turns(Instant::now()),
        };
        for YourTurn { file, owner } in turns {
            let Some(client) = server.state.clients.find(owner.client) else {
                continue;
            };
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            let callbacks = server.callbacks.clone();
            tokio::spawn(async move {
                let _permit = permit;
                let call = Call::NotifyLock { file, owner };
                let _ = callbacks.call(&client, &call).await;
            });
        }
    }
}
