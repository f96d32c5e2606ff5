//! Metrics of the adapters' lives.

use std::sync::Arc;

use dittofs_api::AdapterState;
use dittofs_sdk::Error;
use dittofs_sdk::metrics::Family;

use crate::metrics::{Metrics, counter, gauge};

/// All states, for the gauge that is 1 for exactly one of them.
const STATES: [(AdapterState, &str); 7] = [
    (AdapterState::Staged, "staged"),
    (AdapterState::Checked, "checked"),
    (AdapterState::Loaded, "loaded"),
    (AdapterState::Running, "running"),
    (AdapterState::Draining, "draining"),
    (AdapterState::Stopped, "stopped"),
    (AdapterState::Failed, "failed"),
];

/// The families, shared by all adapters.
#[derive(Clone)]
pub(super) struct Meters {
    state: Arc<dyn Family>,
    starts: Arc<dyn Family>,
    failures: Arc<dyn Family>,
    commits: Arc<dyn Family>,
}

impl Meters {
    /// Registers them.
    pub(super) fn new(metrics: &Metrics) -> Result<Self, Error> {
        Ok(Self {
            state: metrics.family(gauge(
                "dittofs_adapter_state",
                "1 for the state that an adapter is in, 0 for the others.",
                &["adapter", "state"],
            ))?,
            starts: metrics.family(counter(
                "dittofs_adapter_starts_total",
                "Attempts to start an adapter.",
                &["adapter"],
            ))?,
            failures: metrics.family(counter(
                "dittofs_adapter_start_failures_total",
                "Attempts to start an adapter that failed.",
                &["adapter"],
            ))?,
            commits: metrics.family(counter(
                "dittofs_adapter_settings_commits_total",
                "Changes of an adapter's settings, by outcome.",
                &["adapter", "status"],
            ))?,
        })
    }

    pub(super) fn show(&self, adapter: &str, current: AdapterState) {
        for (state, name) in STATES {
            if let Some(cell) = self.state.cell(&[adapter, name]) {
                cell.set(i64::from(state == current));
            }
        }
    }

    pub(super) fn started(&self, adapter: &str) {
        add_one(&self.starts, &[adapter]);
    }

    pub(super) fn failed(&self, adapter: &str) {
        add_one(&self.failures, &[adapter]);
    }

    pub(super) fn committed(&self, adapter: &str, ok: bool) {
        add_one(&self.commits, &[adapter, if ok { "ok" } else { "error" }]);
    }
}

fn add_one(family: &Arc<dyn Family>, labels: &[&str]) {
    if let Some(cell) = family.cell(labels) {
        cell.add(1);
    }
}
