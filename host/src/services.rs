//! What the host supplies to one adapter instance.
//!
//! Adapters call from threads of their own, where no runtime of the host is current: what
//! needs one is spawned on the host's handle.

use std::collections::HashMap;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use bytes::Bytes;
use dittofs_sdk::host::{BoxFuture, HostServices};
use dittofs_sdk::metrics::{Cell, Family, FamilySpec};
use dittofs_sdk::{Error, KvError, Shares};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::db::{Database, DbError};
use crate::listeners::Listeners;
use crate::log::LogFilter;
use crate::metrics::{self, Metrics};
use crate::shares::{Exported, ShareTable};
use crate::vfs::views::View;

/// Most key-value calls of one adapter under way at once; further ones wait.
const MAX_KV_CALLS: usize = 64;

/// What all parts of the host share.
pub struct Core {
    /// The settings database.
    pub db: Database,
    /// The metrics.
    pub metrics: Metrics,
    /// The adapters' listeners.
    pub listeners: Listeners,
    /// The exported file systems.
    pub shares: ShareTable,
    /// The log's filter.
    pub log: LogFilter,
}

/// The host as one adapter's instances see it.
pub struct Services {
    adapter: String,
    core: Arc<Core>,
    runtime: Handle,
    kv_calls: Arc<Semaphore>,
    panics: Arc<dyn Cell>,
    /// This instance's views of the shares, by their ids.
    views: Mutex<HashMap<Uuid, View>>,
}

impl Services {
    /// For the adapter of this name. Called on the host's runtime.
    pub fn new(adapter: &str, core: Arc<Core>) -> Result<Self, Error> {
        let family = core.metrics.family(metrics::counter(
            "dittofs_adapter_panics_total",
            "Panics in tasks of an adapter.",
            &["adapter"],
        ))?;
        let panics = family
            .cell(&[adapter])
            .ok_or_else(|| Error::failed("too many adapters"))?;
        Ok(Self {
            adapter: adapter.to_owned(),
            core,
            runtime: Handle::current(),
            kv_calls: Arc::new(Semaphore::new(MAX_KV_CALLS)),
            panics,
            views: Mutex::default(),
        })
    }

    /// Runs a database call on the host's runtime. One whose answer nobody awaits any more is
    /// finished all the same.
    fn database<T, F>(
        &self,
        call: impl FnOnce(Database, String) -> F + Send + 'static,
    ) -> BoxFuture<Result<T, KvError>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, DbError>> + Send + 'static,
    {
        let (runtime, calls) = (self.runtime.clone(), Arc::clone(&self.kv_calls));
        let (db, adapter) = (self.core.db.clone(), self.adapter.clone());
        Box::pin(async move {
            let stopping = || KvError("the host is stopping".to_owned());
            let permit = calls.acquire_owned().await.map_err(|_| stopping())?;
            let call = runtime.spawn(async move {
                let _permit = permit;
                call(db, adapter).await
            });
            call.await
                .map_err(|_| stopping())?
                .map_err(|e| KvError(e.to_string()))
        })
    }
}

impl HostServices for Services {
    fn version(&self) -> String {
        crate::VERSION.to_owned()
    }

    fn listener(&self, name: &str, address: SocketAddr) -> Result<TcpListener, Error> {
        self.core.listeners.lend(&self.adapter, name, address)
    }

    fn metric_family(&self, spec: FamilySpec) -> Result<Option<Arc<dyn Family>>, Error> {
        self.core.metrics.family(spec).map(Some)
    }

    fn kv_get(&self, key: &str) -> BoxFuture<Result<Option<Bytes>, KvError>> {
        let key = key.to_owned();
        self.database(move |db, adapter| async move {
            Ok(db.kv_get(&adapter, &key).await?.map(Bytes::from))
        })
    }

    fn kv_put(&self, key: &str, value: Bytes) -> BoxFuture<Result<(), KvError>> {
        let key = key.to_owned();
        self.database(move |db, adapter| async move { db.kv_put(&adapter, &key, &value).await })
    }

    fn kv_delete(&self, key: &str) -> BoxFuture<Result<(), KvError>> {
        let key = key.to_owned();
        self.database(move |db, adapter| async move { db.kv_delete(&adapter, &key).await })
    }

    fn kv_list(&self, prefix: &str) -> BoxFuture<Result<Vec<(String, Bytes)>, KvError>> {
        let prefix = prefix.to_owned();
        self.database(move |db, adapter| async move {
            let pairs = db.kv_list(&adapter, &prefix).await?;
            Ok(pairs
                .into_iter()
                .map(|(key, value)| (key, Bytes::from(value)))
                .collect())
        })
    }

    fn shares(&self) -> Shares {
        let mut views = self.views.lock();
        let mut old = std::mem::take(&mut *views);
        let through = |export: &Exported| {
            let kept = old.remove(&export.id());
            let view = kept
                .filter(|view| export.is_seen_by(view))
                .unwrap_or_else(|| export.new_view());
            views.insert(export.id(), view.clone());
            Arc::new(export.through(view))
        };
        self.core.shares.snapshot().iter().map(through).collect()
    }

    fn log_enabled(&self, level: tracing::Level, target: &str) -> bool {
        self.core.log.enabled(&self.adapter, level, target)
    }

    fn log(&self, level: tracing::Level, target: &str, message: &str) {
        self.core.log.forward(&self.adapter, level, target, message);
    }

    fn panicked(&self, message: &str) {
        self.panics.add(1);
        tracing::error!("a task of adapter {} panicked: {message}", self.adapter);
    }
}
