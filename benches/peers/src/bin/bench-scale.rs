//! What grows with size. `bench-scale --help` says how.

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use dittofs_peers::cpus::Cpus;
use dittofs_peers::results;
use dittofs_peers::scale::{Growth, Scale, Sizes};
use dittofs_peers::server::{Kind, Server};

/// Measures what an operation costs the server when there is much of everything, as a ratio to the cost when there is
/// little; and the memory that each connection, open and lock takes.
///
/// Server and generator share one CPU: what is compared is the server's CPU time per operation. That two threads serve
/// twice what one serves cannot be seen here with two CPUs, of which the generator takes one: `cargo bench -p
/// dittofs-benches -- two_threads` measures it in the server's core, without sockets.
#[derive(Parser)]
struct Arguments {
    /// A directory with `dittofs` and its adapters.
    #[arg(long, default_value = "target/release")]
    ours: PathBuf,
    /// All as large as it is meant to grow: 1,000 connections, 100,000 opens and (as many as a client may have) locks,
    /// 1,000,000 entries, 10,000,000 files. Takes 10 GB of memory, a tmpfs without a bound on inodes, and some minutes.
    #[arg(long)]
    full: bool,
    /// Connections.
    #[arg(long, default_value_t = 1000)]
    connections: u32,
    /// Files that are open.
    #[arg(long, default_value_t = 20_000)]
    opens: u32,
    /// Locks on one file.
    #[arg(long, default_value_t = 20_000)]
    locks: u32,
    /// Entries of one directory.
    #[arg(long, default_value_t = 200_000)]
    entries: u32,
    /// Files of a tree.
    #[arg(long, default_value_t = 500_000)]
    files: u32,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// A directory on a tmpfs.
    #[arg(long, default_value = "/dev/shm")]
    scratch: PathBuf,
    /// Refreshes this file's section of these figures.
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let cpus = Cpus::take()?;
    let kind = Kind::Ours {
        programs: arguments.ours.clone(),
        attribute_cache: 0,
    };
    let server = Server::start(&kind, "ours", &arguments.scratch)?;
    cpus.place(server.id, false)?;
    let scale = Scale::new(&server, arguments.seconds)?;
    let sizes = arguments.sizes();
    let mut text = format!(
        "{}\n\n| what | CPU small, us | CPU large, us | ratio | bytes each |\n|---|---|---|---|---|\n",
        results::circumstances()
    );
    let measures: [&dyn Fn() -> Result<Vec<Growth>>; 5] = [
        &|| Ok(vec![scale.connections(sizes.connections)?]),
        &|| Ok(scale.opens(sizes.opens)?.into()),
        &|| Ok(vec![scale.locks(sizes.locks)?]),
        &|| Ok(vec![scale.entries(sizes.entries)?]),
        &|| Ok(vec![scale.tree(sizes.files)?]),
    ];
    for measure in measures {
        let rows = match measure() {
            Ok(growth) => growth.iter().map(row).collect(),
            Err(error) => format!("| failed: {error:#} | | | | |\n"),
        };
        eprint!("{rows}");
        text.push_str(&rows);
    }
    println!("\n{text}");
    if let Some(file) = &arguments.write {
        results::refresh(file, "bench-scale", &text)?;
    }
    Ok(())
}

impl Arguments {
    fn sizes(&self) -> Sizes {
        if self.full {
            return Sizes {
                connections: 1000,
                opens: 100_000,
                locks: 99_990,
                entries: 1_000_000,
                files: 10_000_000,
            };
        }
        Sizes {
            connections: self.connections,
            opens: self.opens,
            locks: self.locks,
            entries: self.entries,
            files: self.files,
        }
    }
}

fn row(growth: &Growth) -> String {
    let dash = || String::from("–");
    let (small, large, ratio) = match growth.cpu {
        Some((small, large)) => (
            format!("{small:.2}"),
            format!("{large:.2}"),
            format!("{:.2}", large / small),
        ),
        None => (dash(), dash(), dash()),
    };
    let bytes = growth
        .bytes
        .map_or_else(dash, |bytes| format!("{bytes:.0}"));
    format!(
        "| {} | {small} | {large} | {ratio} | {bytes} |\n",
        growth.what
    )
}
