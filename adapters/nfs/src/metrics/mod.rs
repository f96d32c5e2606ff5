//! What the adapter counts: one room for all names, labels and handles.
//!
//! Every family is registered here, once, at start. The host keeps the cells, so a restart of the
//! adapter goes on counting where the last instance stopped. The hot path looks nothing
//! up: it adds to cells that it holds. A host without metrics hands out inert handles, and
//! then not even the clock is read.
//!
//! What can be read from the state (slots in use, locks) is not counted along the way but
//! published once a second, so that it can't drift; see [`Meter`].

mod callbacks;
mod copies;
mod operations;
mod sequence;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use dittofs_sdk::Error;
use dittofs_sdk::metrics::{Counter, Gauge, Metrics as Host};

use crate::delegations::Reason;
use crate::state::files::DelegationKind;
use crate::state::grace::Report;
use crate::state::{Direction, End, Meter, SlotSeries, Unbound};
use crate::status::Status;

pub use callbacks::Callbacks;
pub use copies::{Copies, CopyEnd};
pub use operations::{Operations, Stopwatch};
pub use sequence::{Outcome, Sequence};

/// Upper bounds of the buckets of session lifetimes, in seconds: a second to a month.
const LIFETIMES: &[f64] = &[
    1.0,
    10.0,
    60.0,
    300.0,
    1800.0,
    3600.0,
    14_400.0,
    86_400.0,
    604_800.0,
    2_592_000.0,
];

/// Handles of all metrics.
#[derive(Default)]
pub struct Metrics {
    /// Operations by name and status, and how long they took.
    pub operations: Operations,
    /// SEQUENCE by outcome.
    pub sequence: Sequence,
    /// COMPOUNDs of a minor version that is not served.
    pub minor_refused: Counter,
    /// COMPOUNDs that were not answered at once and are under way.
    pub in_flight: Gauge,
    /// Bytes that READ returned.
    pub bytes_read: Counter,
    /// Bytes that WRITE wrote.
    pub bytes_written: Counter,
    /// What the state reports.
    pub state: Arc<Meter>,
    /// Byte-range locks.
    pub locks: Locks,
    /// The grace period.
    pub grace: Grace,
    /// What is asked of clients.
    pub callbacks: Callbacks,
    /// Delegations.
    pub delegations: Delegations,
    /// Copies within the server.
    pub copies: Copies,
    /// Open connections.
    pub connections: Gauge,
    /// Accepted connections.
    pub accepted: Counter,
    /// Closed connections.
    pub closed: Counter,
}

/// What LOCK and LOCKU did.
#[derive(Default)]
pub struct Locks {
    /// Granted.
    pub granted: Counter,
    /// In conflict with another one.
    pub denied: Counter,
    /// Refused for another reason.
    pub failed: Counter,
    /// Given back by LOCKU.
    pub released: Counter,
}

/// The grace period and what is reclaimed.
#[derive(Default)]
pub struct Grace {
    /// 1 while there is one.
    active: Gauge,
    /// Seconds that it lasts yet.
    remaining: Gauge,
    reclaimed: Counter,
    refused: Counter,
}

/// What became of delegations.
#[derive(Default)]
pub struct Delegations {
    /// Granted, by [`DelegationKind`].
    pub granted: [Counter; DelegationKind::ALL.len()],
    /// Recalled, by [`DelegationKind`] and [`Reason`].
    pub recalled: [[Counter; Reason::ALL.len()]; DelegationKind::ALL.len()],
}

impl Metrics {
    /// Registers them. Gauges begin at zero: what the last instance held is gone.
    pub fn new(host: &Host) -> Result<Self, Error> {
        let bytes = host.counters(
            "dittofs_nfs_bytes_transferred_total",
            "File data moved by READ and WRITE, in bytes.",
            &["direction"],
        )?;
        let metrics = Self {
            operations: Operations::new(host)?,
            sequence: Sequence::new(host)?,
            minor_refused: host.counter(
                "dittofs_nfs_minor_version_mismatch_total",
                "COMPOUNDs of a minor version that is not served.",
            )?,
            in_flight: host.gauge(
                "dittofs_nfs_requests_in_flight",
                "COMPOUNDs under way that were not answered at once.",
            )?,
            bytes_read: bytes.with(&["read"]),
            bytes_written: bytes.with(&["write"]),
            state: Arc::new(Meter::new(host)?),
            locks: Locks::new(host)?,
            grace: Grace::new(host)?,
            callbacks: Callbacks::new(host)?,
            delegations: Delegations::new(host)?,
            copies: Copies::new(host)?,
            connections: host.gauge("dittofs_nfs_active_connections", "Open NFS connections.")?,
            accepted: host.counter(
                "dittofs_nfs_connections_accepted_total",
                "Accepted NFS connections.",
            )?,
            closed: host.counter(
                "dittofs_nfs_connections_closed_total",
                "Closed NFS connections.",
            )?,
        };
        metrics.in_flight.set(0);
        metrics.connections.set(0);
        Ok(metrics)
    }
}

