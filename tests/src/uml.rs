//! A real Linux NFS client: Debian's user-mode Linux, an ordinary process with the host's files as its root.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::network::Network;
use crate::process::Process;

/// A client machine about to boot.
pub struct Client<'a> {
    /// The wire to the server.
    pub network: Network,
    /// Which of the network's machines it is, from 0.
    pub machine: u8,
    /// Port of the NFS server at [`Network::server_address`].
    pub port: u16,
    /// Shell script to run as root inside, once the network and the NFS modules are there. It finds `$SERVER`,
    /// `$PORT`, and a directory shared with the host at `/run/scratch`.
    pub job: &'a Path,
    /// That directory, as the host sees it.
    pub scratch: &'a Path,
    /// Further shell variables for the job.
    pub variables: &'a [(&'a str, &'a str)],
}

/// A client machine that runs; killed when dropped, as by a power cut.
pub struct Machine {
    process: Process,
    _home: TempDir,
}

/// What a machine left behind.
pub struct Outcome {
    /// Everything on its console.
    pub console: String,
    /// Exit status of the job; `None` if the machine did not live to tell.
    pub status: Option<i32>,
}

const KERNEL: &str = "/usr/bin/linux";
const MEMORY: &str = "mem=768M";

impl Client<'_> {
    /// Boots; the machine runs the job and powers itself off.
    pub fn boot(&self) -> Result<Machine> {
        let home = TempDir::with_prefix("dittofs-client-")?;
        let init = home.path().join("init");
        write_executable(&init, &self.init_script())?;
        let log = home.path().join("console");
        let process = Process::start(&self.command(&init, home.path()), log)?;
        Ok(Machine {
            process,
            _home: home,
        })
    }
    fn command(&self, init: &Path, machine: &Path) -> Command {
        // What runs in the machine must end with the machine: a guest process that survives its kernel goes on as
        // a process of the host. An ordinary user has no process namespace, but the process group of `Process`.
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("unshare");
            command.args(["--pid", "--fork", "--kill-child=KILL", KERNEL]);
            command
        } else {
            Command::new(KERNEL)
        };
        command
            .current_dir(machine)
            .args([MEMORY, "rootfstype=hostfs", "rootflags=/", "ro", "quiet"])
            .args(["con=null", "con0=null,fd:1"])
            .arg(format!("init={}", init.display()))
            .arg(format!("uml_dir={}", machine.display()))
            .arg(self.network.kernel_argument(self.machine))
            .env("TMPDIR", "/dev/shm");
        command
    }

    fn init_script(&self) -> String {
        let mut script = String::from("#!/bin/sh\n");
        let fixed = [
            ("SCRATCH", self.scratch.display().to_string()),
            ("JOB", self.job.display().to_string()),
            ("MACHINE", self.machine.to_string()),
            ("LINK", self.network.client_commands(self.machine)),
            ("SERVER", self.network.server_address().to_owned()),
            ("PORT", self.port.to_string()),
        ];
        for (name, value) in &fixed {
            script.push_str(&assignment(name, value));
        }
        for (name, value) in self.variables {
            script.push_str(&assignment(name, value));
            script.push_str("export ");
            script.push_str(name);
            script.push('\n');
        }
        script.push_str(include_str!("../client/init.sh"));
        script
    }
}

impl Machine {
    /// Waits for the job's end; after `limit` the machine is killed and that is an error.
    pub fn wait(mut self, limit: Duration) -> Result<Outcome> {
        let ended = self.process.wait(limit);
        let console = self.process.log();
        if let Err(error) = ended {
            return Err(error.context("the client machine was killed"));
        }
        let status = console
            .lines()
            .rev()
            .find_map(|line| line.trim().strip_prefix("client exit status "))
            .and_then(|status| status.parse().ok());
        Ok(Outcome { console, status })
    }

    /// Whether it has powered itself off, or died.
    pub fn has_ended(&mut self) -> Result<bool> {
        self.process.has_ended()
    }

    /// Everything on its console until now.
    pub fn console(&self) -> String {
        self.process.log()
    }
}

fn assignment(name: &str, value: &str) -> String {
    format!("{name}='{}'\n", value.replace('\'', r"'\''"))
}

fn write_executable(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).with_context(|| format!("{}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
