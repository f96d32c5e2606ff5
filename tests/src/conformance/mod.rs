//! pynfs, the conformance suites of NFSv4.0, 4.1 and 4.2, against the built `dittofs`: `make conformance`.
//!
//! [`suite`] runs one suite against a server of its own, [`results`] reads what it printed, [`expected`] compares that with
//! `tests/conformance/skips.toml`, and [`helper`] is what pynfs asks to restart the server or to change files behind its back.

pub mod expected;
pub mod helper;
pub mod results;
pub mod suite;

use std::fmt::Write;

use expected::Difference;
use results::{Outcome, Results};

/// What one suite made of the server.
pub struct Verdict {
    /// Name of the suite.
    pub suite: String,
    /// What each test said.
    pub results: Results,
    /// What is not as expected.
    pub differences: Vec<Difference>,
}

/// The verdicts as a table of Markdown.
pub fn table(verdicts: &[Verdict]) -> String {
    let mut table = String::from(
        "| Suite | Tests | Passed | Failed | Warned | Skipped |\n|---|---|---|---|---|---|\n",
    );
    for Verdict { suite, results, .. } in verdicts {
        let [passed, failed, warned, skipped] = [
            Outcome::Passed,
            Outcome::Failed,
            Outcome::Warned,
            Outcome::Skipped,
        ]
        .map(|outcome| results.count(outcome));
        let all = results.tests.len();
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "| {suite} | {all} | {passed} | {failed} | {warned} | {skipped} |"
        );
    }
    table
}
