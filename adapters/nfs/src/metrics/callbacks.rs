//! What the server asks of its clients.

use dittofs_sdk::Error;
use dittofs_sdk::metrics::{Counter, Histogram, Metrics as Host};

/// Upper bounds of the buckets of how long clients take to answer, in seconds.
const DURATIONS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];

/// Counts of callbacks, in any minor version.
#[derive(Clone, Default)]
pub struct Callbacks {
    /// Asked for.
    pub calls: Counter,
    /// Not answered, or refused.
    pub failures: Counter,
    /// How long the answer took, or not to get one.
    pub duration: Histogram,
    /// Sent again.
    pub retries: Counter,
}

impl Callbacks {
    pub(super) fn new(host: &Host) -> Result<Self, Error> {
        Ok(Self {
            calls: host.counter(
                "dittofs_nfs_backchannel_callbacks_total",
                "Callbacks to clients.",
            )?,
            failures: host.counter(
                "dittofs_nfs_backchannel_callback_failures_total",
                "Callbacks that clients refused or did not answer in time.",
            )?,
            duration: host
                .histograms(
                    "dittofs_nfs_backchannel_callback_duration_seconds",
                    "How long callbacks took, retries included.",
                    &[],
                    DURATIONS,
                )?
                .with(&[]),
            retries: host.counter(
                "dittofs_nfs_backchannel_callback_retries_total",
                "Callbacks that were sent again, because a connection was lost or the client was busy.",
            )?,
        })
    }
}
