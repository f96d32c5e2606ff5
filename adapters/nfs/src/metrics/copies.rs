//! What was copied within the server.

use dittofs_sdk::Error;
use dittofs_sdk::metrics::{Counter, Gauge, Metrics as Host};

/// How a copy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyEnd {
    /// All was copied that there was, or that was to be copied at once.
    Completed,
    /// It was no longer wanted.
    Cancelled,
    /// Something was in its way.
    Failed,
}

impl CopyEnd {
    /// All of them, in the order of their declaration.
    const ALL: [Self; 3] = [Self::Completed, Self::Cancelled, Self::Failed];

    /// The value of the label `result`.
    fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

/// Counts of copies.
#[derive(Default)]
pub struct Copies {
    /// Bytes copied.
    pub bytes: Counter,
    /// Copies in the background that are under way.
    pub active: Gauge,
    /// Before their COPY was answered, by [`CopyEnd`].
    at_once: [Counter; CopyEnd::ALL.len()],
    /// In the background, likewise.
    background: [Counter; CopyEnd::ALL.len()],
}

impl Copies {
    pub(super) fn new(host: &Host) -> Result<Self, Error> {
        let ended = host.counters(
            "dittofs_nfs_copies_total",
            "Copies within the server, by whether COPY waited for them, and by how they ended.",
            &["mode", "result"],
        )?;
        let copies = Self {
            bytes: host.counter(
                "dittofs_nfs_bytes_copied_total",
                "File data copied within the server by COPY, in bytes.",
            )?,
            active: host.gauge(
                "dittofs_nfs_copies_active",
                "Copies that go on after their COPY was answered.",
            )?,
            at_once: CopyEnd::ALL.map(|end| ended.with(&["synchronous", end.name()])),
            background: CopyEnd::ALL.map(|end| ended.with(&["asynchronous", end.name()])),
        };
        copies.active.set(0);
        Ok(copies)
    }

    /// A COPY is about to be answered with all that it copies.
    pub fn at_once(&self, end: CopyEnd) {
        count(&self.at_once, end);
    }

    /// A copy in the background has ended.
    pub fn background(&self, end: CopyEnd) {
        count(&self.background, end);
    }
}

fn count(counters: &[Counter; CopyEnd::ALL.len()], end: CopyEnd) {
    if let Some(counter) = counters.get(end as usize) {
        counter.inc();
    }
}
