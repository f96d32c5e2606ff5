//! What the host gives an adapter instance.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use ipnet::IpNet;
use tokio::sync::watch;
use uuid::Uuid;

use crate::Error;
use crate::host::HostServices;
use crate::metrics::Metrics;
use crate::vfs::FileSystem;

/// The host, as one adapter instance sees it. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    host: Arc<dyn HostServices>,
    metrics: Metrics,
    shares: watch::Receiver<Shares>,
    shutdown: watch::Receiver<bool>,
}

impl Context {
    /// Put together by the SDK's shell, and by tests that run an adapter without a library.
    pub fn new(
        host: Arc<dyn HostServices>,
        shares: watch::Receiver<Shares>,
        shutdown: watch::Receiver<bool>,
    ) -> Self {
        let metrics = Metrics::new(Arc::clone(&host));
        Self {
            host,
            metrics,
            shares,
            shutdown,
        }
    }

    /// The host's version, as `dittofs --version` prints it.
    pub fn host_version(&self) -> String {
        self.host.version()
    }

    /// The exported file systems now.
    pub fn shares(&self) -> Shares {
        self.shares.borrow().clone()
    }

    /// The exported file systems now and, through the receiver, whenever they change.
    pub fn watch_shares(&self) -> watch::Receiver<Shares> {
        self.shares.clone()
    }

    /// Where metrics are made.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Small blobs that survive restarts, private to the adapter.
    pub fn kv(&self) -> Kv {
        Kv {
            host: Arc::clone(&self.host),
        }
    }

    /// A listening socket on `address`, owned by the host and lent: it stays open over a
    /// restart of the adapter, so that no connection attempt is lost. Must be called on
    /// the instance's runtime.
    pub fn listener(
        &self,
        name: &str,
        address: SocketAddr,
    ) -> Result<tokio::net::TcpListener, Error> {
        let listener = self.host.listener(name, address)?;
        listener.set_nonblocking(true)?;
        Ok(tokio::net::TcpListener::from_std(listener)?)
    }

    /// Resolves when the host is about to stop this instance.
    pub async fn shutdown(&self) {
        let mut shutdown = self.shutdown.clone();
        // An error means that the host is gone, which is a reason to stop as well.
        let _ = shutdown.wait_for(|&stop| stop).await;
    }
}

/// The exported file systems, one snapshot.
pub type Shares = Arc<[Arc<Share>]>;

/// One exported file system and the rules of its export.
#[derive(Clone)]
pub struct Share {
    /// Made once and kept; part of every file handle.
    pub id: Uuid,
    /// Absolute path under which protocols show it, such as `/export`.
    pub name: String,
    /// What is exported.
    pub fs: Arc<dyn FileSystem>,
    /// Whether changes are refused.
    pub read_only: bool,
    /// Whose requests run as somebody else.
    pub squash: Squash,
    /// The user that squashed requests run as.
    pub anonymous_uid: u32,
    /// The group that squashed requests run as.
    pub anonymous_gid: u32,
    /// Who may use it; empty for everybody.
    pub clients: Vec<IpNet>,
}

/// Whose requests run as the anonymous user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Squash {
    /// Nobody's.
    None = 0,
    /// The superuser's.
    #[default]
    Root = 1,
    /// Everybody's.
    All = 2,
}

/// Small blobs that survive restarts, private to one adapter. What [`put`](Kv::put) has
/// answered is on stable storage.
#[derive(Clone)]
pub struct Kv {
    host: Arc<dyn HostServices>,
}

/// The key-value store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key-value store: {0}")]
pub struct KvError(pub String);

impl Kv {
    /// The value of `key`.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, KvError> {
        self.host.kv_get(key).await
    }

    /// Sets `key`, at most 512 bytes, to `value`, at most 64 KiB.
    pub async fn put(&self, key: &str, value: Bytes) -> Result<(), KvError> {
        self.host.kv_put(key, value).await
    }

    /// Removes `key`; no error if there is none.
    pub async fn delete(&self, key: &str) -> Result<(), KvError> {
        self.host.kv_delete(key).await
    }

    /// All pairs whose key starts with `prefix`, by key.
    pub async fn list(&self, prefix: &str) -> Result<Vec<(String, Bytes)>, KvError> {
        self.host.kv_list(prefix).await
    }
}
