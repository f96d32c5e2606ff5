//! From a configuration to a host that serves, and its orderly end.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use dittofs_api::RunInfo;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sd_notify::NotifyState;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::adapters::{Adapters, LoadingError};
use crate::config::{Command, Config, ConfigError, Flags, Listen, Serve};
use crate::db::{Database, DbError, Location};
use crate::listeners::{Listeners, busy};
use crate::loader::{Loader, check_main};
use crate::metrics::Metrics;
use crate::rest::{self, App};
use crate::services::Core;
use crate::shares::{ShareError, ShareTable};
use crate::state::{StateDir, StateError};

/// Exit code of a host that could not start, or broke.
const FAILED: u8 = 1;
/// Exit code when command line, environment or configuration file are wrong; clap's own as well.
const MISCONFIGURED: u8 = 2;
/// Exit code after a second signal, as shells report an interrupted program.
const INTERRUPTED: i32 = 130;

/// Longest wait for all adapters to stop, should one hang where no finer limit holds.
const STOPPING: Duration = Duration::from_mins(1);

/// How long open REST connections may last when the host stops.
const REST_GRACE: Duration = Duration::from_secs(1);

/// Why a host did not start: one line that says what to do.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Database(#[from] DbError),
    #[error("share {name}: {error}")]
    Share { name: String, error: ShareError },
    #[error(transparent)]
    Adapters(#[from] LoadingError),
    #[error("{flag}: {message}")]
    Busy { flag: &'static str, message: String },
    #[error("{dir}: can't be exported: {error}")]
    Export { dir: String, error: io::Error },
    #[error("no adapter serves: {0}")]
    NothingServes(String),
    #[error("{0}")]
    Other(String),
}

impl ServeError {
    fn code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Share { .. } => MISCONFIGURED,
            Self::Adapters(LoadingError::NoAdapter { .. } | LoadingError::Setting { .. }) => {
                MISCONFIGURED
            }
            _ => FAILED,
        }
    }
}

/// The whole program.
pub fn main() -> ExitCode {
    match Flags::parse().command {
        Command::AdapterCheck { file } => check_main(&file),
        Command::Serve(flags) => match run(*flags) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("dittofs: {error}");
                ExitCode::from(error.code())
            }
        },
    }
}

fn run(flags: Serve) -> Result<(), ServeError> {
    let config = Config::load(flags, &|name| std::env::var_os(name))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("dittofs-host")
        .build()
        .map_err(|e| ServeError::Other(format!("the runtime does not start: {e}")))?;
    let result = runtime.block_on(serve(config));
    // What an adapter left behind on a blocking thread must not hold up the end.
    runtime.shutdown_background();
    result
}

async fn serve(config: Config) -> Result<(), ServeError> {
    config.log.install();
    raise_descriptor_limit();
    let mut signals = Signals::new().map_err(|e| ServeError::Other(format!("signals: {e}")))?;
    let state = StateDir::take(&config.state_dir)?;
    let api = bind("--api", config.api).await?;
    let metrics = bind("--metrics", config.metrics).await?;
    if let Some(dir) = &config.export {
        std::fs::create_dir_all(dir).map_err(|error| ServeError::Export {
            dir: dir.display().to_string(),
            error,
        })?;
    }
    let core = Arc::new(core(&config, &state).await?);
    for spec in config.shares {
        let name = spec.name.to_string();
        core.shares
            .add_for_this_run(spec)
            .await
            .map_err(|error| ServeError::Share { name, error })?;
    }
    let loader = Loader::new(config.adapter_dirs, state.path())
        .map_err(|e| ServeError::Other(format!("the path of this executable is unknown: {e}")))?;
    let adapters = Adapters::load(&core, &loader, config.settings).await?;

    let (serving, is_serving) = watch::channel(false);
    let (stop, stopping) = watch::channel(false);
    let app = Arc::new(App {
        core: Arc::clone(&core),
        adapters,
        token: state.token().to_owned(),
        started: Instant::now(),
        serving: is_serving,
    });
    let addresses = (local(&api)?, local(&metrics)?);
    let servers = [
        spawn_server(rest::routes(&app), api, stopping.clone()),
        spawn_server(rest::metrics(core.metrics.clone()), metrics, stopping),
    ];
    tracing::info!(
        "dittofs {} api {} metrics {} state {}",
        crate::VERSION,
        addresses.0,
        addresses.1,
        state.path().display()
    );
    let started = tokio::select! {
        started = start(&app, &state, addresses, config.export.is_some()) => started,
        () = signals.next() => Ok(()),
    };
    if started.is_ok() {
        let _ = serving.send(true);
        signals.next_unless_seen().await;
    }
    let _ = serving.send(false);
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    tracing::info!("stopping");
    tokio::select! {
        stopped = tokio::time::timeout(STOPPING, app.adapters.stop()) => {
            if stopped.is_err() {
                tracing::error!("not all adapters stopped within {} s", STOPPING.as_secs());
            }
        }
        () = signals.next() => {
            tracing::warn!("stopped at once by a second signal");
            drop(state);
            std::process::exit(INTERRUPTED);
        }
    }
    let _ = stop.send(true);
    for server in servers {
        end(server).await;
    }
    core.db.close().await;
    tracing::info!("stopped");
    started
}

