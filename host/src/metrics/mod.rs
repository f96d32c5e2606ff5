//! Metrics: the registry of the host, and the cells that adapters hold.
//!
//! A family is registered once per process; whoever registers it again, such as an adapter after
//! a restart, finds the same cells, so that no series starts over.

mod cells;
mod process;

use std::collections::HashMap;
use std::sync::Arc;

use dittofs_sdk::Error;
use dittofs_sdk::metrics::{Cell, Family, FamilyKind, FamilySpec};
use parking_lot::Mutex;
use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{Encoder, HistogramOpts, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use cells::{Counter, Counters, Histogram, Histograms};

/// Most families that adapters may register.
const MAX_FAMILIES: usize = 2000;
/// Most series of one family: what a label with unbounded values would otherwise eat.
const MAX_SERIES: usize = 10_000;

/// All metrics of this host. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    families: Mutex<HashMap<String, Registered>>,
    process: process::Process,
}

/// What was registered under a name, and with which cells.
type Registered = (FamilySpec, Arc<dyn Family>);

impl Metrics {
    /// An empty registry with the process's own metrics and `dittofs_build_info`.
    pub fn new() -> Result<Self, Error> {
        let registry = Registry::new();
        let process = process::Process::register(&registry).map_err(Error::failed)?;
        let metrics = Self {
            inner: Arc::new(Inner {
                registry,
                families: Mutex::default(),
                process,
            }),
        };
        let build = metrics.family(gauge(
            "dittofs_build_info",
            "Version and commit of this host; always 1.",
            &["version", "commit"],
        ))?;
        if let Some(cell) = build.cell(&[crate::VERSION, crate::COMMIT]) {
            cell.set(1);
        }
        Ok(metrics)
    }

    /// Registers a family, or finds the one registered with the same kind and labels.
    pub fn family(&self, spec: FamilySpec) -> Result<Arc<dyn Family>, Error> {
        let mut families = self.inner.families.lock();
        if let Some((known, family)) = families.get(&spec.name) {
            if known.kind != spec.kind || known.labels != spec.labels {
                return Err(Error::failed(format!(
                    "metric {} is registered already, with labels [{}] and another kind or other labels than [{}]",
                    spec.name,
                    known.labels.join(", "),
                    spec.labels.join(", "),
                )));
            }
            return Ok(Arc::clone(family));
        }
        if families.len() >= MAX_FAMILIES {
            return Err(Error::failed(format!(
                "metric {}: there are {MAX_FAMILIES} families already",
                spec.name
            )));
        }
        let family = self.register(&spec)?;
        families.insert(spec.name.clone(), (spec, Arc::clone(&family)));
        Ok(family)
    }

    /// Everything, in Prometheus' text format.
    pub fn text(&self) -> Result<Vec<u8>, prometheus::Error> {
        self.inner.process.update();
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.inner.registry.gather(), &mut text)?;
        Ok(text)
    }

    fn register(&self, spec: &FamilySpec) -> Result<Arc<dyn Family>, Error> {
        let labels: Vec<&str> = spec.labels.iter().map(String::as_str).collect();
        let failed = |e: prometheus::Error| Error::failed(format!("metric {}: {e}", spec.name));
        match &spec.kind {
            FamilyKind::Counter => self.series(
                Counters::family(Opts::new(&spec.name, &spec.help), &labels).map_err(failed)?,
            ),
            FamilyKind::Gauge => self.series(
                IntGaugeVec::new(Opts::new(&spec.name, &spec.help), &labels).map_err(failed)?,
            ),
            FamilyKind::Histogram(buckets) => {
                let opts = HistogramOpts::new(&spec.name, &spec.help).buckets(buckets.clone());
                self.series(Histograms::family(opts, &labels).map_err(failed)?)
            }
        }
        .map_err(failed)
    }

    fn series<B>(&self, vec: MetricVec<B>) -> Result<Arc<dyn Family>, prometheus::Error>
    where
        B: MetricVecBuilder + 'static,
        B::M: Record,
        MetricVec<B>: Collector,
    {
        self.inner.registry.register(Box::new(vec.clone()))?;
        Ok(Arc::new(Series {
            vec,
            cells: Mutex::default(),
        }))
    }
}

/// The spec of a gauge.
pub fn gauge(name: &str, help: &str, labels: &[&str]) -> FamilySpec {
    spec(name, help, labels, FamilyKind::Gauge)
}

/// The spec of a counter.
pub fn counter(name: &str, help: &str, labels: &[&str]) -> FamilySpec {
    spec(name, help, labels, FamilyKind::Counter)
}

fn spec(name: &str, help: &str, labels: &[&str], kind: FamilyKind) -> FamilySpec {
    FamilySpec {
        name: name.to_owned(),
        help: help.to_owned(),
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
        kind,
    }
}

/// A family whose number of series is bounded.
struct Series<B: MetricVecBuilder> {
    vec: MetricVec<B>,
    cells: Mutex<HashMap<Vec<String>, Arc<dyn Cell>>>,
}