impl Locks {
    /// Records the outcome of a LOCK.
    pub fn asked(&self, status: Status) {
        match status {
            Status::Ok => self.granted.inc(),
            Status::Denied => self.denied.inc(),
            _ => self.failed.inc(),
        }
    }

    fn new(host: &Host) -> Result<Self, Error> {
        let acquired = host.counters(
            "dittofs_locks_acquire_total",
            "Byte-range locks asked for, by outcome.",
            &["status"],
        )?;
        Ok(Self {
            granted: acquired.with(&["granted"]),
            denied: acquired.with(&["denied"]),
            failed: acquired.with(&["error"]),
            released: host.counter(
                "dittofs_locks_release_total",
                "Byte-range locks given back by their owners.",
            )?,
        })
    }
}

impl Grace {
    /// Records the outcome of a reclaim of an open or a lock.
    pub fn asked(&self, status: Status) {
        match status {
            Status::Ok => self.reclaimed.inc(),
            _ => self.refused.inc(),
        }
    }

    /// Records how the grace period stands.
    pub fn stands(&self, report: Report) {
        self.active.set(report.active.into());
        let remaining = i64::try_from(report.remaining.as_secs());
        self.remaining.set(remaining.unwrap_or(i64::MAX));
    }

    fn new(host: &Host) -> Result<Self, Error> {
        let reclaims = host.counters(
            "dittofs_locks_reclaim_total",
            "Opens and byte-range locks that clients took back after a restart, or were not given, by outcome.",
            &["status"],
        )?;
        Ok(Self {
            active: host.gauge(
                "dittofs_locks_grace_period_active",
                "Whether clients are taking back what they had before a restart.",
            )?,
            remaining: host.gauge(
                "dittofs_locks_grace_period_remaining_seconds",
                "How long the grace period lasts yet.",
            )?,
            reclaimed: reclaims.with(&["granted"]),
            refused: reclaims.with(&["error"]),
        })
    }
}

impl Delegations {
    fn new(host: &Host) -> Result<Self, Error> {
        let granted = host.counters(
            "dittofs_nfs_delegations_granted_total",
            "Delegations granted, by type.",
            &["type"],
        )?;
        let recalled = host.counters(
            "dittofs_nfs_delegations_recalled_total",
            "Delegations recalled, by type and by what they were in the way of.",
            &["type", "reason"],
        )?;
        Ok(Self {
            granted: DelegationKind::ALL.map(|kind| granted.with(&[kind.name()])),
            recalled: DelegationKind::ALL
                .map(|kind| Reason::ALL.map(|reason| recalled.with(&[kind.name(), reason.name()]))),
        })
    }
}

impl Meter {
    fn new(host: &Host) -> Result<Self, Error> {
        let destroyed = host.counters(
            "dittofs_nfs_sessions_destroyed_total",
            "Sessions that ended, by reason.",
            &["reason"],
        )?;
        let bound = host.counters(
            "dittofs_nfs_connections_bind_total",
            "Connections that became part of a session or changed their part, by direction.",
            &["direction"],
        )?;
        let unbound = host.counters(
            "dittofs_nfs_connections_unbind_total",
            "Connections that ceased to be part of a session, by reason.",
            &["reason"],
        )?;
        let delegations = host.gauges(
            "dittofs_nfs_delegations_active",
            "Delegations that clients hold now, by type.",
            &["type"],
        )?;
        let meter = Self {
            created: host.counter("dittofs_nfs_sessions_created_total", "Sessions made.")?,
            destroyed: End::ALL.map(|end| destroyed.with(&[end.name()])),
            active: host.gauge("dittofs_nfs_sessions_active", "Sessions now.")?,
            lifetime: host
                .histograms(
                    "dittofs_nfs_sessions_duration_seconds",
                    "How long sessions lasted.",
                    &[],
                    LIFETIMES,
                )?
                .with(&[]),
            replay_bytes: host.gauge(
                "dittofs_nfs_replay_cache_bytes",
                "Replies kept for retries, over all sessions, in bytes.",
            )?,
            bound: host.gauge(
                "dittofs_nfs_connections_bound",
                "Connections that are part of a session, over all sessions.",
            )?,
            binds: Direction::ALL.map(|direction| bound.with(&[direction.name()])),
            unbinds: Unbound::ALL.map(|why| unbound.with(&[why.name()])),
            slots: SlotSeries::new(host.gauges(
                "dittofs_nfs_slots_in_use",
                "Slots that execute a request, by session; `all` above metrics_max_sessions.",
                &["session_id"],
            )?),
            locks: host.gauge("dittofs_locks_active", "Byte-range locks held now.")?,
            delegations: DelegationKind::ALL.map(|kind| delegations.with(&[kind.name()])),
        };
        for gauge in [
            &meter.active,
            &meter.replay_bytes,
            &meter.bound,
            &meter.locks,
        ]
        .into_iter()
        .chain(&meter.delegations)
        {
            gauge.set(0);
        }
        Ok(meter)
    }
}
