//! Metrics: the host owns the cells, the adapter holds handles.
//!
//! A series is the same cell for whoever registers it again, so that it survives a reload of
//! the adapter and nothing is registered twice. A handle from a host without metrics, and
//! a default one, are inert: recording costs one branch.

use std::sync::Arc;

use crate::Error;
use crate::host::HostServices;

/// What kind of family is registered.
#[derive(Debug, Clone, PartialEq)]
pub enum FamilyKind {
    /// Only grows.
    Counter,
    /// Grows and shrinks.
    Gauge,
    /// Counts observations in buckets with these upper bounds.
    Histogram(Vec<f64>),
}

/// What is to be registered.
#[derive(Debug, Clone, PartialEq)]
pub struct FamilySpec {
    /// Full name, such as `dittofs_nfs_sequence_total`.
    pub name: String,
    /// One line for people.
    pub help: String,
    /// Label names.
    pub labels: Vec<String>,
    /// Kind.
    pub kind: FamilyKind,
}

/// A registered family as the host offers it.
pub trait Family: Send + Sync + 'static {
    /// The cell of one label set, made when it is first asked for. `None` when the values
    /// do not fit the labels.
    fn cell(&self, values: &[&str]) -> Option<Arc<dyn Cell>>;
    /// Forgets the series of one label set.
    fn remove(&self, values: &[&str]);
}

/// One series as the host offers it.
pub trait Cell: Send + Sync + 'static {
    /// Adds to a counter (never negative) or gauge.
    fn add(&self, delta: i64);
    /// Sets a gauge.
    fn set(&self, value: i64);
    /// Records an observation in a histogram.
    fn observe(&self, value: f64);
}

/// Makes metrics.
#[derive(Clone)]
pub struct Metrics {
    host: Arc<dyn HostServices>,
}

impl Metrics {
    pub(crate) fn new(host: Arc<dyn HostServices>) -> Self {
        Self { host }
    }

    /// A family of counters with these labels.
    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<Counters, Error> {
        Ok(Counters(self.family(
            name,
            help,
            labels,
            FamilyKind::Counter,
        )?))
    }

    /// A family of gauges with these labels.
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<Gauges, Error> {
        Ok(Gauges(self.family(
            name,
            help,
            labels,
            FamilyKind::Gauge,
        )?))
    }

    /// A family of histograms with these labels and upper bounds of buckets.
    pub fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<Histograms, Error> {
        Ok(Histograms(self.family(
            name,
            help,
            labels,
            FamilyKind::Histogram(buckets.to_vec()),
        )?))
    }

    /// A counter without labels.
    pub fn counter(&self, name: &str, help: &str) -> Result<Counter, Error> {
        Ok(self.counters(name, help, &[])?.with(&[]))
    }

    /// A gauge without labels.
    pub fn gauge(&self, name: &str, help: &str) -> Result<Gauge, Error> {
        Ok(self.gauges(name, help, &[])?.with(&[]))
    }

    fn family(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        kind: FamilyKind,
    ) -> Result<Option<Arc<dyn Family>>, Error> {
        self.host.metric_family(FamilySpec {
            name: name.to_owned(),
            help: help.to_owned(),
            labels: labels.iter().map(|&label| label.to_owned()).collect(),
            kind,
        })
    }
}

macro_rules! family {
    ($(#[$doc:meta])* $family:ident => $handle:ident) => {
        $(#[$doc])*
        #[derive(Clone, Default)]
        pub struct $family(Option<Arc<dyn Family>>);

        impl $family {
            /// The handle of one label set; keep it, looking it up costs more than using it.
            pub fn with(&self, values: &[&str]) -> $handle {
                $handle(self.0.as_ref().and_then(|family| family.cell(values)))
            }

            /// Whether nobody is interested: the host has no metrics.
            pub fn is_inert(&self) -> bool {
                self.0.is_none()
            }

            /// Forgets the series of one label set; handles that are left record nowhere.
            pub fn remove(&self, values: &[&str]) {
                if let Some(family) = &self.0 {
                    family.remove(values);
                }
            }
        }
    };
}

family!(
    /// Counters that differ in their labels.
    Counters => Counter
);
family!(
    /// Gauges that differ in their labels.
    Gauges => Gauge
);
family!(
    /// Histograms that differ in their labels.
    Histograms => Histogram
);

/// A number that only grows.
#[derive(Clone, Default)]
pub struct Counter(Option<Arc<dyn Cell>>);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `delta`.
    pub fn add(&self, delta: u64) {
        if let Some(cell) = &self.0 {
            cell.add(i64::try_from(delta).unwrap_or(i64::MAX));
        }
    }
}

/// A number that grows and shrinks.
#[derive(Clone, Default)]
pub struct Gauge(Option<Arc<dyn Cell>>);

impl Gauge {
    /// Adds `delta`, which may be negative.
    pub fn add(&self, delta: i64) {
        if let Some(cell) = &self.0 {
            cell.add(delta);
        }
    }

    /// Sets it.
    pub fn set(&self, value: i64) {
        if let Some(cell) = &self.0 {
            cell.set(value);
        }
    }
}

/// Observations counted in buckets.
#[derive(Clone, Default)]
pub struct Histogram(Option<Arc<dyn Cell>>);

impl Histogram {
    /// Records `value`, in the unit that the metric's name ends with.
    pub fn observe(&self, value: f64) {
        if let Some(cell) = &self.0 {
            cell.observe(value);
        }
    }
}
