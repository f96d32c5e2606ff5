//! Compares servers on this machine. `bench-peers --help` says how.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use dittofs_load::workload::Workload;
use dittofs_peers::cpus::Cpus;
use dittofs_peers::fairness::{self, Fairness};
use dittofs_peers::results;
use dittofs_peers::round::{Cell, Placement, Round, Shape};
use dittofs_peers::server::{Kind, Server};
use dittofs_peers::table::{self, ECHO, GANESHA};
use serde::{Deserialize, Serialize};

/// Compares DittoFS with NFS-Ganesha, with an echo, or with another build of itself.
///
/// All servers run for the whole time, each with an export of its own on a tmpfs. Rounds are interleaved: A B C, C B A,
/// and so on. Pinned means server and generator on one CPU: operations per second are then one over the CPU time of
/// both. Split means each on its own.
///
/// In twenty seconds: bench-peers --only getattr --only ours --only echo --seconds 1 --rounds 2 --pinned --shape 1x16.
/// Two builds: bench-peers --ours DIR_A --ours DIR_B --only ours --only read4k --pinned.
#[derive(Parser)]
struct Arguments {
    /// A directory with `dittofs` and its adapters; several are compared with each other.
    #[arg(long, default_value = "target/release")]
    ours: Vec<PathBuf>,
    /// For how many milliseconds exports of `ours` may tell attributes again without a look at the file; several are
    /// compared with each other. The names of servers with more than 0 end in `-cached-MS`.
    #[arg(long, value_name = "MS", default_value = "0")]
    attribute_cache: Vec<u32>,
    /// Only these workloads, servers (`ours`, `ganesha`, `echo`, `echo-one-by-one`) or `fairness`. Without workloads
    /// all but `putfh`; without servers the first three.
    #[arg(long)]
    only: Vec<String>,
    /// Only with server and generator on one CPU.
    #[arg(long, conflicts_with = "split")]
    pinned: bool,
    /// Only with each on its own.
    #[arg(long)]
    split: bool,
    /// Clients x requests under way of each.
    #[arg(long, default_values = ["1x1", "1x16", "8x16"])]
    shape: Vec<Shape>,
    /// Seconds of a round.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Rounds of each server.
    #[arg(long, default_value_t = 2)]
    rounds: u32,
    /// Minor version.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=2))]
    minor: u32,
    /// A directory on a tmpfs.
    #[arg(long, default_value = "/dev/shm")]
    scratch: PathBuf,
    /// Keeps all rounds in this file, and prints those that it has from earlier runs, too.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Refreshes this file's section of these tables.
    #[arg(long)]
    write: Option<PathBuf>,
}

/// What was found, as it is kept.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Found {
    Round(Round),
    Fairness(Fairness),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut found = match &arguments.keep {
        Some(file) if file.exists() => read(file)?,
        _ => Vec::new(),
    };
    if arguments.rounds > 0 {
        arguments.measure(&mut found)?;
    }
    let text = summary(&found);
    println!("\n{text}");
    if let Some(file) = &arguments.write {
        results::refresh(file, "bench-peers", &text)?;
    }
    Ok(())
}

