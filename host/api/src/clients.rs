//! Who uses the host, and what they take back after a restart.

use serde::{Deserialize, Serialize};

/// A client of an adapter, as far as the adapter tells.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Client {
    /// Its number, in the adapter's form; for `DELETE /api/v1/clients/{id}`.
    pub client_id: String,
    /// The adapter.
    pub protocol: String,
    /// Version of the protocol that it speaks.
    pub version: String,
    /// Where it was last seen.
    pub address: String,
    /// What it calls itself.
    pub owner: String,
    /// How it is, in the adapter's words, such as `active`.
    pub state: String,
    /// Seconds until it is given up unless it is heard of.
    pub lease_left_seconds: u64,
    /// Its sessions.
    pub sessions: u64,
    /// Files that it has open.
    pub opens: u64,
    /// Ranges of files that it has locked.
    pub locks: u64,
    /// Files that it may use without asking.
    pub delegations: u64,
}

/// A copy that an adapter makes for a client in the background.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CopyJob {
    /// Its number, in the adapter's form; for `DELETE /api/v1/copies/{id}`.
    pub copy_id: String,
    /// The adapter.
    pub protocol: String,
    /// The client, as `GET /api/v1/clients` names it.
    pub client_id: String,
    /// Where from: a share and a file of it.
    pub source: String,
    /// Where to.
    pub target: String,
    /// Bytes that are copied.
    pub bytes_done: u64,
    /// Bytes that are to be.
    pub bytes_total: u64,
    /// How it is, in the adapter's words, such as `running`.
    pub state: String,
    /// Why it ended before all was copied, in the adapter's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Seconds since it was ordered.
    pub age_seconds: u64,
}

/// The time after a restart in which clients take back what they had, and others get nothing new.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Grace {
    /// Whether there is such a time now.
    pub active: bool,
    /// Whole seconds until it ends by itself.
    pub remaining_seconds: u64,
    /// Whole seconds that it lasts altogether.
    pub total_duration: u64,
    /// Clients that may take something back.
    pub expected_clients: u64,
    /// Those of them that are done.
    pub reclaimed_clients: u64,
    /// When it began (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// The same in words.
    pub message: String,
    /// The adapter whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
}
