//! The adapter as the host sees it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dittofs_sdk::{Adapter, Applied, Context, Error, FieldError, Health, Info, State as Prior};
use serde_json::{Value, json};

use crate::callback::tell_turns;
use crate::exports::Exports;
use crate::identity::Identity;
use crate::metrics::Metrics;
use crate::recovery::{Past, note_lease};
use crate::server::Server;
use crate::settings::Settings;
use crate::workers::Workers;

/// NFSv4 for a DittoFS host.
pub struct NfsAdapter {
    server: Arc<Server>,
    workers: Arc<Workers>,
    address: std::net::SocketAddr,
    cx: Context,
}

impl Adapter for NfsAdapter {
    type Settings = Settings;

    const INFO: Info = Info {
        name: "nfs",
        version: env!("CARGO_PKG_VERSION"),
        description: "NFSv4.0, NFSv4.1 and NFSv4.2",
    };

    fn check(settings: &Settings) -> Result<(), Vec<FieldError>> {
        settings.check()
    }

    async fn start(cx: Context, settings: Settings, _prior: Option<Prior>) -> Result<Self, Error> {
        let listener = cx.listener("nfs", settings.listen)?;
        let address = listener.local_addr()?;
        let identity = Identity::load(&cx.kv()).await?;
        let metrics = Metrics::new(cx.metrics())?;
        let exports = Exports::new(&cx.shares());
        let past = Past::load(cx.kv(), &settings)
            .await
            .map_err(Error::failed)?;
        let server = Server::new(settings, exports, identity, metrics);
        let server = Arc::new(server.after(past, Instant::now()));
        let workers = Arc::new(Workers::start()?);
        tokio::spawn(Arc::clone(&server).accept(listener, Arc::clone(&workers)));
        tokio::spawn(Arc::clone(&server).sweep());
        tokio::spawn(tell_turns(Arc::clone(&server)));
        tokio::spawn(Arc::clone(&server).follow_shares(cx.clone()));
        tracing::info!(%address, "serving NFSv4");
        Ok(Self {
            server,
            workers,
            address,
            cx,
        })
    }

    async fn reconfigure(&self, settings: Settings) -> Result<Applied, Error> {
        let mut applied = Applied::default();
        if settings.listen != self.server.settings().listen {
            applied.pending_restart.push("listen".to_owned());
        }
        if settings.lease_time != self.server.settings().lease_time {
            note_lease(&self.cx.kv(), &settings)
                .await
                .map_err(Error::failed)?;
        }
        self.server.set_settings(settings);
        Ok(applied)
    }

    fn health(&self) -> Health {
        Health::Serving
    }

    fn inspect(&self, what: &str) -> Option<Value> {
        match what {
            "usage" => Some(json!({ "lines": self.usage() })),
            "address" => Some(json!({ "address": self.address })),
            what => self.server.view(what, Instant::now()),
        }
    }

    async fn act(&self, what: &str, args: Value) -> Result<Option<Value>, Error> {
        self.server.act(what, &args).await
    }

    async fn drain(&self, deadline: Duration) {
        self.server.drain(deadline).await;
    }

    async fn stop(self) {
        self.server.drain(Duration::ZERO).await;
        self.workers.end().await;
    }
}

impl NfsAdapter {
    /// A command to paste, per share.
    fn usage(&self) -> Vec<String> {
        let address = self.address;
        let ip = address.ip();
        let host = match ip {
            _ if ip.is_unspecified() => "127.0.0.1".to_owned(),
            std::net::IpAddr::V4(ip) => ip.to_string(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let minor = self.server.settings().v4_max_minor_version;
        self.cx
            .shares()
            .iter()
            .map(|share| {
                format!(
                    "sudo mount -t nfs4 -o vers=4.{minor},port={} {host}:{} /mnt",
                    address.port(),
                    share.name
                )
            })
            .collect()
    }
}
