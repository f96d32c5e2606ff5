//! The host's services across the border.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{FromRawFd, IntoRawFd};
use std::sync::Arc;

use abi_stable::sabi_trait;
use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::{RBox, ROption, RResult, RStr, RString, RVec, Tuple2};
use async_ffi::{FfiFuture, FutureExt};
use bytes::Bytes;
use tracing::Level;

use super::bytes::WireBytes;
use super::control::{WireError, WireFamilySpec, WireShare, result_in, result_out};
use super::guard::{Guarded, Quiet, guard};
use crate::host::{BoxFuture, HostServices};
use crate::metrics::{Cell, Family, FamilySpec};
use crate::{Error, KvError, Share, Shares};

type KvAnswer<T> = FfiFuture<RResult<T, RString>>;

/// The functions of the host. A function added later comes last and has a default.
#[sabi_trait]
pub(super) trait WireHost: Send + Sync {
    fn version(&self) -> RString;
    /// A file descriptor, which is the caller's.
    fn listener(&self, name: RStr<'_>, address: RStr<'_>) -> RResult<i32, WireError>;
    fn metric_family(&self, spec: WireFamilySpec) -> RResult<ROption<FamilyObject>, WireError>;
    fn kv_get(&self, key: RStr<'_>) -> KvAnswer<ROption<WireBytes>>;
    fn kv_put(&self, key: RStr<'_>, value: WireBytes) -> KvAnswer<()>;
    fn kv_delete(&self, key: RStr<'_>) -> KvAnswer<()>;
    fn kv_list(&self, prefix: RStr<'_>) -> KvAnswer<RVec<Tuple2<RString, WireBytes>>>;
    fn shares(&self) -> RVec<WireShare>;
    fn log_enabled(&self, level: u32, target: RStr<'_>) -> bool;
    fn log(&self, level: u32, target: RStr<'_>, message: RStr<'_>);
    #[sabi(last_prefix_field)]
    fn panicked(&self, message: RStr<'_>);
}

/// The functions of a metric family. A function added later comes last and has a default.
#[sabi_trait]
pub(super) trait WireFamily: Send + Sync {
    fn cell(&self, values: RVec<RStr<'_>>) -> ROption<CellObject>;
    #[sabi(last_prefix_field)]
    fn remove(&self, values: RVec<RStr<'_>>);
}

/// The functions of a metric. A function added later comes last and has a default.
#[sabi_trait]
pub(super) trait WireCell: Send + Sync {
    fn add(&self, delta: i64);
    fn set(&self, value: i64);
    #[sabi(last_prefix_field)]
    fn observe(&self, value: f64);
}

pub(super) type HostObject = WireHost_TO<'static, RBox<()>>;
pub(super) type FamilyObject = WireFamily_TO<'static, RBox<()>>;
pub(super) type CellObject = WireCell_TO<'static, RBox<()>>;

/// This side's host services, for the adapter.
pub(super) fn lend(host: Arc<dyn HostServices>) -> HostObject {
    WireHost_TO::from_value(LocalHost(Quiet::new(host)), TD_Opaque)
}

/// The host's services, on the adapter's side.
pub(super) fn borrow(object: HostObject) -> Arc<dyn HostServices> {
    Arc::new(ForeignHost(object))
}

fn level_code(level: Level) -> u32 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

/// A level that is unknown here is finer than all that are known.
fn level_of(code: u32) -> Level {
    match code {
        0 | 1 => Level::ERROR,
        2 => Level::WARN,
        3 => Level::INFO,
        4 => Level::DEBUG,
        _ => Level::TRACE,
    }
}

struct LocalHost(Quiet<Arc<dyn HostServices>>);

/// Has the host begin a call of the key-value store and hands its future over.
fn kv<T: 'static, W: Send + 'static>(
    begin: impl FnOnce() -> BoxFuture<Result<T, KvError>>,
    form: fn(T) -> W,
) -> KvAnswer<W> {
    let begun = guard(begin, |message| {
        Box::pin(async move { Err(KvError(message)) })
    });
    let answer = async move {
        match begun.await {
            Ok(value) => RResult::ROk(form(value)),
            Err(error) => RResult::RErr(error.0.into()),
        }
    };
    Guarded::new(answer, |message| RResult::RErr(message.into())).into_ffi()
}

impl WireHost for LocalHost {
    fn version(&self) -> RString {
        guard(|| self.0.version().into(), RString::from)
    }

    fn listener(&self, name: RStr<'_>, address: RStr<'_>) -> RResult<i32, WireError> {
        let listen = || {
            let address: SocketAddr = address.as_str().parse().map_err(Error::failed)?;
            self.0.listener(name.as_str(), address)
        };
        result_out(
            guard(listen, |message| Err(Error::Failed(message))).map(TcpListener::into_raw_fd),
        )
    }

    fn metric_family(&self, spec: WireFamilySpec) -> RResult<ROption<FamilyObject>, WireError> {
        let register = || {
            let family = self.0.metric_family(FamilySpec::try_from(spec)?)?;
            Ok(family.map(|family| {
                WireFamily_TO::from_value(LocalFamily(Quiet::new(family)), TD_Opaque)
            }))
        };
        result_out(guard(register, |message| Err(Error::Failed(message))))
    }

    fn kv_get(&self, key: RStr<'_>) -> KvAnswer<ROption<WireBytes>> {
        kv(
            || self.0.kv_get(key.as_str()),
            |value| value.map(WireBytes::from).into(),
        )
    }

    fn kv_put(&self, key: RStr<'_>, value: WireBytes) -> KvAnswer<()> {
        kv(|| self.0.kv_put(key.as_str(), value.into()), |()| ())
    }

    fn kv_delete(&self, key: RStr<'_>) -> KvAnswer<()> {
        kv(|| self.0.kv_delete(key.as_str()), |()| ())
    }

    fn kv_list(&self, prefix: RStr<'_>) -> KvAnswer<RVec<Tuple2<RString, WireBytes>>> {
        kv(
            || self.0.kv_list(prefix.as_str()),
            |pairs| {
                pairs
                    .into_iter()
                    .map(|(key, value)| Tuple2(key.into(), value.into()))
                    .collect()
            },
        )
    }

    fn shares(&self) -> RVec<WireShare> {
        guard(
            || {
                self.0
                    .shares()
                    .iter()
                    .map(|share| WireShare::from(&**share))
                    .collect()
            },
            |_| RVec::new(),
        )
    }

    fn log_enabled(&self, level: u32, target: RStr<'_>) -> bool {
        guard(
            || self.0.log_enabled(level_of(level), target.as_str()),
            |_| false,
        )
    }

    fn log(&self, level: u32, target: RStr<'_>, message: RStr<'_>) {
        guard(
            || {
                self.0
                    .log(level_of(level), target.as_str(), message.as_str());
            },
            drop,
        );
    }

    fn panicked(&self, message: RStr<'_>) {
        guard(|| self.0.panicked(message.as_str()), drop);
    }
}

struct LocalFamily(Quiet<Arc<dyn Family>>);

impl WireFamily for LocalFamily {
    fn cell(&self, values: RVec<RStr<'_>>) -> ROption<CellObject> {
        let cell = guard(|| self.0.cell(&texts(&values)), |_| None);
        cell.map(|cell| WireCell_TO::from_value(LocalCell(Quiet::new(cell)), TD_Opaque))
            .into()
    }

    fn remove(&self, values: RVec<RStr<'_>>) {
        guard(|| self.0.remove(&texts(&values)), drop);
    }
}

fn texts<'a>(values: &RVec<RStr<'a>>) -> Vec<&'a str> {
    values.iter().map(RStr::as_str).collect()
}

struct LocalCell(Quiet<Arc<dyn Cell>>);

impl WireCell for LocalCell {
    fn add(&self, delta: i64) {
        guard(|| self.0.add(delta), drop);
    }

    fn set(&self, value: i64) {
        guard(|| self.0.set(value), drop);
    }

    fn observe(&self, value: f64) {
        guard(|| self.0.observe(value), drop);
    }
}

struct ForeignHost(HostObject);

/// Awaits the host's answer from its key-value store.
fn kv_answer<W: Send + 'static, T>(
    answer: KvAnswer<W>,
    value: fn(W) -> T,
) -> BoxFuture<Result<T, KvError>>
where
    T: 'static,
{
    Box::pin(async move {
        match answer.await {
            RResult::ROk(form) => Ok(value(form)),
            RResult::RErr(message) => Err(KvError(message.into())),
        }
    })
}

impl HostServices for ForeignHost {
    fn version(&self) -> String {
        self.0.version().into()
    }

    fn listener(&self, name: &str, address: SocketAddr) -> Result<TcpListener, Error> {
        let fd = result_in(
            self.0
                .listener(name.into(), address.to_string().as_str().into()),
        )?;
        // SAFETY: the host gave the descriptor away with `into_raw_fd`.
        Ok(unsafe { TcpListener::from_raw_fd(fd) })
    }

    fn metric_family(&self, spec: FamilySpec) -> Result<Option<Arc<dyn Family>>, Error> {
        let family: ROption<FamilyObject> = result_in(self.0.metric_family(spec.into()))?;
        Ok(family
            .into_option()
            .map(|object| Arc::new(ForeignFamily(object)) as Arc<dyn Family>))
    }

    fn kv_get(&self, key: &str) -> BoxFuture<Result<Option<Bytes>, KvError>> {
        kv_answer(self.0.kv_get(key.into()), |value| {
            value.into_option().map(Bytes::from)
        })
    }

    fn kv_put(&self, key: &str, value: Bytes) -> BoxFuture<Result<(), KvError>> {
        kv_answer(self.0.kv_put(key.into(), value.into()), |()| ())
    }

    fn kv_delete(&self, key: &str) -> BoxFuture<Result<(), KvError>> {
        kv_answer(self.0.kv_delete(key.into()), |()| ())
    }

    fn kv_list(&self, prefix: &str) -> BoxFuture<Result<Vec<(String, Bytes)>, KvError>> {
        kv_answer(self.0.kv_list(prefix.into()), |pairs| {
            pairs
                .into_iter()
                .map(|Tuple2(key, value)| (key.into(), value.into()))
                .collect()
        })
    }

    fn shares(&self) -> Shares {
        let known = |share: WireShare| match share.value() {
            Ok(share) => Some(Arc::new(share)),
            Err(name) => {
                tracing::error!("share {name} needs a newer SDK than this adapter's; not served");
                None
            }
        };
        self.0
            .shares()
            .into_iter()
            .filter_map(known)
            .collect::<Vec<Arc<Share>>>()
            .into()
    }

    fn log_enabled(&self, level: Level, target: &str) -> bool {
        self.0.log_enabled(level_code(level), target.into())
    }

    fn log(&self, level: Level, target: &str, message: &str) {
        self.0.log(level_code(level), target.into(), message.into());
    }

    fn panicked(&self, message: &str) {
        self.0.panicked(message.into());
    }
}

struct ForeignFamily(FamilyObject);

impl Family for ForeignFamily {
    fn cell(&self, values: &[&str]) -> Option<Arc<dyn Cell>> {
        let values = values.iter().map(|&value| value.into()).collect();
        let cell = self.0.cell(values).into_option()?;
        Some(Arc::new(ForeignCell(cell)))
    }

    fn remove(&self, values: &[&str]) {
        self.0
            .remove(values.iter().map(|&value| value.into()).collect());
    }
}

struct ForeignCell(CellObject);

impl Cell for ForeignCell {
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
