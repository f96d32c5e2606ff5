//! The real Linux client on this server and on NFS-Ganesha. `bench-kernel --help` says how.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use dittofs_load::report::{median, spread};
use dittofs_peers::results;
use dittofs_peers::server::{Kind, Place, Server};
use dittofs_peers::table::GANESHA;
use dittofs_tests::Network;
use dittofs_tests::uml::Client;
use tempfile::TempDir;

/// Boots one Linux client (user-mode Linux), which mounts both servers in turn, A B B A, and runs fio (O_DIRECT, 16
/// requests of 4 KiB or 4 of 1 MiB under way), copies and removes a tree, and copies a file within the share: by cp, which
/// asks the server to, and by reading and writing.
///
/// Values are operations or files per second, of the file MiB per second. The client's kernel is an ordinary process on the same CPUs and costs more
/// than either server: ratios say what is left of the difference for who mounts.
#[derive(Parser)]
struct Arguments {
    /// A directory with `dittofs` and its adapters.
    #[arg(long, default_value = "target/release")]
    ours: PathBuf,
    /// As the client mounts.
    #[arg(long, default_value = "4.2")]
    version: String,
    /// Seconds of each fio.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Rounds of each server.
    #[arg(long, default_value_t = 2)]
    rounds: u32,
    /// Files of the tree, of 4 KiB each.
    #[arg(long, default_value_t = 5000)]
    files: u32,
    /// Size of the file that is copied within the share, in MiB.
    #[arg(long, default_value_t = 1024)]
    file: u32,
    /// A directory on a tmpfs.
    #[arg(long, default_value = "/dev/shm")]
    scratch: PathBuf,
    /// Refreshes this file's section of these figures.
    #[arg(long)]
    write: Option<PathBuf>,
}

const OURS: &str = "ours";

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let console = arguments.run()?;
    let text = format!("{}\n\n{}", results::circumstances(), table(&console));
    println!("{text}");
    if let Some(file) = &arguments.write {
        results::refresh(file, "bench-kernel", &text)?;
    }
    Ok(())
}

impl Arguments {
    /// What the client prints.
    fn run(&self) -> Result<String> {
        let network = Network::enter()?;
        let place = Place {
            host: network.listen_address().parse()?,
            clients: Some(network.client_networks()),
        };
        let ours = Kind::Ours {
            programs: std::path::absolute(&self.ours)?,
            attribute_cache: 0,
        };
        let servers = [
            Server::start_at(&place, &ours, OURS, &self.scratch)?,
            Server::start_at(&place, &Kind::Ganesha, GANESHA, &self.scratch)?,
        ];
        let order: Vec<String> = (0..self.rounds)
            .flat_map(|round| {
                let [first, second] = &servers;
                if round % 2 == 0 {
                    [first, second]
                } else {
                    [second, first]
                }
            })
            .map(|server| format!("{} {}", server.label, server.address.port()))
            .collect();
        let scratch = TempDir::with_prefix_in("dittofs-scratch-", &self.scratch)?;
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let jobs = package.join("../../tests/client").canonicalize()?;
        let [seconds, files, file] =
            [self.seconds, self.files, self.file].map(|number| number.to_string());
        let machine = Client {
            network,
            machine: 0,
            port: servers.first().context("no server")?.address.port(),
            job: &package.join("client/work.sh"),
            scratch: scratch.path(),
            variables: &[
                ("CLIENT", jobs.to_str().context("path")?),
                ("ROUNDS", &order.join(" ")),
                ("VERSION", &self.version),
                ("SECONDS", &seconds),
                ("FILES", &files),
                ("FILE", &file),
            ],
        }
        .boot()?;
        let limit = Duration::from_mins(3) * self.rounds + Duration::from_mins(2);
        let outcome = machine.wait(limit)?;
        ensure!(
            outcome.status == Some(0),
            "the client ended with {:?}:\n{}",
            outcome.status,
            outcome.console
        );
        Ok(outcome.console)
    }
}

/// Medians of the lines "result SERVER WORK VALUE".
fn table(console: &str) -> String {
    let results: Vec<(&str, &str, f64)> = console.lines().filter_map(result).collect();
    let mut works: Vec<&str> = Vec::new();
    for (_, work, _) in &results {
        if !works.contains(work) {
            works.push(work);
        }
    }
    let rows = works.iter().map(|work| {
        let of = |server: &str| -> Vec<f64> {
            let same = results
                .iter()
                .filter(|one| (one.0, one.1) == (server, *work));
            same.map(|one| one.2).collect()
        };
        let (ours, theirs) = (of(OURS), of(GANESHA));
        let (own, other) = (median(ours.clone()), median(theirs.clone()));
        format!(
            "| {work} | {other:.0} | {own:.0} | {:.2} | {:.0} %, {:.0} % |\n",
            own / other,
            100.0 * spread(&theirs),
            100.0 * spread(&ours)
        )
    });
    let head = "| work | Ganesha /s | ours /s | × Ganesha | spread |\n|---|---|---|---|---|\n";
    head.to_owned() + &rows.collect::<String>()
}

fn result(line: &str) -> Option<(&str, &str, f64)> {
    let mut words = line.trim().strip_prefix("result ")?.split(' ');
    let (server, work) = (words.next()?, words.next()?);
    Some((server, work, words.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_the_clients_results_are_compared() {
        let console = "boot\nresult ours copy 300\nresult ganesha copy 100\nresult ours copy 100\n";
        assert!(
            table(console).ends_with("| copy | 100 | 200 | 2.00 | 0 %, 100 % |\n"),
            "{}",
            table(console)
        );
    }
}
