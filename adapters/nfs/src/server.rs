//! The running server: what all connections share, and the loop that accepts them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use dittofs_sdk::{Context, Error};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::callback::Callbacks;
use crate::connection::{self, Connection, Load};
use crate::copies::Copier;
use crate::delegations::{self, Delegations};
use crate::exports::Exports;
use crate::identity::Identity;
use crate::metrics::Metrics;
use crate::recovery::Records;
use crate::settings::Settings;
use crate::state::{Link, State};
use crate::workers::Workers;

/// How often expired leases are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// What all connections share.
pub struct Server {
    /// Who this server is, over restarts.
    pub identity: Identity,
    /// Clients, sessions, opens and locks.
    pub state: State,
    /// The ways to the clients.
    pub callbacks: Callbacks,
    /// What waits for delegations to come back.
    pub delegations: Delegations,
    /// What copies in the background share.
    pub copier: Copier,
    /// What is counted.
    pub metrics: Metrics,
    pub(crate) records: Records,
    /// What COMPOUNDs that were not ready at once take.
    pub(crate) load: Load,
    settings: Arc<ArcSwap<Settings>>,
    exports: ArcSwap<Exports>,
    /// Keyed at random, so that nobody can make two requests look the same.
    digests: ahash::RandomState,
    draining: watch::Sender<bool>,
    connections: watch::Sender<u32>,
    /// How far the server's time is ahead of the clock.
    #[cfg(any(test, feature = "fuzzing"))]
    ahead: parking_lot::Mutex<Duration>,
}

impl Server {
    /// A server that accepts nothing yet. It keeps no records, unless it comes
    /// [`after`](Self::after) an earlier one.
    pub fn new(settings: Settings, exports: Exports, identity: Identity, metrics: Metrics) -> Self {
        let (keys, meter) = (RandomState::new(), Arc::clone(&metrics.state));
        let state = State::new(identity.boot, Instant::now(), &keys, meter);
        let settings = Arc::new(ArcSwap::from_pointee(settings));
        let callbacks = Callbacks::new(Arc::clone(&settings), metrics.callbacks.clone());
        Self {
            identity,
            state,
            callbacks,
            delegations: Delegations::default(),
            copier: Copier::default(),
            metrics,
            records: Records::default(),
            load: Load::default(),
            settings,
            exports: ArcSwap::from_pointee(exports),
            digests: ahash::RandomState::new(),
            draining: watch::Sender::new(false),
            connections: watch::Sender::new(0),
            #[cfg(any(test, feature = "fuzzing"))]
            ahead: parking_lot::Mutex::default(),
        }
    }

    /// The time by which leases are judged.
    pub fn now(&self) -> Instant {
        #[cfg(any(test, feature = "fuzzing"))]
        return Instant::now() + *self.ahead.lock();
        #[cfg(not(any(test, feature = "fuzzing")))]
        Instant::now()
    }

