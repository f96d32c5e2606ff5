//! Counters and histograms that threads do not get in each other's way with.
//!
//! Each is kept several times over, on cache lines apart. A thread adds to its own copy, or to one that it shares
//! with few others; who reads sums them up. So a sum may miss what is being added at that moment, as with any
//! counter, and never loses or doubles anything.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use prometheus::core::{Describer, Metric, MetricVec, MetricVecBuilder, Opts};
use prometheus::proto::{self, Bucket, LabelPair, MetricType};
use prometheus::{Error, HistogramOpts};

/// Copies of each cell.
const COPIES: usize = 8;
/// No thread's number.
const NONE: usize = usize::MAX;

thread_local! {
    static COPY: Cell<usize> = const { Cell::new(NONE) };
}

/// Which copy this thread adds to.
fn copy() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // A thread that is ending has no number any more.
    let of_thread = COPY.try_with(|copy| {
        if copy.get() == NONE {
            copy.set(NEXT.fetch_add(1, Ordering::Relaxed) % COPIES);
        }
        copy.get()
    });
    of_thread.unwrap_or_default()
}

/// On a cache line of its own, and of the neighbour that processors fetch along with it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// A number that only grows.
#[derive(Debug, Clone)]
pub(super) struct Counter(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    labels: Vec<LabelPair>,
    copies: [Apart<AtomicU64>; COPIES],
}

impl Counter {
    pub(super) fn add(&self, more: u64) {
        if let Some(Apart(count)) = self.0.copies.get(copy()) {
            count.fetch_add(more, Ordering::Relaxed);
        }
    }

    fn sum(&self) -> u64 {
        let copies = self.0.copies.iter();
        let counts = copies.map(|Apart(count)| count.load(Ordering::Relaxed));
        counts.fold(0, u64::wrapping_add)
    }
}

impl Metric for Counter {
    fn metric(&self) -> proto::Metric {
        let mut counter = proto::Counter::default();
        counter.set_value(self.sum() as f64);
        let mut metric = proto::Metric::from_label(self.0.labels.clone());
        metric.set_counter(counter);
        metric
    }
}

/// Makes [`Counter`]s.
#[derive(Debug, Clone)]
pub(super) struct Counters;

impl Counters {
    /// A family of counters with these labels.
    pub(super) fn family(opts: Opts, labels: &[&str]) -> Result<MetricVec<Self>, Error> {
        let opts = opts.variable_labels(owned(labels));
        MetricVec::create(MetricType::COUNTER, Self, opts)
    }
}

impl MetricVecBuilder for Counters {
    type M = Counter;
    type P = Opts;

    fn build<V: AsRef<str>>(&self, opts: &Opts, values: &[V]) -> Result<Counter, Error> {
        Ok(Counter(Arc::new(Counted {
            labels: labels(opts, values)?,
            copies: Default::default(),
        })))
    }
}

/// Observations counted in buckets.
#[derive(Debug, Clone)]
pub(super) struct Histogram(Arc<Observed>);

#[derive(Debug)]
struct Observed {
    labels: Vec<LabelPair>,
    /// Upper bounds of all buckets but the last, which has none.
    bounds: Vec<f64>,
    copies: [Apart<Tally>; COPIES],
}

#[derive(Debug)]
struct Tally {
    /// The sum of all observations, as the bits of a float.
    sum: AtomicU64,
    /// How many fell into each bucket.
    buckets: Box<[AtomicU64]>,
}

impl Histogram {
    pub(super) fn observe(&self, value: f64) {
        let Observed { bounds, copies, .. } = &*self.0;
        let Some(Apart(copy)) = copies.get(copy()) else {
            return;
        };
        // One after the other, as most are in the first; what is no number is beyond all bounds.
        let within = bounds.iter().position(|bound| value <= *bound);
        let bucket = within.unwrap_or(bounds.len());
        if let Some(count) = copy.buckets.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if value == 0.0 {
            return;
        }
        let relaxed = Ordering::Relaxed;
        let add = |sum| Some((f64::from_bits(sum) + value).to_bits());
        // Always succeeds: `add` never refuses.
        let _ = copy.sum.try_update(relaxed, relaxed, add);
    }
}

impl Metric for Histogram {
    fn metric(&self) -> proto::Metric {
        let Observed {
            labels,
            bounds,
            copies,
        } = &*self.0;
        let relaxed = Ordering::Relaxed;
        let in_bucket = |at: usize| -> u64 {
            let counts = copies.iter().filter_map(|Apart(copy)| copy.buckets.get(at));
            counts.map(|count| count.load(relaxed)).sum()
        };
        let mut count = 0;
        let mut buckets = Vec::with_capacity(bounds.len());
        for (at, bound) in bounds.iter().enumerate() {
            count += in_bucket(at);
            let mut bucket = Bucket::default();
            bucket.set_cumulative_count(count);
            bucket.set_upper_bound(*bound);
            buckets.push(bucket);
        }
        count += in_bucket(bounds.len());
        let sums = copies.iter().map(|Apart(copy)| copy.sum.load(relaxed));
        let mut histogram = proto::Histogram::default();
        histogram.set_sample_sum(sums.map(f64::from_bits).sum());
        histogram.set_sample_count(count);
        histogram.set_bucket(buckets);
        let mut metric = proto::Metric::from_label(labels.clone());
        metric.set_histogram(histogram);
        metric
    }
}

