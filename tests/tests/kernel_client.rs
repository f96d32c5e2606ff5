//! The proof: an unmodified Linux kernel client mounts a share of the built `dittofs` and does a day's work on it.
//!
//! `DITTOFS_TEST_PEER=ganesha` runs the same work against an installed NFS-Ganesha, to test the tests.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dittofs_tests::dittofs::{binary, tool};
use dittofs_tests::ganesha::Ganesha;
use dittofs_tests::uml::Client;
use dittofs_tests::{Dittofs, Network, tree};
use tempfile::TempDir;

/// For a whole machine; on two idle processors it takes less than half.
const LIMIT: Duration = Duration::from_mins(6);
/// For one step, in seconds.
const STEP_LIMIT: u32 = 100;

#[test]
fn version_4_0_does_a_days_work() -> Result<()> {
    a_days_work("4.0")
}

#[test]
fn version_4_1_does_a_days_work() -> Result<()> {
    a_days_work("4.1")
}

#[test]
fn mounts_of_4_0_and_4_1_respect_each_others_locks() -> Result<()> {
    let site = Site::new()?;
    site.run("both.sh", &[])?;
    site.server
        .finish(&["LOCK", "LOCKU", "SETCLIENTID", "EXCHANGE_ID"])
}

#[test]
fn mounts_of_4_0_and_4_1_work_at_once_for_a_minute() -> Result<()> {
    let site = Site::new()?;
    site.run("minute.sh", &[])?;
    let manifest = std::fs::read_to_string(site.scratch.path().join("busy.sha256"))?;
    ensure!(
        manifest.lines().count() > 20,
        "hardly anything was written:\n{manifest}"
    );
    for line in manifest.lines() {
        let (sum, path) = line.split_once("  ").context("a line of the manifest")?;
        let found = tree::checksum(&site.export.path().join(path))?;
        ensure!(found == sum, "{path} arrived changed");
    }
    site.server
        .finish(&["SEQUENCE", "SETCLIENTID", "WRITE", "RENAME"])
}

#[test]
fn a_mount_of_4_1_outlives_a_narrower_range_of_versions() -> Result<()> {
    let site = Site::new()?;
    let Server::Dittofs(server) = &site.server else {
        return Ok(());
    };
    std::thread::scope(|scope| {
        let operator = scope.spawn(|| narrow_and_widen(server, site.scratch.path()));
        let ran = site.run("range.sh", &[]);
        // A client that gave up early must not leave the operator waiting.
        for step in ["held", "felt"] {
            std::fs::write(site.scratch.path().join(step), "")?;
        }
        let operated = operator.join().ok().context("the operator panicked")?;
        ran.and(operated)
    })?;
    let metrics = server.metrics()?;
    let refused = metrics
        .lines()
        .find_map(|line| line.strip_prefix("dittofs_nfs_minor_version_mismatch_total "));
    ensure!(
        refused.is_some_and(|count| count != "0"),
        "nothing was refused: {refused:?}"
    );
    let file = std::fs::read_to_string(site.export.path().join("file"))?;
    ensure!(file == "after\n", "{file:?}");
    site.server.finish(&["SEQUENCE", "WRITE"])
}

/// Serves 4.0 alone from when the client holds its mount until it has felt it.
fn narrow_and_widen(server: &Dittofs, shared: &Path) -> Result<()> {
    for (awaited, highest, done) in [("held", "0", "narrowed"), ("felt", "1", "widened")] {
        while !shared.join(awaited).exists() {
            std::thread::sleep(Duration::from_millis(100));
        }
        let update = ["adapter", "settings", "nfs", "update"];
        let output = Command::new(binary("dfsctl")?)
            .args(update)
            .args(["--v4-max-minor-version", highest])
            .env("DITTOFS_STATE_DIR", server.state_dir())
            .output()?;
        // Also when that failed: the client waits.
        std::fs::write(shared.join(done), "")?;
        ensure!(output.status.success(), "{output:?}");
    }
    Ok(())
}

