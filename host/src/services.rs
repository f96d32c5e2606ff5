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

#[cfg(test)]
mod tests {
    use dittofs_sdk::vfs::{Cred, Name, OpenAccess, Reaction, Stability, Touch};
    use dittofs_sdk::{Share, vfs};
    use dittofs_testkit::vfs::{Noting, wait};

    use super::*;
    use crate::db::Location;

    async fn core(dir: &std::path::Path, shares: &[String]) -> Arc<Core> {
        let location = Location::Sqlite(dir.join("state.db"));
        let db = Database::open(&location).await.unwrap();
        let table = ShareTable::open(db.clone(), [7; 32]).await.unwrap();
        for share in shares {
            table
                .add_for_this_run(share.parse().unwrap())
                .await
                .unwrap();
        }
        Arc::new(Core {
            db,
            metrics: Metrics::new().unwrap(),
            listeners: Listeners::default(),
            shares: table,
            log: LogFilter::new("info").unwrap(),
        })
    }

    fn named(shares: &Shares, name: &str) -> Arc<Share> {
        let share = shares.iter().find(|share| share.name == name);
        Arc::clone(share.unwrap())
    }

    fn write(share: &Share, file: &vfs::Handle) -> vfs::VfsResult<()> {
        let open = wait(share.fs.open(&Cred::root(), file, OpenAccess::Write))?;
        wait(open.write(0, Bytes::from_static(b"x"), Stability::Unstable)).map(drop)
    }

    #[test]
    fn other_adapters_and_other_shares_of_a_directory_are_others() {
        let dir = tempfile::tempdir().unwrap();
        let exported = dir.path().join("exported");
        std::fs::create_dir_all(exported.join("sub")).unwrap();
        std::fs::write(exported.join("sub/file"), "content").unwrap();
        let shares = [
            format!("/all={}", exported.display()),
            format!("/part={}", exported.join("sub").display()),
        ];
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let core = runtime.block_on(core(dir.path(), &shares));
        let _within = runtime.enter();
        let [first, second] =
            ["first", "second"].map(|name| Services::new(name, Arc::clone(&core)).unwrap());
        let part = named(&first.shares(), "/part");
        let name = Name::new(b"file").unwrap();
        let file = wait(part.fs.lookup(&Cred::root(), &part.fs.root(), name))
            .unwrap()
            .handle;
        for other in [
            named(&first.shares(), "/all"),
            named(&second.shares(), "/part"),
            named(&second.shares(), "/all"),
        ] {
            let noting = Noting::new(Reaction::Delay);
            let watch = wait(part.fs.watch(&file, Touch::CHANGE, noting.clone())).unwrap();
            // The same share again, as an adapter sees it after a change of the shares.
            assert_eq!(write(&named(&first.shares(), "/part"), &file), Ok(()));
            assert_eq!(noting.told(), Touch::default());
            assert_eq!(write(&other, &file), Err(vfs::VfsError::TryLater));
            assert_eq!(noting.told(), Touch::WRITE);
            drop(watch);
            assert_eq!(write(&other, &file), Ok(()));
        }
    }
}
