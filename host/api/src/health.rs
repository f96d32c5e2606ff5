//! Whether the host is alive, and whether it serves.

use serde::{Deserialize, Serialize};

/// The process is alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// In one word.
    pub status: HealthStatus,
    /// Always `dittofs`.
    pub service: String,
    /// The host's version.
    pub version: String,
    /// Seconds since it started.
    pub uptime_seconds: u64,
}

/// How the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Nothing is known to be wrong.
    Healthy,
    /// It answers, and something in it is broken.
    Unhealthy,
}

/// Whether the host serves: every enabled adapter runs and it is not about to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Whether it does.
    pub ready: bool,
    /// Why it does not, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}
