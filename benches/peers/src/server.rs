//! The servers that are compared, each started once and kept until the end.

use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use dittofs_tests::ganesha::Ganesha;
use dittofs_tests::process::Process;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

/// Below each server's root.
pub const SHARE: &str = "export";

/// What to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `dittofs`.
    Ours {
        /// The directory of built programs that it is of.
        programs: PathBuf,
        /// For how many milliseconds its export may tell attributes again without a look.
        attribute_cache: u32,
    },
    /// Debian's NFS-Ganesha.
    Ganesha,
    /// The echo, which answers in batches or one by one.
    Echo {
        /// In batches.
        batched: bool,
    },
}

/// Where it listens.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its address.
    pub host: Ipv4Addr,
    /// Networks of the clients that ours admits; all without.
    pub clients: Option<String>,
}

/// One that runs.
pub struct Server {
    /// How it is called in tables.
    pub label: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process.
    pub id: u32,
    /// Whether it speaks NFS.
    pub speaks_nfs: bool,
    /// What it exports; an echo, nothing.
    pub export: Option<PathBuf>,
    _process: Running,
    _home: TempDir,
}

#[allow(dead_code)] // Kept for their `Drop`.
enum Running {
    Ours(Process),
    Ganesha(Ganesha),
}

impl Server {
    /// Starts it on the loopback, with an export below `scratch`.
    pub fn start(kind: &Kind, label: &str, scratch: &Path) -> Result<Self> {
        let loopback = Place {
            host: Ipv4Addr::LOCALHOST,
            clients: None,
        };
        Self::start_at(&loopback, kind, label, scratch)
    }

    /// Starts it, with an export below `scratch`.
    pub fn start_at(place: &Place, kind: &Kind, label: &str, scratch: &Path) -> Result<Self> {
        let home = TempDir::with_prefix_in("dittofs-peer-", scratch)?;
        let export = home.path().join("export");
        fs::create_dir(&export)?;
        let address = free_address(place.host)?;
        let process = match kind {
            Kind::Ours {
                programs,
                attribute_cache,
            } => {
                let share = share(&export, place, *attribute_cache);
                Running::Ours(ours(programs, home.path(), address, &share)?)
            }
            Kind::Ganesha => {
                let (host, port) = (address.ip().to_string(), address.port());
                Running::Ganesha(Ganesha::start(&[(SHARE, &export)], &host, port)?)
            }
            Kind::Echo { batched } => Running::Ours(echo(*batched, home.path(), address)?),
        };
        let id = match &process {
            Running::Ours(process) => process.id(),
            Running::Ganesha(ganesha) => ganesha.id(),
        };
        let speaks_nfs = !matches!(kind, Kind::Echo { .. });
        Ok(Self {
            label: label.to_owned(),
            address,
            id,
            speaks_nfs,
            export: speaks_nfs.then_some(export),
            _process: process,
            _home: home,
        })
    }
}

/// What ours exports. Builds of before the option are measured too, so that it is given only when it is wanted.
fn share(export: &Path, place: &Place, attribute_cache: u32) -> String {
    let mut share = format!("/{SHARE}={},squash=none", export.display());
    if let Some(clients) = &place.clients {
        share.push_str(",clients=");
        share.push_str(clients);
    }
    if attribute_cache > 0 {
        // A String takes everything.
        let _ = write!(share, ",attribute_cache={attribute_cache}");
    }
    share
}

fn ours(programs: &Path, home: &Path, address: SocketAddr, share: &str) -> Result<Process> {
    let mut command = Command::new(programs.join("dittofs"));
    command
        .arg("serve")
        .arg("--state-dir")
        .arg(home.join("state"))
        .arg("--share")
        .arg(share)
        .args(["--set", &format!("nfs.listen={address}")])
        .args(["--api", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]);
    let mut process = Process::start(&command, home.join("log"))?;
    process.wait_for_line(PATIENCE, |line| line.trim() == "ready")?;
    Ok(process)
}

/// `nfs-load` lies beside this program.
fn echo(batched: bool, home: &Path, address: SocketAddr) -> Result<Process> {
    let own = std::env::current_exe()?;
    let directory = own.parent().context("no directory")?;
    let mut command = Command::new(directory.join("nfs-load"));
    command.args(["echo", &address.to_string()]);
    if !batched {
        command.arg("--one-by-one");
    }
    let mut process = Process::start(&command, home.join("log"))?;
    process.wait_for_line(PATIENCE, |line| line.starts_with("listening"))?;
    Ok(process)
}

/// Free a moment ago.
fn free_address(host: Ipv4Addr) -> Result<SocketAddr> {
    let listener = TcpListener::bind((host, 0))?;
    Ok(listener.local_addr()?)
}
