//! One adapter of the host: its phase, its settings, and what an operator can do with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dittofs_api::{self as api, AdapterState};
use dittofs_sdk::{Applied, Error, FieldError, Health, State};
use serde_json::Value;
use tokio::sync::{Mutex, RwLock};
use tokio::time::timeout;

use super::lifecycle::{Library, Phase};
use super::meters::Meters;
use crate::db::DbError;
use crate::loader::Loader;
use crate::services::{Core, Services};
use crate::settings::{Change, Schema, Settings, SettingsError, Target};

/// Longest wait for an adapter's view of its inside.
const INSPECT: Duration = Duration::from_secs(5);
/// Longest wait for an adapter to do something.
const ACT: Duration = Duration::from_secs(30);

/// Why an operator's wish was not done.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// The adapter could not be loaded, started or asked; its state tells more.
    #[error("{0}")]
    Failed(String),
    /// The adapter knows no such view.
    #[error("the adapter has no view {0:?}")]
    NoView(String),
    /// The adapter can't do such a thing.
    #[error("the adapter can't do {0:?}")]
    NoAct(String),
    /// Settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// What all adapters of a host use.
#[derive(Clone)]
pub(super) struct Common {
    pub(super) core: Arc<Core>,
    pub(super) loader: Loader,
    pub(super) meters: Meters,
}

/// What the database and the command line say of an adapter.
pub(super) struct Stored {
    pub(super) enabled: bool,
    pub(super) settings: Settings,
}

/// One adapter, whether or not its library could be loaded.
pub struct Unit {
    name: String,
    core: Arc<Core>,
    loader: Loader,
    meters: Meters,
    /// Held through every change of phase or settings, so that these happen one by one.
    /// Always taken before `phase`.
    wanted: Mutex<Wanted>,
    /// Written only for the moment of a transition.
    phase: RwLock<Phase>,
    /// What of `wanted` REST shows, readable while an operation is under way.
    shown: parking_lot::RwLock<Shown>,
    /// Where the library was found.
    path: PathBuf,
}

/// What an operator wants of the adapter.
struct Wanted {
    enabled: bool,
    settings: Settings,
}

#[derive(Clone)]
struct Shown {
    enabled: bool,
    settings_version: u64,
    overrides: Vec<String>,
}

impl Wanted {
    fn shown(&self) -> Shown {
        Shown {
            enabled: self.enabled,
            settings_version: self.settings.version(),
            overrides: self.settings.overrides().keys().cloned().collect(),
        }
    }
}

