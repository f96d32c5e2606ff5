//! One adapter's settings: what is stored, what this run overrides, and the commit of a change.
//!
//! A commit validates against the schema, has the adapter check, puts the new values into force,
//! and writes the database; when any of these fails, the old values are in force everywhere.

mod schema;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use dittofs_api::{self as api, Fields};
use dittofs_sdk::{Applied, Error, FieldError};
use serde_json::Value;

use crate::db::{Database, DbError, StoredSettings};

pub use schema::Schema;

/// The adapter that settings are for; a trait so that commits are tested without a library.
pub trait Target: Sync {
    /// Its name.
    fn name(&self) -> &str;
    /// What its settings look like.
    fn schema(&self) -> &Schema;
    /// Its own check of complete settings.
    fn check(&self, settings: &Value) -> Result<(), Vec<FieldError>>;
    /// Puts complete settings into force if an instance runs; `None` if none does.
    fn reconfigure(
        &self,
        settings: &Value,
    ) -> impl Future<Output = Option<Result<Applied, Error>>> + Send;
}

/// What is to change.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// These fields and no others are set.
    Replace(Fields),
    /// These fields are set, the others stay.
    Merge(Fields),
    /// No field is set.
    ResetAll,
    /// This field is not set any more.
    Reset(String),
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// There are no such settings.
    #[error("{}", list(.0))]
    Unknown(Vec<FieldError>),
    /// Values that can't be accepted.
    #[error("{}", list(.0))]
    Invalid(Vec<FieldError>),
    /// Somebody else was faster.
    #[error("the settings have version {current} now: read them again")]
    Stale {
        /// The stored version.
        current: u64,
    },
    /// The instance did not take the values.
    #[error("the adapter refused the settings: {0}")]
    Refused(Error),
    /// The values were not written; the old ones are in force.
    #[error("{0}; the old settings stay in force")]
    Database(DbError),
}

