//! What outlives a restart of the server, and when it is written: always before the reply leaves, or the
//! state changes, that somebody could rely on. No lock of the state is held meanwhile.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-8.4.3>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-9.6.3.4>
//!
//! | event | the client's record afterwards |
//! |---|---|
//! | SETCLIENTID_CONFIRM, CREATE_SESSION that confirms | there; it does not entitle to reclaim yet |
//! | RECLAIM_COMPLETE (4.1), first OPEN (4.0) | entitles to reclaim |
//! | some state is revoked (4.1) | does not entitle, until all of it is acknowledged by FREE_STATEID |
//! | the grace period ends before RECLAIM_COMPLETE or the first OPEN | does not entitle, until then |
//! | the client is destroyed or forgotten | gone |
//! | the grace period ends and the client has not come back | gone |

mod records;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dittofs_sdk::{Kv, KvError};

use crate::server::Server;
use crate::settings::Settings;
use crate::state::files::{Revoked, Rival};
use crate::state::grace::{Claimant, Name};
use crate::state::{Client, Principal};
use crate::status::Status;

pub use records::Records;

const LEASE_KEY: &str = "lease";

/// What an earlier start left.
pub struct Past {
    records: Records,
    claimants: Vec<Claimant>,
    /// The lease that clients know.
    lease: Duration,
}

impl Past {
    /// Reads it, and notes what the next start will want to know.
    pub async fn load(kv: Kv, settings: &Settings) -> Result<Self, KvError> {
        let (records, claimants) = Records::load(&kv).await?;
        let known = kv.get(LEASE_KEY).await?;
        let known = known.and_then(|bytes| bytes.first_chunk().copied());
        let lease = known.map_or(Duration::ZERO, |seconds| {
            Duration::from_secs(u32::from_be_bytes(seconds).into())
        });
        note_lease(&kv, settings).await?;
        Ok(Self {
            records,
            claimants,
            lease,
        })
    }
}

/// Notes the lease that clients are told: they may be silent for as long before they learn of a restart.
pub async fn note_lease(kv: &Kv, settings: &Settings) -> Result<(), KvError> {
    let lease = settings.lease_time.to_be_bytes();
    kv.put(LEASE_KEY, Bytes::copy_from_slice(&lease)).await
}

impl Server {
    /// Takes over from an earlier start: what was on record, and its clients' right to reclaim, for at
    /// least as long as the lease that they knew (RFC 8881 §8.4.2.1).
    #[must_use]
    pub fn after(mut self, past: Past, now: Instant) -> Self {
        let settings = self.settings();
        let length = settings.grace().max(past.lease);
        let lease = settings.lease().max(past.lease);
        let count = past.claimants.len();
        self.state.grace.begin(past.claimants, now, length, lease);
        if count != 0 {
            let seconds = length.as_secs();
            tracing::info!("grace period of {seconds} s for {count} clients on record");
        }
        self.records = past.records;
        self
    }

    /// Brings a client's record in line with its state.
    pub async fn record(&self, name: Name) -> Result<(), Status> {
        let standing = || self.state.standing(&name);
        let updated = self.records.update(name.clone(), standing).await;
        updated.map_err(|error| {
            tracing::error!("a client's record can't be written: {error}");
            Status::Serverfault
        })
    }

    /// The client has something that it could reclaim, or may have some from now on.
    pub async fn established(&self, client: &Client) -> Result<(), Status> {
        if client.is_established() {
            return Ok(());
        }
        client.establish(true);
        let recorded = self.record(client.name()).await;
        if recorded.is_err() {
            client.establish(false);
        }
        recorded
    }

    /// The client has said that it reclaims nothing more, or is gone. The last one ends the grace period.
    pub async fn reclaimed(&self, name: &Name) {
        if self.state.grace.done(name) {
            self.end_grace().await;
        }
    }

