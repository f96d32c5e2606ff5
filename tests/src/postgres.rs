//! A PostgreSQL server of its own for a test: Debian's programs, a temporary directory, a Unix socket.
//!
//! It refuses to run as root, so that a test that does gives it to an ordinary user of the machine.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

/// Longest wait for the server to accept, or to end.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);
/// Where Debian puts the programs, below a directory per version.
const INSTALLED: &str = "/usr/lib/postgresql";
/// Who runs the server in the place of root if there is no user `postgres`.
const NOBODY: u32 = 65534;

/// A running server; stopped when dropped.
pub struct Postgres {
    server: Child,
    dir: TempDir,
}

impl Postgres {
    /// Makes an empty database cluster and starts a server on it.
    pub fn start() -> Result<Self> {
        let programs = programs()?;
        let dir = TempDir::with_prefix("dittofs-pg-")?;
        let user = geteuid().is_root().then(unprivileged);
        if let Some(user) = user {
            chown(dir.path(), Some(user), Some(user))?;
        }
        let data = dir.path().join("data");
        let made = command(&programs.join("initdb"), dir.path(), user)
            .args([
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "-D",
            ])
            .arg(&data)
            .output()?;
        ensure!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let log = fs::File::create(dir.path().join("log"))?;
        let server = command(&programs.join("postgres"), dir.path(), user)
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-D"])
            .arg(&data)
            .arg("-k")
            .arg(dir.path())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut postgres = Self { server, dir };
        postgres.wait_until_it_accepts(&programs)?;
        Ok(postgres)
    }

    /// The URL of its database `postgres`, which its superuser may use without a password.
    pub fn url(&self) -> String {
        format!(
            "postgres://postgres@localhost/postgres?host={}",
            self.dir.path().display()
        )
    }

    fn wait_until_it_accepts(&mut self, programs: &Path) -> Result<()> {
        let start = Instant::now();
        loop {
            let asked = Command::new(programs.join("pg_isready"))
                .arg("-q")
                .arg("-h")
                .arg(self.dir.path())
                .status()?;
            if asked.success() {
                return Ok(());
            }
            let ended = self.server.try_wait()?;
            if ended.is_some() || start.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
                bail!("PostgreSQL does not start: {log}");
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Ends all its sessions, then itself ("fast shutdown").
        let _ = kill_process(Pid::from_child(&self.server), Signal::INT);
        let start = Instant::now();
        while matches!(self.server.try_wait(), Ok(None)) {
            if start.elapsed() > PATIENCE {
                let _ = self.server.kill();
            }
            std::thread::sleep(POLL);
        }
    }
}

fn command(program: &Path, dir: &Path, user: Option<u32>) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(dir)
        .stdin(Stdio::null())
        .env("LC_ALL", "C");
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    command
}

/// The directory of the newest version's programs.
fn programs() -> Result<PathBuf> {
    fs::read_dir(INSTALLED)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("bin"))
        .filter(|path| path.join("initdb").exists())
        .max()
        .with_context(|| format!("no PostgreSQL in {INSTALLED}: `make test` installs it"))
}

/// The user `postgres`, or else nobody.
fn unprivileged() -> u32 {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = passwd
        .lines()
        .find_map(|line| line.strip_prefix("postgres:"));
    line.and_then(|rest| rest.split(':').nth(1)?.parse().ok())
        .unwrap_or(NOBODY)
}
