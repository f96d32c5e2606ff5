//! What pynfs prints at the end of a run: a line per test, with a message below it unless it passed.

use anyhow::{Result, ensure};

/// What became of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All as it should be.
    Passed,
    /// The server breaks a rule, or pynfs itself broke down.
    Failed,
    /// Not wrong, but "there was a better way"; or something optional is missing.
    Warned,
    /// Not run, as what it depends on did not pass.
    Skipped,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// Its code, such as `SEQ1`.
    pub code: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, unless it passed.
    pub message: String,
}

/// All tests of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Results {
    /// In the order in which they were printed.
    pub tests: Vec<Test>,
}

impl Results {
    /// Reads the output of a run with `--showomit`, which is everything that it printed.
    pub fn parse(output: &str) -> Result<Self> {
        // The list stands between two lines of asterisks, the last of its kind.
        let is_frame = |line: &&str| line.len() > 10 && line.bytes().all(|byte| byte == b'*');
        let mut parts = output
            .rsplit_once("Of those:")
            .map_or("", |(list, _)| list)
            .lines()
            .rev();
        let list: Vec<&str> = parts
            .by_ref()
            .skip_while(|line| !is_frame(line))
            .skip(1)
            .take_while(|line| !is_frame(line))
            .collect();
        let mut tests: Vec<Test> = Vec::new();
        for line in list.into_iter().rev() {
            if let Some(test) = Test::parse(line) {
                tests.push(test);
            } else if let Some(test) = tests.last_mut() {
                let space = if test.message.is_empty() { "" } else { " " };
                test.message.push_str(space);
                test.message.push_str(line.trim());
            }
        }
        ensure!(
            !tests.is_empty(),
            "no results at the end of what pynfs printed"
        );
        Ok(Self { tests })
    }

    /// How many tests had this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.tests
            .iter()
            .filter(|test| test.outcome == outcome)
            .count()
    }
}

impl Test {
    /// `CODE  module.name  : OUTCOME`; other lines are messages, which are indented.
    fn parse(line: &str) -> Option<Self> {
        let (test, outcome) = line.rsplit_once(" : ")?;
        let code = test.split(' ').next().filter(|code| !code.is_empty())?;
        let outcome = match outcome {
            "PASS" => Outcome::Passed,
            "FAILURE" => Outcome::Failed,
            "WARNING" | "UNSUPPORTED" => Outcome::Warned,
            "OMIT" | "WAITING TO RUN" => Outcome::Skipped,
            _ => return None,
        };
        Some(Self {
            code: code.to_owned(),
            outcome,
            message: String::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
Sleeping for 20 seconds:
Woke up
**************************************************
SEQ1     st_sequence.testSupported                                : PASS
DELEG1   st_delegation.testReadDeleg                              : FAILURE
           Could not get delegation: got NFS4ERR_DELAY : FAILURE
           of it
ACL0     st_acl.testACLsupport                                    : UNSUPPORTED
           FATTR4_ACL not supported
GSS1     st_gss.testBadGssSeqnum                                  : OMIT
           Dependency function _using_gss failed
**************************************************
Command line asked for 4 of 264 tests
Of those: 1 Skipped, 1 Failed, 1 Warned, 1 Passed
";

    #[test]
    fn each_test_has_its_outcome_and_what_was_said_of_it() -> Result<()> {
        let results = Results::parse(OUTPUT)?;
        let told: Vec<_> = results
            .tests
            .iter()
            .map(|test| (&*test.code, test.outcome, &*test.message))
            .collect();
        assert_eq!(
            told,
            [
                ("SEQ1", Outcome::Passed, ""),
                (
                    "DELEG1",
                    Outcome::Failed,
                    "Could not get delegation: got NFS4ERR_DELAY : FAILURE of it"
                ),
                ("ACL0", Outcome::Warned, "FATTR4_ACL not supported"),
                (
                    "GSS1",
                    Outcome::Skipped,
                    "Dependency function _using_gss failed"
                ),
            ]
        );
        assert_eq!(results.count(Outcome::Passed), 1);
        Ok(())
    }

    #[test]
    fn a_run_that_broke_off_is_no_result() {
        let halfway = OUTPUT
            .split_once("Command line")
            .map_or("", |(before, _)| before);
        for output in ["", "Traceback (most recent call last):\n", halfway] {
            assert!(Results::parse(output).is_err(), "{output}");
        }
    }
}