impl<B> Family for Series<B>
where
    B: MetricVecBuilder + 'static,
    B::M: Record,
{
    fn cell(&self, values: &[&str]) -> Option<Arc<dyn Cell>> {
        let key: Vec<String> = values.iter().map(|&value| value.to_owned()).collect();
        let mut cells = self.cells.lock();
        if let Some(cell) = cells.get(&key) {
            return Some(Arc::clone(cell));
        }
        if cells.len() >= MAX_SERIES {
            return None;
        }
        let cell: Arc<dyn Cell> =
            Arc::new(Held(self.vec.get_metric_with_label_values(values).ok()?));
        cells.insert(key, Arc::clone(&cell));
        Some(cell)
    }

    fn remove(&self, values: &[&str]) {
        let key: Vec<String> = values.iter().map(|&value| value.to_owned()).collect();
        if self.cells.lock().remove(&key).is_some() {
            // Gone already is as good.
            let _ = self.vec.remove_label_values(values);
        }
    }
}

/// One series.
struct Held<M>(M);

/// What a metric of each kind does when an adapter records; what does not fit the kind is ignored.
trait Record: Send + Sync + 'static {
    fn add(&self, _delta: i64) {}
    fn set(&self, _value: i64) {}
    fn observe(&self, _value: f64) {}
}

impl<M: Record> Cell for Held<M> {
    fn add(&self, delta: i64) {
        self.0.add(delta);
    }

    fn set(&self, value: i64) {
        self.0.set(value);
    }

    fn observe(&self, value: f64) {
        self.0.observe(value);
    }
}

impl Record for Counter {
    fn add(&self, delta: i64) {
        Counter::add(self, u64::try_from(delta).unwrap_or(0));
    }
}

impl Record for IntGauge {
    fn add(&self, delta: i64) {
        IntGauge::add(self, delta);
    }

    fn set(&self, value: i64) {
        IntGauge::set(self, value);
    }
}

impl Record for Histogram {
    fn observe(&self, value: f64) {
        Histogram::observe(self, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(metrics: &Metrics) -> String {
        String::from_utf8(metrics.text().unwrap()).unwrap()
    }

    #[test]
    fn registering_again_finds_the_same_cells() {
        let metrics = Metrics::new().unwrap();
        for _ in 0..2 {
            let family = metrics.family(counter("x_total", "X.", &["op"])).unwrap();
            family.cell(&["read"]).unwrap().add(2);
        }
        assert!(
            text(&metrics).contains("x_total{op=\"read\"} 4"),
            "{}",
            text(&metrics)
        );
    }

    #[test]
    fn another_kind_or_other_labels_are_refused() {
        let metrics = Metrics::new().unwrap();
        metrics.family(counter("x_total", "X.", &["op"])).unwrap();
        for other in [
            gauge("x_total", "X.", &["op"]),
            counter("x_total", "X.", &["op", "share"]),
        ] {
            let error = metrics.family(other).err().unwrap();
            assert!(error.to_string().contains("x_total"), "{error}");
        }
        assert!(metrics.family(counter("no spaces", "X.", &[])).is_err());
    }

    #[test]
    fn values_that_do_not_fit_the_labels_have_no_cell() {
        let metrics = Metrics::new().unwrap();
        let family = metrics.family(gauge("g", "G.", &["a", "b"])).unwrap();
        assert!(family.cell(&["only one"]).is_none());
        family.cell(&["1", "2"]).unwrap().set(7);
        assert!(text(&metrics).contains("g{a=\"1\",b=\"2\"} 7"));
        family.remove(&["1", "2"]);
        assert!(!text(&metrics).contains("g{a=\"1\""));
    }

    #[test]
    fn a_family_has_a_bounded_number_of_series() {
        let metrics = Metrics::new().unwrap();
        let family = metrics
            .family(counter("x_total", "X.", &["client"]))
            .unwrap();
        for n in 0..MAX_SERIES {
            assert!(family.cell(&[&n.to_string()]).is_some());
        }
        assert!(family.cell(&["one too many"]).is_none());
        assert!(family.cell(&["0"]).is_some(), "known series stay");
    }

    #[test]
    fn a_histogram_counts_in_its_buckets() {
        let metrics = Metrics::new().unwrap();
        let family = metrics
            .family(spec(
                "h_seconds",
                "H.",
                &[],
                FamilyKind::Histogram(vec![0.5, 1.0]),
            ))
            .unwrap();
        family.cell(&[]).unwrap().observe(0.7);
        let text = text(&metrics);
        assert!(text.contains("h_seconds_bucket{le=\"0.5\"} 0"), "{text}");
        assert!(text.contains("h_seconds_bucket{le=\"1\"} 1"), "{text}");
    }

    #[test]
    fn the_build_and_the_process_describe_themselves() {
        let text = text(&Metrics::new().unwrap());
        assert!(
            text.contains(&format!("version=\"{}\"", crate::VERSION)),
            "{text}"
        );
        for name in [
            "process_resident_memory_bytes",
            "process_open_fds",
            "process_cpu_seconds_total",
        ] {
            assert!(text.lines().any(|line| line.starts_with(name)), "{name}");
        }
    }
}
