//! Figures of one run.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::Measured;
use crate::lane::Tally;

/// What a group of clients saw. All times are in microseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Figures {
    /// Completed operations per second.
    pub per_second: f64,
    /// Median latency of an operation.
    pub p50: f64,
    /// What 99 of 100 operations do not exceed.
    pub p99: f64,
    /// The longest.
    pub max: f64,
    /// User and system time of the server per operation; only if it was asked for.
    pub server_cpu: Option<f64>,
    /// Context switches of the server per operation.
    pub server_switches: Option<f64>,
    /// CPU time of the generator per operation.
    pub generator_cpu: f64,
    /// Replies per operation.
    pub replies: f64,
    /// Bytes sent per reply, record mark included.
    pub request_bytes: f64,
    /// Bytes received per reply, record mark included.
    pub reply_bytes: f64,
}

impl Figures {
    /// Of one group; what the server used is divided by the operations of all groups.
    pub fn of(measured: &Measured, group: usize) -> Self {
        let nothing = Tally::default();
        let tally = measured.tallies.get(group).unwrap_or(&nothing);
        let total = |tally: &Tally| tally.latencies.total() as f64;
        let all: f64 = measured.tallies.iter().map(total).sum();
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let quantile = |share| tally.latencies.quantile(share) as f64 / 1e3;
        Self {
            per_second: total(tally) / measured.elapsed.as_secs_f64(),
            p50: quantile(0.5),
            p99: quantile(0.99),
            max: tally.latencies.longest() as f64 / 1e3,
            server_cpu: measured.server.map(|usage| micros(usage.cpu) / all),
            server_switches: measured.server.map(|usage| usage.switches as f64 / all),
            generator_cpu: micros(measured.generator) / all,
            replies: tally.replies as f64 / total(tally),
            request_bytes: tally.sent as f64 / tally.replies as f64,
            reply_bytes: tally.received as f64 / tally.replies as f64,
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0}/s  p50 {:.1} us  p99 {:.1} us  max {:.0} us  generator {:.2} us",
            self.per_second, self.p50, self.p99, self.max, self.generator_cpu
        )?;
        if let (Some(cpu), Some(switches)) = (self.server_cpu, self.server_switches) {
            write!(f, "  server {cpu:.2} us, {switches:.3} switches")?;
        }
        write!(
            f,
            "  {:.0} B out, {:.0} B in",
            self.request_bytes, self.reply_bytes
        )
    }
}

/// The middle one, or the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    if values.len() % 2 == 1 {
        at(half)
    } else {
        f64::midpoint(at(half.wrapping_sub(1)), at(half))
    }
}

/// Largest less smallest, as a share of the median.
pub fn spread(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    (largest - smallest) / median(values.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert!((median(vec![4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < 1e-9);
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn the_spread_is_relative_to_the_median() {
        assert!((spread(&[9.0, 10.0, 12.0]) - 0.3).abs() < 1e-9);
    }
}
