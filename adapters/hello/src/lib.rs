//! The smallest useful adapter: it greets everybody who connects. The adapter guide explains it.

use std::net::SocketAddr;
use std::sync::Arc;

use dittofs_sdk::metrics::Counter;
use dittofs_sdk::serde_json::{Value, json};
use dittofs_sdk::tokio::io::AsyncWriteExt;
use dittofs_sdk::tokio::net::TcpListener;
use dittofs_sdk::tokio::sync::watch;
use dittofs_sdk::{
    Adapter, Applied, Context, Error, Info, State, export_adapter, settings, tokio, tracing,
};

export_adapter!(Hello);

settings! {
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
    greeting: watch::Sender<String>,
    greetings: Arc<Greetings>,
}

/// How many were greeted, for metrics and for `inspect`.
struct Greetings {
    counter: Counter,
    total: std::sync::atomic::AtomicU64,
}

impl Adapter for Hello {
    type Settings = Settings;

    const INFO: Info = Info {
        name: "hello",
        version: env!("CARGO_PKG_VERSION"),
        description: env!("CARGO_PKG_DESCRIPTION"),
    };

    async fn start(cx: Context, settings: Settings, _prior: Option<State>) -> Result<Self, Error> {
        let listener = cx.listener("greetings", settings.listen)?;
        let address = listener.local_addr()?;
        let counter = cx
            .metrics()
            .counter("dittofs_hello_greetings_total", "Connections greeted.")?;
        let greetings = Arc::new(Greetings {
            counter,
            total: 0.into(),
        });
        let (greeting, current) = watch::channel(settings.greeting);
        tokio::spawn(serve(cx, listener, current, Arc::clone(&greetings)));
        tracing::info!(%address, "greeting");
        Ok(Self {
            listen: settings.listen,
            address,
            greeting,
            greetings,
        })
    }

    async fn reconfigure(&self, settings: Settings) -> Result<Applied, Error> {
        self.greeting.send_replace(settings.greeting);
        let moved = settings.listen != self.listen;
        Ok(Applied {
            pending_restart: moved.then(|| "listen".to_owned()).into_iter().collect(),
        })
    }

    fn inspect(&self, what: &str) -> Option<Value> {
        let total = self
            .greetings
            .total
            .load(std::sync::atomic::Ordering::Relaxed);
        (what == "greetings").then(|| json!({ "address": self.address, "total": total }))
    }
}

/// Greets one after the other until the host stops the instance.
async fn serve(
    cx: Context,
    listener: TcpListener,
    greeting: watch::Receiver<String>,
    greetings: Arc<Greetings>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = cx.shutdown() => return,
        };
        let Ok((mut peer, _)) = accepted else {
            continue;
        };
        let text = format!("{}\n", *greeting.borrow());
        greetings.counter.inc();
        greetings
            .total
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if let Err(error) = peer.write_all(text.as_bytes()).await {
            tracing::debug!(%error, "a greeting was not heard");
        }
    }
}
