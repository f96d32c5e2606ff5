//! Logging: what an adapter writes with `tracing` appears in the host's log.
//!
//! Every library has its own copy of `tracing`'s and the standard library's globals. So the SDK
//! installs, once per library, a subscriber and a panic hook that hand events and panics to
//! the host of the instance on whose thread they happen. Whether an event is wanted is asked
//! once per place in the code and kept until the host's filter changes. Spans are not forwarded.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, Once, Weak};
use std::thread;

use parking_lot::RwLock;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber};
use tracing::{Event, Metadata};

use crate::host::HostServices;

/// The way from one instance to its host's log.
pub(crate) struct Link(Arc<dyn HostServices>);

/// The instances of this library, the newest last.
static LINKS: RwLock<Vec<Weak<Link>>> = RwLock::new(Vec::new());

thread_local! {
    static CURRENT: RefCell<Weak<Link>> = const { RefCell::new(Weak::new()) };
}

/// Lets this library's events and panics reach `host`, until the answer is dropped.
pub(crate) fn link(host: Arc<dyn HostServices>) -> Arc<Link> {
    static INSTALLED: Once = Once::new();
    let link = Arc::new(Link(host));
    {
        let mut links = LINKS.write();
        links.retain(|link| link.strong_count() > 0);
        links.push(Arc::downgrade(&link));
    }
    INSTALLED.call_once(|| {
        // An adapter that runs without a library, in a test, may find a subscriber in place.
        let _ = tracing::subscriber::set_global_default(Forwarder);
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| report(info, &previous)));
    });
    filter_changed();
    link
}

/// Has every place in the code ask again whether its events are wanted.
pub(crate) fn filter_changed() {
    tracing::callsite::rebuild_interest_cache();
}

/// Makes this thread one of the instance behind `link`, for good.
pub(crate) fn adopt_thread(link: &Weak<Link>) {
    CURRENT.set(link.clone());
}

/// The instance of this thread, for a thread that it starts.
pub(crate) fn inherited() -> Weak<Link> {
    CURRENT.with_borrow(Weak::clone)
}

/// Runs `call` on a thread of the host as if it were one of the instance behind `link`.
pub(crate) fn within<T>(link: &Arc<Link>, call: impl FnOnce() -> T) -> T {
    struct Restore(Weak<Link>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(std::mem::take(&mut self.0));
        }
    }
    let _restore = Restore(CURRENT.replace(Arc::downgrade(link)));
    call()
}

/// The instance of this thread; on a thread that the adapter made itself, the newest one.
fn current() -> Option<Arc<Link>> {
    CURRENT
        .try_with(|current| current.try_borrow().ok().and_then(|link| link.upgrade()))
        .ok()
        .flatten()
        .or_else(|| LINKS.read().iter().rev().find_map(Weak::upgrade))
}

fn report(info: &PanicHookInfo<'_>, otherwise: &dyn Fn(&PanicHookInfo<'_>)) {
    let Some(link) = current() else {
        return otherwise(info);
    };
    let thread = thread::current();
    let name = thread.name().unwrap_or("unnamed").to_owned();
    let place = info
        .location()
        .map(|place| format!(" at {place}"))
        .unwrap_or_default();
    let message = info
        .payload_as_str()
        .unwrap_or("(a payload that is no text)");
    link.0
        .panicked(&format!("thread {name} panicked{place}: {message}"));
}

struct Forwarder;

impl Forwarder {
    fn wanted(metadata: &Metadata<'_>) -> bool {
        let links: Vec<_> = LINKS.read().iter().filter_map(Weak::upgrade).collect();
        // Any instance counts: the callsite is shared by all of the library.
        !metadata.is_span()
            && links
                .iter()
                .any(|link| link.0.log_enabled(*metadata.level(), metadata.target()))
    }
}

impl Subscriber for Forwarder {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if Self::wanted(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        Self::wanted(metadata)
    }

    fn event(&self, event: &Event<'_>) {
        let Some(link) = current() else { return };
        let mut line = Line::default();
        event.record(&mut line);
        let metadata = event.metadata();
        line.message.push_str(&line.fields);
        link.0
            .log(*metadata.level(), metadata.target(), &line.message);
    }

    // Spans are never enabled, so that what follows is not called.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// An event as text: the message, then each field.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a `String` fails only if the value's own formatting does.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
