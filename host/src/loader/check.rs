//! Loading a library in a child process first, so that one that crashes kills only the child.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dittofs_sdk::host::{LoadError, Plugin};

use super::stage::{Checked, Staged};

/// The longest that a library may take to load: its constructors run then.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much of a child's complaint is read.
const LONGEST_COMPLAINT: u64 = 4096;

/// What `dittofs adapter-check FILE` does: loads the library at `path` and says on stderr, in
/// one line, what is wrong with it.
pub fn check_main(path: &Path) -> ExitCode {
    let loaded = Plugin::load(path).and_then(|plugin| {
        let unusable = |error| LoadError(format!("{}: {error}", path.display()));
        plugin.schema().map_err(unusable)?;
        plugin.defaults().map_err(unusable)
    });
    match loaded {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

impl Staged {
    /// Has `checker` load it, unless this process has done so already.
    pub(super) fn check(self, checker: &Path) -> Result<Checked, LoadError> {
        if self.is_loaded() {
            return Ok(Checked(self));
        }
        let outcome = run(checker, &self.path)
            .map_err(|problem| LoadError(format!("{}: {problem}", self.origin.display())))?;
        match outcome {
            Ok(()) => Ok(Checked(self)),
            Err(complaint) => Err(self.name_origin(&LoadError(complaint))),
        }
    }
}

/// The outer error is a child that did not come to a verdict, the inner one its verdict.
fn run(checker: &Path, file: &Path) -> Result<Result<(), String>, String> {
    let mut child = Command::new(checker)
        .arg("adapter-check")
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            format!(
                "can't be checked: {} does not start: {error}",
                checker.display()
            )
        })?;
    let complaint = complaint_of(&mut child);
    let status = wait(&mut child)?;
    let complaint = complaint
        .and_then(|reader| reader.join().ok())
        .unwrap_or_default();
    verdict(status, &complaint)
}

fn verdict(status: ExitStatus, complaint: &str) -> Result<Result<(), String>, String> {
    if let Some(signal) = status.signal() {
        return Err(format!(
            "crashes when it is loaded (signal {signal}); rebuild or replace it"
        ));
    }
    let line = complaint
        .lines()
        .last()
        .unwrap_or_default()
        .trim()
        .to_owned();
    match (status.success(), line.is_empty()) {
        (true, _) => Ok(Ok(())),
        (false, false) => Ok(Err(line)),
        (false, true) => Err(format!(
            "ends the process when it is loaded ({status}); replace it"
        )),
    }
}

/// Reads apart from waiting, so that neither a full pipe nor a silent child blocks for good.
fn complaint_of(child: &mut Child) -> Option<thread::JoinHandle<String>> {
    let stderr = child.stderr.take()?;
    Some(thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stderr.take(LONGEST_COMPLAINT).read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }))
}

fn wait(child: &mut Child) -> Result<ExitStatus, String> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if start.elapsed() < PATIENCE => thread::sleep(pause),
            outcome => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(match outcome {
                    Err(error) => format!("can't be checked: {error}"),
                    Ok(_) => format!(
                        "does not finish loading within {} s; rebuild or replace it",
                        PATIENCE.as_secs()
                    ),
                });
            }
        }
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
