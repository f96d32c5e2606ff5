//! What the host is told: command line over environment over configuration file over defaults,
//! checked and ready to use.

mod file;
mod flags;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use dittofs_api::{DEFAULT_API, DEFAULT_METRICS, default_state_dir};
use dittofs_sdk::FieldError;

use crate::adapters::{Given, Overrides};
use crate::db::Location;
use crate::log::LogFilter;
use crate::shares::{Backend, ShareSpec};

pub use flags::{Command, Flags, Serve};

/// The adapter directory of a packaged installation.
const SYSTEM_ADAPTERS: &str = "/usr/lib/dittofs/adapters";

/// What is wrong with the configuration: one line that names the flag, variable or key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub struct ConfigError {
    /// Flag, variable or key.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl ConfigError {
    fn new(key: impl Into<String>, message: impl std::fmt::Display) -> Self {
        Self {
            key: key.into(),
            message: message.to_string(),
        }
    }
}

/// An address to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// The address; port 0 for any free one.
    pub address: SocketAddr,
    /// Whether nobody asked for it.
    pub is_default: bool,
}

/// A host's configuration.
#[derive(Clone)]
pub struct Config {
    /// The state directory.
    pub state_dir: PathBuf,
    /// Where the settings are; `None` for SQLite in the state directory.
    pub database: Option<Location>,
    /// REST.
    pub api: Listen,
    /// Prometheus.
    pub metrics: Listen,
    /// Where adapters are looked for.
    pub adapter_dirs: Vec<PathBuf>,
    /// Shares of this run; of two with one name the later.
    pub shares: Vec<ShareSpec>,
    /// The directory of `dittofs serve DIR`.
    pub export: Option<PathBuf>,
    /// Settings of this run.
    pub settings: Overrides,
    /// The log's filter.
    pub log: LogFilter,
}

/// The process's environment, or a test's.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

impl Config {
    /// Puts together what `flags`, the environment and the configuration file say.
    pub fn load(flags: Serve, env: Env<'_>) -> Result<Self, ConfigError> {
        let path = flags
            .config
            .clone()
            .or_else(|| env("DITTOFS_CONFIG").map(PathBuf::from));
        let file = path
            .as_deref()
            .map(file::read)
            .transpose()?
            .unwrap_or_default();
        Ok(Self {
            state_dir: state_dir(&flags, env, file.state_dir)?,
            database: database(env, file.database_url)?,
            api: listen("api", flags.api, env, file.api, DEFAULT_API)?,
            metrics: listen("metrics", flags.metrics, env, file.metrics, DEFAULT_METRICS)?,
            adapter_dirs: adapter_dirs(flags.adapter_dir, env, file.adapter_dirs),
            shares: shares(&flags.share, flags.dir.as_deref(), env, &file.shares)?,
            export: flags.dir,
            settings: settings(&flags.set, env, file.settings)?,
            log: log(flags.log, env, file.log)?,
        })
    }
}

fn state_dir(flags: &Serve, env: Env<'_>, file: Option<PathBuf>) -> Result<PathBuf, ConfigError> {
    let given = flags
        .state_dir
        .clone()
        .or_else(|| env("DITTOFS_STATE_DIR").map(PathBuf::from))
        .or(file);
    given.or_else(default_state_dir).ok_or_else(|| {
        ConfigError::new(
            "--state-dir",
            "there is no home directory to derive it from: give it",
        )
    })
}

fn database(env: Env<'_>, file: Option<String>) -> Result<Option<Location>, ConfigError> {
    let (key, url) = match (text(env, "DITTOFS_DATABASE_URL")?, file) {
        (Some(url), _) => ("DITTOFS_DATABASE_URL", url),
        (None, Some(url)) => ("database.url", url),
        (None, None) => return Ok(None),
    };
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Some(Location::Postgres(url)));
    }
    match url.strip_prefix("sqlite://") {
        Some(path) if path.starts_with('/') => Ok(Some(Location::Sqlite(path.into()))),
        _ => Err(ConfigError::new(
            key,
            "must be postgres://… or sqlite:///ABSOLUTE/PATH",
        )),
    }
}

