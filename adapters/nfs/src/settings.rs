//! The adapter's settings. Names and defaults are those of the original DittoFS.

use std::net::SocketAddr;
use std::time::Duration;

use dittofs_sdk::FieldError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::state::Limits;
use crate::state::files::Bound;
use crate::table::ROWS;
use crate::types::Minor;

/// Settings of the NFS adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address and port to listen on.
    #[schemars(with = "String", extend("x-group" = "Transport", "x-applies" = "restart"))]
    pub listen: SocketAddr,

    /// Lowest minor version that is served: 0 for NFSv4.0, 1 for NFSv4.1, 2 for NFSv4.2.
    #[schemars(range(min = 0, max = 2), extend("x-group" = "Version Negotiation", "x-applies" = "live"))]
    pub v4_min_minor_version: u32,

    /// Highest minor version that is served.
    #[schemars(range(min = 0, max = 2), extend("x-group" = "Version Negotiation", "x-applies" = "live"))]
    pub v4_max_minor_version: u32,

    /// How long a client may be silent before its state may be taken away.
    #[schemars(range(min = 10, max = 3600), extend("x-group" = "Timeouts", "x-unit" = "s", "x-applies" = "live"))]
    pub lease_time: u32,

    /// How long, beyond the lease, the opens and locks of a silent client are kept if nobody else
    /// wants what they keep from others. A laptop that slept goes on with them.
    #[schemars(range(min = 0, max = 2_592_000), extend("x-group" = "Timeouts", "x-unit" = "s", "x-applies" = "live"))]
    pub courtesy_time: u32,

    /// How long, after a restart, clients may take back what they had, while others get nothing new;
    /// at least the lease that they knew. It ends early when all of them have, and there is none
    /// if no client was on record.
    #[schemars(range(min = 10, max = 3600), extend("x-group" = "Timeouts", "x-unit" = "s", "x-applies" = "next-grace"))]
    pub grace_period: u32,

    /// How long a client may take to give a delegation back before it is taken away.
    #[schemars(range(min = 10, max = 600), extend("x-group" = "Timeouts", "x-unit" = "s", "x-applies" = "live"))]
    pub delegation_recall_timeout: u32,

    /// How long one request may take to arrive before its connection is closed.
    #[schemars(range(min = 1, max = 3600), extend("x-group" = "Timeouts", "x-unit" = "s", "x-applies" = "live"))]
    pub record_timeout: u32,

    /// How long a client may take to answer a callback.
    #[schemars(range(min = 1, max = 60), extend("x-group" = "Timeouts", "x-unit" = "s", "x-applies" = "live"))]
    pub callback_timeout: u32,

    /// Most connections at once; 0 for no limit but the process's.
    #[schemars(range(min = 0, max = 100_000), extend("x-group" = "Connection Limits", "x-applies" = "live"))]
    pub max_connections: u32,

    /// Most clients with state at once.
    #[schemars(range(min = 1, max = 1_000_000), extend("x-group" = "Connection Limits", "x-applies" = "live"))]
    pub max_clients: u32,

    /// Most operations in one COMPOUND. Linux needs 8.
    #[schemars(range(min = 8, max = 1000), extend("x-group" = "Connection Limits", "x-applies" = "live"))]
    pub max_compound_ops: u32,

    /// Largest READ.
    #[schemars(range(min = 4096, max = 16_777_216), extend("x-group" = "Transport", "x-unit" = "bytes", "x-applies" = "live"))]
    pub max_read_size: u32,

    /// Largest WRITE.
    #[schemars(range(min = 4096, max = 16_777_216), extend("x-group" = "Transport", "x-unit" = "bytes", "x-applies" = "live"))]
    pub max_write_size: u32,

    /// Most slots of a session. Sessions that exist grow as far as their client asked to, and
    /// shrink as their client gives slots back.
    #[schemars(range(min = 1, max = 1024), extend("x-group" = "NFSv4.1 Configuration", "x-applies" = "live"))]
    pub v4_max_session_slots: u32,

    /// Most memory for replies that are kept for retries, over all sessions. When it gets scarce,
    /// sessions get fewer slots and keep smaller replies.
    #[schemars(range(min = 1_048_576, max = 68_719_476_736_u64), extend("x-group" = "NFSv4.1 Configuration", "x-unit" = "bytes", "x-applies" = "live"))]
    pub replay_cache_bytes: u64,

    /// Most sessions of one client.
    #[schemars(range(min = 1, max = 1024), extend("x-group" = "NFSv4.1 Configuration", "x-applies" = "live"))]
    pub v4_max_sessions_per_client: u32,

    /// Most connections of one session; 0 for no limit but `max_connections`. Beyond, the one that
    /// joined first is no longer one of the session's.
    #[schemars(range(min = 0, max = 1024), extend("x-group" = "NFSv4.1 Configuration", "x-applies" = "live"))]
    pub v4_max_connections_per_session: u32,

    /// Most opens of one client.
    #[schemars(range(min = 1, max = 10_000_000), extend("x-group" = "Connection Limits", "x-applies" = "live"))]
    pub max_opens_per_client: u32,

    /// Most byte-range locks of one client.
    #[schemars(range(min = 1, max = 10_000_000), extend("x-group" = "Connection Limits", "x-applies" = "live"))]
    pub max_locks_per_client: u32,

    /// Most opens of all clients together. Silent clients make room for others.
    #[schemars(range(min = 1, max = 100_000_000), extend("x-group" = "Connection Limits", "x-applies" = "live"))]
    pub max_opens: u32,

    /// Most byte-range locks of all clients together. Silent clients make room for others.
    #[schemars(range(min = 1, max = 100_000_000), extend("x-group" = "Connection Limits", "x-applies" = "live"))]
    pub max_locks: u32,

    /// Whether clients get delegations: they open, read and cache a file on their own until somebody
    /// else wants it. Those that are out stay until they are given back.
    #[schemars(extend("x-group" = "Delegation", "x-applies" = "live"))]
    pub delegations_enabled: bool,

    /// Most delegations at once; 0 for no limit. Each costs an open file.
    #[schemars(range(min = 0, max = 1_000_000), extend("x-group" = "Delegation", "x-applies" = "live"))]
    pub max_delegations: u32,

    /// Shares, by their names, such as `/export`, of whose files nobody gets delegations.
    #[schemars(extend("x-group" = "Delegation", "x-applies" = "live"))]
    pub shares_without_delegations: Vec<String>,

    /// Copies of more bytes than this go on in the background after COPY was answered. Where that can't be, as
    /// many are copied before the answer, and the client asks for the rest.
    #[schemars(range(min = 4096, max = 1_099_511_627_776_u64), extend("x-group" = "Server-side Copy", "x-unit" = "bytes", "x-applies" = "live"))]
    pub copy_threshold: u64,

    /// Most copies in the background at once, of all clients together; 0 for none. They take turns.
    #[schemars(range(min = 0, max = 1000), extend("x-group" = "Server-side Copy", "x-applies" = "live"))]
    pub max_async_copies: u32,

    /// Most copies in the background of one client. Those count whose result it has not acknowledged.
    #[schemars(range(min = 0, max = 1000), extend("x-group" = "Server-side Copy", "x-applies" = "live"))]
    pub max_async_copies_per_client: u32,

    /// Up to this many sessions, `dittofs_nfs_slots_in_use` has a series for each; above, there is
    /// only their sum, as the session `all`.
    #[schemars(range(min = 0, max = 10_000), extend("x-group" = "Metrics", "x-applies" = "live"))]
    pub metrics_max_sessions: u32,

    /// Operations that are refused, by their names in the RFC, such as `LOCK`.
    #[schemars(extend("x-group" = "Operations", "x-applies" = "live"))]
    pub blocked_operations: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 12049)),
            v4_min_minor_version: 0,
            v4_max_minor_version: Minor::HIGHEST as u32,
            lease_time: 90,
            courtesy_time: 86_400,
            grace_period: 90,
            delegation_recall_timeout: 90,
            record_timeout: 60,
            callback_timeout: 5,
            max_connections: 0,
            max_clients: 10_000,
            max_compound_ops: 50,
            max_read_size: 1 << 20,
            max_write_size: 1 << 20,
            v4_max_session_slots: 64,
            replay_cache_bytes: 64 << 20,
            v4_max_sessions_per_client: 16,
            v4_max_connections_per_session: 16,
            max_opens_per_client: 100_000,
            max_locks_per_client: 100_000,
            max_opens: 1_000_000,
            max_locks: 1_000_000,
            delegations_enabled: true,
            max_delegations: 10_000,
            shares_without_delegations: Vec::new(),
            copy_threshold: 16 << 20,
            max_async_copies: 256,
            max_async_copies_per_client: 16,
            metrics_max_sessions: 100,
            blocked_operations: Vec::new(),
        }
    }
}

