//! What can go wrong, as one line that says what to do, and the exit code that goes with it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use dittofs_api::Problem;

use crate::text::one_line;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line is wrong, or asked for help; clap prints it.
    #[error(transparent)]
    Clap(#[from] clap::Error),
    /// The command line is wrong in a way that clap cannot see.
    #[error("{0}")]
    Usage(String),
    /// No host is where it was looked for.
    #[error("no host runs with the state directory {}: {reason}; start one with 'dittofs serve DIR', or name one with --server or --state-dir", directory.display())]
    NoHost { directory: PathBuf, reason: String },
    /// Nobody answers.
    #[error(
        "no host answers at {server}: {reason}; start one with 'dittofs serve DIR', or name one with --server"
    )]
    Unreachable { server: String, reason: String },
    /// The host refused.
    #[error("{}", explain(.0))]
    Refused(Box<Problem>),
    /// The host, or an adapter of it, is not well.
    #[error("{0}")]
    Failed(String),
    /// The answer could not be written.
    #[error("cannot write the answer: {0}")]
    Output(#[from] std::io::Error),
}

impl Error {
    /// Prints it to stderr, except that help goes to stdout.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Self::Clap(error) => {
                // Nobody is left to tell if stderr is closed.
                let _ = error.print();
                ExitCode::from(if error.use_stderr() { 2 } else { 0 })
            }
            // The reader has gone, as in `dfsctl … | head`: nothing failed.
            Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                ExitCode::SUCCESS
            }
            other => {
                // As above.
                let _ = writeln!(std::io::stderr(), "error: {}", one_line(&other.to_string()));
                ExitCode::from(if matches!(other, Self::Usage(_)) {
                    2
                } else {
                    1
                })
            }
        }
    }
}

fn explain(problem: &Problem) -> String {
    let mut text = if problem.errors.is_empty() {
        [&problem.detail, &problem.title]
            .into_iter()
            .find(|text| !text.is_empty())
            .cloned()
    } else {
        let each: Vec<_> = problem
            .errors
            .iter()
            .map(|(field, message)| format!("{field}: {message}"))
            .collect();
        Some(each.join("; "))
    }
    .unwrap_or_else(|| format!("the host answered {}", problem.status));
    if let Some(hint) = &problem.hint {
        text = format!("{text}; {hint}");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(problem: serde_json::Value) -> String {
        Error::Refused(serde_json::from_value(problem).unwrap()).to_string()
    }

    #[test]
    fn a_refusal_names_every_field_and_its_fix() {
        let problem = json!({ "status": 422, "title": "Invalid settings", "detail": "2 fields", "errors": {
            "lease_time": "must be between 10 and 3600", "min": "must be at most max" } });
        assert_eq!(
            refused(problem),
            "lease_time: must be between 10 and 3600; min: must be at most max"
        );
    }

    #[test]
    fn a_refusal_without_fields_gives_its_detail_and_hint() {
        let problem = json!({ "status": 409, "title": "Conflict", "detail": "share /a exists", "hint": "remove it" });
        assert_eq!(refused(problem), "share /a exists; remove it");
        assert_eq!(
            refused(json!({ "status": 404, "title": "Not Found" })),
            "Not Found"
        );
        assert_eq!(refused(json!({ "status": 500 })), "the host answered 500");
    }
}