/// Makes [`Histogram`]s.
#[derive(Debug, Clone)]
pub(super) struct Histograms;

impl Histograms {
    /// A family of histograms with these labels.
    pub(super) fn family(
        mut opts: HistogramOpts,
        labels: &[&str],
    ) -> Result<MetricVec<Self>, Error> {
        if !opts.buckets.is_sorted_by(|low, high| low < high) {
            return Err(Error::Msg("the bounds of buckets must grow".into()));
        }
        if labels.contains(&"le") {
            return Err(Error::Msg("`le` is the label of buckets".into()));
        }
        opts.buckets.retain(|bound| bound.is_finite());
        opts.common_opts = opts.common_opts.variable_labels(owned(labels));
        MetricVec::create(MetricType::HISTOGRAM, Self, opts)
    }
}

impl MetricVecBuilder for Histograms {
    type M = Histogram;
    type P = HistogramOpts;

    fn build<V: AsRef<str>>(&self, opts: &HistogramOpts, values: &[V]) -> Result<Histogram, Error> {
        let tally = || Tally {
            sum: AtomicU64::new(0.0_f64.to_bits()),
            buckets: (0..=opts.buckets.len())
                .map(|_| AtomicU64::new(0))
                .collect(),
        };
        Ok(Histogram(Arc::new(Observed {
            labels: labels(&opts.common_opts, values)?,
            bounds: opts.buckets.clone(),
            copies: std::array::from_fn(|_| Apart(tally())),
        })))
    }
}

fn owned(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|&label| label.to_owned()).collect()
}

/// The label pairs of one series.
fn labels<V: AsRef<str>>(opts: &Opts, values: &[V]) -> Result<Vec<LabelPair>, Error> {
    let names = &opts.variable_labels;
    if names.len() != values.len() {
        return Err(Error::InconsistentCardinality {
            expect: names.len(),
            got: values.len(),
        });
    }
    // Names that are none are refused here.
    opts.describe()?;
    let mut pairs: Vec<LabelPair> = Vec::with_capacity(names.len());
    for (name, value) in names.iter().zip(values) {
        let mut pair = LabelPair::default();
        pair.set_name(name.clone());
        pair.set_value(value.as_ref().to_owned());
        pairs.push(pair);
    }
    pairs.sort();
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_threads_count_is_summed_up() {
        let opts = Opts::new("x_total", "X.");
        let family = Counters::family(opts, &["op"]).unwrap();
        let counter = family.get_metric_with_label_values(&["read"]).unwrap();
        let opts = HistogramOpts::new("h", "H.").buckets(vec![1.0, 2.0, 4.0]);
        let family = Histograms::family(opts, &[]).unwrap();
        let histogram = family.get_metric_with_label_values(&[] as &[&str]).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..2 * COPIES {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        counter.add(2);
                        for value in [0.5, 1.0, 3.0, 100.0] {
                            histogram.observe(value);
                        }
                    }
                });
            }
        });
        let threads = 2 * COPIES as u64;
        assert_eq!(counter.sum(), threads * 2000);
        let metric = histogram.metric();
        let told = metric.get_histogram();
        assert_eq!(told.get_sample_count(), threads * 4000);
        assert!((told.get_sample_sum() - threads as f64 * 104_500.0).abs() < 1e-6);
        let buckets = told.get_bucket().iter();
        let counts: Vec<u64> = buckets.map(Bucket::cumulative_count).collect();
        assert_eq!(counts, [threads * 2000, threads * 2000, threads * 3000]);
    }

    #[test]
    fn what_is_no_number_is_in_the_last_bucket() {
        let opts = HistogramOpts::new("h", "H.").buckets(vec![1.0]);
        let family = Histograms::family(opts, &[]).unwrap();
        let histogram = family.get_metric_with_label_values(&[] as &[&str]).unwrap();
        histogram.observe(f64::NAN);
        histogram.observe(f64::INFINITY);
        let metric = histogram.metric();
        let told = metric.get_histogram();
        assert_eq!(told.get_sample_count(), 2);
        let below = told.get_bucket().first().map(Bucket::cumulative_count);
        assert_eq!(below, Some(0));
    }

    #[test]
    fn bounds_that_do_not_grow_are_refused() {
        for bounds in [vec![1.0, 1.0], vec![2.0, 1.0], vec![f64::NAN, 1.0]] {
            let opts = HistogramOpts::new("h", "H.").buckets(bounds);
            assert!(Histograms::family(opts, &[]).is_err());
        }
        let opts = HistogramOpts::new("h", "H.").buckets(vec![1.0]);
        assert!(Histograms::family(opts, &["le"]).is_err());
    }
}