impl Settings {
    /// What a schema can't say.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut errors = Vec::new();
        if self.v4_min_minor_version > self.v4_max_minor_version {
            errors.push(FieldError::new(
                "v4_min_minor_version",
                format!(
                    "must be at most v4_max_minor_version, which is {}",
                    self.v4_max_minor_version
                ),
            ));
        }
        for name in &self.blocked_operations {
            if !ROWS.iter().any(|row| row.name == name) {
                errors.push(FieldError::new(
                    "blocked_operations",
                    format!(
                        "{name:?} is no operation of NFSv4; names are as in the RFC, such as LOCK"
                    ),
                ));
            }
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }

    /// Whether this minor version is served.
    pub fn accepts(&self, minor: Minor) -> bool {
        (self.v4_min_minor_version..=self.v4_max_minor_version).contains(&(minor as u32))
    }

    /// Whether the operation of this name is refused.
    pub fn blocks(&self, name: &str) -> bool {
        self.blocked_operations
            .iter()
            .any(|blocked| blocked == name)
    }

    /// Whether clients get delegations of files in the share of this name.
    pub fn delegates(&self, share: &str) -> bool {
        let mut without = self.shares_without_delegations.iter();
        self.delegations_enabled && !without.any(|other| other == share)
    }

    /// How long a recalled delegation may take to come back.
    pub fn delegation_recall_timeout(&self) -> Duration {
        Duration::from_secs(self.delegation_recall_timeout.into())
    }

