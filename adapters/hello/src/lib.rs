//! The smallest useful adapter: it greets everybody who connects. The adapter guide explains it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dittofs_sdk::serde_json::{Value, json};
use dittofs_sdk::tokio::io::AsyncWriteExt;
use dittofs_sdk::tokio::sync::watch;
use dittofs_sdk::{Adapter, Applied, Context, Error, Info, State, tokio, tracing};

dittofs_sdk::export_adapter!(Hello);

dittofs_sdk::settings! {
    /// How to greet, and where.
    pub struct Settings {
        /// Address to listen on; port 0 takes a free one.
        pub listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 12050)),
        /// What is sent to everybody who connects.
        #[schemars(length(min = 1, max = 1024), extend("x-applies" = "live"))]
        pub greeting: String = "hello".to_owned(),
    }
}

/// A running instance.
pub struct Hello {
    listen: SocketAddr,
    address: SocketAddr,
    settings: watch::Sender<Settings>,
    greetings: Arc<AtomicU64>,
}

impl Adapter for Hello {
    type Settings = Settings;

    const INFO: Info = Info {
        name: "hello",
        version: env!("CARGO_PKG_VERSION"),
        description: env!("CARGO_PKG_DESCRIPTION"),
    };

    async fn start(cx: Context, settings: Settings, _: Option<State>) -> Result<Self, Error> {
        let listen = settings.listen;
        let listener = cx.listener("greetings", listen)?;
        let address = listener.local_addr()?;
        let counter = cx
            .metrics()
            .counter("dittofs_hello_greetings_total", "Connections greeted.")?;
        let greetings = Arc::<AtomicU64>::default();
        let total = Arc::clone(&greetings);
        let (settings, current) = watch::channel(settings);
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = cx.shutdown() => return,
                };
                let Ok((mut peer, _)) = accepted else {
                    // Out of file descriptors, say: some may be free again soon.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                counter.inc();
                total.fetch_add(1, Ordering::Relaxed);
                let greeting = format!("{}\n", current.borrow().greeting);
                if let Err(error) = peer.write_all(greeting.as_bytes()).await {
                    tracing::debug!(%error, "a greeting was not heard");
                }
            }
        });
        tracing::info!(%address, "greeting");
        Ok(Self {
            listen,
            address,
            settings,
            greetings,
        })
    }

    async fn reconfigure(&self, settings: Settings) -> Result<Applied, Error> {
        let moved = settings.listen != self.listen;
        self.settings.send_replace(settings);
        Ok(Applied {
            pending_restart: moved.then(|| "listen".to_owned()).into_iter().collect(),
        })
    }

    fn inspect(&self, what: &str) -> Option<Value> {
        let total = self.greetings.load(Ordering::Relaxed);
        (what == "greetings").then(|| json!({ "address": self.address, "total": total }))
    }
}
