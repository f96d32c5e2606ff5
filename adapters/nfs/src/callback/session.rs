//! Callbacks of 4.1: over connections that the client has bound, in the slots of the back channel.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-2.10.6>
//!
//! A request whose connection is lost is sent again over another one under the same number. One
//! that gets no answer leaves its slot in doubt: before it is used again, CB_SEQUENCE alone goes
//! under the doubtful number. Whatever the client says to that, executed or repeated, the number is
//! used up then; only a number that it did not expect is a fault that nothing but a new session
//! mends.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::line::{Lost, Sent};
use super::wire::{self, Frame, Place, Refused, Results};
use super::{Answer, Call, Callbacks, Failure, PAUSE, Patience, Referral};
use crate::state::{BackSlot, Client, Session};
use crate::status::Status;

/// How late an answer may come to show that the client can be called after all.
const LATE: Duration = Duration::from_mins(5);

impl Callbacks {
    /// CB_NULL over each of the session's connections, until one answers.
    pub(super) async fn probe(&self, session: &Session) {
        for link in session.back_links() {
            let deadline = Instant::now() + self.timeout();
            let call = wire::null(session.back.target().program);
            let Ok(mut sent) = link.line.send(call) else {
                continue;
            };
            let reply = tokio::select! {
                reply = timeout_at(deadline, sent.reply()) => reply,
                () = session.back.ended() => return,
            };
            if let Ok(Ok(message)) = reply
                && wire::results(message).is_ok()
            {
                session.path_works();
                return;
            }
        }
        session.path_failed();
    }

    pub(super) async fn call_v41(
        &self,
        client: &Client,
        call: &Call,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let mut tried = false;
        loop {
            let mut found = std::pin::pin!(client.path_found.notified());
            found.as_mut().enable();
            // One that ends meanwhile is not kept while another is asked.
            let sessions: Vec<_> = client.sessions().iter().map(Arc::downgrade).collect();
            for session in sessions {
                let Some(session) = session
                    .upgrade()
                    .filter(|session| session.has_path() && call.is_of(session.minor))
                else {
                    continue;
                };
                if std::mem::replace(&mut tried, true) {
                    self.metrics.retries.inc();
                }
                match self.in_session(client, &session, call, deadline).await {
                    Err(Failure::NoPath) => {}
                    result => return result,
                }
            }
            if !tried {
                return Err(Failure::NoPath);
            }
            // A path may also be there already, and have been too busy.
            tokio::select! {
                () = found => {}
                () = tokio::time::sleep(PAUSE) => {}
                () = tokio::time::sleep_until(deadline) => return Err(Failure::NoPath),
            }
        }
    }

    /// Asks over this session. [`Failure::NoPath`] means that another one may do.
    async fn in_session(
        &self,
        client: &Client,
        session: &Arc<Session>,
        call: &Call,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let mut slot = tokio::select! {
            slot = session.back.take() => slot,
            () = session.back.ended() => return Err(Failure::NoPath),
            () = tokio::time::sleep_until(deadline) => return Err(Failure::Timeout),
        };
        if slot.doubtful {
            self.resolve(session, &mut slot, deadline).await?;
        }
        let referrals = referrals(client, call);
        let mut patience = Patience::until(deadline);
        loop {
            let content = (Some(call), referrals.as_slice());
            let mut results = self.exchange(session, &mut slot, content, deadline).await?;
            match results
                .sequence()
                .map_err(|refused| failed(session, refused))?
            {
                Ok(sequenced) => {
                    slot.executed();
                    session.back.invite(sequenced.target);
                    let answer = results.answer(call);
                    match answer.map_err(|refused| failed(session, refused))? {
                        Ok(answer) => return Ok(answer),
                        Err(Status::Delay) => {}
                        Err(status) => return Err(Failure::Refused(status)),
                    }
                }
                // Busy, or draining its slots before it resets something; the slot stays as it is.
                Err(Status::Delay) => {}
                // It was executed when it was sent over a connection that was lost; what it
                // answered, nobody knows.
                Err(Status::RetryUncachedRep) => {
                    slot.executed();
                    if !matches!(call, Call::GetAttr { .. }) {
                        return Ok(Answer::Done);
                    }
                }
                Err(status) => return Err(disagreed(session, status)),
            }
            patience.wait().await?;
            self.metrics.retries.inc();
        }
    }

