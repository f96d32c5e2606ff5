//! One round: one server, one workload, for some seconds.

use std::fmt;
use std::net::TcpStream;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use dittofs_load::calibration;
use dittofs_load::engine::Run;
use dittofs_load::lane::Lane;
use dittofs_load::report::Figures;
use dittofs_load::script::{Slot, Step};
use dittofs_load::workload::{Target, Workload};
use serde::{Deserialize, Serialize};

use crate::cpus::Cpus;
use crate::server::{SHARE, Server};

/// Where server and generator run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// Both on one CPU.
    Pinned,
    /// Each on a CPU of its own.
    Split,
}

/// Clients, and requests that each has under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Clients.
    pub clients: u32,
    /// Requests of each.
    pub outstanding: u32,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.clients, self.outstanding)
    }
}

impl FromStr for Shape {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (clients, outstanding) = text.split_once('x').context("such as 8x16")?;
        Ok(Self {
            clients: clients.parse()?,
            outstanding: outstanding.parse()?,
        })
    }
}

/// What a round was, and what it gave.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Round {
    /// Where they ran.
    pub placement: Placement,
    /// What was done.
    pub work: Workload,
    /// By how many.
    pub shape: Shape,
    /// By which server.
    pub server: String,
    /// The figures.
    pub figures: Figures,
    /// Milliseconds of the calibration loop just before.
    pub calibration: f64,
}

/// What is to be measured.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    /// Where.
    pub placement: Placement,
    /// What.
    pub work: Workload,
    /// By how many.
    pub shape: Shape,
    /// For how long.
    pub seconds: f64,
    /// In which minor version.
    pub minor: u32,
}

impl Cell {
    /// One round; none if the server, an echo, has nothing to compare with.
    pub fn run(&self, server: &Server, cpus: &Cpus) -> Result<Option<Round>> {
        cpus.place(server.id, self.placement == Placement::Split)?;
        let calibration = calibration::run().as_secs_f64() * 1e3;
        let figures = if server.speaks_nfs {
            self.nfs(server)?
        } else {
            let Some((request, reply)) = self.work.messages() else {
                return Ok(None);
            };
            self.echo(server, request, reply)?
        };
        Ok(Some(Round {
            placement: self.placement,
            work: self.work,
            shape: self.shape,
            server: server.label.clone(),
            figures,
            calibration,
        }))
    }

    fn nfs(&self, server: &Server) -> Result<Figures> {
        let target = Target {
            address: server.address,
            minor: self.minor,
            share: SHARE,
        };
        let prepared = (0..self.shape.clients)
            .map(|index| target.prepare(self.work, index, self.shape.outstanding, 0));
        let prepared = prepared.collect::<Result<Vec<_>>>()?;
        let (clients, mut lanes): (Vec<_>, Vec<_>) = prepared.into_iter().unzip();
        let measured = timed(self.seconds, server).load(&mut lanes, 1)?;
        for (client, lane) in clients.into_iter().zip(&lanes) {
            client.finish(lane)?;
        }
        Ok(Figures::of(&measured, 0))
    }

    fn echo(&self, server: &Server, request: usize, reply: usize) -> Result<Figures> {
        let lane = || {
            let stream = TcpStream::connect(server.address)?;
            stream.set_nodelay(true)?;
            let slot = |index| Slot::new(vec![Step::echo(request, reply)], 0, index, 0);
            let slots = (0..self.shape.outstanding).map(slot);
            anyhow::Ok(Lane::new(stream, 0, slots.collect()))
        };
        let lanes = (0..self.shape.clients).map(|_| lane());
        let mut lanes = lanes.collect::<Result<Vec<_>>>()?;
        let measured = timed(self.seconds, server).load(&mut lanes, 1)?;
        Ok(Figures::of(&measured, 0))
    }
}

/// A measurement of so many seconds, after a tenth that is not counted.
pub fn timed(seconds: f64, server: &Server) -> Run {
    Run {
        warm_up: Duration::from_secs_f64(seconds / 10.0),
        duration: Duration::from_secs_f64(seconds),
        server: Some(server.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_reads_as_it_prints() {
        let shape: Shape = "8x16".parse().unwrap();
        assert_eq!((shape.clients, shape.outstanding), (8, 16));
        assert_eq!(shape.to_string(), "8x16");
        assert!("8".parse::<Shape>().is_err());
    }
}
