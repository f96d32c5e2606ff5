//! The process's own metrics, under the names that Prometheus' client libraries give them, and its open
//! files.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use prometheus::{Gauge, IntCounter, IntGauge, Registry};

use crate::vfs::local::{Census, Descriptors};

/// Read from `/proc/self` when somebody looks.
pub(super) struct Process {
    resident: IntGauge,
    open_fds: IntGauge,
    threads: IntGauge,
    cpu: Gauge,
    open_files: IntGauge,
    /// Brought up to date by one at a time.
    open_file_counts: Mutex<[IntCounter; 2]>,
}

impl Process {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let process = Self {
            resident: IntGauge::new(
                "process_resident_memory_bytes",
                "Resident memory size in bytes.",
            )?,
            open_fds: IntGauge::new("process_open_fds", "Number of open file descriptors.")?,
            threads: IntGauge::new("process_threads", "Number of threads.")?,
            cpu: Gauge::new(
                "process_cpu_seconds_total",
                "User and system CPU time spent in seconds.",
            )?,
            open_files: IntGauge::new(
                "dittofs_open_file_descriptors",
                "Descriptors that open files of local shares have.",
            )?,
            open_file_counts: Mutex::new([
                IntCounter::new(
                    "dittofs_open_file_closes_total",
                    "Descriptors of open files that were closed because there were too many.",
                )?,
                IntCounter::new(
                    "dittofs_open_file_reopens_total",
                    "Descriptors of open files that were opened again.",
                )?,
            ]),
        };
        let start = Gauge::new(
            "process_start_time_seconds",
            "Start time in seconds since 1970.",
        )?;
        start.set(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |since| since.as_secs_f64()),
        );
        registry.register(Box::new(process.resident.clone()))?;
        registry.register(Box::new(process.open_fds.clone()))?;
        registry.register(Box::new(process.threads.clone()))?;
        registry.register(Box::new(process.cpu.clone()))?;
        registry.register(Box::new(process.open_files.clone()))?;
        for count in &*process.open_file_counts.lock() {
            registry.register(Box::new(count.clone()))?;
        }
        registry.register(Box::new(start))?;
        Ok(process)
    }

    /// A value that can't be read keeps its last one.
    pub(super) fn update(&self) {
        self.count_open_files();
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            self.open_fds.set(entries.count() as i64);
        }
        let Ok(stat) = fs::read_to_string("/proc/self/stat") else {
            return;
        };
        // The second field, the name, may hold spaces and parentheses itself.
        let Some((_, rest)) = stat.rsplit_once(") ") else {
            return;
        };
        let field = |number: usize| {
            rest.split(' ')
                .nth(number - 3)
                .and_then(|text| text.parse::<i64>().ok())
        };
        if let (Some(user), Some(system)) = (field(14), field(15)) {
            self.cpu
                .set((user + system) as f64 / rustix::param::clock_ticks_per_second() as f64);
        }
        if let Some(threads) = field(20) {
            self.threads.set(threads);
        }
        if let Some(pages) = field(24) {
            self.resident.set(pages * rustix::param::page_size() as i64);
        }
    }

    fn count_open_files(&self) {
        let counts = self.open_file_counts.lock();
        let Census {
            open,
            closes,
            reopens,
        } = Descriptors::of_process().census();
        self.open_files.set(open as i64);
        for (count, now) in counts.iter().zip([closes, reopens]) {
            count.inc_by(now.saturating_sub(count.get()));
        }
    }
}