impl Arguments {
    fn measure(&self, found: &mut Vec<Found>) -> Result<()> {
        let mut keep = match &self.keep {
            Some(file) => Some(OpenOptions::new().append(true).create(true).open(file)?),
            None => None,
        };
        let mut note = |one: Found| -> Result<()> {
            print(&one);
            if let Some(file) = &mut keep {
                writeln!(file, "{}", serde_json::to_string(&one)?)?;
            }
            found.push(one);
            Ok(())
        };
        let cpus = Cpus::take()?;
        let servers = self.servers()?;
        for placement in self.placements() {
            for cell in self.cells(placement) {
                for server in interleaved(&servers, self.rounds) {
                    let round = cell.run(server, &cpus);
                    if let Some(round) = round.with_context(|| server.label.clone())? {
                        note(Found::Round(round))?;
                    }
                }
            }
            if self.only.is_empty() || self.names("fairness") {
                for server in interleaved(&servers, self.rounds) {
                    if server.speaks_nfs {
                        let fairness = fairness::measure(server, &cpus, placement, self.seconds)?;
                        note(Found::Fairness(fairness))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn servers(&self) -> Result<Vec<Server>> {
        let known = ["ours", GANESHA, ECHO, "echo-one-by-one"];
        let named = known.iter().any(|name| self.names(name));
        let wanted = |name: &str| {
            if named {
                self.names(name)
            } else {
                name != "echo-one-by-one"
            }
        };
        let mut servers = Vec::new();
        if wanted("ours") {
            for (letter, programs) in ('A'..).zip(&self.ours) {
                let name = match self.ours.len() {
                    1 => "ours".to_owned(),
                    _ => format!("ours-{letter}"),
                };
                for &attribute_cache in &self.attribute_cache {
                    let label = table::with_attribute_cache(&name, attribute_cache);
                    let kind = Kind::Ours {
                        programs: programs.clone(),
                        attribute_cache,
                    };
                    servers.push(Server::start(&kind, &label, &self.scratch)?);
                }
            }
        }
        for (name, kind) in [
            (GANESHA, Kind::Ganesha),
            (ECHO, Kind::Echo { batched: true }),
            ("echo-one-by-one", Kind::Echo { batched: false }),
        ] {
            if wanted(name) {
                servers.push(Server::start(&kind, name, &self.scratch).context(name)?);
            }
        }
        Ok(servers)
    }

    fn placements(&self) -> Vec<Placement> {
        match (self.pinned, self.split) {
            (true, _) => vec![Placement::Pinned],
            (_, true) => vec![Placement::Split],
            _ => vec![Placement::Pinned, Placement::Split],
        }
    }

    fn cells(&self, placement: Placement) -> Vec<Cell> {
        let all = Workload::value_variants().iter().copied();
        let named: Vec<_> = all
            .clone()
            .filter(|work| self.names(&work.name()))
            .collect();
        let works = match named.is_empty() {
            // Fairness alone.
            true if self.names("fairness") => Vec::new(),
            true => all.filter(|work| *work != Workload::Putfh).collect(),
            false => named,
        };
        let shapes = works
            .iter()
            .flat_map(|work| self.shape.iter().map(move |shape| (*work, *shape)));
        shapes
            .map(|(work, shape)| Cell {
                placement,
                work,
                shape,
                seconds: self.seconds,
                minor: self.minor,
            })
            .collect()
    }

    fn names(&self, name: &str) -> bool {
        self.only.iter().any(|only| only == name)
    }
}

/// All forwards, then all backwards, and so on.
fn interleaved(servers: &[Server], rounds: u32) -> Vec<&Server> {
    (0..rounds)
        .flat_map(|round| {
            let mut order: Vec<_> = servers.iter().collect();
            if round % 2 == 1 {
                order.reverse();
            }
            order
        })
        .collect()
}

fn read(file: &Path) -> Result<Vec<Found>> {
    let text = fs::read_to_string(file)?;
    let lines = text.lines().map(serde_json::from_str);
    Ok(lines.collect::<Result<_, _>>()?)
}

fn print(found: &Found) {
    match found {
        Found::Round(round) => println!(
            "{:?} {} {} {:<10} {}",
            round.placement,
            round.work.name(),
            round.shape,
            round.server,
            round.figures
        ),
        Found::Fairness(fairness) => println!(
            "{:?} fairness {:<10} p99 {:.1} alone, {:.1} beside a reader of {:.0} MiB/s",
            fairness.placement,
            fairness.server,
            fairness.alone.p99,
            fairness.beside.p99,
            fairness.reader.per_second
        ),
    }
}

fn summary(found: &[Found]) -> String {
    let mut rounds = Vec::new();
    let mut fairnesses = Vec::new();
    for one in found {
        match one {
            Found::Round(round) => rounds.push(round.clone()),
            Found::Fairness(fairness) => fairnesses.push(fairness.clone()),
        }
    }
    let mut parts = vec![results::circumstances()];
    if !rounds.is_empty() {
        parts.extend([table::LEGEND.to_owned(), table::noise(&rounds)]);
    }
    let servers = rounds.iter().map(|round| &*round.server);
    let servers = servers.chain(fairnesses.iter().map(|fairness| &*fairness.server));
    parts.extend(table::attribute_cache(servers));
    for (title, placement) in [("Pinned", Placement::Pinned), ("Split", Placement::Split)] {
        if rounds.iter().any(|round| round.placement == placement) {
            parts.extend([format!("### {title}"), table::table(&rounds, placement)]);
        }
    }
    if !fairnesses.is_empty() {
        parts.push("### A reader of 1 MiB (1x16) beside GETATTR (1x1)".to_owned());
        parts.push(table::fairness(&fairnesses));
    }
    parts
        .iter()
        .map(|part| part.trim_end())
        .collect::<Vec<_>>()
        .join("\n\n")
}