    /// Lets time pass at once.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn pass(&self, time: Duration) {
        *self.ahead.lock() += time;
    }

    /// The settings now.
    pub fn settings(&self) -> Guard<Arc<Settings>> {
        self.settings.load()
    }

    /// Puts settings into force, from the next COMPOUND on.
    pub fn set_settings(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// What is exported now.
    pub fn exports(&self) -> Guard<Arc<Exports>> {
        self.exports.load()
    }

    /// Exports something else from now on.
    pub fn set_exports(&self, exports: Exports) {
        self.exports.store(Arc::new(exports));
    }

    /// Tells one request from another (RFC 8881 §2.10.6.1.3.1). All of a request without much data
    /// counts. Of more, both ends do, where its operations are, and a sample of every page: hashing
    /// a megabyte would cost more than writing it.
    pub fn digest(&self, args: &[u8]) -> u64 {
        const WHOLE: usize = 16 * 1024;
        const EDGE: usize = 4096;
        const PAGE: usize = 4096;
        const SAMPLE: usize = 64;
        let mut hasher = self.digests.build_hasher();
        hasher.write_usize(args.len());
        if args.len() <= WHOLE {
            hasher.write(args);
            return hasher.finish();
        }
        let (head, rest) = args.split_at(EDGE);
        let (middle, tail) = rest.split_at(rest.len() - EDGE);
        hasher.write(head);
        hasher.write(tail);
        for page in middle.chunks(PAGE) {
            hasher.write(page.get(..SAMPLE).unwrap_or(page));
        }
        hasher.finish()
    }

    /// Resolves when the server takes no new work.
    pub async fn draining(&self) {
        // The sender lives in `self`.
        let _ = self
            .draining
            .subscribe()
            .wait_for(|&draining| draining)
            .await;
    }

    /// Takes no new connections and requests; resolves when all connections, and copies in the background, have
    /// ended or the time is over.
    pub async fn drain(&self, deadline: Duration) {
        self.draining.send_replace(true);
        let mut connections = self.connections.subscribe();
        let ended = async {
            let _ = connections.wait_for(|&count| count == 0).await;
            self.copier.none_running().await;
        };
        let _ = tokio::time::timeout(deadline, ended).await;
    }

    /// Accepts connections until the server drains; `workers` serve them.
    pub async fn accept(self: Arc<Self>, listener: TcpListener, workers: Arc<Workers>) {
        loop {
            let accepted = tokio::select! {
                () = self.draining() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.welcome(&workers, stream, peer),
                // Out of descriptors, most likely: wait for some to be closed.
                Err(error) => {
                    tracing::warn!("can't accept: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn welcome(self: &Arc<Self>, workers: &Workers, stream: TcpStream, peer: SocketAddr) {
        let limit = self.settings().max_connections;
        if limit != 0 && *self.connections.borrow() >= limit {
            tracing::warn!(%peer, "refused: max_connections ({limit}) are open");
            return;
        }
        let Ok(local) = stream.local_addr() else {
            return;
        };
        // A reply is a whole batch already; waiting for more only adds latency.
        let _ = stream.set_nodelay(true);
        let connection = Connection::new(peer, local);
        let open = Open::new(self, &connection);
        let server = Arc::clone(self);
        let served = workers.serve(stream, |stream| async move {
            let _open = open;
            connection::serve(server, stream, connection).await;
        });
        if let Err(error) = served {
            tracing::warn!(%peer, "can't serve a connection: {error}");
        }
    }

    /// Lets leases expire, and reports on the state, until the server drains.
    pub async fn sweep(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.draining() => return,
                () = tokio::time::sleep(SWEEP) => {}
            }
            let now = self.now();
            self.end_leases(now).await;
            self.metrics.grace.stands(self.state.grace.report(now));
            let settings = self.settings();
            delegations::sweep(&self, self.now()).await;
            self.state.publish(settings.metrics_max_sessions as usize);
        }
    }

    /// Follows the host's list of shares until the server drains.
    pub async fn follow_shares(self: Arc<Self>, cx: Context) {
        let mut shares = cx.watch_shares();
        loop {
            tokio::select! {
                () = self.draining() => return,
                changed = shares.changed() => if changed.is_err() { return },
            }
            let exports = Exports::new(&shares.borrow_and_update());
            self.set_exports(exports);
        }
    }
}

/// Counts a connection for as long as it lives, also when its task panics.
struct Open(Arc<Server>, Arc<Link>);

impl Open {
    fn new(server: &Arc<Server>, connection: &Connection) -> Self {
        server.connections.send_modify(|count| *count += 1);
        server.metrics.accepted.inc();
        server.metrics.connections.add(1);
        Self(Arc::clone(server), Arc::clone(&connection.link))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0
            .connections
            .send_modify(|count| *count = count.saturating_sub(1));
        self.0.metrics.connections.add(-1);
        self.0.metrics.closed.inc();
        self.0.state.disconnected(&self.1);
    }
}

impl From<crate::identity::IdentityError> for Error {
    fn from(error: crate::identity::IdentityError) -> Self {
        Self::failed(error)
    }
}
