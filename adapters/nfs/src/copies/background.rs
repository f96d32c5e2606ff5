//! A copy in the background: it goes on without its connection, until it is done, is stopped, or may no
//! longer be done.

use std::sync::Arc;
use std::time::Duration;

use super::{Transfer, report};
use crate::callback::{Lost, Referral};
use crate::delegations::Hold;
use crate::errors::fitting;
use crate::metrics::CopyEnd;
use crate::ops::copy::NUMBER;
use crate::server::Server;
use crate::state::copies::{Job, Phase, Stop};
use crate::status::Status;
use crate::types::Minor;

/// How long to wait before a piece is tried again that something is in the way of, and how often.
const PAUSE: Duration = Duration::from_secs(1);
const PATIENCE: u32 = 120;

/// The request that ordered a copy.
pub struct Request<R> {
    /// Where in its session it stands.
    pub place: Referral,
    /// Resolves when its reply is on its way.
    pub replied: R,
}

/// Goes on with a copy in the background. As long as it may write, `hold` keeps delegations from being
/// granted that it would stand against. Its result is told after the reply to the request.
pub fn begin<R>(
    server: &Arc<Server>,
    job: Arc<Job>,
    copy: Transfer,
    hold: Hold,
    request: Request<R>,
) where
    R: Future<Output = Result<(), Lost>> + Send + 'static,
{
    let running = Running::new(server, &job);
    let server = Arc::clone(server);
    tokio::spawn(async move {
        let end = run(&server, &job, copy).await;
        drop(hold);
        running.end(end);
        if end != End::Unwanted {
            report::tell(&server, &job, request).await;
        }
    });
}

/// How a copy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// All is copied, or all that there was.
    Done,
    /// For this reason.
    Failed(Status),
    /// The operator did not want it.
    Denied,
    /// Nobody wants to know.
    Unwanted,
}

/// The files are closed when it returns.
async fn run(server: &Server, job: &Job, mut copy: Transfer) -> End {
    let mut patience = PATIENCE;
    loop {
        let turn = tokio::select! {
            biased;
            () = job.stopped() => None,
            () = server.draining() => None,
            turn = server.copier.turns.acquire() => turn.ok(),
        };
        let Some(turn) = turn else {
            return match job.phase() {
                Phase::Stopping(Stop::Operator) => End::Denied,
                _ => End::Unwanted,
            };
        };
        if server.state.clients.find(job.order.client).is_none() {
            return End::Unwanted;
        }
        match copy.step(server, u64::MAX).await {
            Ok(0) => return End::Done,
            Ok(copied) => {
                job.advance(copied);
                patience = PATIENCE;
                drop(turn);
                // A file system that never waits must not keep others from being served.
                tokio::task::yield_now().await;
            }
            Err(Status::Delay) if patience > 0 => {
                patience -= 1;
                drop(turn);
                tokio::select! {
                    () = job.stopped() => {}
                    () = server.draining() => {}
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
            Err(status) => return End::Failed(fitting(Minor::V42, NUMBER, status)),
        }
    }
}

/// A copy that may write yet. Dropped without an end, it has failed.
struct Running {
    server: Arc<Server>,
    job: Arc<Job>,
    ended: bool,
}

impl Running {
    fn new(server: &Arc<Server>, job: &Arc<Job>) -> Self {
        server.copier.running.send_modify(|count| *count += 1);
        server.metrics.copies.active.add(1);
        Self {
            server: Arc::clone(server),
            job: Arc::clone(job),
            ended: false,
        }
    }

    fn end(mut self, end: End) {
        self.ended = true;
        let (result, counted) = match end {
            End::Done => (Ok(()), CopyEnd::Completed),
            End::Failed(status) => (Err(status), CopyEnd::Failed),
            End::Denied => (Err(Status::OffloadDenied), CopyEnd::Cancelled),
            End::Unwanted => (Err(Status::Delay), CopyEnd::Cancelled),
        };
        self.server.metrics.copies.background(counted);
        if end == End::Unwanted {
            self.server.state.copies.forget(&self.job);
        }
        self.job.end(result);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.server.metrics.copies.background(CopyEnd::Failed);
            self.job.end(Err(Status::Serverfault));
        }
        self.server.metrics.copies.active.add(-1);
        let count = |count: &mut u32| *count = count.saturating_sub(1);
        self.server.copier.running.send_modify(count);
    }
}
