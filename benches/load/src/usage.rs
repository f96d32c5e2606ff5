//! What a process, or this thread, has used of the CPUs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};

/// Sums over all threads that a process has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time.
    pub cpu: Duration,
    /// Context switches, voluntary and not.
    pub switches: u64,
}

impl Usage {
    /// Of a process until now. Threads that have ended are not in it.
    pub fn of(process: u32) -> Result<Self> {
        let mut usage = Self::default();
        let tasks = format!("/proc/{process}/task");
        for task in fs::read_dir(&tasks).with_context(|| tasks.clone())? {
            let task = task?.path();
            // It may have ended since.
            if let Some((cpu, switches)) = of_thread(&task) {
                usage.cpu += cpu;
                usage.switches += switches;
            }
        }
        Ok(usage)
    }

    /// What was used between `earlier` and this.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            switches: self.switches.saturating_sub(earlier.switches),
        }
    }
}

/// User and system time of the calling thread.
pub fn of_this_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Resident memory of a process, in bytes.
pub fn resident(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    Ok(last_number(line.context("no VmRSS")?.trim_end_matches(" kB")).context("no number")? * 1024)
}

fn of_thread(task: &Path) -> Option<(Duration, u64)> {
    let schedstat = fs::read_to_string(task.join("schedstat")).ok()?;
    let status = fs::read_to_string(task.join("status")).ok()?;
    Some((running_time(&schedstat)?, context_switches(&status)))
}

fn running_time(schedstat: &str) -> Option<Duration> {
    let nanoseconds = schedstat.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

fn context_switches(status: &str) -> u64 {
    let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
    lines.filter_map(last_number).sum()
}

fn last_number(line: &str) -> Option<u64> {
    line.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_switches_count() {
        let status =
            "Threads:\t1\nvoluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t545\n";
        assert_eq!(context_switches(status), 695);
    }

    #[test]
    fn the_running_time_comes_first() {
        assert_eq!(running_time("1500 7 3\n"), Some(Duration::from_nanos(1500)));
    }

    #[test]
    fn this_process_has_used_something_and_is_resident() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.cpu > Duration::ZERO);
        assert!(resident(std::process::id()).unwrap() > 1 << 20);
    }
}
