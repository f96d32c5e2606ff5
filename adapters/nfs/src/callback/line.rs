//! One connection as callbacks see it: calls that wait to be written, and calls that wait for
//! their replies.
//!
//! The connection's task owns the socket. It takes what is queued here into its batch and hands
//! in the replies; nobody else touches the stream, so a callback never stands between a client and
//! its replies for longer than its own bytes take.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

/// Calls of one connection that may wait at once. Beyond, there is something wrong with the client.
const MOST: usize = 64;

/// One connection's callbacks.
#[derive(Debug, Default)]
pub struct Line {
    calls: Mutex<Calls>,
    /// Rung when there is something to write.
    bell: Notify,
    /// Whether callbacks may be sent at all.
    open: AtomicBool,
    /// Whether anybody waits until one of the server's replies is out.
    watched: AtomicBool,
}

#[derive(Debug, Default)]
struct Calls {
    closed: bool,
    last: u32,
    queue: VecDeque<(u32, Vec<u8>)>,
    pending: HashMap<u32, oneshot::Sender<Bytes>>,
    watchers: Vec<(u32, oneshot::Sender<()>)>,
}

/// A call that was queued. Dropped, it is forgotten: what was not written never is, and what comes
/// as its reply is nobody's.
#[derive(Debug)]
pub struct Sent {
    line: Arc<Line>,
    xid: u32,
    reply: oneshot::Receiver<Bytes>,
}

/// The connection is gone, or takes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

impl Line {
    /// Queues a call: a record with its mark, behind which there is room for the transaction id.
    pub fn send(self: &Arc<Self>, mut record: Vec<u8>) -> Result<Sent, Lost> {
        let (sender, reply) = oneshot::channel();
        let xid = {
            let mut calls = self.calls.lock();
            if calls.closed || calls.pending.len() >= MOST {
                return Err(Lost);
            }
            calls.last = calls.last.wrapping_add(1);
            let xid = calls.last;
            if let Some(place) = record.get_mut(4..8) {
                place.copy_from_slice(&xid.to_be_bytes());
            }
            calls.queue.push_back((xid, record));
            calls.pending.insert(xid, sender);
            xid
        };
        self.open();
        self.bell.notify_one();
        Ok(Sent {
            line: Arc::clone(self),
            xid,
            reply,
        })
    }

    /// Calls may be sent from now on.
    pub fn open(&self) {
        self.open.store(true, Ordering::Release);
    }

    /// Whether calls may be sent, and replies come.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Resolves when something is queued.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    /// Appends what is queued to a batch.
    pub fn take(&self, out: &mut BytesMut) {
        for (_, record) in self.calls.lock().queue.drain(..) {
            out.extend_from_slice(&record);
        }
    }

    /// Hands a reply to whoever waits for it; one that comes too late is nobody's.
    pub fn answer(&self, xid: u32, message: Bytes) {
        let waiting = self.calls.lock().pending.remove(&xid);
        if let Some(waiting) = waiting {
            let _ = waiting.send(message);
        }
    }

    /// Resolves when the reply to the client's call `xid` stands before whatever is queued from then
    /// on; fails if the connection ends before.
    pub fn after_reply(&self, xid: u32) -> impl Future<Output = Result<(), Lost>> + use<> {
        let (sender, replied) = oneshot::channel();
        let mut calls = self.calls.lock();
        if !calls.closed && calls.watchers.len() < MOST {
            calls.watchers.push((xid, sender));
            self.watched.store(true, Ordering::Release);
        }
        drop(calls);
        async move { replied.await.map_err(|_| Lost) }
    }

    /// The reply to the client's call `xid` has joined the batch.
    pub fn replied(&self, xid: u32) {
        if !self.watched.load(Ordering::Acquire) {
            return;
        }
        let mut calls = self.calls.lock();
        for (_, watcher) in calls.watchers.extract_if(.., |(other, _)| *other == xid) {
            let _ = watcher.send(());
        }
        self.watched
            .store(!calls.watchers.is_empty(), Ordering::Release);
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.calls.lock().closed
    }

    /// The connection is gone: whoever waits learns it, and nobody can send any more.
    pub fn close(&self) {
        let mut calls = self.calls.lock();
        *calls = Calls {
            closed: true,
            ..Calls::default()
        };
        drop(calls);
        self.bell.notify_one();
    }
}

impl Sent {
    /// The reply, from its transaction id on.
    pub async fn reply(&mut self) -> Result<Bytes, Lost> {
        (&mut self.reply).await.map_err(|_| Lost)
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let mut calls = self.line.calls.lock();
        if calls.pending.remove(&self.xid).is_some() {
            calls.queue.retain(|(xid, _)| *xid != self.xid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(line: &Arc<Line>) -> Result<(u32, Sent), Lost> {
        let sent = line.send(vec![0; 8])?;
        Ok((sent.xid, sent))
    }

    #[tokio::test]
    async fn replies_find_their_calls_in_any_order() {
        let line = Arc::new(Line::default());
        let (a, mut first) = sent(&line).unwrap();
        let (b, mut second) = sent(&line).unwrap();
        let mut out = BytesMut::new();
        line.take(&mut out);
        assert_eq!(
            out,
            [[0; 4], a.to_be_bytes(), [0; 4], b.to_be_bytes()].concat()
        );
        line.answer(b, Bytes::from_static(b"b"));
        line.answer(a, Bytes::from_static(b"a"));
        line.answer(99, Bytes::from_static(b"nobody's"));
        assert_eq!(first.reply().await.unwrap(), "a");
        assert_eq!(second.reply().await.unwrap(), "b");
    }

    #[tokio::test]
    async fn what_is_given_up_is_not_written_and_its_reply_is_nobodys() {
        let line = Arc::new(Line::default());
        let (xid, given_up) = sent(&line).unwrap();
        drop(given_up);
        let mut out = BytesMut::new();
        line.take(&mut out);
        assert!(out.is_empty());
        line.answer(xid, Bytes::new());
    }

    #[tokio::test]
    async fn calls_are_bounded_and_end_with_the_connection() {
        let line = Arc::new(Line::default());
        let mut calls: Vec<_> = std::iter::from_fn(|| sent(&line).ok()).collect();
        assert_eq!(calls.len(), MOST);
        line.close();
        for (_, sent) in &mut calls {
            assert_eq!(sent.reply().await, Err(Lost));
        }
        drop(calls);
        assert!(sent(&line).is_err());
        assert_eq!(line.after_reply(1).await, Err(Lost));
    }

    #[tokio::test]
    async fn what_follows_a_reply_waits_for_that_reply() {
        let line = Line::default();
        let mut after = Box::pin(line.after_reply(7));
        line.replied(6);
        assert!(futures_pending(&mut after).await);
        line.replied(7);
        assert_eq!(after.await, Ok(()));
    }

    async fn futures_pending<T>(future: &mut (impl Future<Output = T> + Unpin)) -> bool {
        std::future::poll_fn(|cx| {
            std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending())
        })
        .await
    }
}
