//! The DittoFS host process: loads protocol adapters and supplies them settings, metrics, logs
//! and file systems. Nothing in it names a protocol.
//!
//! - [`config`]: command line, environment and configuration file become one checked value;
//! - [`state`]: the state directory, used by one host at a time;
//! - [`db`]: the settings database, SQLite or PostgreSQL;
//! - [`loader`] and [`adapters`]: from a library's file to a running instance, and back;
//! - [`settings`]: an adapter's settings, known only by the schema that it declares;
//! - [`services`], [`listeners`], [`metrics`], [`log`]: what a running instance is given;
//! - [`shares`] and [`vfs`]: the exported file systems;
//! - [`rest`]: the interface for `dfsctl`; [`serve`] puts it all together.

pub mod adapters;
pub mod config;
pub mod db;
pub mod listeners;
pub mod loader;
pub mod log;
pub mod metrics;
pub mod rest;
pub mod serve;
pub mod services;
pub mod settings;
pub mod shares;
pub mod state;
pub mod vfs;

/// The host's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit it was built from, if the build was told through `DITTOFS_COMMIT`.
pub const COMMIT: &str = match option_env!("DITTOFS_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};