    /// Ends the grace period; true if there is none any more. If records can't be written it is tried
    /// again later: until then nobody gets what somebody else may believe to have.
    pub async fn end_grace(&self) -> bool {
        for name in self.state.grace.close() {
            if self.record(name).await.is_err() {
                return false;
            }
        }
        self.state.grace.finish();
        true
    }

    /// Ends the client of this name if somebody else (`caller`) may have the name (RFC 8881 §18.35.4 case 3,
    /// RFC 7530 §16.33.5).
    pub async fn give_name(&self, name: &Name, caller: Principal, now: Instant, lease: Duration) {
        let used = |client: &Client| client.silence(now) <= lease && self.state.has_state(client);
        if let Some(client) = self.state.named(name)
            && client.principal != caller
            && !used(&client)
        {
            self.discard(&client, now, used).await;
        }
    }

    /// Ends a client that is not kept any longer. Its record goes first; if it can't, or the client has come
    /// back meanwhile (`unless`), the client stays.
    pub async fn discard(
        &self,
        client: &Arc<Client>,
        now: Instant,
        unless: impl Fn(&Client) -> bool,
    ) -> bool {
        client.leave(true);
        if self.record(client.name()).await.is_err() || unless(client) {
            client.leave(false);
            // What can't be written now is not worse than what is there.
            let _ = self.record(client.name()).await;
            return false;
        }
        // Files are closed here, after all locks of the state are released.
        drop(self.state.discard(client, now));
        self.reclaimed(&client.name()).await;
        true
    }

    /// Takes `rivals` away, if all of their owners are silent; false if not. That they have lost something is
    /// on record before anybody else gets it.
    pub async fn make_way(&self, rivals: &[Rival], now: Instant, lease: Duration) -> bool {
        let Some(clients) = self.state.silent_owners(rivals, now, lease) else {
            return false;
        };
        let back = |client: &Client| !self.state.is_silent(client, now, lease);
        for client in &clients {
            if client.is_v40() {
                if !self.discard(client, now, back).await {
                    return false;
                }
            } else if !self.suspect(client).await {
                return false;
            }
        }
        drop(self.state.take_from_silent(rivals, now, lease));
        for client in clients.iter().filter(|client| !client.is_v40()) {
            // It may have come back in time.
            self.acknowledged(client).await;
        }
        true
    }

    /// Takes away one state; that its client has lost something is on record before. If that can't be
    /// written the state stays; false then.
    pub async fn revoke(&self, rival: Rival, why: Revoked) -> bool {
        if let Some(client) = self.state.clients.find(rival.client) {
            if !self.suspect(&client).await {
                return false;
            }
            // The file is closed here, after all locks of the state are released.
            drop(self.state.files.revoke(rival.id, why));
            // It may have been given back in time.
            self.acknowledged(&client).await;
        }
        true
    }

    /// Notes that the client is about to lose state; false if that can't be noted, so that the state must
    /// not be given to others.
    pub async fn suspect(&self, client: &Client) -> bool {
        client.suspect(true);
        self.record(client.name()).await.is_ok()
    }

    /// The client has acknowledged a loss; with the last one it may reclaim again (RFC 8881 §18.38.3).
    pub async fn acknowledged(&self, client: &Client) {
        if client.is_suspect() && self.state.files.losses(client.id) == 0 {
            client.suspect(false);
            // If it can't be written, the client just has less right than it could have.
            let _ = self.record(client.name()).await;
        }
    }

    /// Ends what has not been used for too long, and the grace period if its time is over.
    pub async fn end_leases(&self, now: Instant) {
        if self.state.grace.is_due(now) && self.end_grace().await {
            tracing::info!("the grace period is over");
        }
        let limits = self.settings().limits();
        let back = |client: &Client| client.silence(now) <= limits.lease;
        for client in self.state.overdue(now, &limits) {
            self.discard(&client, now, back).await;
        }
        self.state.forget_unused(now, limits.lease);
    }
}
