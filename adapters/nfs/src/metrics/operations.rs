//! Operations by name and status, and how long they took. Names come from the table.
//!
//! A series exists from its first use on: most of the thousands that names and statuses could
//! make never come up.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use dittofs_sdk::Error;
use dittofs_sdk::metrics::{Counter, Counters, Histogram, Histograms, Metrics as Host};

use crate::status::Status;
use crate::table::{FIRST, Flags, ROWS, Row};

/// Upper bounds of buckets in milliseconds: from what is answered from memory to a disk that hangs.
const BUCKETS: &[f64] = &[
    0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0,
    500.0, 1000.0, 5000.0, 30_000.0,
];

/// Counts and times of operations.
#[derive(Default)]
pub struct Operations {
    /// By row, then the one of numbers that no row has. Empty if nobody is interested.
    rows: Box<[Cells]>,
    requests: Counters,
    durations: Histograms,
}

/// The series of one operation.
struct Cells {
    name: &'static str,
    is_brief: bool,
    ok: OnceLock<Counter>,
    failed: OnceLock<Box<[OnceLock<Counter>]>>,
    duration: OnceLock<Histogram>,
}

/// Measures the operations of one COMPOUND: the end of one is the start of the next, but that of what is
/// [`BRIEF`](Flags::BRIEF) is not looked for.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Option<Instant>);

impl Operations {
    pub(super) fn new(host: &Host) -> Result<Self, Error> {
        let requests = host.counters(
            "dittofs_nfs_requests_total",
            "NFS operations processed, by name and status.",
            &["procedure", "status"],
        )?;
        let durations = host.histograms(
            "dittofs_nfs_request_duration_milliseconds",
            "How long NFS operations took.",
            &["procedure"],
            BUCKETS,
        )?;
        let of_row = |row: &Row| Cells::new(row.name, row.flags.contains(Flags::BRIEF));
        Ok(Self {
            rows: if requests.is_inert() {
                Box::default()
            } else {
                let illegal = Cells::new("ILLEGAL", false);
                ROWS.iter().map(of_row).chain([illegal]).collect()
            },
            requests,
            durations,
        })
    }

    /// Begins to measure a COMPOUND that started at `now`.
    pub fn stopwatch(&self, now: Instant) -> Stopwatch {
        Stopwatch((!self.rows.is_empty()).then_some(now))
    }

    /// Records the operation `number` that has just ended.
    pub fn ended(&self, stopwatch: &mut Stopwatch, number: u32, status: Status) {
        let Some(since) = &mut stopwatch.0 else {
            return;
        };
        let row = number.checked_sub(FIRST).map(|row| row as usize);
        let known = row.filter(|row| *row < ROWS.len()).unwrap_or(ROWS.len());
        let Some(cells) = self.rows.get(known) else {
            return;
        };
        let mut took = Duration::ZERO;
        if !cells.is_brief {
            let now = Instant::now();
            took = now.saturating_duration_since(*since);
            *since = now;
        }
        cells.count(&self.requests, status);
        cells
            .duration
            .get_or_init(|| self.durations.with(&[cells.name]))
            .observe(took.as_secs_f64() * 1e3);
    }
}

impl Cells {
    fn new(name: &'static str, is_brief: bool) -> Self {
        Self {
            name,
            is_brief,
            ok: OnceLock::new(),
            failed: OnceLock::new(),
            duration: OnceLock::new(),
        }
    }

    fn count(&self, requests: &Counters, status: Status) {
        let cell = if status == Status::Ok {
            Some(&self.ok)
        } else {
            let all = || (0..Status::COUNT).map(|_| OnceLock::new()).collect();
            self.failed.get_or_init(all).get(status.index())
        };
        if let Some(cell) = cell {
            cell.get_or_init(|| requests.with(&[self.name, status.name()]))
                .inc();
        }
    }
}
