//! The host's side: from a file to a running instance.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::host::HostServices;
use crate::{Applied, Error, FieldError, Health, State};

/// What a library says of itself in its ELF note, readable without running its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The adapter's name.
    pub name: String,
    /// The adapter's version.
    pub version: String,
    /// One sentence for people.
    pub description: String,
    /// The SDK it was built with: (major, minor).
    pub sdk: (u32, u32),
    /// Whether panics unwind (`unwind`) or end the process (`abort`, refused).
    pub panic: String,
}

/// Why a file can't be loaded: one line that names the file, both versions where they matter,
/// and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LoadError(pub String);

/// A loaded library; it stays loaded for the life of the process.
pub struct Plugin {}

impl Plugin {
    /// Reads the manifest of the file at `path` and runs none of its code.
    pub fn manifest_of(path: &Path) -> Result<Manifest, LoadError> {
        Err(LoadError(format!(
            "{}: loading is not built yet",
            path.display()
        )))
    }

    /// Checks and loads the file at `path`, which must never be overwritten in place afterwards.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        Err(LoadError(format!(
            "{}: loading is not built yet",
            path.display()
        )))
    }

    /// What the library says of itself.
    pub fn manifest(&self) -> &Manifest {
        unreachable!()
    }

    /// The JSON schema of the adapter's settings.
    pub fn schema(&self) -> Result<Value, Error> {
        unreachable!()
    }

    /// The adapter's default settings.
    pub fn defaults(&self) -> Result<Value, Error> {
        unreachable!()
    }

    /// Runs the adapter's own check of complete settings.
    pub fn check(&self, _settings: &Value) -> Result<(), Vec<FieldError>> {
        unreachable!()
    }

    /// Starts an instance with complete settings.
    pub async fn start(
        &self,
        _services: Arc<dyn HostServices>,
        _settings: &Value,
        _prior: Option<State>,
    ) -> Result<Instance, Error> {
        unreachable!()
    }
}

/// A running instance of an adapter.
pub struct Instance {}

impl Instance {
    /// Puts complete new settings into force, or keeps the old ones.
    pub async fn reconfigure(&self, _settings: &Value) -> Result<Applied, Error> {
        unreachable!()
    }

    /// How the instance is.
    pub fn health(&self) -> Health {
        unreachable!()
    }

    /// The adapter's view of its inside; `None` if it knows no such view.
    pub fn inspect(&self, _what: &str) -> Option<Value> {
        unreachable!()
    }

    /// Tells the instance that [`HostServices::shares`] answers differently now.
    pub fn shares_changed(&self) {
        unreachable!()
    }

    /// Tells the instance that [`HostServices::log_enabled`] answers differently now.
    pub fn log_filter_changed(&self) {
        unreachable!()
    }

    /// Takes no new work and finishes the old, at most until `deadline` from now.
    pub async fn drain(&self, _deadline: Duration) {
        unreachable!()
    }

    /// State for a successor.
    pub async fn export_state(&self) -> Result<Option<State>, Error> {
        unreachable!()
    }

    /// Ends the instance and its runtime.
    pub async fn stop(self) {
        unreachable!()
    }
}
