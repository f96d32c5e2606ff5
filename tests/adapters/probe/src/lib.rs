//! An adapter that fails where a test wants it to.
#![allow(clippy::panic)] // What it is for.

use std::sync::Arc;
use std::time::Duration;

use dittofs_sdk::bytes::Bytes;
use dittofs_sdk::metrics::Counter;
use dittofs_sdk::serde_json::{Value, json};
use dittofs_sdk::{
    Adapter, Applied, Context, Error, FieldError, Health, Info, State, export_adapter, settings,
    tokio, tracing,
};

export_adapter!(Probe);

settings! {
    /// Where to fail.
    pub struct Settings {
        /// Where to panic.
        pub panic_in: String = String::new(),
        /// Where to wait for good.
        pub hang_in: String = String::new(),
        /// Refused by the adapter's own check if it is odd.
        pub even: u32 = 0,
    }
}

/// A running instance.
pub struct Probe {
    cx: Context,
    settings: Settings,
    counter: Counter,
    prior: Option<State>,
}

/// Panics with itself when it is dropped, and so once more when that payload is.
struct Bomb(u8);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 > 0 {
            std::panic::panic_any(Self(self.0 - 1));
        }
    }
}

impl Settings {
    async fn trap(&self, place: &str) {
        assert!(self.panic_in != place, "as told in {place}");
        if self.hang_in == place {
            std::future::pending::<()>().await;
        }
    }
}

impl Adapter for Probe {
    type Settings = Settings;

    const INFO: Info = Info {
        name: "probe",
        version: "0.1.0",
        description: "Fails as told.",
    };

    fn check(settings: &Settings) -> Result<(), Vec<FieldError>> {
        assert!(settings.panic_in != "check", "as told in check");
        if settings.even % 2 == 1 {
            return Err(vec![FieldError::new("even", "must be even")]);
        }
        Ok(())
    }

    async fn start(cx: Context, settings: Settings, prior: Option<State>) -> Result<Self, Error> {
        settings.trap("start").await;
        if settings.panic_in == "payload" {
            std::panic::panic_any(Bomb(2));
        }
        if settings.panic_in == "task" {
            let task = settings.clone();
            tokio::spawn(async move { task.trap("task").await });
        }
        let counter = cx.metrics().counter("probe_total", "Counts.")?;
        tracing::info!(answer = 42, "started");
        Ok(Self {
            cx,
            settings,
            counter,
            prior,
        })
    }

    async fn reconfigure(&self, settings: Settings) -> Result<Applied, Error> {
        settings.trap("reconfigure").await;
        tracing::debug!("reconfigured");
        self.counter.add(3);
        Ok(Applied {
            pending_restart: vec!["even".to_owned()],
        })
    }

    fn health(&self) -> Health {
        assert!(self.settings.panic_in != "health", "as told in health");
        Health::Degraded("only a probe".to_owned())
    }

    fn inspect(&self, what: &str) -> Option<Value> {
        match what {
            "shares" => {
                let names: Vec<String> = self
                    .cx
                    .shares()
                    .iter()
                    .map(|share| share.name.clone())
                    .collect();
                Some(json!(names))
            }
            "prior" => Some(json!(self.prior.as_ref().map(|state| state.bytes.to_vec()))),
            "thread" => Some(json!(
                std::thread::available_parallelism().map_or(1, Into::into)
            )),
            "panic" => {
                std::panic::panic_any("as told in inspect");
            }
            _ => None,
        }
    }

    async fn act(&self, what: &str, args: Value) -> Result<Option<Value>, Error> {
        self.settings.trap("act").await;
        match what {
            "echo" => Ok(Some(json!({ "args": args }))),
            "fail" => Err(Error::failed("as told")),
            _ => Ok(None),
        }
    }

    async fn drain(&self, _deadline: Duration) {
        self.settings.trap("drain").await;
    }

    async fn export_state(&self) -> Result<Option<State>, Error> {
        self.settings.trap("export").await;
        let kv = self.cx.kv();
        kv.put("key", Bytes::from_static(b"value"))
            .await
            .map_err(Error::failed)?;
        let kept = kv.get("key").await.map_err(Error::failed)?;
        Ok(kept.map(|bytes| State { format: 1, bytes }))
    }

    async fn stop(self) {
        self.settings.trap("stop").await;
        let _held: Arc<()> = Arc::default();
        tracing::info!("stopped");
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        assert!(self.settings.panic_in != "drop", "as told in drop");
    }
}
