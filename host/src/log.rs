//! The host's log: one line per event on stderr, with a filter that changes live.
//!
//! Events of adapters arrive as text with a target of their own, which `tracing` can't give to an
//! event at run time; they pass as a field, and the formatter shows it in the target's place.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use parking_lot::RwLock;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

/// The target of events that came from adapters and passed their filter already.
const FORWARDED: &str = "dittofs_forwarded";

/// Longest forwarded message in bytes.
const MAX_MESSAGE: usize = 16 << 10;

/// Which events are wanted, such as `info` or `info,nfs=debug`. Cheap to clone.
#[derive(Clone)]
pub struct LogFilter {
    inner: Arc<Inner>,
}

struct Inner {
    directives: RwLock<(String, Targets)>,
    /// The filter of the installed subscriber; none in tests that install no subscriber.
    installed: RwLock<Option<reload::Handle<Targets, Registry>>>,
}

/// Why text is no log filter.
#[derive(Debug, thiserror::Error)]
#[error(
    "{text:?} is no log filter ({reason}): write a level (error, warn, info, debug, trace) or TARGET=LEVEL, separated by commas"
)]
pub struct BadFilter {
    text: String,
    reason: String,
}

impl LogFilter {
    /// A filter from its text.
    pub fn new(text: &str) -> Result<Self, BadFilter> {
        let targets = parse(text)?;
        Ok(Self {
            inner: Arc::new(Inner {
                directives: RwLock::new((text.to_owned(), targets)),
                installed: RwLock::new(None),
            }),
        })
    }

    /// Sends what passes this filter to stderr. Only the first call in a process has an effect.
    pub fn install(&self) {
        let targets = with_forwarded(&self.inner.directives.read().1);
        let (filter, handle) = reload::Layer::new(targets);
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .event_format(OneLine)
            .with_filter(filter);
        if tracing_subscriber::registry()
            .with(lines)
            .try_init()
            .is_ok()
        {
            *self.inner.installed.write() = Some(handle);
        }
    }

    /// The filter's text.
    pub fn text(&self) -> String {
        self.inner.directives.read().0.clone()
    }

    /// Puts another filter into force.
    pub fn change(&self, text: &str) -> Result<(), BadFilter> {
        let targets = parse(text)?;
        if let Some(handle) = &*self.inner.installed.read() {
            // It fails only when the subscriber is gone, and the log with it.
            let _ = handle.reload(with_forwarded(&targets));
        }
        *self.inner.directives.write() = (text.to_owned(), targets);
        Ok(())
    }

    /// Whether events of `adapter` with this level and target are wanted.
    pub fn enabled(&self, adapter: &str, level: Level, target: &str) -> bool {
        self.inner
            .directives
            .read()
            .1
            .would_enable(&qualified(adapter, target), &level)
    }

    /// Writes an event of `adapter`, if it is wanted.
    pub fn forward(&self, adapter: &str, level: Level, target: &str, message: &str) {
        if !self.enabled(adapter, level, target) {
            return;
        }
        let source = qualified(adapter, target);
        let message = message
            .get(..message.floor_char_boundary(MAX_MESSAGE))
            .unwrap_or_default();
        match level {
            Level::ERROR => tracing::error!(target: FORWARDED, source, "{message}"),
            Level::WARN => tracing::warn!(target: FORWARDED, source, "{message}"),
            Level::INFO => tracing::info!(target: FORWARDED, source, "{message}"),
            Level::DEBUG => tracing::debug!(target: FORWARDED, source, "{message}"),
            Level::TRACE => tracing::trace!(target: FORWARDED, source, "{message}"),
        }
    }
}

fn parse(text: &str) -> Result<Targets, BadFilter> {
    if text.trim().is_empty() {
        return Err(BadFilter {
            text: text.to_owned(),
            reason: "it is empty".to_owned(),
        });
    }
    let targets: Targets = text
        .parse()
        .map_err(|e: tracing_subscriber::filter::ParseError| BadFilter {
            text: text.to_owned(),
            reason: e.to_string(),
        })?;
    // A misspelt level alone, such as `inof`, would be taken for a target.
    match text
        .split(',')
        .find(|part| !part.contains('=') && part.trim().parse::<LevelFilter>().is_err())
    {
        Some(part) => Err(BadFilter {
            text: text.to_owned(),
            reason: format!("{part:?} is no level"),
        }),
        None => Ok(targets),
    }
}

fn with_forwarded(targets: &Targets) -> Targets {
    targets.clone().with_target(FORWARDED, LevelFilter::TRACE)
}

fn qualified(adapter: &str, target: &str) -> String {
    format!("{adapter}::{target}")
}

/// `TIME LEVEL target: message field=value …`, whatever line breaks the parts hold.
struct OneLine;

impl<S, N> FormatEvent<S, N> for OneLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut parts = Parts::default();
        event.record(&mut parts);
        let metadata = event.metadata();
        let target = if parts.source.is_empty() {
            metadata.target()
        } else {
            &parts.source
        };
        SystemTime.format_time(&mut writer)?;
        let line = format!(
            " {:>5} {target}: {}{}",
            metadata.level(),
            parts.message,
            parts.fields
        );
        for c in line.chars() {
            match c {
                '\n' => writer.write_str("\\n")?,
                '\t' => writer.write_char('\t')?,
                c if c.is_control() => write!(writer, "{}", c.escape_default())?,
                c => writer.write_char(c)?,
            }
        }
        writer.write_char('\n')
    }
}

#[derive(Default)]
struct Parts {
    source: String,
    message: String,
    fields: String,
}

impl Visit for Parts {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "source" => value.clone_into(&mut self.source),
            "message" => value.clone_into(&mut self.message),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing into a String does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::io;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn captured(work: impl FnOnce()) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .event_format(OneLine);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), work);
        String::from_utf8(captured.0.lock().clone()).unwrap()
    }

    #[test]
    fn an_event_is_one_line_whatever_it_holds() {
        let text = captured(|| tracing::info!(path = "a b", "first\nsecond\x1b[31m"));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.contains("first\\nsecond\\u{1b}[31m path=\"a b\""),
            "{text}"
        );
    }

    #[test]
    fn an_adapters_event_shows_the_adapter_and_its_target() {
        let filter = LogFilter::new("info,hello=debug").unwrap();
        let text = captured(|| {
            filter.forward("hello", Level::DEBUG, "hello_lib::x", "seen");
            filter.forward("other", Level::DEBUG, "lib", "not seen");
        });
        assert!(text.contains("DEBUG hello::hello_lib::x: seen"), "{text}");
        assert!(!text.contains("not seen"), "{text}");
    }

    #[test]
    fn the_filter_changes_live_and_a_bad_one_changes_nothing() {
        let filter = LogFilter::new("warn").unwrap();
        assert!(!filter.enabled("a", Level::INFO, "t"));
        filter.change("warn,a=trace").unwrap();
        assert!(filter.enabled("a", Level::TRACE, "t"));
        assert!(!filter.enabled("b", Level::INFO, "t"));
        for bad in ["", "inof", "info,a=loud"] {
            assert!(filter.change(bad).is_err(), "{bad}");
        }
        assert_eq!(filter.text(), "warn,a=trace");
    }
}
