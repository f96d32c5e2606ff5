//! A child process with a log, that never outlives its owner.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

const POLL: Duration = Duration::from_millis(20);

/// A running program whose standard output and error go to one log file.
///
/// It leads a process group of its own, which dies with this value, or else with the thread that started it.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it prints goes to the file `log`.
    pub fn start(command: &Command, log: PathBuf) -> Result<Self> {
        let out = File::create(&log).with_context(|| format!("{}", log.display()))?;
        let child = mortal(command)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { child, log })
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything printed until now.
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until a line of the log satisfies `is_it`; fails if the process ends first or `limit` passes.
    pub fn wait_for_line(&mut self, limit: Duration, is_it: impl Fn(&str) -> bool) -> Result<()> {
        let start = Instant::now();
        loop {
            let ended = self.child.try_wait()?;
            if self.log().lines().any(&is_it) {
                return Ok(());
            }
            if let Some(status) = ended {
                bail!("ended early ({status}):\n{}", self.log());
            }
            if start.elapsed() > limit {
                bail!("not ready after {limit:?}:\n{}", self.log());
            }
            std::thread::sleep(POLL);
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits for the process to end by itself; after `limit` it is killed and that is an error.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if start.elapsed() > limit {
                self.end();
                bail!("still running after {limit:?}:\n{}", self.log());
            }
            std::thread::sleep(POLL);
        }
    }

    /// Sends SIGTERM and waits.
    pub fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        if self.child.try_wait()?.is_none() {
            kill_process(self.pid(), Signal::TERM)?;
        }
        self.wait(limit)
    }

    /// Resident memory in bytes, from `/proc`.
    pub fn resident(&self) -> Result<u64> {
        resident(Path::new(&format!("/proc/{}/status", self.id())))
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Ends it at once, as a power cut would. Returns what it printed.
    pub fn kill(&mut self) -> String {
        self.end();
        self.log()
    }

    fn end(&mut self) {
        // The group may be gone already; then there is nothing to end.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The same command, killed when its parent dies, however that happens.
fn mortal(command: &Command) -> Command {
    let mut mortal = Command::new("setpriv");
    mortal
        .args(["--pdeathsig", "KILL", "--"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => mortal.env(name, value),
            None => mortal.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        mortal.current_dir(directory);
    }
    mortal
}

fn resident(status: &Path) -> Result<u64> {
    let text = fs::read_to_string(status)?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next())
        .context("no VmRSS")?;
    Ok(kib.parse::<u64>()? * 1024)
}