fn listen(
    key: &str,
    flag: Option<SocketAddr>,
    env: Env<'_>,
    file: Option<String>,
    default: &str,
) -> Result<Listen, ConfigError> {
    let variable = format!("DITTOFS_{}", key.to_uppercase());
    let parse = |key: &str, text: &str| {
        text.parse::<SocketAddr>().map_err(|_| {
            ConfigError::new(
                key,
                format!("{text:?} is no address with a port, such as {default}"),
            )
        })
    };
    let given = match (flag, text(env, &variable)?, file) {
        (Some(address), ..) => Some(address),
        (None, Some(text), _) => Some(parse(&variable, &text)?),
        (None, None, Some(text)) => Some(parse(key, &text)?),
        (None, None, None) => None,
    };
    Ok(Listen {
        address: given.map_or_else(|| parse(key, default), Ok)?,
        is_default: given.is_none(),
    })
}

fn adapter_dirs(flags: Vec<PathBuf>, env: Env<'_>, file: Vec<PathBuf>) -> Vec<PathBuf> {
    if !flags.is_empty() {
        return flags;
    }
    if let Some(paths) = env("DITTOFS_ADAPTER_DIRS") {
        return std::env::split_paths(&paths).collect();
    }
    if !file.is_empty() {
        return file;
    }
    let beside = std::env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(Path::to_owned));
    beside.into_iter().chain([SYSTEM_ADAPTERS.into()]).collect()
}

fn shares(
    flags: &[String],
    dir: Option<&Path>,
    env: Env<'_>,
    file: &[String],
) -> Result<Vec<ShareSpec>, ConfigError> {
    let from_env = text(env, "DITTOFS_SHARES")?.unwrap_or_default();
    let from_env: Vec<String> = from_env.split_whitespace().map(str::to_owned).collect();
    let mut by_name = BTreeMap::new();
    for (key, texts) in [
        ("shares", file),
        ("DITTOFS_SHARES", &from_env),
        ("--share", flags),
    ] {
        let mut here = BTreeMap::new();
        for text in texts {
            let spec: ShareSpec = text
                .parse()
                .map_err(|e: FieldError| ConfigError::new(key, e))?;
            if here.insert(spec.name.clone(), spec).is_some() {
                return Err(ConfigError::new(
                    key,
                    format!("{text:?}: this name is given twice"),
                ));
            }
        }
        by_name.extend(here);
    }
    if let Some(dir) = dir {
        let spec = export(dir).map_err(|e| ConfigError::new("DIR", e))?;
        if flags.iter().any(|text| text.starts_with("/export=")) {
            return Err(ConfigError::new(
                "--share",
                "/export is what DIR is exported as: choose another name",
            ));
        }
        by_name.insert(spec.name.clone(), spec);
    }
    Ok(by_name.into_values().collect())
}

/// What `dittofs serve DIR` exports: to this machine alone.
fn export(dir: &Path) -> Result<ShareSpec, FieldError> {
    let mut spec = ShareSpec::new("/export".parse()?, Backend::local(dir));
    spec.clients = ["127.0.0.0/8", "::1/128"]
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    Ok(spec)
}

fn settings(flags: &[String], env: Env<'_>, file: Overrides) -> Result<Overrides, ConfigError> {
    let from_env = text(env, "DITTOFS_SET")?.unwrap_or_default();
    let from_env: Vec<String> = from_env.split_whitespace().map(str::to_owned).collect();
    let mut all = file;
    for (key, texts) in [("DITTOFS_SET", from_env.as_slice()), ("--set", flags)] {
        for text in texts {
            let parts = text
                .split_once('=')
                .and_then(|(path, value)| Some((path.split_once('.')?, value)));
            let Some(((adapter, field), value)) = parts else {
                return Err(ConfigError::new(
                    key,
                    format!("{text:?} is not of the form ADAPTER.FIELD=VALUE"),
                ));
            };
            all.entry(adapter.to_owned())
                .or_default()
                .insert(field.to_owned(), Given::Text(value.to_owned()));
        }
    }
    Ok(all)
}

fn log(flag: Option<String>, env: Env<'_>, file: Option<String>) -> Result<LogFilter, ConfigError> {
    let (key, filter) = match (flag, text(env, "DITTOFS_LOG")?, file) {
        (Some(filter), ..) => ("--log", filter),
        (None, Some(filter), _) => ("DITTOFS_LOG", filter),
        (None, None, Some(filter)) => ("log", filter),
        (None, None, None) => ("log", "info".to_owned()),
    };
    LogFilter::new(&filter).map_err(|e| ConfigError::new(key, e))
}

fn text(env: Env<'_>, variable: &str) -> Result<Option<String>, ConfigError> {
    env(variable)
        .map(|value| {
            value
                .into_string()
                .map_err(|_| ConfigError::new(variable, "is not valid UTF-8"))
        })
        .transpose()
}

#[cfg(test)]
mod tests;
