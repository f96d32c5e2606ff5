//! `make conformance PYNFS=DIRECTORY`: runs pynfs against the built `dittofs` and fails on any difference from
//! `tests/conformance/skips.toml`. docs/conformance.md

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use clap::Parser;
use dittofs_tests::conformance::expected::Expected;
use dittofs_tests::conformance::suite::{Pynfs, SUITES, Suite};
use dittofs_tests::conformance::{Verdict, helper, table};

#[derive(Debug, Parser)]
#[command(about = "Runs pynfs against the built dittofs")]
struct Arguments {
    /// Source tree of pynfs, built
    #[arg(long, value_name = "DIRECTORY", required_unless_present = "helper")]
    pynfs: Option<PathBuf>,

    /// Python that has the modules that pynfs needs
    #[arg(long, default_value = "python3")]
    python: PathBuf,

    /// Runs this suite alone
    #[arg(long)]
    suite: Option<String>,

    /// As pynfs calls it: have the words done by the runner at this socket
    #[arg(long, value_name = "SOCKET", hide = true)]
    helper: Option<PathBuf>,

    /// Codes of tests, if not all of a suite are to run
    tests: Vec<String>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(socket) = &arguments.helper {
        helper::ask(socket, &arguments.tests)?;
        return Ok(ExitCode::SUCCESS);
    }
    let pynfs = Pynfs {
        source: std::path::absolute(arguments.pynfs.context("--pynfs")?)?,
        python: arguments.python,
    };
    pynfs.check()?;
    let skips = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/skips.toml");
    let expected = Expected::parse(&std::fs::read_to_string(skips)?)?;
    let suites = chosen(arguments.suite.as_deref())?;
    let verdicts = run(&suites, &pynfs, &expected, &arguments.tests)?;
    println!("\n{}", table(&verdicts));
    let differences: usize = verdicts
        .iter()
        .map(|verdict| verdict.differences.len())
        .sum();
    if differences == 0 {
        println!("as tests/conformance/skips.toml says");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{differences} differences from tests/conformance/skips.toml");
    Ok(ExitCode::FAILURE)
}

fn chosen(name: Option<&str>) -> Result<Vec<&'static Suite>> {
    let suites: Vec<&Suite> = SUITES
        .iter()
        .filter(|suite| name.is_none_or(|name| name == suite.name))
        .collect();
    let names: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
    ensure!(!suites.is_empty(), "the suites are {}", names.join(", "));
    Ok(suites)
}

/// All at once: most of the time they wait for leases to end.
fn run(
    suites: &[&Suite],
    pynfs: &Pynfs,
    expected: &Expected,
    tests: &[String],
) -> Result<Vec<Verdict>> {
    let one = |suite: &Suite| -> Result<Verdict> {
        let results = suite.run(pynfs, tests).context(suite.name)?;
        let differences = expected.compare(suite.name, &results, tests.is_empty());
        for difference in &differences {
            println!("{}: {difference}", suite.name);
        }
        println!("{}: done, {} differences", suite.name, differences.len());
        Ok(Verdict {
            suite: suite.name.to_owned(),
            results,
            differences,
        })
    };
    thread::scope(|scope| {
        let running: Vec<_> = suites
            .iter()
            .map(|suite| scope.spawn(|| one(suite)))
            .collect();
        running
            .into_iter()
            .map(|verdict| verdict.join().map_err(|_| anyhow!("panicked")).flatten())
            .collect()
    })
}
