//! What was answered to 4.0 requests that must not be executed twice. A 4.0 client that lost its connection
//! sends again, under the same transaction id, what was not answered; 4.1 has sessions for that.
//! <https://www.rfc-editor.org/rfc/rfc7530#section-9.1.7> on the duplicate request cache

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

use super::Principal;
use crate::turn::Turns;

/// How many requests are remembered.
const REQUESTS: usize = 1024;
/// Larger replies are not kept; those of operations that change something are small.
const LARGEST: usize = 2048;
/// After this nobody sends a request again, but a client may have come to the same id anew.
const LIFETIME: Duration = Duration::from_mins(2);

/// What a repetition has in common with the first request. Clients keep their port when they
/// connect again, for this very reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId {
    /// Address and port of the caller.
    pub peer: SocketAddr,
    /// Who calls.
    pub principal: Principal,
    /// Transaction id.
    pub xid: u32,
    /// Of the arguments.
    pub digest: u64,
}

/// A request's reply, once there is one; taken while the request runs.
pub type Reply = Turns<Option<Bytes>>;

/// The replies to the last requests.
#[derive(Debug, Default)]
pub struct Answers {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    replies: HashMap<RequestId, (Instant, Reply)>,
    order: VecDeque<(Instant, RequestId)>,
}

impl Answers {
    /// The place of a request's reply: that of its first coming, if this is a repetition.
    pub fn of(&self, request: RequestId, now: Instant) -> Reply {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let fresh = |since: &Instant| now.saturating_duration_since(*since) < LIFETIME;
        if let Some((since, reply)) = inner.replies.get(&request)
            && fresh(since)
        {
            return reply.clone();
        }
        let reply = Reply::default();
        inner.replies.insert(request, (now, reply.clone()));
        inner.order.push_back((now, request));
        if inner.order.len() > REQUESTS
            && let Some((since, oldest)) = inner.order.pop_front()
            && inner
                .replies
                .get(&oldest)
                .is_some_and(|(at, _)| *at == since)
        {
            inner.replies.remove(&oldest);
        }
        reply
    }
}

/// A reply as it is kept, if it is.
pub fn kept(reply: &[u8]) -> Option<Bytes> {
    (reply.len() <= LARGEST).then(|| Bytes::copy_from_slice(reply))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(xid: u32) -> RequestId {
        RequestId {
            peer: SocketAddr::from(([127, 0, 0, 1], 700)),
            principal: Principal::Nobody,
            xid,
            digest: 7,
        }
    }

    #[tokio::test]
    async fn a_repetition_finds_the_reply_while_it_is_fresh() {
        let (answers, now) = (Answers::default(), Instant::now());
        let mut first = answers.of(request(1), now).take().await;
        *first = kept(b"done");
        drop(first);
        let again = answers.of(request(1), now).take().await;
        assert_eq!(again.as_deref(), Some(&b"done"[..]));
        assert_eq!(*answers.of(request(2), now).take().await, None);
        let late = now + LIFETIME;
        assert_eq!(*answers.of(request(1), late).take().await, None);
        assert_eq!(kept(&[0; LARGEST + 1]), None);
    }

    #[test]
    fn only_the_last_requests_are_remembered() {
        let (answers, start) = (Answers::default(), Instant::now());
        for xid in 0..3000 {
            // The same ids come again and again, after their time.
            let now = start + LIFETIME * xid;
            drop(answers.of(request(xid % 1500), now));
        }
        let inner = answers.inner.lock();
        assert_eq!(inner.order.len(), REQUESTS);
        assert_eq!(inner.replies.len(), REQUESTS);
    }
}
