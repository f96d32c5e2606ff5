//! One suite of pynfs, run against a server of its own.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use parking_lot::Mutex;
use tempfile::TempDir;

use super::helper::Desk;
use super::results::Results;
use crate::Dittofs;
use crate::process::Process;

const LEASE: u32 = 15;
/// A hundred clients reclaim one after another.
const LEASE_OF_A_HUNDRED: u32 = 30;
/// A thousand clients take longer than any lease that the others could wait for.
const REBOOT: &[&str] = &["reboot", "noREBT2c", "noREBT3c", "noREBT4c"];
const LIMIT: Duration = Duration::from_mins(30);
/// What this server logs when it breaks down; clients may not notice.
const FAULTS: [&str; 2] = ["panicked", "must not be the answer of"];

/// Which tests of pynfs to run, and how.
#[derive(Debug)]
pub struct Suite {
    /// What the results are called.
    pub name: &'static str,
    directory: &'static str,
    options: &'static [&'static str],
    /// Seconds. Many tests wait until a lease is over. Those that restart the server expect that grace is with it.
    lease: u32,
    /// Seconds that a client has to return a delegation. DELEG8 of 4.1 keeps one waiting, who must not lose its lease
    /// meanwhile; DELEG6 of 4.0 has until its lease is over to hear that it can't be called.
    recall: u32,
    /// pynfs's flags or codes of tests.
    tests: &'static [&'static str],
}

/// All of them. pynfs leaves out of `all` what needs its helper.
pub const SUITES: &[Suite] = &[
    Suite {
        name: "4.2",
        directory: "nfs4.1",
        options: &["--minorversion=2"],
        lease: LEASE,
        recall: 10,
        tests: &["all"],
    },
    Suite {
        name: "4.1",
        directory: "nfs4.1",
        options: &["--minorversion=1"],
        lease: LEASE,
        recall: 10,
        tests: &["all"],
    },
    Suite {
        name: "4.0",
        directory: "nfs4.0",
        options: &[],
        lease: LEASE,
        recall: 60,
        tests: &["all"],
    },
    Suite {
        name: "4.2 restarts",
        directory: "nfs4.1",
        options: &["--minorversion=2"],
        lease: LEASE_OF_A_HUNDRED,
        recall: 60,
        tests: REBOOT,
    },
    Suite {
        name: "4.1 restarts",
        directory: "nfs4.1",
        options: &["--minorversion=1"],
        lease: LEASE_OF_A_HUNDRED,
        recall: 60,
        tests: REBOOT,
    },
    Suite {
        name: "4.0 restarts",
        directory: "nfs4.0",
        options: &["--rundeps"],
        lease: LEASE,
        recall: 60,
        tests: &["reboot"],
    },
    Suite {
        name: "4.0 delegations",
        directory: "nfs4.0",
        options: &["--rundeps"],
        lease: LEASE,
        recall: 60,
        tests: &["delegations", "writedelegations"],
    },
];

/// pynfs, and what runs it.
#[derive(Debug)]
pub struct Pynfs {
    /// Its source tree, built.
    pub source: PathBuf,
    /// The interpreter that has what it needs.
    pub python: PathBuf,
}

impl Pynfs {
    /// Looks for what pynfs needs, and says how to get what is missing.
    pub fn check(&self) -> Result<()> {
        let source = self.source.display();
        let server = self.source.join("nfs4.1/testserver.py");
        ensure!(
            server.exists(),
            "no pynfs at {source}: docs/conformance.md says how to get it"
        );
        let built = self.source.join("nfs4.0/xdrdef/nfs4_const.py");
        let python = self.python.display();
        ensure!(
            built.exists(),
            "pynfs is not built: run `{python} setup.py build` in {source}"
        );
        for (module, package) in [("ply.lex", "ply"), ("xdrlib", "standard-xdrlib")] {
            let import = Command::new(&self.python)
                .args(["-W", "ignore", "-c", &format!("import {module}")])
                .output()
                .with_context(|| format!("cannot run {python}"))?;
            ensure!(
                import.status.success(),
                "{python} lacks {package}: run `{python} -m pip install {package}`, in a virtual environment if it must be"
            );
        }
        Ok(())
    }
}

impl Suite {
    /// Runs it, or only `tests` of it if there are any.
    pub fn run(&self, pynfs: &Pynfs, tests: &[String]) -> Result<Results> {
        let work = TempDir::with_prefix_in("dittofs-conformance-", "/var/tmp")?;
        let share = work.path().join("export");
        fs::create_dir(&share)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        drop(listener);
        let server = Dittofs::start([
            format!("--share=/export={},squash=none", share.display()),
            format!("--set=nfs.listen={address}"),
            format!("--set=nfs.lease_time={}", self.lease),
            format!("--set=nfs.grace_period={}", self.lease),
            format!("--set=nfs.delegation_recall_timeout={}", self.recall),
        ])?;
        let server = Arc::new(Mutex::new(server));
        let socket = work.path().join("helper");
        Desk::open(&server, share, &socket)?;
        let log = work.path().join("log");
        let mut command = self.command(pynfs, &socket, &format!("{address}/export"))?;
        match tests {
            [] => command.args(self.tests),
            some => command.args(some),
        };
        let mut process = Process::start(&command, log)?;
        process.wait(LIMIT)?;
        let output = process.log();
        let results = Results::parse(&output).with_context(|| tail(&output))?;
        let log = server.lock().log();
        let fault = log
            .lines()
            .find(|line| FAULTS.iter().any(|fault| line.contains(fault)));
        ensure!(
            fault.is_none(),
            "the server logged: {}",
            fault.unwrap_or_default()
        );
        Ok(results)
    }

    fn command(&self, pynfs: &Pynfs, socket: &Path, url: &str) -> Result<Command> {
        let mut command = Command::new(&pynfs.python);
        command
            .current_dir(pynfs.source.join(self.directory))
            .args(["-B", "-u", "testserver.py", url, "--maketree", "--showomit"])
            .args(self.options);
        // pynfs hands it to a shell.
        let helper = std::env::current_exe()?;
        command
            .arg(format!("--serverhelper={}", helper.display()))
            .arg(format!("--serverhelperarg=--helper {}", socket.display()));
        Ok(command)
    }
}

fn tail(output: &str) -> String {
    let start = output.len().saturating_sub(2000);
    let start = output.ceil_char_boundary(start);
    output.get(start..).unwrap_or_default().to_owned()
}
