//! A host for one instance that remembers what it was asked.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::sdk::bytes::Bytes;
use super::sdk::host::{BoxFuture, HostServices, Instance, Plugin};
use super::sdk::metrics::{Cell, Family, FamilySpec};
use super::sdk::serde_json::Value;
use super::sdk::tracing::Level;
use super::sdk::{Error, KvError, Shares};

#[derive(Default)]
pub(crate) struct TestHost {
    pub(crate) silent: AtomicBool,
    lines: Mutex<Vec<String>>,
    grown: Condvar,
    pub(crate) kept: Mutex<BTreeMap<String, Bytes>>,
    pub(crate) counted: Arc<TestCell>,
    pub(crate) shares: Mutex<Shares>,
}

#[derive(Default)]
pub(crate) struct TestCell(pub(crate) AtomicI64);

impl TestHost {
    /// The first line of log, or report of a panic, that contains `what`; waits for it.
    pub(crate) fn line(&self, what: &str) -> String {
        let mut lines = self.lines.lock();
        loop {
            if let Some(line) = lines.iter().find(|line| line.contains(what)) {
                return line.clone();
            }
            let wait = self.grown.wait_for(&mut lines, Duration::from_secs(20));
            assert!(!wait.timed_out(), "no line with {what:?} in {lines:?}");
        }
    }

    pub(crate) fn has_line(&self, what: &str) -> bool {
        self.lines.lock().iter().any(|line| line.contains(what))
    }

    fn push(&self, line: String) {
        self.lines.lock().push(line);
        self.grown.notify_all();
    }
}

/// Starts `plugin` with its defaults but for `changes`.
pub(crate) async fn start(
    plugin: &Plugin,
    changes: Value,
) -> (Arc<TestHost>, Result<Instance, Error>) {
    let host = Arc::new(TestHost::default());
    let instance = plugin
        .start(host.clone(), &settings(plugin, changes), None)
        .await;
    (host, instance)
}

/// The defaults of `plugin` but for `changes`.
pub(crate) fn settings(plugin: &Plugin, changes: Value) -> Value {
    let mut settings = plugin.defaults().unwrap();
    let Value::Object(changes) = changes else {
        panic!("{changes} is no object")
    };
    for (field, value) in changes {
        settings[&field] = value;
    }
    settings
}

impl HostServices for TestHost {
    fn version(&self) -> String {
        "test".to_owned()
    }
    fn listener(&self, _name: &str, address: SocketAddr) -> Result<TcpListener, Error> {
        TcpListener::bind(address).map_err(|error| Error::failed(format!("{address}: {error}")))
    }
    fn metric_family(&self, _spec: FamilySpec) -> Result<Option<Arc<dyn Family>>, Error> {
        Ok(Some(Arc::new(TestFamily(self.counted.clone()))))
    }
    fn kv_get(&self, key: &str) -> BoxFuture<Result<Option<Bytes>, KvError>> {
        let value = self.kept.lock().get(key).cloned();
        Box::pin(async move { Ok(value) })
    }
    fn kv_put(&self, key: &str, value: Bytes) -> BoxFuture<Result<(), KvError>> {
        self.kept.lock().insert(key.to_owned(), value);
        Box::pin(async { Ok(()) })
    }
    fn kv_delete(&self, key: &str) -> BoxFuture<Result<(), KvError>> {
        self.kept.lock().remove(key);
        Box::pin(async { Ok(()) })
    }
    fn kv_list(&self, _prefix: &str) -> BoxFuture<Result<Vec<(String, Bytes)>, KvError>> {
        let all = self.kept.lock().clone().into_iter().collect();
        Box::pin(async move { Ok(all) })
    }
    fn shares(&self) -> Shares {
        self.shares.lock().clone()
    }
    fn log_enabled(&self, _level: Level, target: &str) -> bool {
        !self.silent.load(Ordering::Relaxed) && target.starts_with("dittofs")
    }
    fn log(&self, level: Level, target: &str, message: &str) {
        self.push(format!("{level} {target}: {message}"));
    }
    fn panicked(&self, message: &str) {
        self.push(format!("panic: {message}"));
    }
}

struct TestFamily(Arc<TestCell>);

impl Family for TestFamily {
    fn cell(&self, _values: &[&str]) -> Option<Arc<dyn Cell>> {
        Some(self.0.clone())
    }
    fn remove(&self, _values: &[&str]) {}
}

impl Cell for TestCell {
    fn add(&self, delta: i64) {
        self.0.fetch_add(delta, Ordering::Relaxed);
    }
    fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }
    fn observe(&self, _value: f64) {}
}
