//! The shell around an adapter's instance: its runtime, its settings, and its life.
//!
//! Calls are started when they are made and run on the instance's own runtime; what the host
//! awaits is only their end, so that it needs no runtime of its own and may stop waiting.

use std::future::Future;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::{RErr, ROption, RResult, RStr, RString, RVec};
use async_ffi::{FfiFuture, FutureExt};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{RwLock, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::control::{WireApplied, WireError, WireFieldError, WireHealth, WireState, result_out};
use super::guard::{self, Guarded, Quiet, guard};
use super::host::{self, HostObject};
use super::module::{Starting, WireInstance, WireInstance_TO};
use crate::host::HostServices;
use crate::log::{self, Link};
use crate::{Adapter, Applied, Context, Error, FieldError, Health, Shares, State, settings};

/// How long an instance that is stopped may take to finish, and its blocking threads after it.
const STOPPING: Duration = Duration::from_secs(5);

pub(super) extern "C" fn schema<A: Adapter>() -> RResult<RString, WireError> {
    text(|| Ok(settings::schema::<A::Settings>()))
}

pub(super) extern "C" fn defaults<A: Adapter>() -> RResult<RString, WireError> {
    text(settings::defaults::<A::Settings>)
}

#[cfg(sdk_next_minor)]
pub(super) extern "C" fn addition() -> RString {
    "added".into()
}

fn text(value: impl FnOnce() -> Result<Value, Error>) -> RResult<RString, WireError> {
    result_out(guard(
        || value().map(|value| value.to_string()),
        |panic| Err(Error::Failed(panic)),
    ))
}

pub(super) extern "C" fn check<A: Adapter>(settings: RStr<'_>) -> RVec<WireFieldError> {
    let checked = guard(
        || checked_settings::<A>(settings.as_str()).map(drop),
        |panic| {
            Err(vec![FieldError::new(
                "",
                format!("the adapter's check panicked: {panic}"),
            )])
        },
    );
    checked
        .err()
        .unwrap_or_default()
        .into_iter()
        .map(WireFieldError::from)
        .collect()
}

fn checked_settings<A: Adapter>(json: &str) -> Result<A::Settings, Vec<FieldError>> {
    let value: Value =
        serde_json::from_str(json).map_err(|error| vec![FieldError::new("", error.to_string())])?;
    let settings = settings::parse(&value)?;
    A::check(&settings)?;
    Ok(settings)
}

pub(super) extern "C" fn start<A: Adapter>(
    host: HostObject,
    settings: RStr<'_>,
    prior: ROption<WireState>,
) -> Starting {
    let prior = prior.into_option().map(State::from);
    let begin = || Shell::<A>::begin(host::borrow(host), settings.as_str(), prior);
    let begun = guard(begin, |panic| Err(Error::Failed(panic)));
    answer_later(async move {
        let shell = begun?.await?;
        Ok(WireInstance_TO::from_value(Quiet::new(shell), TD_Opaque))
    })
}

/// A result that the host awaits.
fn answer_later<T, W>(
    answer: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> FfiFuture<RResult<W, WireError>>
where
    W: From<T> + Send + 'static,
{
    let future = async move { result_out(answer.await) };
    Guarded::new(future, |panic| RErr(Error::Failed(panic).into())).into_ffi()
}

/// A running instance. It is emptied when it stops; calls that come later find it so.
struct Shell<A: Adapter> {
    adapter: Arc<RwLock<Option<A>>>,
    engine: Mutex<Option<Engine>>,
    handle: Handle,
    link: Arc<Link>,
    host: Arc<dyn HostServices>,
    shares: watch::Sender<Shares>,
    shutdown: watch::Sender<bool>,
    /// Held while shares are read and published, so that an older reading can't come last.
    publishing: Mutex<()>,
}

impl<A: Adapter> Shell<A> {
    fn begin(
        host: Arc<dyn HostServices>,
        settings: &str,
        prior: Option<State>,
    ) -> Result<impl Future<Output = Result<Self, Error>> + Send + use<A>, Error> {
        let settings = checked_settings::<A>(settings).map_err(Error::Settings)?;
        let link = log::link(Arc::clone(&host));
        let engine = Engine::new(A::INFO.name, &link)?;
        let (shares, watched_shares) = watch::channel(host.shares());
        let (shutdown, watched_shutdown) = watch::channel(false);
        let context = Context::new(Arc::clone(&host), watched_shares, watched_shutdown);
        let handle = engine.handle.clone();
        let started = handle.spawn(async move { A::start(context, settings, prior).await });
        Ok(async move {
            let adapter = join(started).await??;
            Ok(Self {
                adapter: Arc::new(RwLock::new(Some(adapter))),
                engine: Mutex::new(Some(engine)),
                handle,
                link,
                host,
                shares,
                shutdown,
                publishing: Mutex::new(()),
            })
        })
    }

    /// Runs `call` in place, on a thread of the host; `None` if the instance is stopping.
    fn in_place<T>(&self, call: impl FnOnce(&A) -> T) -> Option<T> {
        let _runtime = self.handle.enter();
        let adapter = self.adapter.try_read().ok()?;
        log::within(&self.link, || adapter.as_ref().map(call))
    }

    /// Begins to stop; the answer comes when the runtime has ended.
    fn begin_stop(&self) -> Option<oneshot::Receiver<()>> {
        let engine = self.engine.lock().take()?;
        self.shutdown.send_replace(true);
        let (adapter, link) = (Arc::clone(&self.adapter), Arc::clone(&self.link));
        let (done, ended) = oneshot::channel();
        // Ending a runtime blocks, which the host's threads must not.
        let _ = thread::Builder::new()
            .name(format!("{}-stop", A::INFO.name))
            .spawn(move || {
                log::adopt_thread(&Arc::downgrade(&link));
                let stop = engine.handle.spawn(async move {
                    let stop = async {
                        // The lock is let go, so that calls that come now find it stopped.
                        let adapter = adapter.write().await.take();
                        if let Some(adapter) = adapter {
                            adapter.stop().await;
                        }
                    };
                    if timeout(STOPPING, stop).await.is_err() {
                        tracing::warn!("not stopped after {} s; cancelled", STOPPING.as_secs());
                    }
                });
                // Its panic has been reported by the hook.
                let _ = engine.handle.block_on(join(stop));
                engine.end();
                let _ = done.send(());
            });
        Some(ended)
    }
}

impl<A: Adapter> Drop for Shell<A> {
    fn drop(&mut self) {
        let _ = self.begin_stop();
    }
}

impl<A: Adapter> WireInstance for Quiet<Shell<A>> {
    fn reconfigure(&self, settings: RStr<'_>) -> FfiFuture<RResult<WireApplied, WireError>> {
        let begin = || {
            let settings = checked_settings::<A>(settings.as_str()).map_err(Error::Settings)?;
            let adapter = Arc::clone(&self.adapter);
            Ok(self.handle.spawn(async move {
                match &*adapter.read().await {
                    Some(adapter) => adapter.reconfigure(settings).await,
                    None => Err(stopped()),
                }
            }))
        };
        let begun = guard(begin, |panic| Err(Error::Failed(panic)));
        answer_later::<Applied, _>(async move { join(begun?).await? })
    }

    fn health(&self) -> WireHealth {
        let health = guard(
            || {
                self.in_place(A::health)
                    .unwrap_or_else(|| Health::Failed("stopping".to_owned()))
            },
            |panic| Health::Failed(format!("panicked when asked: {panic}")),
        );
        health.into()
    }

    fn inspect(&self, what: RStr<'_>) -> ROption<RString> {
        let view = || self.in_place(|adapter| adapter.inspect(what.as_str()))?;
        guard(|| view().map(|view| view.to_string().into()), |_| None).into()
    }

    fn act(
        &self,
        what: RStr<'_>,
        args: RStr<'_>,
    ) -> FfiFuture<RResult<ROption<RString>, WireError>> {
        let begin = || {
            let args = serde_json::from_str(args.as_str()).map_err(Error::failed)?;
            let (adapter, what) = (Arc::clone(&self.adapter), what.as_str().to_owned());
            Ok(self.handle.spawn(async move {
                match &*adapter.read().await {
                    Some(adapter) => adapter.act(&what, args).await,
                    None => Err(stopped()),
                }
            }))
        };
        let begun = guard(begin, |panic| Err(Error::Failed(panic)));
        answer_later(async move {
            let answer = join(begun?).await??;
            Ok(answer.map(|answer| RString::from(answer.to_string())))
        })
    }

    fn shares_changed(&self) {
        let publish = || {
            let _publishing = self.publishing.lock();
            self.shares.send_replace(self.host.shares());
        };
        guard(publish, drop);
    }

    fn log_filter_changed(&self) {
        guard(log::filter_changed, drop);
    }

    fn drain(&self, deadline_ms: u64) -> FfiFuture<()> {
        let deadline = Duration::from_millis(deadline_ms);
        let begin = || {
            let adapter = Arc::clone(&self.adapter);
            self.handle.spawn(async move {
                let drain = async {
                    if let Some(adapter) = &*adapter.read().await {
                        adapter.drain(deadline).await;
                    }
                };
                // Lateness does not change what is next.
                let _ = timeout(deadline, drain).await;
            })
        };
        let begun = guard(|| Some(begin()), |_| None);
        let drained = async move {
            if let Some(begun) = begun {
                // Its panic has been reported by the hook.
                let _ = join(begun).await;
            }
        };
        Guarded::new(drained, drop).into_ffi()
    }

    fn export_state(&self) -> FfiFuture<RResult<ROption<WireState>, WireError>> {
        let begin = || {
            let adapter = Arc::clone(&self.adapter);
            Ok(self.handle.spawn(async move {
                match &*adapter.read().await {
                    Some(adapter) => adapter.export_state().await,
                    None => Err(stopped()),
                }
            }))
        };
        let begun = guard(begin, |panic| Err(Error::Failed(panic)));
        answer_later(async move {
            let state = join(begun?).await??;
            Ok(state.map(WireState::from))
        })
    }

    fn stop(&self) -> FfiFuture<()> {
        let begun = guard(|| self.begin_stop(), |_| None);
        let stopped = async move {
            if let Some(ended) = begun {
                // An error is a thread that could not be made; the runtime ends unattended then.
                let _ = ended.await;
            }
        };
        Guarded::new(stopped, drop).into_ffi()
    }
}

fn stopped() -> Error {
    Error::failed("the adapter is stopped")
}

/// The end of a task; its panic is an error.
async fn join<T>(task: JoinHandle<T>) -> Result<T, Error> {
    task.await.map_err(|error| match error.try_into_panic() {
        Ok(payload) => Error::Failed(format!("the adapter panicked: {}", guard::message(payload))),
        Err(_cancelled) => stopped(),
    })
}

/// The runtime of one instance. Dropping it does not block.
struct Engine {
    /// Empty only while it is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Engine {
    fn new(adapter: &'static str, link: &Arc<Link>) -> Result<Self, Error> {
        let count = AtomicUsize::new(0);
        let link = Arc::downgrade(link);
        let runtime = Builder::new_multi_thread()
            .worker_threads(thread::available_parallelism().map_or(1, NonZero::get))
            .thread_name_fn(move || format!("{adapter}-{}", count.fetch_add(1, Ordering::Relaxed)))
            .on_thread_start(move || log::adopt_thread(&link))
            .enable_all()
            .build()
            .map_err(|error| Error::failed(format!("no runtime for the adapter: {error}")))?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// Cancels what is left and waits, a while at most, for its threads.
    fn end(mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(STOPPING);
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
