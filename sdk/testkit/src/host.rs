//! A host in memory, to run an adapter in a test without a library.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use bytes::Bytes;
use dittofs_sdk::host::{BoxFuture, HostServices};
use dittofs_sdk::metrics::{Cell, Family, FamilySpec};
use dittofs_sdk::{Context, Error, KvError, Shares};
use parking_lot::Mutex;
use tokio::sync::watch;

/// Keeps metrics and key-value pairs in memory, also over restarts of the adapter.
#[derive(Default)]
pub struct MemoryHost {
    families: Mutex<BTreeMap<String, (FamilySpec, Arc<Series>)>>,
    pairs: Arc<Mutex<BTreeMap<String, Bytes>>>,
    broken: AtomicBool,
    panics: Mutex<Vec<String>>,
}

/// Keeps an adapter's context alive; dropping it tells the adapter to stop.
pub struct Running {
    /// The exported file systems.
    pub shares: watch::Sender<Shares>,
    /// Set to stop the adapter.
    pub shutdown: watch::Sender<bool>,
}

#[derive(Default)]
struct Series(Mutex<BTreeMap<Vec<String>, Arc<Held>>>);

/// A counter's or gauge's value; of a histogram, the number of observations.
#[derive(Default)]
struct Held(AtomicI64);

impl MemoryHost {
    /// A context for one instance.
    pub fn context(self: &Arc<Self>, shares: Shares) -> (Context, Running) {
        let (shares, watched) = watch::channel(shares);
        let (shutdown, stop) = watch::channel(false);
        let host: Arc<dyn HostServices> = self.clone();
        let context = Context::new(host, watched, stop);
        (context, Running { shares, shutdown })
    }

    /// The value of a series, of a histogram the number of its observations; `None` if there is
    /// no such series.
    pub fn metric(&self, name: &str, labels: &[&str]) -> Option<i64> {
        let families = self.families.lock();
        let (_, family) = families.get(name)?;
        let series = family.0.lock();
        let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
        Some(series.get(&labels)?.0.load(Ordering::Relaxed))
    }

    /// All series of a family, by their labels.
    pub fn series(&self, name: &str) -> BTreeMap<Vec<String>, i64> {
        let families = self.families.lock();
        let Some((_, family)) = families.get(name) else {
            return BTreeMap::new();
        };
        let series = family.0.lock();
        let value = |(labels, cell): (&Vec<String>, &Arc<Held>)| {
            (labels.clone(), cell.0.load(Ordering::Relaxed))
        };
        series.iter().map(value).collect()
    }

    /// Names of all families.
    pub fn families(&self) -> Vec<String> {
        self.families.lock().keys().cloned().collect()
    }

    /// From now on, or no longer, no key-value pair can be written.
    pub fn break_pairs(&self, broken: bool) {
        self.broken.store(broken, Ordering::Relaxed);
    }

    fn writable(&self) -> Result<(), KvError> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(KvError("broken".to_owned()));
        }
        Ok(())
    }

    /// What panicked.
    pub fn panics(&self) -> Vec<String> {
        self.panics.lock().clone()
    }
}

impl HostServices for MemoryHost {
    fn version(&self) -> String {
        "test".to_owned()
    }

    fn listener(&self, _name: &str, address: SocketAddr) -> Result<TcpListener, Error> {
        TcpListener::bind(address).map_err(|error| Error::failed(format!("{address}: {error}")))
    }

    fn metric_family(&self, spec: FamilySpec) -> Result<Option<Arc<dyn Family>>, Error> {
        let mut families = self.families.lock();
        let name = spec.name.clone();
        let (known, series) = families
            .entry(name)
            .or_insert_with(|| (spec.clone(), Arc::default()));
        if *known != spec {
            return Err(Error::failed(format!(
                "{} is registered otherwise",
                spec.name
            )));
        }
        Ok(Some(series.clone()))
    }

    fn kv_get(&self, key: &str) -> BoxFuture<Result<Option<Bytes>, KvError>> {
        let value = self.pairs.lock().get(key).cloned();
        Box::pin(async move { Ok(value) })
    }

    fn kv_put(&self, key: &str, value: Bytes) -> BoxFuture<Result<(), KvError>> {
        let result = self.writable();
        if result.is_ok() {
            self.pairs.lock().insert(key.to_owned(), value);
        }
        Box::pin(async { result })
    }

    fn kv_delete(&self, key: &str) -> BoxFuture<Result<(), KvError>> {
        let result = self.writable();
        if result.is_ok() {
            self.pairs.lock().remove(key);
        }
        Box::pin(async { result })
    }

    fn kv_list(&self, prefix: &str) -> BoxFuture<Result<Vec<(String, Bytes)>, KvError>> {
        let mut pairs: Vec<_> = self.pairs.lock().clone().into_iter().collect();
        pairs.retain(|(key, _)| key.starts_with(prefix));
        Box::pin(async move { Ok(pairs) })
    }

    fn shares(&self) -> Shares {
        Arc::from([])
    }

    fn log_enabled(&self, _level: tracing::Level, _target: &str) -> bool {
        false
    }

    fn log(&self, _level: tracing::Level, _target: &str, _message: &str) {}

    fn panicked(&self, message: &str) {
        self.panics.lock().push(message.to_owned());
    }
}

impl Family for Series {
    fn cell(&self, values: &[&str]) -> Option<Arc<dyn Cell>> {
        let labels = values.iter().map(|&value| value.to_owned()).collect();
        Some(self.0.lock().entry(labels).or_default().clone())
    }

    fn remove(&self, values: &[&str]) {
        let labels: Vec<String> = values.iter().map(|&value| value.to_owned()).collect();
        self.0.lock().remove(&labels);
    }
}

impl Cell for Held {
    fn add(&self, delta: i64) {
        self.0.fetch_add(delta, Ordering::Relaxed);
    }

    fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    fn observe(&self, _value: f64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