fn list(errors: &[FieldError]) -> String {
    errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// The settings of one adapter.
#[derive(Debug, Default)]
pub struct Settings {
    stored: StoredSettings,
    /// Decided by the command line or configuration file of this run.
    overrides: Fields,
    /// Fields whose value waits for the adapter's next start.
    pending: BTreeSet<String>,
}

impl Settings {
    /// The stored settings, and what this run overrides.
    pub fn new(stored: StoredSettings, overrides: Fields) -> Self {
        Self {
            stored,
            overrides,
            pending: BTreeSet::new(),
        }
    }

    /// The version stored.
    pub fn version(&self) -> u64 {
        u64::try_from(self.stored.version).unwrap_or(0)
    }

    /// What this run overrides.
    pub fn overrides(&self) -> &Fields {
        &self.overrides
    }

    /// Complete settings to start an instance with, checked.
    pub fn effective(&self, target: &impl Target) -> Result<Value, Vec<FieldError>> {
        check(
            target,
            target
                .schema()
                .complete(&[&self.stored.fields, &self.overrides]),
        )
    }

    /// An instance has just started with the effective settings.
    pub fn started(&mut self) {
        self.pending.clear();
    }

    /// What REST shows; with `effective`, the overriding values in the place of the stored ones.
    pub fn view(&self, schema: &Schema, effective: bool) -> api::Settings {
        let none = Fields::new();
        let overrides = if effective { &self.overrides } else { &none };
        api::Settings {
            version: self.version(),
            values: schema.complete(&[&self.stored.fields, overrides]),
            overrides: self.overrides.clone(),
            applied: self.waiting(&self.stored.fields),
        }
    }

    /// Makes a change, or with `dry_run` only finds out whether it could be made.
    pub async fn commit(
        &mut self,
        db: &Database,
        target: &impl Target,
        change: Change,
        if_version: Option<u64>,
        dry_run: bool,
    ) -> Result<api::Settings, SettingsError> {
        if if_version.is_some_and(|version| version != self.version()) {
            return Err(SettingsError::Stale {
                current: self.version(),
            });
        }
        let schema = target.schema();
        let fields = self.changed(schema, change)?;
        let old = schema.complete(&[&self.stored.fields, &self.overrides]);
        // Without the overrides too: they are gone at the next start.
        check(target, schema.complete(&[&fields])).map_err(SettingsError::Invalid)?;
        let new = check(target, schema.complete(&[&fields, &self.overrides]))
            .map_err(SettingsError::Invalid)?;
        let touched = difference(
            &schema.complete(&[&self.stored.fields]),
            &schema.complete(&[&fields]),
        );
        if dry_run {
            return Ok(self.answer(schema, &fields, &touched, None));
        }
        let applied = match target.reconfigure(&new).await {
            Some(Ok(applied)) => Some(applied),
            Some(Err(Error::Settings(errors))) => return Err(SettingsError::Invalid(errors)),
            Some(Err(error)) => return Err(SettingsError::Refused(error)),
            None => None,
        };
        match db
            .put_settings(target.name(), self.stored.version, &fields)
            .await
        {
            Ok(Some(version)) => {
                audit(target.name(), version, &self.stored.fields, &fields);
                if let Some(applied) = &applied {
                    self.pending.extend(applied.pending_restart.iter().cloned());
                }
                let answer = self.answer(schema, &fields, &touched, applied.as_ref());
                self.stored = StoredSettings { version, fields };
                Ok(api::Settings {
                    version: self.version(),
                    ..answer
                })
            }
            outcome => {
                roll_back(target, old).await;
                Err(self.not_written(db, target.name(), outcome).await)
            }
        }
    }

    fn changed(&self, schema: &Schema, change: Change) -> Result<Fields, SettingsError> {
        let mut fields = self.stored.fields.clone();
        match change {
            Change::Replace(new) => fields = new,
            Change::Merge(new) => fields.extend(new),
            Change::ResetAll => fields.clear(),
            Change::Reset(field) => {
                if !schema.knows(&field) {
                    return Err(unknown(&field));
                }
                fields.remove(&field);
            }
        }
        match fields.keys().find(|field| !schema.knows(field)) {
            Some(field) => Err(unknown(field)),
            None => Ok(fields),
        }
    }

    fn answer(
        &self,
        schema: &Schema,
        fields: &Fields,
        touched: &[String],
        applied: Option<&Applied>,
    ) -> api::Settings {
        let mut when = self.waiting(fields);
        for field in touched {
            let at = if self.overrides.contains_key(field) {
                api::Applied::Overridden
            } else if applied.is_none_or(|applied| applied.pending_restart.contains(field)) {
                api::Applied::Restart
            } else if schema.applies(field) == api::Applied::NextGrace {
                api::Applied::NextGrace
            } else {
                api::Applied::Live
            };
            when.insert(field.clone(), at);
        }
        api::Settings {
            version: self.version(),
            values: schema.complete(&[fields]),
            overrides: self.overrides.clone(),
            applied: when,
        }
    }

    /// The fields whose stored value is not in force.
    fn waiting(&self, stored: &Fields) -> BTreeMap<String, api::Applied> {
        let pending = self
            .pending
            .iter()
            .map(|field| (field.clone(), api::Applied::Restart));
        let overridden = self
            .overrides
            .keys()
            .filter(|field| stored.contains_key(*field));
        pending
            .chain(overridden.map(|field| (field.clone(), api::Applied::Overridden)))
            .collect()
    }

    /// Another host on the same database may have written in between; its values wait here for
    /// the adapter's next start.
    async fn not_written(
        &mut self,
        db: &Database,
        adapter: &str,
        outcome: Result<Option<i64>, DbError>,
    ) -> SettingsError {
        match outcome {
            Err(error) => SettingsError::Database(error),
            Ok(_) => match db.settings(adapter).await {
                Err(error) => SettingsError::Database(error),
                Ok(stored) => {
                    self.pending
                        .extend(difference(&self.stored.fields, &stored.fields));
                    self.stored = stored;
                    SettingsError::Stale {
                        current: self.version(),
                    }
                }
            },
        }
    }
}

fn unknown(field: &str) -> SettingsError {
    SettingsError::Unknown(vec![FieldError::new(field, "there is no such setting")])
}

fn check(target: &impl Target, settings: Fields) -> Result<Value, Vec<FieldError>> {
    target.schema().validate(&settings)?;
    let settings = Value::Object(settings);
    target.check(&settings)?;
    Ok(settings)
}

async fn roll_back(target: &impl Target, old: Fields) {
    if let Some(Err(error)) = target.reconfigure(&Value::Object(old)).await {
        tracing::error!(
            "{} did not go back to its old settings, restart it: {error}",
            target.name()
        );
    }
}

fn difference(old: &Fields, new: &Fields) -> Vec<String> {
    let fields: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    fields
        .into_iter()
        .filter(|field| old.get(*field) != new.get(*field))
        .cloned()
        .collect()
}

fn audit(adapter: &str, version: i64, old: &Fields, new: &Fields) {
    let show = |value: Option<&Value>| value.map_or_else(|| "default".to_owned(), Value::to_string);
    let changes: Vec<String> = difference(old, new)
        .iter()
        .map(|field| {
            format!(
                "{field} {} -> {}",
                show(old.get(field)),
                show(new.get(field))
            )
        })
        .collect();
    tracing::info!(
        "audit: settings of {adapter} version {version}: {}",
        changes.join(", ")
    );
}
