//! A share of the built `dittofs` and real Linux clients of it, alone on a network.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::ganesha::Ganesha;
use crate::image::Image;
use crate::uml::{Client, Machine};
use crate::{Dittofs, Network};

/// For a whole machine; on two idle processors it takes less than half.
pub const LIMIT: Duration = Duration::from_mins(6);
/// For one step, in seconds.
const STEP_LIMIT: u32 = 100;

/// A server with two empty shares, a network, and a directory shared with the clients.
pub struct Site {
    /// How the machines reach the server.
    pub network: Network,
    /// The share `export`, on a disk.
    pub export: TempDir,
    /// The share `quick`, in memory if there is room: changes need not wait for the disk.
    pub quick: TempDir,
    /// Shared with the clients behind the server's back.
    pub scratch: TempDir,
    port: u16,
    /// The server.
    pub server: Server,
    /// Further shares, each named for what file system it is.
    pub images: Vec<Image>,
}

impl Site {
    /// A site whose server has these settings besides, such as `nfs.lease_time=10`.
    pub fn new(settings: &[&str]) -> Result<Self> {
        Self::of(&[], settings)
    }

    /// A site with more shares, of these file systems; none for an ordinary user, who can mount nothing.
    pub fn with_images(kinds: &[&'static str], settings: &[&str]) -> Result<Option<Self>> {
        if rustix::process::geteuid().is_root() {
            return Self::of(kinds, settings).map(Some);
        }
        ensure!(std::env::var_os("CI").is_none(), "CI skips nothing");
        println!("skipped: mounting {kinds:?} takes root");
        Ok(None)
    }

    fn of(kinds: &[&'static str], settings: &[&str]) -> Result<Self> {
        let network = Network::enter()?;
        let images = Image::mount_all(kinds, &disk())?;
        let export = TempDir::with_prefix_in("dittofs-export-", disk())?;
        let quick = TempDir::with_prefix_in("dittofs-quick-", memory())?;
        let scratch = TempDir::with_prefix_in("dittofs-scratch-", disk())?;
        let port = TcpListener::bind((network.listen_address(), 0))?
            .local_addr()?
            .port();
        let mounted: Vec<_> = images.iter().map(|i| (i.kind, i.path())).collect();
        let mut shares = vec![("export", export.path()), ("quick", quick.path())];
        shares.extend(mounted.iter().map(|(kind, path)| (*kind, path.as_path())));
        let server = Server::start(network, &shares, port, settings)?;
        Ok(Self {
            network,
            export,
            quick,
            scratch,
            port,
            server,
            images,
        })
    }

    /// Runs a job on one machine, which must end well.
    pub fn run(&self, job: &str, variables: &[(&str, &str)]) -> Result<()> {
        let machine = self.boot(0, job, variables)?;
        self.ends_well(machine, LIMIT)
    }

    /// Boots a machine, which begins with a job.
    pub fn boot(&self, machine: u8, job: &str, variables: &[(&str, &str)]) -> Result<Machine> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("client");
        let as_root = if rustix::process::geteuid().is_root() {
            "yes"
        } else {
            ""
        };
        let step_limit = (STEP_LIMIT * self.network.patience()).to_string();
        let mut all = vec![
            ("STEP_LIMIT", step_limit.as_str()),
            ("CLIENT", directory.to_str().context("path")?),
            ("SERVER_IS_ROOT", as_root),
        ];
        all.extend(variables);
        Client {
            network: self.network,
            machine,
            port: self.port,
            job: &directory.join(job),
            scratch: self.scratch.path(),
            variables: &all,
        }
        .boot()
    }

    /// Waits for a machine to end, with its job done.
    pub fn ends_well(&self, machine: Machine, limit: Duration) -> Result<()> {
        let outcome = machine.wait(limit * self.network.patience());
        let log = self.server.log();
        let outcome = outcome.with_context(|| format!("server's log:\n{}", end_of(&log)))?;
        ensure!(
            outcome.status == Some(0),
            "the client ended with {:?}:\n{}\nserver's log:\n{}",
            outcome.status,
            outcome.console,
            end_of(&log)
        );
        println!("{}", outcome.console);
        Ok(())
    }

    /// Tells the machines that something has come to pass.
    pub fn signal(&self, word: &str) -> Result<()> {
        Ok(std::fs::write(self.scratch.path().join(word), "")?)
    }

    /// Waits until a machine says so; fails when one of them has ended before.
    pub fn await_signal(&self, word: &str, machines: &mut [&mut Machine]) -> Result<()> {
        while !self.scratch.path().join(word).exists() {
            for machine in machines.iter_mut() {
                ensure!(
                    !machine.has_ended()?,
                    "a machine ended before it was {word}:\n{}\nserver's log:\n{}",
                    machine.console(),
                    end_of(&self.server.log())
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

/// Who serves.
pub enum Server {
    /// We do.
    Dittofs(Box<Dittofs>),
    /// A peer does, to test the tests.
    Ganesha(Ganesha),
}

impl Server {
    fn start(
        network: Network,
        shares: &[(&str, &Path)],
        port: u16,
        settings: &[&str],
    ) -> Result<Self> {
        let address = network.listen_address();
        if std::env::var("DITTOFS_TEST_PEER").is_ok_and(|peer| peer == "ganesha") {
            return Ok(Self::Ganesha(Ganesha::start(shares, address, port)?));
        }
        let mut arguments = vec!["--set".to_owned(), format!("nfs.listen={address}:{port}")];
        for setting in settings {
            arguments.extend(["--set".to_owned(), (*setting).to_owned()]);
        }
        for (name, directory) in shares {
            let (directory, clients) = (directory.display(), network.client_networks());
            let share = format!("/{name}={directory},squash=none,clients={clients}");
            arguments.extend(["--share".to_owned(), share]);
        }
        Ok(Self::Dittofs(Box::new(Dittofs::start(arguments)?)))
    }

    /// Everything logged until now.
    pub fn log(&self) -> String {
        match self {
            Self::Dittofs(server) => server.log(),
            Self::Ganesha(server) => server.log(),
        }
    }

    /// The server counted what the client did, had nothing to complain of, and ends in order.
    pub fn finish(self, operations: &[&str]) -> Result<()> {
        let Self::Dittofs(server) = self else {
            return Ok(());
        };
        let metrics = server.metrics()?;
        for operation in operations {
            let count = requests(&metrics, operation);
            ensure!(
                count > 0.0,
                "/metrics does not show {operation}:\n{metrics}"
            );
        }
        let (status, log) = server.stop()?;
        ensure!(
            status.success(),
            "SIGTERM ended it with {status}:\n{}",
            end_of(&log)
        );
        for bad in ["panicked", "ERROR"] {
            let line = log.lines().find(|line| line.contains(bad));
            ensure!(line.is_none(), "the server's log says: {line:?}");
        }
        Ok(())
    }
}

/// Sum of `dittofs_nfs_requests_total` over the series of one operation, whatever their other labels.
pub fn requests(metrics: &str, operation: &str) -> f64 {
    let label = format!("procedure=\"{operation}\"");
    metrics
        .lines()
        .filter(|line| line.starts_with("dittofs_nfs_requests_total{") && line.contains(&label))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// Where holes, space and 1 GiB meet a real file system.
fn disk() -> PathBuf {
    PathBuf::from("/var/tmp")
}

/// Where nothing waits for a disk.
fn memory() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let room = rustix::fs::statvfs(&memory).map_or(0, |space| space.f_bavail * space.f_frsize);
    if room < 1 << 29 { disk() } else { memory }
}

fn end_of(log: &str) -> &str {
    let start = log.len().saturating_sub(8000);
    log.get(log.ceil_char_boundary(start)..).unwrap_or(log)
}
