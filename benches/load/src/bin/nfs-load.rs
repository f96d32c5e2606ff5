//! Loads one NFSv4 server, or is the echo. `nfs-load --help` says how.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};
use dittofs_load::echo::{Replies, serve};
use dittofs_load::engine::Run;
use dittofs_load::lane::Lane;
use dittofs_load::report::Figures;
use dittofs_load::script::{Slot, Step};
use dittofs_load::workload::{Target, Workload};

/// Load generator for NFSv4 servers.
///
/// Prints operations per second; median, 99th percentile and maximum of an operation's latency (us = microseconds,
/// from when its first request is due until its last reply has come); the generator's own CPU time per operation; with
/// --server-pid the server's CPU time (user and system, all threads) and context switches per operation; and the mean
/// length of requests and replies in bytes. Operations of several COMPOUNDs (OPEN + CLOSE, a listing in pages) count
/// once. Exits with an error at the first reply that is not right, and when data read back after the load are not those
/// written.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Loads an NFS server.
    Nfs(Nfs),
    /// Loads an echo with messages of given lengths.
    Messages(Messages),
    /// Answers at ADDRESS with as many bytes as the stamp of each request says.
    Echo {
        /// Where to listen.
        address: SocketAddr,
        /// One write per reply; otherwise one for all requests that came with one read.
        #[arg(long)]
        one_by_one: bool,
    },
}

#[derive(Args)]
struct Nfs {
    #[command(flatten)]
    load: Load,
    /// What to do.
    #[arg(long, short, value_enum)]
    work: Workload,
    /// Minor version.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=2))]
    minor: u32,
    /// The share: a name below the server's root. Files are made in its directory `load`.
    #[arg(long, default_value = "export")]
    share: String,
}

#[derive(Args)]
struct Messages {
    #[command(flatten)]
    load: Load,
    /// Bytes of a request, record mark included.
    #[arg(long, default_value_t = 204)]
    request: usize,
    /// Bytes of a reply, record mark included.
    #[arg(long, default_value_t = 260)]
    reply: usize,
}

#[derive(Args)]
struct Load {
    /// The server.
    address: SocketAddr,
    /// Connections, each a client of its own.
    #[arg(long, short, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    clients: u32,
    /// Requests that a client has under way at any time.
    #[arg(long, short, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    outstanding: u32,
    /// Seconds that are measured; a tenth more before them is not.
    #[arg(long, short, default_value_t = 1.0)]
    seconds: f64,
    /// Process id of the server.
    #[arg(long)]
    server_pid: Option<u32>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> Result<()> {
    match Arguments::parse().what {
        What::Nfs(nfs) => nfs.run(),
        What::Messages(messages) => messages.run(),
        What::Echo {
            address,
            one_by_one,
        } => {
            let listener = TcpListener::bind(address).with_context(|| address.to_string())?;
            println!("listening on {}", listener.local_addr()?);
            let replies = if one_by_one {
                Replies::OneByOne
            } else {
                Replies::Batched
            };
            serve(&listener, replies)
        }
    }
}

impl Nfs {
    fn run(&self) -> Result<()> {
        let target = Target {
            address: self.load.address,
            minor: self.minor,
            share: &self.share,
        };
        let prepared = (0..self.load.clients)
            .map(|index| target.prepare(self.work, index, self.load.outstanding, 0));
        let (clients, mut lanes): (Vec<_>, Vec<_>) =
            prepared.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        self.load.run(&self.work.name(), &mut lanes)?;
        for (client, lane) in clients.into_iter().zip(&lanes) {
            client.finish(lane)?;
        }
        Ok(())
    }
}

impl Messages {
    fn run(&self) -> Result<()> {
        ensure!(self.request >= 80 && self.reply >= 8, "too short a message");
        let slot = |index| Slot::new(vec![Step::echo(self.request, self.reply)], 0, index, 0);
        let lane = || {
            let stream = TcpStream::connect(self.load.address)?;
            stream.set_nodelay(true)?;
            let slots = (0..self.load.outstanding).map(slot);
            anyhow::Ok(Lane::new(stream, 0, slots.collect()))
        };
        let lanes = (0..self.load.clients).map(|_| lane());
        self.load
            .run("echo", &mut lanes.collect::<Result<Vec<_>>>()?)
    }
}

impl Load {
    fn run(&self, name: &str, lanes: &mut [Lane]) -> Result<()> {
        let run = Run {
            warm_up: Duration::from_secs_f64(self.seconds / 10.0),
            duration: Duration::from_secs_f64(self.seconds),
            server: self.server_pid,
        };
        let figures = Figures::of(&run.load(lanes, 1)?, 0);
        if self.json {
            println!("{}", serde_json::to_string(&figures)?);
        } else {
            println!("{name} {}x{}: {figures}", self.clients, self.outstanding);
        }
        Ok(())
    }
}
