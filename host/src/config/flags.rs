//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The DittoFS host.
#[derive(Debug, Parser)]
#[command(name = "dittofs", version, about)]
pub struct Flags {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the host can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Export directories through every adapter found, until SIGTERM or SIGINT.
    Serve(Box<Serve>),
    /// Load one adapter library and say what is wrong with it.
    #[command(name = "adapter-check", hide = true)]
    AdapterCheck {
        /// The library.
        file: PathBuf,
    },
}

/// How to serve. Every flag goes before its environment variable, that before the configuration file.
#[derive(Debug, Default, Args)]
pub struct Serve {
    /// A directory to export as /export to this machine; created if missing.
    pub dir: Option<PathBuf>,

    /// The configuration file, TOML [env: DITTOFS_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where settings, adapter copies and the admin token are kept; one host at a time uses it
    /// [env: DITTOFS_STATE_DIR] [default: /var/lib/dittofs as root, else $XDG_STATE_HOME/dittofs]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// Where the REST interface listens; port 0 takes any [env: DITTOFS_API] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub api: Option<SocketAddr>,

    /// Where Prometheus finds /metrics; port 0 takes any [env: DITTOFS_METRICS] [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<SocketAddr>,

    /// Where adapters are looked for; repeatable [env: DITTOFS_ADAPTER_DIRS, separated by colons]
    /// [default: beside the executable, then /usr/lib/dittofs/adapters]
    #[arg(long, value_name = "DIR")]
    pub adapter_dir: Vec<PathBuf>,

    /// A share of this run:
    /// /NAME=DIR|memory[,ro][,squash=none|root|all][,clients=CIDR[+CIDR…]][,attribute_cache=MS];
    /// attribute_cache, of a DIR, is for how many milliseconds its attributes may be told again without a look
    /// at the file; repeatable [env: DITTOFS_SHARES, separated by spaces]
    #[arg(long, value_name = "SHARE")]
    pub share: Vec<String>,

    /// A setting of this run; repeatable [env: DITTOFS_SET, separated by spaces]
    #[arg(long, value_name = "ADAPTER.FIELD=VALUE")]
    pub set: Vec<String>,

    /// Which events are logged: a level, or a list such as info,ADAPTER=debug [env: DITTOFS_LOG]
    /// [default: info]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
}