impl Unit {
    /// In the phase that loading led to.
    pub(super) fn new(
        common: &Common,
        name: String,
        path: PathBuf,
        phase: Phase,
        stored: Stored,
    ) -> Self {
        let Common {
            core,
            loader,
            meters,
        } = common.clone();
        meters.show(&name, phase.state());
        let wanted = Wanted {
            enabled: stored.enabled,
            settings: stored.settings,
        };
        Self {
            name,
            core,
            loader,
            meters,
            shown: parking_lot::RwLock::new(wanted.shown()),
            wanted: Mutex::new(wanted),
            phase: RwLock::new(phase),
            path,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What REST shows.
    pub async fn view(&self) -> api::Adapter {
        self.view_of(&*self.phase.read().await)
    }

    /// Starts it if it is wanted and can be.
    pub(super) async fn start_if_enabled(&self) {
        let mut wanted = self.wanted.lock().await;
        if wanted.enabled {
            self.start(&mut wanted, None).await;
        }
    }

    /// Wants it, or no more, now and at every later start of the host.
    pub async fn set_enabled(&self, enabled: bool) -> Result<api::Adapter, AdapterError> {
        let mut wanted = self.wanted.lock().await;
        self.core
            .db
            .set_adapter_enabled(&self.name, enabled)
            .await?;
        wanted.enabled = enabled;
        *self.shown.write() = wanted.shown();
        tracing::info!(
            "audit: adapter {} {}",
            self.name,
            if enabled { "enabled" } else { "disabled" }
        );
        if enabled {
            if self.phase.read().await.library().is_none() {
                self.reload().await;
            }
            if self.phase.read().await.instance().is_none() {
                self.start(&mut wanted, None).await;
            }
        } else {
            self.stop().await;
            self.core.listeners.close(&self.name);
        }
        self.outcome(&wanted).await
    }

    /// Stops it and starts it again, from the library's file as it is now.
    pub async fn restart(&self) -> Result<api::Adapter, AdapterError> {
        let mut wanted = self.wanted.lock().await;
        if !wanted.enabled {
            return Err(AdapterError::Failed(format!(
                "adapter {} is disabled: enable it first",
                self.name
            )));
        }
        let library = self.load().await;
        if let (Err(reason), AdapterState::Running) = (&library, self.phase.read().await.state()) {
            return Err(AdapterError::Failed(format!(
                "{reason}; the running instance goes on"
            )));
        }
        tracing::info!("audit: adapter {} restarted", self.name);
        let prior = self.stop().await;
        self.become_(match library {
            Ok(library) => Phase::Stopped(library),
            Err(reason) => Phase::Failed(None, reason),
        })
        .await;
        self.start(&mut wanted, prior).await;
        self.outcome(&wanted).await
    }

    /// The settings.
    pub async fn settings(&self, effective: bool) -> Result<api::Settings, AdapterError> {
        let wanted = self.wanted.lock().await;
        let library = self.library().await?;
        Ok(wanted.settings.view(library.schema(), effective))
    }

    /// The library, for its schema and defaults.
    pub async fn library(&self) -> Result<Arc<Library>, AdapterError> {
        let phase = self.phase.read().await;
        phase.library().cloned().ok_or_else(|| {
            AdapterError::Failed(
                phase
                    .reason()
                    .unwrap_or("the adapter is not loaded")
                    .to_owned(),
            )
        })
    }

    /// Changes the settings.
    pub async fn change_settings(
        &self,
        change: Change,
        if_version: Option<u64>,
        dry_run: bool,
    ) -> Result<api::Settings, AdapterError> {
        let mut wanted = self.wanted.lock().await;
        let library = self.library().await?;
        let target = Live {
            unit: self,
            library,
        };
        let result = wanted
            .settings
            .commit(&self.core.db, &target, change, if_version, dry_run)
            .await;
        if !dry_run {
            *self.shown.write() = wanted.shown();
            self.meters.committed(&self.name, result.is_ok());
        }
        Ok(result?)
    }

    /// A view of the running instance's inside.
    pub async fn inspect(self: Arc<Self>, what: String) -> Result<Value, AdapterError> {
        let asked = what.clone();
        // The adapter's own code, which may take its time.
        let work = tokio::task::spawn_blocking(move || {
            let phase = self.phase.blocking_read();
            let not_running =
                || AdapterError::Failed(format!("adapter {} is not running", self.name));
            let instance = phase.instance().ok_or_else(not_running)?;
            instance.inspect(&what).ok_or(AdapterError::NoView(what))
        });
        match timeout(INSPECT, work).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(AdapterError::Failed(format!(
                "the adapter gave no answer on {asked:?}"
            ))),
        }
    }

    /// Has the running instance do something.
    pub async fn act(&self, what: &str, args: &Value) -> Result<Value, AdapterError> {
        // Not held while the adapter works: it may be stopped meanwhile.
        let answer = {
            let phase = self.phase.read().await;
            let not_running =
                || AdapterError::Failed(format!("adapter {} is not running", self.name));
            phase.instance().ok_or_else(not_running)?.act(what, args)
        };
        match timeout(ACT, answer).await {
            Ok(Ok(Some(answer))) => Ok(answer),
            Ok(Ok(None)) => Err(AdapterError::NoAct(what.to_owned())),
            Ok(Err(error)) => Err(AdapterError::Failed(error.to_string())),
            Err(_) => Err(AdapterError::Failed(format!(
                "the adapter gave no answer on {what:?}; it may still do it"
            ))),
        }
    }

    /// Stops it for the end of the host.
    pub(super) async fn shut_down(&self) {
        let _wanted = self.wanted.lock().await;
        self.stop().await;
    }

    /// Tells a running instance of something that it reads from the host.
    pub(super) async fn notify(&self, tell: impl FnOnce(&dittofs_sdk::host::Instance)) {
        if let Some(instance) = self.phase.read().await.instance() {
            tell(instance);
        }
    }

    async fn outcome(&self, wanted: &Wanted) -> Result<api::Adapter, AdapterError> {
        let phase = self.phase.read().await;
        match phase.reason() {
            Some(reason) if wanted.enabled => Err(AdapterError::Failed(reason.to_owned())),
            _ => Ok(self.view_of(&phase)),
        }
    }

    fn view_of(&self, phase: &Phase) -> api::Adapter {
        let shown = self.shown.read().clone();
        let manifest = phase.library().map(|library| library.manifest());
        api::Adapter {
            kind: self.name.clone(),
            version: manifest.map(|manifest| manifest.version.clone()),
            description: manifest
                .map(|manifest| manifest.description.clone())
                .unwrap_or_default(),
            sdk: manifest.map(|manifest| format!("{}.{}", manifest.sdk.0, manifest.sdk.1)),
            library: Some(self.path.display().to_string()),
            enabled: shown.enabled,
            running: phase.state() == AdapterState::Running,
            state: phase.state(),
            reason: phase.reason().map(str::to_owned),
            health: phase.health().map(health),
            settings_version: shown.settings_version,
            overrides: shown.overrides,
        }
    }

    async fn become_(&self, next: Phase) {
        self.meters.show(&self.name, next.state());
        *self.phase.write().await = next;
    }

    /// From the library at hand to a running instance, or to a reason.
    async fn start(&self, wanted: &mut Wanted, prior: Option<State>) {
        let Ok(library) = self.library().await else {
            return;
        };
        let next = match self.try_start(&library, wanted, prior).await {
            Ok(running) => {
                wanted.settings.started();
                let manifest = library.manifest();
                tracing::info!("adapter {} {} runs", manifest.name, manifest.version);
                running
            }
            Err(error) => {
                tracing::error!("adapter {} does not start: {error}", self.name);
                self.core.listeners.close(&self.name);
                self.meters.failed(&self.name);
                Phase::Failed(Some(library), error.to_string())
            }
        };
        self.become_(next).await;
    }

    async fn try_start(
        &self,
        library: &Arc<Library>,
        wanted: &Wanted,
        prior: Option<State>,
    ) -> Result<Phase, Error> {
        let target = Live {
            unit: self,
            library: Arc::clone(library),
        };
        let settings = wanted
            .settings
            .effective(&target)
            .map_err(Error::Settings)?;
        let services = Arc::new(Services::new(&self.name, Arc::clone(&self.core))?);
        self.meters.started(&self.name);
        Arc::clone(library)
            .start(services, &settings, prior)
            .await
            .map(Phase::Running)
    }

    /// Drains and stops what runs; its listeners stay open for a successor.
    async fn stop(&self) -> Option<State> {
        let mut phase = self.phase.write().await;
        let library = Arc::clone(phase.library()?);
        let running = match std::mem::replace(&mut *phase, Phase::Stopped(library)) {
            Phase::Running(running) => running,
            other => {
                *phase = if let Phase::Failed(Some(library), _) = other {
                    Phase::Stopped(library)
                } else {
                    other
                };
                return None;
            }
        };
        *phase = Phase::Draining(running.drain());
        self.meters.show(&self.name, phase.state());
        // Its health and views can be looked at meanwhile.
        let phase = phase.downgrade();
        let state = match &*phase {
            Phase::Draining(draining) => draining.finish().await,
            _ => None,
        };
        drop(phase);
        let mut phase = self.phase.write().await;
        let library = Arc::clone(phase.library()?);
        let drained = std::mem::replace(&mut *phase, Phase::Stopped(library));
        self.meters.show(&self.name, phase.state());
        drop(phase);
        if let Phase::Draining(draining) = drained {
            draining.stop().await;
            tracing::info!("adapter {} stopped", self.name);
        }
        state
    }

    async fn reload(&self) {
        let next = match self.load().await {
            Ok(library) => Phase::Loaded(library),
            Err(reason) => Phase::Failed(None, reason),
        };
        self.become_(next).await;
    }

    async fn load(&self) -> Result<Arc<Library>, String> {
        let (loader, path, name) = (self.loader.clone(), self.path.clone(), self.name.clone());
        let work = tokio::task::spawn_blocking(move || super::load_again(&loader, &path, &name));
        work.await
            .unwrap_or_else(|e| Err(format!("loading was cut short: {e}")))
    }
}

fn health(health: Health) -> api::AdapterHealth {
    let (status, message) = match health {
        Health::Serving => (api::AdapterHealthStatus::Serving, None),
        Health::Degraded(message) => (api::AdapterHealthStatus::Degraded, Some(message)),
        Health::Failed(message) => (api::AdapterHealthStatus::Failed, Some(message)),
    };
    api::AdapterHealth { status, message }
}

/// The unit as the settings see it.
struct Live<'a> {
    unit: &'a Unit,
    library: Arc<Library>,
}

impl Target for Live<'_> {
    fn name(&self) -> &str {
        &self.unit.name
    }

    fn schema(&self) -> &Schema {
        self.library.schema()
    }

    fn check(&self, settings: &Value) -> Result<(), Vec<FieldError>> {
        self.library.check(settings)
    }

    async fn reconfigure(&self, settings: &Value) -> Option<Result<Applied, Error>> {
        match &*self.unit.phase.read().await {
            Phase::Running(running) => Some(running.reconfigure(settings).await),
            _ => None,
        }
    }
}

/// The name under which a file that says nothing of itself is known.
pub(super) fn name_of_file(path: &Path) -> String {
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or("unnamed");
    let name = stem.strip_prefix("lib").unwrap_or(stem);
    let name = name.rsplit_once("adapter_").map_or(name, |(_, name)| name);
    name.replace('_', "-").to_lowercase()
}