fn a_days_work(version: &str) -> Result<()> {
    let site = Site::new()?;
    tree::plant(&site.scratch.path().join("tree"))?;
    let (pjdfstest, fsx) = (tool("pjdfstest")?, tool("fsx")?);
    let variables = [
        ("VERSION", version),
        ("PJDFSTEST", pjdfstest.to_str().context("path")?),
        ("FSX", fsx.to_str().context("path")?),
    ];
    site.run("day.sh", &variables)?;

    let planted = site.scratch.path().join("tree");
    same_trees(&planted, &site.quick.path().join("tree"))?;
    same_trees(&planted.join("d00"), &site.export.path().join("part"))?;
    let sum = std::fs::read_to_string(site.scratch.path().join("big.sha256"))?;
    ensure!(
        tree::checksum(&site.export.path().join("big"))? == sum,
        "1 GiB arrived changed"
    );

    let own = if version == "4.0" {
        ["SETCLIENTID", "OPEN_CONFIRM"]
    } else {
        ["SEQUENCE", "CREATE_SESSION"]
    };
    let shared = [
        "COMMIT", "GETATTR", "LOCK", "LOOKUP", "OPEN", "READ", "READDIR", "RENAME", "WRITE",
    ];
    site.server.finish(&[&own[..], &shared].concat())
}

/// The copy, looked at on the server's side, is the tree that was planted.
fn same_trees(planted: &Path, copied: &Path) -> Result<()> {
    let (planted, copied) = (tree::inventory(planted)?, tree::inventory(copied)?);
    for (name, entry) in &planted {
        let copy = copied.get(name);
        ensure!(
            copy == Some(entry),
            "{}: {entry:?} became {copy:?}",
            name.display()
        );
    }
    ensure!(
        copied.len() == planted.len(),
        "the copy has more than the tree"
    );
    Ok(())
}

/// A server with two empty shares, a network, and a directory shared with the client.
struct Site {
    network: Network,
    /// On a disk.
    export: TempDir,
    /// In memory, if there is room: changes need not wait for the disk.
    quick: TempDir,
    scratch: TempDir,
    port: u16,
    server: Server,
}

impl Site {
    fn new() -> Result<Self> {
        let network = Network::enter()?;
        let export = TempDir::with_prefix_in("dittofs-export-", disk())?;
        let quick = TempDir::with_prefix_in("dittofs-quick-", memory())?;
        let scratch = TempDir::with_prefix_in("dittofs-scratch-", disk())?;
        let port = TcpListener::bind((network.listen_address(), 0))?
            .local_addr()?
            .port();
        let server = Server::start(
            network,
            &[("export", export.path()), ("quick", quick.path())],
            port,
        )?;
        Ok(Self {
            network,
            export,
            quick,
            scratch,
            port,
            server,
        })
    }

    fn run(&self, job: &str, variables: &[(&str, &str)]) -> Result<()> {
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
        let outcome = Client {
            network: self.network,
            port: self.port,
            job: &directory.join(job),
            scratch: self.scratch.path(),
            variables: &all,
            limit: LIMIT * self.network.patience(),
        }
        .run();
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
}

enum Server {
    Dittofs(Dittofs),
    Ganesha(Ganesha),
}

impl Server {
    fn start(network: Network, shares: &[(&str, &Path)], port: u16) -> Result<Self> {
        let address = network.listen_address();
        if std::env::var("DITTOFS_TEST_PEER").is_ok_and(|peer| peer == "ganesha") {
            return Ok(Self::Ganesha(Ganesha::start(shares, address, port)?));
        }
        let mut arguments = vec!["--set".to_owned(), format!("nfs.listen={address}:{port}")];
        for (name, directory) in shares {
            let (directory, clients) = (directory.display(), network.client_network());
            let share = format!("/{name}={directory},squash=none,clients={clients}");
            arguments.extend(["--share".to_owned(), share]);
        }
        Ok(Self::Dittofs(Dittofs::start(arguments)?))
    }

    fn log(&self) -> String {
        match self {
            Self::Dittofs(server) => server.log(),
            Self::Ganesha(server) => server.log(),
        }
    }

    /// The server counted what the client did, had nothing to complain of, and ends in order.
    fn finish(self, operations: &[&str]) -> Result<()> {
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
fn requests(metrics: &str, operation: &str) -> f64 {
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
