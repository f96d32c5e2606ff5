//! What the adapter counts. Handles are looked up once, at start.

use dittofs_sdk::Error;
use dittofs_sdk::metrics::{Counter, Counters, Gauge, Metrics as Host};

use crate::status::Status;
use crate::table::{OP_ILLEGAL, ROWS};

/// Handles of all metrics.
#[derive(Default)]
pub struct Metrics {
    requests: Counters,
    /// Successful runs by row, then the one of unknown operations.
    ok: Vec<Counter>,
    /// Open connections.
    pub connections: Gauge,
    /// Accepted connections.
    pub accepted: Counter,
    /// Closed connections.
    pub closed: Counter,
}

impl Metrics {
    /// Registers them.
    pub fn new(host: &Host) -> Result<Self, Error> {
        let requests = host.counters(
            "dittofs_nfs_requests_total",
            "NFS operations processed",
            &["procedure", "status"],
        )?;
        let ok = ROWS
            .iter()
            .map(|row| requests.with(&[row.name, Status::Ok.name()]))
            .collect();
        Ok(Self {
            ok,
            requests,
            connections: host.gauge("dittofs_nfs_active_connections", "Open NFS connections")?,
            accepted: host.counter(
                "dittofs_nfs_connections_accepted_total",
                "Accepted NFS connections",
            )?,
            closed: host.counter(
                "dittofs_nfs_connections_closed_total",
                "Closed NFS connections",
            )?,
        })
    }

    /// Counts one operation of a COMPOUND.
    pub fn operation(&self, number: u32, status: Status) {
        let row = number.checked_sub(3).map(|i| i as usize);
        if status == Status::Ok {
            if let Some(counter) = row.and_then(|i| self.ok.get(i)) {
                counter.inc();
            }
            return;
        }
        let name = row
            .and_then(|i| ROWS.get(i))
            .map_or("ILLEGAL", |row| row.name);
        debug_assert!(name != "ILLEGAL" || number == OP_ILLEGAL);
        self.requests.with(&[name, status.name()]).inc();
    }
}
