//! A place for hosts that load one adapter, `hello` unless another is named: built `dittofs` and `dfsctl`, run as an operator does.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::dittofs::{binary, build_directory};
use crate::process::Process;

/// Longest wait for a program to get ready or to end.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Makes the `hello` adapter listen where nothing else does.
pub const ANY_PORT: [&str; 2] = ["--set", "hello.listen=127.0.0.1:0"];

/// A state directory and an adapter directory, which outlive the hosts that use them.
pub struct Site {
    root: TempDir,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it printed; for `dittofs`, with what it logged.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl Site {
    /// A fresh one, with the `hello` adapter.
    pub fn new() -> Result<Self> {
        Self::of("hello")
    }

    /// A fresh one, with this adapter.
    pub fn of(adapter: &str) -> Result<Self> {
        let root = TempDir::with_prefix("dittofs-site-")?;
        let adapters = root.path().join("adapters");
        fs::create_dir(&adapters)?;
        let library = format!("libdittofs_adapter_{adapter}.so");
        let built = build_directory()?.join(&library);
        fs::copy(&built, adapters.join(&library))
            .with_context(|| format!("{} is not built: use `make test`", built.display()))?;
        Ok(Self { root })
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The state directory; not there before the first host.
    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// A host that is ready, with free ports unless `arguments` name some.
    pub fn serve<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Process> {
        let mut process = self.spawn(arguments)?;
        process
            .wait_for_line(PATIENCE, |line| line.trim() == "ready")
            .context("dittofs serve")?;
        Ok(process)
    }

    /// A host that is expected to give up.
    pub fn serve_in_vain<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Finished> {
        let mut process = self.spawn(arguments)?;
        let status = process.wait(PATIENCE)?;
        Ok(Finished {
            code: status.code(),
            stdout: String::new(),
            stderr: process.log(),
        })
    }

    /// Runs `dfsctl` with the state directory.
    pub fn dfsctl<A: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = A>) -> Result<Finished> {
        let mut command = Command::new(binary("dfsctl")?);
        command
            .args(words)
            .env_remove("DITTOFS_SERVER")
            .env_remove("DITTOFS_TOKEN")
            .env("DITTOFS_STATE_DIR", self.state());
        let output = command.output()?;
        Ok(Finished {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }

    /// What `dfsctl WORDS` answers, which must go well.
    pub fn ask(&self, words: &[&str]) -> Result<Value> {
        let finished = self.dfsctl(words.iter().chain(&["-o", "json"]))?;
        ensure!(
            finished.code == Some(0) && finished.stderr.is_empty(),
            "{words:?}: {finished:?}"
        );
        Ok(serde_json::from_str(&finished.stdout)?)
    }

    /// Status and text of the answer to a request with the administrator's token.
    pub fn rest(&self, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
        let run: Value = serde_json::from_slice(&bytes(&self.state().join("run.json"))?)?;
        let address = run
            .get("api")
            .and_then(Value::as_str)
            .context("no address")?;
        let token = fs::read_to_string(self.state().join("admin-token"))?;
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{address}{path}"))
            .header("authorization", format!("Bearer {}", token.trim()))
            .body(body.to_owned())?;
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .new_agent();
        let mut answer = agent.run(request)?;
        Ok((
            answer.status().as_u16(),
            answer.body_mut().read_to_string()?,
        ))
    }

    /// What the `hello` adapter says to who connects; none if nobody listens.
    pub fn greeting(&self) -> Result<String> {
        let view = self.ask(&["adapter", "inspect", "hello", "greetings"])?;
        let address: SocketAddr =
            serde_json::from_value(view.get("address").cloned().unwrap_or_default())?;
        greeting(address)
    }

    fn spawn<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<Process> {
        let arguments: Vec<_> = arguments
            .into_iter()
            .map(|argument| argument.as_ref().to_owned())
            .collect();
        let mut command = Command::new(binary("dittofs")?);
        command
            .arg("serve")
            .arg("--state-dir")
            .arg(self.state())
            .arg("--adapter-dir")
            .arg(self.path("adapters"));
        for flag in ["--api", "--metrics"] {
            if !arguments.iter().any(|argument| argument == flag) {
                command.args([flag, "127.0.0.1:0"]);
            }
        }
        // One log per host: two may run here, or try to.
        let log = TempDir::with_prefix_in("log-", self.root.path())?.keep();
        Process::start(command.args(arguments), log.join("log"))
    }
}

impl Finished {
    /// The exit code must be `code`, and stderr one line that holds all of `parts`; more only
    /// where the command line itself is wrong and clap adds how it should be.
    pub fn complains(&self, code: i32, parts: &[&str]) -> Result<()> {
        ensure!(
            self.code == Some(code),
            "exit code {code} expected: {self:?}"
        );
        let first = self.stderr.lines().next().unwrap_or_default();
        ensure!(
            parts.iter().all(|part| first.contains(part)),
            "no {parts:?} in the first line: {self:?}"
        );
        let usage = self
            .stderr
            .ends_with("For more information, try '--help'.\n");
        ensure!(
            usage || self.stderr.lines().count() == 1,
            "not one line: {self:?}"
        );
        Ok(())
    }
}

/// What is sent to who connects to `address`.
pub fn greeting(address: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// The bytes of a file.
pub fn bytes(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}
