//! The host's side of the border: loading libraries and running adapter instances.
//!
//! Adapter authors do not need this module, except [`HostServices`] to run an adapter in a test
//! without a library.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::metrics::{Family, FamilySpec};
use crate::{Error, KvError, Shares};

pub use crate::abi::load::{Instance, LoadError, Manifest, Plugin};

/// A boxed future, as host services answer with.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What the host supplies to one adapter instance. Called from the adapter's threads; no
/// tokio runtime of the host is current there.
pub trait HostServices: Send + Sync + 'static {
    /// The host's version.
    fn version(&self) -> String;
    /// A duplicate of the host's listening socket with this name, bound to `address` if it is
    /// not yet. The error is one line that names the address.
    fn listener(&self, name: &str, address: SocketAddr) -> Result<TcpListener, Error>;
    /// Registers a family or finds the one registered; `None` if the host has no metrics.
    fn metric_family(&self, spec: FamilySpec) -> Result<Option<Arc<dyn Family>>, Error>;
    /// See [`Kv::get`](crate::Kv::get).
    fn kv_get(&self, key: &str) -> BoxFuture<Result<Option<Bytes>, KvError>>;
    /// See [`Kv::put`](crate::Kv::put).
    fn kv_put(&self, key: &str, value: Bytes) -> BoxFuture<Result<(), KvError>>;
    /// See [`Kv::delete`](crate::Kv::delete).
    fn kv_delete(&self, key: &str) -> BoxFuture<Result<(), KvError>>;
    /// See [`Kv::list`](crate::Kv::list).
    fn kv_list(&self, prefix: &str) -> BoxFuture<Result<Vec<(String, Bytes)>, KvError>>;
    /// The exported file systems now.
    fn shares(&self) -> Shares;
    /// Whether events of this level and target are wanted; changes live.
    fn log_enabled(&self, level: tracing::Level, target: &str) -> bool;
    /// An event of the adapter, for the host's log.
    fn log(&self, level: tracing::Level, target: &str, message: &str);
    /// A task of the adapter panicked; the instance goes on, the host reports it.
    fn panicked(&self, message: &str);
}
