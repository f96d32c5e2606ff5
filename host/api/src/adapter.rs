//! Protocol adapters as the host reports and switches them.

use serde::{Deserialize, Serialize};

/// One adapter that the host knows of, whether or not its library could be loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adapter {
    /// Its name in paths, settings and metrics.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its own version; absent if the library could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// One sentence for people.
    #[serde(default)]
    pub description: String,
    /// The SDK it was built with, `MAJOR.MINOR`; absent if the library could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdk: Option<String>,
    /// The library's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<String>,
    /// Whether the host starts it.
    pub enabled: bool,
    /// Whether it serves now.
    pub running: bool,
    /// Where it is in its life.
    pub state: AdapterState,
    /// Why it is in this state, one line; always there for `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What a running instance says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<AdapterHealth>,
    /// The version of its settings.
    #[serde(default)]
    pub settings_version: u64,
    /// What the command line of this run decides instead of the stored state: names of
    /// settings, and `enabled`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
}

/// Where an adapter is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdapterState {
    /// Its library was found and copied; no code of it has run.
    Staged,
    /// Its manifest and its layout fit this host.
    Checked,
    /// Its library is in the process.
    Loaded,
    /// It serves.
    Running,
    /// It finishes its work and takes no new.
    Draining,
    /// It was running, or could, and does not.
    Stopped,
    /// It could not be loaded or started, or broke.
    Failed,
}

/// What a running instance says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdapterHealth {
    /// In one word.
    pub status: AdapterHealthStatus,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How an instance is, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdapterHealthStatus {
    /// It serves.
    Serving,
    /// It serves with a limitation.
    Degraded,
    /// It does not serve.
    Failed,
}

/// A change of an adapter; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterUpdate {
    /// Whether the host starts it, now and at every later start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}
