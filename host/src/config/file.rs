//! The configuration file: TOML, every error names its key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::ConfigError;
use crate::adapters::{Given, Overrides};

/// Largest file read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// What the file says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct File {
    pub(super) state_dir: Option<PathBuf>,
    pub(super) database_url: Option<String>,
    pub(super) api: Option<String>,
    pub(super) metrics: Option<String>,
    pub(super) adapter_dirs: Vec<PathBuf>,
    pub(super) shares: Vec<String>,
    pub(super) settings: Overrides,
    pub(super) log: Option<String>,
}

pub(super) fn read(path: &Path) -> Result<File, ConfigError> {
    let failed = |message: String| ConfigError::new(path.display().to_string(), message);
    let size = path.metadata().map_err(|e| failed(e.to_string()))?.len();
    if size > MAX_FILE {
        return Err(failed(format!(
            "a configuration file has at most {MAX_FILE} bytes"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
    parse(&text).map_err(|e| ConfigError {
        key: format!("{}: {}", path.display(), e.key),
        ..e
    })
}

fn parse(text: &str) -> Result<File, ConfigError> {
    let mut table: Table = text.parse().map_err(|e: toml::de::Error| {
        let line = e.span().map_or(0, |span| {
            text.get(..span.start).unwrap_or(text).matches('\n').count() + 1
        });
        ConfigError::new(format!("line {line}"), e.message())
    })?;
    let mut database: Table = take(&mut table, "", "database")?.unwrap_or_default();
    let file = File {
        state_dir: take(&mut table, "", "state_dir")?,
        database_url: take(&mut database, "database.", "url")?,
        api: take(&mut table, "", "api")?,
        metrics: take(&mut table, "", "metrics")?,
        adapter_dirs: take(&mut table, "", "adapter_dirs")?.unwrap_or_default(),
        shares: take(&mut table, "", "shares")?.unwrap_or_default(),
        settings: settings(take(&mut table, "", "settings")?.unwrap_or_default())?,
        log: take(&mut table, "", "log")?,
    };
    let left = table
        .keys()
        .cloned()
        .chain(database.keys().map(|key| format!("database.{key}")))
        .next();
    match left {
        Some(key) => Err(ConfigError::new(
            key,
            "there is no such key; there are adapter_dirs, api, database.url, log, metrics, settings, shares, state_dir",
        )),
        None => Ok(file),
    }
}

fn take<T: DeserializeOwned>(
    table: &mut Table,
    prefix: &str,
    key: &str,
) -> Result<Option<T>, ConfigError> {
    let Some(value) = table.remove(key) else {
        return Ok(None);
    };
    let parsed = value.try_into::<T>();
    parsed
        .map(Some)
        .map_err(|e| ConfigError::new(format!("{prefix}{key}"), e.message()))
}

fn settings(adapters: Table) -> Result<Overrides, ConfigError> {
    adapters
        .into_iter()
        .map(|(adapter, fields)| {
            let Value::Table(fields) = fields else {
                return Err(ConfigError::new(
                    format!("settings.{adapter}"),
                    "must be a table of settings",
                ));
            };
            let given = fields
                .into_iter()
                .map(|(field, value)| {
                    let json = serde_json::to_value(value)
                        .map_err(|e| ConfigError::new(format!("settings.{adapter}.{field}"), e))?;
                    Ok((field, Given::Value(json)))
                })
                .collect::<Result<BTreeMap<_, _>, ConfigError>>()?;
            Ok((adapter, given))
        })
        .collect()
}