/// Every connection, open file and cached object takes a descriptor; the soft limit is made for
/// programs that use `select`. The superuser may also raise the hard limit, to what the kernel has.
fn raise_descriptor_limit() {
    let own = getrlimit(Resource::Nofile).maximum;
    let most = std::fs::read_to_string("/proc/sys/fs/nr_open");
    let most = most.ok().and_then(|most| most.trim().parse().ok());
    let to = |maximum| {
        let limit = Rlimit {
            current: maximum,
            maximum,
        };
        setrlimit(Resource::Nofile, limit)
    };
    let raised = most.max(own).map(|most| to(Some(most)));
    if !matches!(raised, Some(Ok(())))
        && let Err(error) = to(own)
    {
        tracing::warn!("the limit of open descriptors stays low: {error}");
    }
}

async fn core(config: &Config, state: &StateDir) -> Result<Core, ServeError> {
    let default = Location::Sqlite(state.path().join("state.db"));
    let db = Database::open(config.database.as_ref().unwrap_or(&default)).await?;
    Ok(Core {
        metrics: Metrics::new().map_err(|e| ServeError::Other(e.to_string()))?,
        listeners: Listeners::default(),
        shares: ShareTable::open(db.clone(), state.handle_key()).await?,
        log: config.log.clone(),
        db,
    })
}

/// Starts the adapters and says so; with `must_serve`, fails when none of those wanted runs.
async fn start(
    app: &App,
    state: &StateDir,
    (api, metrics): (std::net::SocketAddr, std::net::SocketAddr),
    must_serve: bool,
) -> Result<(), ServeError> {
    app.adapters.start().await;
    let list = app.adapters.list().await;
    if must_serve && !list.iter().any(|adapter| adapter.running) {
        let reasons: Vec<String> = list
            .into_iter()
            .filter_map(|adapter| adapter.reason)
            .collect();
        let none = "none was found and enabled: see --adapter-dir".to_owned();
        return Err(ServeError::NothingServes(if reasons.is_empty() {
            none
        } else {
            reasons.join("; ")
        }));
    }
    state.announce(&RunInfo {
        pid: std::process::id(),
        version: crate::VERSION.to_owned(),
        api,
        metrics: Some(metrics),
        token_file: state.token_file(),
    })?;
    let mut lines = usage(app).await;
    lines.push("ready".to_owned());
    // Whoever started the host may have closed its output.
    let _ = writeln!(io::stdout(), "{}", lines.join("\n"));
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    Ok(())
}

/// What each running adapter tells a user to type: its view `usage`, `{"lines": ["…"]}`.
async fn usage(app: &App) -> Vec<String> {
    let mut lines = Vec::new();
    for unit in app.adapters.all() {
        let view = Arc::clone(unit)
            .inspect("usage".to_owned())
            .await
            .unwrap_or_default();
        let said = view
            .get("lines")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        lines.extend(said.iter().filter_map(Value::as_str).map(str::to_owned));
    }
    lines
}

async fn bind(flag: &'static str, listen: Listen) -> Result<TcpListener, ServeError> {
    TcpListener::bind(listen.address).await.map_err(|error| {
        let hint = if listen.is_default {
            format!("; with {flag} 127.0.0.1:0 the host takes any free port")
        } else {
            String::new()
        };
        ServeError::Busy {
            flag,
            message: format!("{}{hint}", busy(listen.address, &error)),
        }
    })
}

fn local(listener: &TcpListener) -> Result<std::net::SocketAddr, ServeError> {
    listener
        .local_addr()
        .map_err(|e| ServeError::Other(e.to_string()))
}

fn spawn_server(
    routes: warp::filters::BoxedFilter<(warp::reply::Response,)>,
    listener: TcpListener,
    mut stopping: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let server = warp::serve(routes).incoming(listener).graceful(async move {
        // An error means that the host is gone already.
        let _ = stopping.wait_for(|&stop| stop).await;
    });
    tokio::spawn(server.run())
}

async fn end(mut server: JoinHandle<()>) {
    if tokio::time::timeout(REST_GRACE, &mut server).await.is_err() {
        server.abort();
    }
}

/// SIGTERM and SIGINT alike.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    seen: bool,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            seen: false,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        self.seen = true;
    }

    async fn next_unless_seen(&mut self) {
        if !self.seen {
            self.next().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_busy_default_port_says_how_to_take_another() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        for (is_default, hinted) in [(true, true), (false, false)] {
            let error = bind(
                "--api",
                Listen {
                    address,
                    is_default,
                },
            )
            .await
            .unwrap_err();
            let line = error.to_string();
            assert!(line.contains(&address.to_string()), "{line}");
            assert_eq!(line.contains("--api 127.0.0.1:0"), hinted, "{line}");
            assert_eq!(error.code(), FAILED);
        }
    }
}
