//! What a client that reads 1 MiB after 1 MiB, 16 at a time, does to one that asks for attributes, one at a time.
//!
//! One generator drives both, so that its own part in the delay is the same for all servers: it takes at most
//! 256 KiB of the reader's data before it looks after the other.

use anyhow::Result;
use dittofs_load::report::Figures;
use dittofs_load::workload::{Target, Workload};
use serde::{Deserialize, Serialize};

use crate::cpus::Cpus;
use crate::round::{Placement, timed};
use crate::server::{SHARE, Server};

/// Microseconds of a GETATTR.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fairness {
    /// Where they ran.
    pub placement: Placement,
    /// Whose.
    pub server: String,
    /// With nobody else.
    pub alone: Figures,
    /// Beside the reader.
    pub beside: Figures,
    /// The reader's.
    pub reader: Figures,
}

/// Both measurements.
pub fn measure(
    server: &Server,
    cpus: &Cpus,
    placement: Placement,
    seconds: f64,
) -> Result<Fairness> {
    cpus.place(server.id, placement == Placement::Split)?;
    let (alone, _) = run(server, seconds, &[(Workload::Getattr, 1)])?;
    let both = [(Workload::Getattr, 1), (Workload::Read1m, 16)];
    let (beside, reader) = run(server, seconds, &both)?;
    Ok(Fairness {
        placement,
        server: server.label.clone(),
        alone,
        beside,
        reader,
    })
}

fn run(server: &Server, seconds: f64, work: &[(Workload, u32)]) -> Result<(Figures, Figures)> {
    let target = Target {
        address: server.address,
        minor: 1,
        share: SHARE,
    };
    let prepared = (0..).zip(work).map(|(index, (work, outstanding))| {
        target.prepare(*work, index, *outstanding, index as usize)
    });
    let prepared = prepared.collect::<Result<Vec<_>>>()?;
    let (clients, mut lanes): (Vec<_>, Vec<_>) = prepared.into_iter().unzip();
    let measured = timed(seconds, server).load(&mut lanes, 2)?;
    for (client, lane) in clients.into_iter().zip(&lanes) {
        client.finish(lane)?;
    }
    Ok((Figures::of(&measured, 0), Figures::of(&measured, 1)))
}
