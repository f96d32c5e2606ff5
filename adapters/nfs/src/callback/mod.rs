//! Callbacks: what the server asks of its clients.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-20>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-15>
//!
//! Who wants something of a client says so with a [`Call`] and gets an [`Answer`] or learns why there
//! is none; over which connection, in which minor version and as whom it is sent is decided here.
//!
//! A 4.0 client is called at the address that it gave ([`dial`]), a 4.1 client over connections that it
//! made itself ([`session`]). Either kind of connection has a [`Line`]: a queue of calls and a table
//! of those that wait for their replies, both bounded. [`wire`] has the bytes.

mod address;
mod dial;
mod insist;
mod line;
mod session;
#[cfg(test)]
pub(crate) mod tests;
mod turns;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::attr::FAttr;
use crate::metrics;
use crate::settings::Settings;
use crate::state::files::Owner;
use crate::state::{Client, Link, Session};
use crate::status::Status;
use crate::types::{Bitmap, FileHandle, Minor, SessionId, StateId, Verifier};

pub use address::Endpoint;
pub use dial::Dial;
pub use insist::{Heard, insist};
pub use line::{Line, Lost};
pub use turns::tell_turns;

/// What the server asks of a client.
#[derive(Debug, Clone)]
pub enum Call {
    /// CB_RECALL: give the delegation back.
    Recall {
        /// The delegation.
        stateid: StateId,
        /// Whether the file is about to be cut to size 0.
        truncate: bool,
        /// The file.
        file: FileHandle,
        /// The request that granted it, if in a session: its reply may be slower than this.
        granted: Option<Referral>,
    },
    /// CB_GETATTR: what size and change counter the client has, who may write without telling.
    GetAttr {
        /// The file.
        file: FileHandle,
        /// The attributes.
        wanted: Bitmap,
    },
    /// CB_RECALL_ANY: give back delegations of the client's own choice. 4.1 alone has it.
    RecallAny {
        /// How many it may keep.
        keep: u32,
        /// Of which kinds: bits RCA4_TYPE_MASK_*.
        kinds: Bitmap,
    },
    /// CB_NOTIFY_LOCK: a lock that was denied may be had now. 4.1 alone has it.
    NotifyLock {
        /// The file.
        file: FileHandle,
        /// Who wanted it.
        owner: Owner,
    },
    /// CB_OFFLOAD: a copy in the background has ended. 4.2 alone has it.
    Offload {
        /// The file that it wrote.
        file: FileHandle,
        /// The copy.
        stateid: StateId,
        /// What came of it.
        result: Offloaded,
        /// The request that ordered it: its reply may be slower than this.
        ordered: Referral,
    },
}

/// What came of a copy in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offloaded {
    /// Whether all was copied that there was.
    pub result: Result<(), Status>,
    /// Bytes copied.
    pub count: u64,
    /// Changes when what was copied may have been lost before it was committed.
    pub verifier: Verifier,
}

impl Call {
    /// Whether this minor version of 4.1 or later has it.
    fn is_of(&self, minor: Minor) -> bool {
        minor >= Minor::V42 || !matches!(self, Self::Offload { .. })
    }

    /// The request that it is about.
    fn referral(&self) -> Option<&Referral> {
        match self {
            Self::Recall { granted, .. } => granted.as_ref(),
            Self::Offload { ordered, .. } => Some(ordered),
            Self::GetAttr { .. } | Self::RecallAny { .. } | Self::NotifyLock { .. } => None,
        }
    }
}

/// RCA4_TYPE_MASK_RDATA_DLG: delegations to read.
pub const READ_DELEGATIONS: u32 = 0;
/// RCA4_TYPE_MASK_WDATA_DLG: delegations to write.
pub const WRITE_DELEGATIONS: u32 = 1;

/// A request of a client, by its place in a session: what a callback is about. Told of it, a client
/// that has not yet seen the reply waits for that before it judges the callback
/// (RFC 8881 §2.10.6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Referral {
    /// The session.
    pub session: SessionId,
    /// The slot.
    pub slot: u32,
    /// The number in it.
    pub sequence: u32,
}

/// What a client answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It did it, or will.
    Done,
    /// Attributes.
    Attrs(FAttr),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// There is no way to the client.
    NoPath,
    /// It did not answer in time.
    Timeout,
    /// It refused.
    Refused(Status),
}

/// 4.0 clients that are being connected to at once.
const DIALS: usize = 64;
/// How long to wait before a client that is busy is asked again, at first and at most.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The ways to the clients. Cheap to clone.
#[derive(Clone)]
pub struct Callbacks {
    settings: Arc<ArcSwap<Settings>>,
    metrics: metrics::Callbacks,
    dials: Arc<Semaphore>,
}

impl Callbacks {
    /// Ways that obey these settings and are counted here.
    pub fn new(settings: Arc<ArcSwap<Settings>>, metrics: metrics::Callbacks) -> Self {
        Self {
            settings,
            metrics,
            dials: Arc::new(Semaphore::new(DIALS)),
        }
    }

    /// Connects to nobody from now on: where to is up to whoever writes the requests.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn never_dial(&self) {
        self.dials.close();
    }

    /// Whether the client could be called when that was last tried. A 4.1 client that has bound a
    /// connection counts as reachable until a call fails; a 4.0 client must have answered.
    pub fn reaches(&self, client: &Client) -> bool {
        if client.is_v40() {
            self.has_answered(client)
        } else {
            client.has_path()
        }
    }

    /// Asks the client, and waits for its answer at most as long as `callback_timeout` says. Without
    /// any way to the client it fails at once; if the way is lost meanwhile, it waits for
    /// another. Called again after a failure, it tries what ways there are then.
    pub async fn call(&self, client: &Client, call: &Call) -> Result<Answer, Failure> {
        let began = Instant::now();
        let deadline = began + self.timeout();
        self.metrics.calls.inc();
        let answer = if client.is_v40() {
            self.call_v40(client, call, deadline).await
        } else {
            self.call_v41(client, call, deadline).await
        };
        self.metrics.duration.observe(began.elapsed().as_secs_f64());
        if answer.is_err() {
            self.metrics.failures.inc();
        }
        answer
    }

    /// Finds out whether a session's callbacks get through, once the client has the reply to its call
    /// `xid` over this connection.
    pub fn probe_session(&self, session: &Arc<Session>, link: &Link, xid: u32) {
        let replied = link.line.after_reply(xid);
        // It may end meanwhile, and is not kept for this.
        let session = Arc::downgrade(session);
        let this = self.clone();
        tokio::spawn(async move {
            // A connection that is gone has taken its part of the session with it.
            if let Ok(Ok(())) = tokio::time::timeout(this.timeout(), replied).await
                && let Some(session) = session.upgrade()
            {
                this.probe(&session).await;
            }
        });
    }

    fn timeout(&self) -> Duration {
        self.settings.load().callback_timeout()
    }
}

/// Waits before a busy client is asked again, each time longer; fails when the time is over.
struct Patience {
    pause: Duration,
    deadline: Instant,
}

impl Patience {
    fn until(deadline: Instant) -> Self {
        Self {
            pause: PAUSE,
            deadline,
        }
    }

    async fn wait(&mut self) -> Result<(), Failure> {
        let next = Instant::now() + self.pause;
        if next >= self.deadline {
            return Err(Failure::Refused(Status::Delay));
        }
        tokio::time::sleep_until(next).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        Ok(())
    }
}
