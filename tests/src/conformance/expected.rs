//! `skips.toml`: the tests that can't pass, and why. All others must.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::results::{Outcome, Results, Test};

/// What is expected of every suite.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// By suite: pattern to reason. A pattern is a test's code, or the start of some and `*`.
    skipped: BTreeMap<String, BTreeMap<String, String>>,
}

/// Something that is not as expected.
#[derive(Debug, PartialEq, Eq)]
pub enum Difference {
    /// A test that is not named did not pass.
    Test(Test),
    /// A test that is named was not skipped.
    Runs(Test),
    /// Nothing has the name.
    Unknown(String),
}

impl Expected {
    /// Reads the file's text.
    pub fn parse(text: &str) -> Result<Self> {
        let expected: Self = toml::from_str(text).context("skips.toml")?;
        let reasons = expected.skipped.values().flatten();
        for (pattern, reason) in reasons {
            ensure!(
                !reason.trim().is_empty(),
                "skips.toml: {pattern} has no reason"
            );
        }
        Ok(expected)
    }

    /// Compares what a suite said. If not `all` of its tests were asked for, patterns without a test are no difference.
    pub fn compare(&self, suite: &str, results: &Results, all: bool) -> Vec<Difference> {
        let nothing = BTreeMap::new();
        let skipped = self.skipped.get(suite).unwrap_or(&nothing);
        let is_named = |test: &Test| skipped.keys().any(|pattern| matches(pattern, &test.code));
        let tests = results
            .tests
            .iter()
            .filter_map(|test| match (is_named(test), test.outcome) {
                (true, Outcome::Skipped) | (false, Outcome::Passed) => None,
                (true, _) => Some(Difference::Runs(test.clone())),
                (false, _) => Some(Difference::Test(test.clone())),
            });
        let unknown = skipped.keys().filter(|pattern| {
            all && !results
                .tests
                .iter()
                .any(|test| matches(pattern, &test.code))
        });
        tests
            .chain(unknown.cloned().map(Difference::Unknown))
            .collect()
    }
}

fn matches(pattern: &str, code: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == code, |start| code.starts_with(start))
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Test(test) => {
                write!(f, "{} {}: {}", test.code, test.outcome, test.message)
            }
            Self::Runs(test) => {
                write!(
                    f,
                    "{} {}: skips.toml says that it is skipped",
                    test.code, test.outcome
                )
            }
            Self::Unknown(pattern) => write!(
                f,
                "{pattern}: skips.toml names it, and no test has this code"
            ),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Warned => "warned",
            Self::Skipped => "skipped",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(tests: &[(&str, Outcome)]) -> Results {
        let tests = tests.iter().map(|(code, outcome)| Test {
            code: (*code).to_owned(),
            outcome: *outcome,
            message: String::new(),
        });
        Results {
            tests: tests.collect(),
        }
    }

    fn told(differences: &[Difference]) -> Vec<String> {
        let told = differences.iter().map(ToString::to_string);
        told.map(|told| told.split(':').next().unwrap_or_default().to_owned())
            .collect()
    }

    const SKIPS: &str = "
        [skipped.'4.0']
        'GSS*' = 'no Kerberos'
        'ACL5' = 'no ACLs'
    ";

    #[test]
    fn what_is_as_expected_makes_no_difference() -> Result<()> {
        let expected = Expected::parse(SKIPS)?;
        let all = results(&[
            ("SEQ1", Outcome::Passed),
            ("GSS1", Outcome::Skipped),
            ("GSS12", Outcome::Skipped),
            ("ACL5", Outcome::Skipped),
        ]);
        assert_eq!(expected.compare("4.0", &all, true), []);
        Ok(())
    }

    #[test]
    fn every_other_outcome_does() -> Result<()> {
        let expected = Expected::parse(SKIPS)?;
        let all = results(&[
            ("SEQ1", Outcome::Failed),
            ("SEQ2", Outcome::Warned),
            ("SEQ3", Outcome::Skipped),
            ("GSS1", Outcome::Passed),
            ("GSS2", Outcome::Failed),
            // Not the code's start, but all of it.
            ("ACL50", Outcome::Skipped),
        ]);
        let differences = expected.compare("4.0", &all, true);
        assert_eq!(
            told(&differences),
            [
                "SEQ1 failed",
                "SEQ2 warned",
                "SEQ3 skipped",
                "GSS1 passed",
                "GSS2 failed",
                "ACL50 skipped",
                "ACL5"
            ]
        );
        Ok(())
    }

    #[test]
    fn a_suite_that_is_not_named_must_pass() -> Result<()> {
        let expected = Expected::parse(SKIPS)?;
        let skipped = results(&[("GSS1", Outcome::Skipped)]);
        assert_eq!(
            told(&expected.compare("4.1", &skipped, true)),
            ["GSS1 skipped"]
        );
        Ok(())
    }

    #[test]
    fn of_some_tests_only_those_are_compared() -> Result<()> {
        let expected = Expected::parse(SKIPS)?;
        let some = results(&[("SEQ1", Outcome::Passed)]);
        assert_eq!(expected.compare("4.0", &some, false), []);
        assert_eq!(
            told(&expected.compare("4.0", &some, true)),
            ["ACL5", "GSS*"]
        );
        Ok(())
    }

    #[test]
    fn every_skip_has_its_reason() {
        for text in [
            "[skipped.'4.0']\nGSS1 = ''",
            "[failed.'4.0']\nGSS1 = 'hard'",
            "GSS1 = 'no Kerberos'",
        ] {
            assert!(Expected::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_file_itself_can_be_read() -> Result<()> {
        Expected::parse(include_str!("../../conformance/skips.toml")).map(drop)
    }
}