    /// Most operations in one COMPOUND.
    pub fn max_compound_ops(&self) -> usize {
        self.max_compound_ops as usize
    }

    /// Largest RPC record in bytes: the largest WRITE and what may stand around it.
    pub fn max_record(&self) -> usize {
        self.max_write_size as usize + OVERHEAD
    }

    /// Largest COMPOUND result without a session, in bytes.
    pub fn reply_limit(&self) -> usize {
        self.max_read_size as usize + OVERHEAD
    }

    /// How long one record may take to arrive.
    pub fn record_timeout(&self) -> Duration {
        Duration::from_secs(self.record_timeout.into())
    }

    /// How long a client may take to answer a callback.
    pub fn callback_timeout(&self) -> Duration {
        Duration::from_secs(self.callback_timeout.into())
    }

    /// What clients may have.
    pub fn limits(&self) -> Limits {
        Limits {
            lease: self.lease(),
            courtesy: Duration::from_secs(self.courtesy_time.into()),
            clients: self.max_clients as usize,
            sessions_per_client: self.v4_max_sessions_per_client as usize,
            connections_per_session: self.connections_per_session(),
            metered_sessions: self.metrics_max_sessions as usize,
            slots: self.v4_max_session_slots,
            reply_cache: self.replay_cache_bytes,
        }
    }

    /// Most opens.
    pub fn open_bound(&self) -> Bound {
        Bound {
            each: self.max_opens_per_client as usize,
            all: self.max_opens as usize,
        }
    }

    /// Most byte-range locks.
    pub fn lock_bound(&self) -> Bound {
        Bound {
            each: self.max_locks_per_client as usize,
            all: self.max_locks as usize,
        }
    }

    /// Most copies in the background.
    pub fn copy_bound(&self) -> Bound {
        Bound {
            each: self.max_async_copies_per_client as usize,
            all: self.max_async_copies as usize,
        }
    }

    /// Connections that one session may have.
    pub fn connections_per_session(&self) -> usize {
        match self.v4_max_connections_per_session {
            0 => usize::MAX,
            most => most as usize,
        }
    }

    /// The grace period.
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_period.into())
    }

    /// The lease.
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_time.into())
    }
}

/// Bytes that headers and other operations of a COMPOUND may take beside the largest data.
pub const OVERHEAD: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_pass_their_own_check() {
        assert_eq!(Settings::default().check(), Ok(()));
    }

    #[test]
    fn an_empty_version_range_and_an_unknown_operation_name_their_fields() {
        let settings = Settings {
            v4_min_minor_version: 1,
            v4_max_minor_version: 0,
            blocked_operations: vec!["LOCK".into(), "lock".into()],
            ..Settings::default()
        };
        let fields: Vec<_> = settings
            .check()
            .unwrap_err()
            .into_iter()
            .map(|error| error.field)
            .collect();
        assert_eq!(fields, ["v4_min_minor_version", "blocked_operations"]);
    }
}
