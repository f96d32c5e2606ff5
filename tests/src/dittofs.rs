//! A `dittofs serve` of this build with the NFS adapter, on free ports and with a state directory of its own.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::process::Process;

/// The build directory holds adapters for other tests too; this one alone is loaded.
const ADAPTER: &str = "libdittofs_adapter_nfs.so";
const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(30);

/// A running host process; killed when dropped.
pub struct Dittofs {
    command: Command,
    process: Process,
    /// What earlier processes logged.
    earlier: String,
    state: TempDir,
}

impl Dittofs {
    /// Starts `dittofs serve` with `arguments` added to the ones that keep it apart from any other, and waits for `ready`.
    pub fn start<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Result<Self> {
        let state = TempDir::with_prefix("dittofs-state-")?;
        let log = state.path().join("test.log");
        let adapters = state.path().join("test-adapters");
        fs::create_dir(&adapters)?;
        fs::copy(build_directory()?.join(ADAPTER), adapters.join(ADAPTER)).context(ADAPTER)?;
        let mut command = Command::new(binary("dittofs")?);
        command
            .arg("serve")
            .args(arguments)
            .arg("--state-dir")
            .arg(state.path())
            .args(["--api", "127.0.0.1:0", "--metrics", "127.0.0.1:0"])
            .arg("--adapter-dir")
            .arg(&adapters);
        let process = started(&command, log)?;
        Ok(Self {
            command,
            process,
            earlier: String::new(),
            state,
        })
    }

    /// Kills the process, as a power cut would, and starts another one in its place, with the same state directory.
    pub fn crash_and_restart(&mut self) -> Result<()> {
        let died = self.process.kill();
        self.earlier.push_str(&died);
        self.process = started(&self.command, self.state.path().join("test.log"))?;
        Ok(())
    }

    /// Everything printed and logged until now.
    pub fn log(&self) -> String {
        format!("{}{}", self.earlier, self.process.log())
    }

    /// State directory.
    pub fn state_dir(&self) -> &Path {
        self.state.path()
    }

    /// Address of a listener, `api` or `metrics`, from the state directory's `run.json`.
    pub fn address(&self, listener: &str) -> Result<String> {
        let text = fs::read_to_string(self.state.path().join("run.json")).context("run.json")?;
        let run: serde_json::Value = serde_json::from_str(&text)?;
        let address = run.get(listener).and_then(serde_json::Value::as_str);
        Ok(address
            .with_context(|| format!("no {listener} in {text}"))?
            .to_owned())
    }

    /// The Prometheus text.
    pub fn metrics(&self) -> Result<String> {
        let url = format!("http://{}/metrics", self.address("metrics")?);
        Ok(ureq::get(&url).call()?.body_mut().read_to_string()?)
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> Result<u64> {
        self.process.resident()
    }

    /// Asks for an orderly end with SIGTERM and returns the exit status and the complete log.
    pub fn stop(mut self) -> Result<(ExitStatus, String)> {
        let status = self.process.terminate(STOP)?;
        Ok((status, self.log()))
    }
}

fn started(command: &Command, log: PathBuf) -> Result<Process> {
    let mut process = Process::start(command, log)?;
    process
        .wait_for_line(START, |line| line.trim() == "ready")
        .context("dittofs serve")?;
    Ok(process)
}

/// Where this build's executables and libraries are.
pub fn build_directory() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    // target/<profile>/deps/<test>, or target/<profile>/<program>
    let directory = test.parent().context("no build directory")?;
    Ok(directory
        .parent()
        .filter(|_| directory.ends_with("deps"))
        .unwrap_or(directory)
        .to_owned())
}

/// An executable of this build.
pub fn binary(name: &str) -> Result<PathBuf> {
    let path = build_directory()?.join(name);
    anyhow::ensure!(
        path.exists(),
        "{} is not built: use `make test`",
        path.display()
    );
    Ok(path)
}

/// Where the set-up puts the test programs that it compiles.
pub fn tool(name: &str) -> Result<PathBuf> {
    let directory = match std::env::var_os("DITTOFS_TOOLS") {
        Some(directory) => PathBuf::from(directory),
        None => {
            PathBuf::from(std::env::var_os("HOME").context("HOME")?).join(".cache/dittofs-tools")
        }
    };
    let path = directory.join("bin").join(name);
    anyhow::ensure!(
        path.exists(),
        "{} is missing: use `make test`",
        path.display()
    );
    Ok(path)
}