    /// Uses up the number of a request whose reply never came.
    async fn resolve(
        &self,
        session: &Arc<Session>,
        slot: &mut BackSlot<'_>,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let mut patience = Patience::until(deadline);
        loop {
            let mut results = self.exchange(session, slot, (None, &[]), deadline).await?;
            match results
                .sequence()
                .map_err(|refused| failed(session, refused))?
            {
                Ok(_) | Err(Status::RetryUncachedRep | Status::SeqFalseRetry) => {
                    slot.executed();
                    return Ok(());
                }
                Err(Status::Delay) => patience.wait().await?,
                Err(status) => return Err(disagreed(session, status)),
            }
        }
    }

    /// Sends a request until its reply comes, over one connection after the other as they are lost.
    async fn exchange(
        &self,
        session: &Arc<Session>,
        slot: &mut BackSlot<'_>,
        (call, referrals): (Option<&Call>, &[Referral]),
        deadline: Instant,
    ) -> Result<Results, Failure> {
        let place = Place {
            session: session.id,
            minor: session.minor,
            slot: slot.slot,
            number: slot.number,
            highest: session.back.highest(),
            referrals: referrals.to_vec(),
        };
        let target = session.back.target();
        let frame = Frame::Session(place);
        let request = wire::compound(target.program, &target.credential, &frame, call);
        if request.len().saturating_sub(4) > session.back.request as usize {
            return Err(Failure::Refused(Status::ReqTooBig));
        }
        let mut attempts = 0_u32;
        loop {
            let mut found = std::pin::pin!(session.client.path_found.notified());
            found.as_mut().enable();
            if let Ok(mut sent) = send(session, &request) {
                slot.sent();
                attempts += 1;
                if attempts > 1 {
                    self.metrics.retries.inc();
                }
                tokio::select! {
                    reply = sent.reply() => if let Ok(message) = reply {
                        let results = wire::results(message).and_then(Results::new);
                        let results = results.map_err(|refused| failed(session, refused))?;
                        session.path_works();
                        return Ok(results);
                    },
                    () = session.back.ended() => return Err(Failure::NoPath),
                    () = tokio::time::sleep_until(deadline) => {
                        session.path_failed();
                        await_late(session, sent);
                        return Err(Failure::Timeout);
                    }
                }
            } else if attempts == 0 {
                return Err(Failure::NoPath);
            } else {
                tokio::select! {
                    () = found => {}
                    () = session.back.ended() => return Err(Failure::NoPath),
                    () = tokio::time::sleep_until(deadline) => return Err(Failure::NoPath),
                }
            }
        }
    }
}

/// A client that answers late can be called again.
fn await_late(session: &Arc<Session>, mut sent: Sent) {
    let session = Arc::downgrade(session);
    tokio::spawn(async move {
        if let Ok(Ok(_)) = timeout(LATE, sent.reply()).await
            && let Some(session) = session.upgrade()
        {
            session.path_works();
        }
    });
}

/// Queues a request on the first connection of the session that takes it.
fn send(session: &Session, request: &[u8]) -> Result<Sent, Lost> {
    let links = session.back_links();
    let mut sent = links.iter().map(|link| link.line.send(request.to_vec()));
    sent.find_map(Result::ok).ok_or(Lost)
}

/// The client's callback service does not understand the server.
fn failed(session: &Session, _: Refused) -> Failure {
    session.path_failed();
    Failure::NoPath
}

/// The client refuses the place of a request in its session.
fn disagreed(session: &Session, status: Status) -> Failure {
    match status {
        Status::Badsession
        | Status::Badslot
        | Status::BadHighSlot
        | Status::SeqMisordered
        | Status::SeqFalseRetry => {
            session.path_is_faulty();
            Failure::NoPath
        }
        _ => Failure::Refused(status),
    }
}

/// The request that the call is about, unless the client has certainly seen its reply: it has used
/// the slot again since.
fn referrals(client: &Client, call: &Call) -> Vec<Referral> {
    let Some(granted) = call.referral() else {
        return Vec::new();
    };
    let sessions: Vec<Arc<Session>> = client.sessions();
    let session = sessions
        .iter()
        .find(|session| session.id == granted.session);
    let unseen = session.is_some_and(|session| session.is_last(granted));
    unseen.then_some(*granted).into_iter().collect()
}
