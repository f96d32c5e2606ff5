//! All adapters of the host.

mod lifecycle;
mod meters;
mod unit;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dittofs_api::{self as api, Fields};
use dittofs_sdk::FieldError;
use dittofs_sdk::host::Instance;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::db::DbError;
use crate::loader::{Found, Loader};
use crate::services::Core;
use crate::settings::Settings;
use lifecycle::Phase;
use meters::Meters;

pub use lifecycle::Library;
pub use unit::{AdapterError, Unit};
use unit::{Common, Stored};

/// A setting given for this run.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// On the command line, as text to be read as the schema says.
    Text(String),
    /// In the configuration file.
    Value(Value),
}

/// Settings given for this run, by adapter and field.
pub type Overrides = BTreeMap<String, BTreeMap<String, Given>>;

/// Why the host can't start with these adapters.
#[derive(Debug, thiserror::Error)]
pub enum LoadingError {
    /// A setting given for this run names an adapter that is not there.
    #[error("setting {adapter}.{field}: there is no adapter {adapter:?}; found: {found}")]
    NoAdapter {
        /// The adapter.
        adapter: String,
        /// A field given for it.
        field: String,
        /// What there is.
        found: String,
    },
    /// A setting given for this run can't be accepted.
    #[error("setting {adapter}.{error}")]
    Setting {
        /// The adapter.
        adapter: String,
        /// What is wrong.
        error: FieldError,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The metrics could not be registered.
    #[error(transparent)]
    Metrics(#[from] dittofs_sdk::Error),
}

/// The adapters found at the host's start.
pub struct Adapters {
    units: BTreeMap<String, Arc<Unit>>,
}

impl Adapters {
    /// Finds and loads them; one that can't be loaded is kept with the reason.
    pub async fn load(
        core: &Arc<Core>,
        loader: &Loader,
        overrides: Overrides,
    ) -> Result<Self, LoadingError> {
        let common = Common {
            core: Arc::clone(core),
            loader: loader.clone(),
            meters: Meters::new(&core.metrics)?,
        };
        let mut given = overrides;
        let mut units = BTreeMap::new();
        for (name, found, phase) in load_all(loader).await {
            if units.contains_key(&name) {
                continue;
            }
            let enabled = core.db.adapter_enabled(&name).await?;
            let given_here = given.remove(&name).unwrap_or_default();
            let overrides = phase.library().map_or_else(
                || Ok(Fields::new()),
                |library| parse(&name, library, given_here),
            )?;
            let settings = Settings::new(core.db.settings(&name).await?, overrides);
            let unit = Unit::new(
                &common,
                name.clone(),
                found.path,
                phase,
                Stored { enabled, settings },
            );
            units.insert(name, Arc::new(unit));
        }
        if let Some((adapter, fields)) = given.into_iter().next() {
            let field = fields.into_keys().next().unwrap_or_default();
            let names: Vec<&str> = units.keys().map(String::as_str).collect();
            let found = if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            };
            return Err(LoadingError::NoAdapter {
                adapter,
                field,
                found,
            });
        }
        Ok(Self { units })
    }

    /// Starts those that are wanted, side by side.
    pub async fn start(&self) {
        let mut starting = JoinSet::new();
        for unit in self.units.values() {
            let unit = Arc::clone(unit);
            starting.spawn(async move { unit.start_if_enabled().await });
        }
        starting.join_all().await;
    }

    /// Drains and stops all, side by side.
    pub async fn stop(&self) {
        let mut stopping = JoinSet::new();
        for unit in self.units.values() {
            let unit = Arc::clone(unit);
            stopping.spawn(async move { unit.shut_down().await });
        }
        stopping.join_all().await;
    }

    /// One adapter.
    pub fn one(&self, name: &str) -> Option<&Arc<Unit>> {
        self.units.get(name)
    }

    /// All adapters, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Unit>> {
        self.units.values()
    }

    /// What REST shows of all.
    pub async fn list(&self) -> Vec<api::Adapter> {
        let mut list = Vec::with_capacity(self.units.len());
        for unit in self.units.values() {
            list.push(unit.view().await);
        }
        list
    }

    /// Tells the running instances that the shares differ now.
    pub async fn shares_changed(&self) {
        for unit in self.units.values() {
            unit.notify(Instance::shares_changed).await;
        }
    }

    /// Tells the running instances that the log's filter differs now.
    pub async fn log_filter_changed(&self) {
        for unit in self.units.values() {
            unit.notify(Instance::log_filter_changed).await;
        }
    }
}

async fn load_all(loader: &Loader) -> Vec<(String, Found, Phase)> {
    let loader = loader.clone();
    let work = tokio::task::spawn_blocking(move || {
        let load = |found: Found| {
            let name = match &found.manifest {
                Ok(manifest) => manifest.name.clone(),
                Err(_) => unit::name_of_file(&found.path),
            };
            let phase = match load_one(&loader, &found) {
                Ok(library) => Phase::Loaded(library),
                Err(reason) => {
                    tracing::error!("adapter {name} is not loaded: {reason}");
                    Phase::Failed(None, reason)
                }
            };
            (name, found, phase)
        };
        let mut found = loader.discover();
        // A file that says nothing of itself must not take the name of one that does.
        found.sort_by_key(|found| found.manifest.is_err());
        found.into_iter().map(load).collect()
    });
    work.await.unwrap_or_else(|e| {
        tracing::error!("loading adapters was cut short: {e}");
        Vec::new()
    })
}

fn load_one(loader: &Loader, found: &Found) -> Result<Arc<Library>, String> {
    let plugin = loader.load(found).map_err(|e| e.to_string())?;
    Library::new(plugin, found.path.clone()).map(Arc::new)
}

/// Loads the adapter `name`, last found at `path`, from the directories as they are now.
fn load_again(loader: &Loader, path: &Path, name: &str) -> Result<Arc<Library>, String> {
    let is_it = |found: &Found| match &found.manifest {
        Ok(manifest) => manifest.name == name,
        Err(_) => found.path == path,
    };
    let found = loader.discover().into_iter().find(is_it).ok_or_else(|| {
        format!(
            "{}: the library of adapter {name} is gone: put it back",
            path.display()
        )
    })?;
    load_one(loader, &found)
}

fn parse(
    adapter: &str,
    library: &Library,
    given: BTreeMap<String, Given>,
) -> Result<Fields, LoadingError> {
    let wrong = |error: FieldError| LoadingError::Setting {
        adapter: adapter.to_owned(),
        error,
    };
    let mut fields = Fields::new();
    for (field, given) in given {
        let value = match given {
            Given::Text(text) => library.schema().parse(&field, &text).map_err(wrong)?,
            Given::Value(value) => value,
        };
        fields.insert(field, value);
    }
    let complete = library.schema().complete(&[&fields]);
    let first = |errors: Vec<FieldError>| {
        errors.into_iter().next().map_or_else(
            || LoadingError::Setting {
                adapter: adapter.to_owned(),
                error: FieldError::new("?", "refused"),
            },
            wrong,
        )
    };
    library.schema().validate(&complete).map_err(first)?;
    library.check(&Value::Object(complete)).map_err(first)?;
    Ok(fields)
}
