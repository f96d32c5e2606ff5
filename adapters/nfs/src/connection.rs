//! One client connection: a batch of records in, a batch of replies out.
//!
//! The connection's task reads what has arrived and polls each COMPOUND once in place. If it is
//! ready (everything it needs is hot), its reply joins the batch, which leaves in one write; no
//! other thread was woken. If it is not, it becomes a task of its own and the connection
//! goes on reading. A COMPOUND that has started is never cancelled, also not when its
//! connection goes away: a retry on another connection finds its reply in the slot.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dittofs_sdk::vfs::Buffer;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::compound::{self, Request};
use crate::rpc::{Call, Header, Procedure, Records, Rejection, begin_reply, reject};
use crate::server::Server;

/// COMPOUNDs of one connection that may be under way at once; beyond, the connection is not
/// read, and TCP holds the client back.
const IN_FLIGHT: usize = 256;
/// Bytes of replies that are collected before they are written.
const BATCH: usize = 256 * 1024;
/// Bytes that are reserved ahead of what has arrived.
const READ_STEP: usize = 1024 * 1024;
/// How long a peer may take none of its replies before it is cut off.
const WRITE_TIMEOUT: Duration = Duration::from_mins(1);

/// What operations know of the connection they came over.
#[derive(Debug)]
pub struct Connection {
    /// Unique in this server's life.
    pub id: u64,
    /// The client's address.
    pub peer: SocketAddr,
    /// The address that the client connected to.
    pub local: SocketAddr,
}

type Compound = Pin<Box<dyn Future<Output = Buffer> + Send>>;

/// Serves `stream` until the peer ends it, breaks the protocol, or the server drains.
pub async fn serve(server: Arc<Server>, mut stream: TcpStream, connection: Connection) {
    let settings = server.settings();
    let mut service = Service {
        connection: Arc::new(connection),
        records: Records::new(settings.max_record()),
        server,
        out: BytesMut::new(),
    };
    let (done, mut later) = mpsc::channel::<Buffer>(IN_FLIGHT);
    let mut in_flight = 0_usize;
    let mut open = true;
    loop {
        while open && in_flight < IN_FLIGHT {
            let Some(compound) = service.next_pending(&mut open).await else {
                break;
            };
            in_flight += 1;
            let done = done.clone();
            tokio::spawn(async move {
                // The connection may be gone; the work is done all the same.
                let _ = done.send(compound.await).await;
            });
        }
        if !service.out.is_empty() && !service.flush(&mut stream).await {
            return;
        }
        let readable = open && in_flight < IN_FLIGHT;
        if readable && service.records.has_next() {
            continue;
        }
        if !open && in_flight == 0 {
            return;
        }
        let between = service.records.is_between();
        let patience = if between {
            None
        } else {
            Some(settings.record_timeout())
        };
        tokio::select! {
            biased;
            Some(reply) = later.recv(), if in_flight > 0 => {
                in_flight -= 1;
                service.queue(&reply);
                while let Ok(reply) = later.try_recv() {
                    in_flight -= 1;
                    service.queue(&reply);
                }
            }
            ready = wait_readable(&stream, patience), if readable => {
                open = ready && service.receive(&stream);
            }
            () = service.server.draining(), if readable && between && in_flight == 0 => {
                open = false;
            }
        }
    }
}

/// Waits for input; false when the peer takes too long in the middle of a record.
async fn wait_readable(stream: &TcpStream, patience: Option<Duration>) -> bool {
    let ready = stream.ready(Interest::READABLE);
    match patience {
        None => ready.await.is_ok(),
        Some(patience) => matches!(tokio::time::timeout(patience, ready).await, Ok(Ok(_))),
    }
}

struct Service {
    server: Arc<Server>,
    connection: Arc<Connection>,
    records: Records,
    out: BytesMut,
}

impl Service {
    /// Takes in what has arrived; false at the end of the stream.
    fn receive(&mut self, stream: &TcpStream) -> bool {
        loop {
            let room = self.records.input(READ_STEP);
            let full = room.capacity() - room.len();
            match stream.try_read_buf(room) {
                Ok(0) => return false,
                Ok(count) if count == full && self.records.wants_more() => {}
                Ok(_) => return true,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
        }
    }

    /// Answers complete records in place, up to the first that is not ready at once.
    async fn next_pending(&mut self, open: &mut bool) -> Option<Compound> {
        while self.out.len() < BATCH {
            let record = match self.records.next() {
                Ok(Some(record)) => record,
                Ok(None) => {
                    self.records.release();
                    return None;
                }
                Err(oversized) => {
                    tracing::warn!(peer = %self.connection.peer, "closing: {oversized}");
                    *open = false;
                    return None;
                }
            };
            let Some(mut compound) = self.answer(record, open) else {
                continue;
            };
            match std::future::poll_fn(|cx| Poll::Ready(compound.as_mut().poll(cx))).await {
                Poll::Ready(reply) => self.queue(&reply),
                Poll::Pending => return Some(compound),
            }
        }
        None
    }

    /// Answers what needs no COMPOUND at once, else returns the COMPOUND to run.
    fn answer(&mut self, record: Bytes, open: &mut bool) -> Option<Compound> {
        let Ok(Header { xid, body }) = Header::decode(record) else {
            tracing::warn!(peer = %self.connection.peer, "closing: not an RPC call");
            *open = false;
            return None;
        };
        let body = match body {
            Ok(body) => body,
            Err(rejection) => {
                self.queue(&reject(Buffer::default(), xid, rejection));
                return None;
            }
        };
        if body.procedure == Procedure::Null {
            self.queue(&begin_reply(Buffer::default(), xid));
            return None;
        }
        let digest = self.server.digest(&body.args);
        let Ok(request) = Request::decode(body.args) else {
            self.queue(&reject(Buffer::default(), xid, Rejection::GarbageArgs));
            return None;
        };
        let call = Call {
            connection: Arc::clone(&self.connection),
            peer: self.connection.peer,
            auth: body.auth,
            xid,
            digest,
        };
        let reply = begin_reply(Buffer::with_capacity(512), xid);
        Some(Box::pin(compound::serve(
            Arc::clone(&self.server),
            call,
            request,
            reply,
        )))
    }

    /// Appends one reply to the batch; its first four bytes are room for the record mark.
    fn queue(&mut self, reply: &Buffer) {
        let message = reply.get(4..).unwrap_or_default();
        let mark = message.len() as u32 | 1 << 31;
        self.out.extend_from_slice(&mark.to_be_bytes());
        self.out.extend_from_slice(message);
    }

    /// Writes the batch; false when the peer does not take it.
    async fn flush(&mut self, stream: &mut TcpStream) -> bool {
        let written = tokio::time::timeout(WRITE_TIMEOUT, stream.write_all(&self.out)).await;
        if self.out.capacity() > 2 * BATCH {
            self.out = BytesMut::new();
        } else {
            self.out.clear();
        }
        matches!(written, Ok(Ok(())))
    }
}

impl Connection {
    /// A connection with a number of its own.
    pub fn new(peer: SocketAddr, local: SocketAddr) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            peer,
            local,
        }
    }
}
