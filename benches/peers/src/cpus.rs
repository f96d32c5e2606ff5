//! Which CPU runs what. A thread that wakes another on its own CPU pays a tenth of what it pays across CPUs here, so
//! where both run decides more than anything that they do.

use std::fs;

use anyhow::{Context, Result};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The two CPUs that are used.
#[derive(Debug, Clone, Copy)]
pub struct Cpus {
    /// Where the generator runs, and the server when pinned.
    generator: usize,
    /// Where the server runs when split; none if there is but one.
    other: Option<usize>,
}

impl Cpus {
    /// The last two that this process may use. The calling thread, and all that it starts from now on, runs on the
    /// generator's.
    pub fn take() -> Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut cpus = (0..CpuSet::MAX_CPU)
            .rev()
            .filter(|cpu| allowed.is_set(*cpu));
        let cpus = Self {
            generator: cpus.next().context("no CPU")?,
            other: cpus.next(),
        };
        sched_setaffinity(None, &only(cpus.generator))?;
        Ok(cpus)
    }

    /// Puts all threads of a server on the generator's CPU, or on the other.
    pub fn place(&self, server: u32, split: bool) -> Result<()> {
        let cpu = if split {
            self.other.context("one CPU alone cannot be split")?
        } else {
            self.generator
        };
        for task in fs::read_dir(format!("/proc/{server}/task"))? {
            let task: i32 = task?.file_name().to_string_lossy().parse()?;
            // A thread may have ended since.
            let _ = sched_setaffinity(Pid::from_raw(task), &only(cpu));
        }
        Ok(())
    }
}

fn only(cpu: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(cpu);
    set
}
