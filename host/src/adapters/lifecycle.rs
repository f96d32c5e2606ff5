//! An adapter's life, in types: what can be done is what the state at hand has a method for.
//!
//! ```text
//! Found ──loader──▶ Library ──start──▶ Running ──drain──▶ Draining ──stop──▶ Library
//! ```
//! Staging and checking happen in the [`loader`](crate::loader). A failure at any step leaves
//! its reason in [`Phase::Failed`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dittofs_api::AdapterState;
use dittofs_sdk::host::{HostServices, Instance, Manifest, Plugin};
use dittofs_sdk::{Applied, Error, FieldError, Health, State};
use serde_json::Value;
use tokio::time::timeout;

use crate::settings::Schema;

/// Longest wait for an adapter to start, to take new settings, or to stop.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long an adapter may finish its work before it is stopped.
const DRAIN: Duration = Duration::from_secs(10);
/// What an adapter that overruns [`DRAIN`] is granted before it is stopped regardless.
const OVERRUN: Duration = Duration::from_secs(1);

/// A library in the process, ready to start an instance.
pub struct Library {
    plugin: Plugin,
    schema: Schema,
    path: PathBuf,
}

impl Library {
    /// Asks a loaded library for its settings' schema.
    pub fn new(plugin: Plugin, path: PathBuf) -> Result<Self, String> {
        let failed = |e: Error| format!("{}: {e}", path.display());
        let (json, defaults) = (
            plugin.schema().map_err(failed)?,
            plugin.defaults().map_err(failed)?,
        );
        let schema = Schema::new(json, defaults).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self {
            plugin,
            schema,
            path,
        })
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        self.plugin.manifest()
    }

    /// What its settings look like.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Where it was found.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Its own check of complete settings.
    pub fn check(&self, settings: &Value) -> Result<(), Vec<FieldError>> {
        self.plugin.check(settings)
    }

    /// Starts an instance.
    pub async fn start(
        self: Arc<Self>,
        services: Arc<dyn HostServices>,
        settings: &Value,
        prior: Option<State>,
    ) -> Result<Running, Error> {
        let instance = patiently("start", self.plugin.start(services, settings, prior)).await??;
        Ok(Running {
            library: self,
            instance,
        })
    }
}

/// An instance that serves.
pub struct Running {
    library: Arc<Library>,
    instance: Instance,
}

impl Running {
    /// Its library.
    pub fn library(&self) -> &Arc<Library> {
        &self.library
    }

    /// The instance, for what does not change its state.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Puts complete settings into force, or keeps the old ones.
    pub async fn reconfigure(&self, settings: &Value) -> Result<Applied, Error> {
        patiently("take its settings", self.instance.reconfigure(settings)).await?
    }

    /// Stops taking new work.
    pub fn drain(self) -> Draining {
        Draining(self)
    }
}

/// An instance that finishes its work.
pub struct Draining(Running);

impl Draining {
    /// The instance, for what does not change its state.
    pub fn instance(&self) -> &Instance {
        &self.0.instance
    }

    /// Its library.
    pub fn library(&self) -> &Arc<Library> {
        &self.0.library
    }

    /// Lets it finish within [`DRAIN`]; answers what it leaves to its successor.
    pub async fn finish(&self) -> Option<State> {
        let instance = &self.0.instance;
        let name = &self.0.library.manifest().name;
        if timeout(DRAIN + OVERRUN, instance.drain(DRAIN))
            .await
            .is_err()
        {
            tracing::warn!(
                "{name} did not finish its work within {} s",
                DRAIN.as_secs()
            );
        }
        match timeout(DRAIN, instance.export_state()).await {
            Ok(Ok(state)) => state,
            Ok(Err(error)) => {
                tracing::warn!("{name} leaves no state to its successor: {error}");
                None
            }
            Err(_) => None,
        }
    }

    /// Ends the instance; the library stays.
    pub async fn stop(self) -> Arc<Library> {
        let Running { library, instance } = self.0;
        if timeout(PATIENCE, instance.stop()).await.is_err() {
            tracing::error!(
                "{} did not stop within {} s",
                library.manifest().name,
                PATIENCE.as_secs()
            );
        }
        library
    }
}

async fn patiently<T>(what: &str, work: impl Future<Output = T>) -> Result<T, Error> {
    timeout(PATIENCE, work).await.map_err(|_| {
        Error::failed(format!(
            "the adapter did not {what} within {} s",
            PATIENCE.as_secs()
        ))
    })
}

/// Where an adapter is in its life.
pub(super) enum Phase {
    /// In the process, never started.
    Loaded(Arc<Library>),
    /// Serving.
    Running(Running),
    /// Finishing its work.
    Draining(Draining),
    /// Was running, or could, and does not.
    Stopped(Arc<Library>),
    /// Broke: without a library in loading, with one in starting.
    Failed(Option<Arc<Library>>, String),
}

impl Phase {
    /// The library, unless it could not be loaded.
    pub(super) fn library(&self) -> Option<&Arc<Library>> {
        match self {
            Self::Loaded(library) | Self::Stopped(library) => Some(library),
            Self::Running(running) => Some(running.library()),
            Self::Draining(draining) => Some(draining.library()),
            Self::Failed(library, _) => library.as_ref(),
        }
    }

    /// The instance, while there is one.
    pub(super) fn instance(&self) -> Option<&Instance> {
        match self {
            Self::Running(running) => Some(running.instance()),
            Self::Draining(draining) => Some(draining.instance()),
            _ => None,
        }
    }

    /// The instance's health, while there is one.
    pub(super) fn health(&self) -> Option<Health> {
        self.instance().map(Instance::health)
    }

    /// Why it failed.
    pub(super) fn reason(&self) -> Option<&str> {
        match self {
            Self::Failed(_, reason) => Some(reason),
            _ => None,
        }
    }

    /// For REST and metrics.
    pub(super) fn state(&self) -> AdapterState {
        match self {
            Self::Loaded(_) => AdapterState::Loaded,
            Self::Running(_) => AdapterState::Running,
            Self::Draining(_) => AdapterState::Draining,
            Self::Stopped(_) => AdapterState::Stopped,
            Self::Failed(..) => AdapterState::Failed,
        }
    }
}
