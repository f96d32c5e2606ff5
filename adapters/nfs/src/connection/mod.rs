//! One client connection: a batch of records in, a batch of replies out.
//!
//! The connection's task reads what has arrived and polls each COMPOUND once in place. If it is
//! ready (everything it needs is hot), its reply joins the batch, which leaves in one write; no
//! other thread was woken. If it is not, it becomes a task of its own and the connection
//! goes on reading. Calls to the client leave with the replies, and its replies to them are told
//! from its calls by their type (RFC 8881 §2.10.3.1: one connection may carry both). A COMPOUND that has started is never cancelled, also not when its
//! connection goes away: a retry on another connection finds its reply in the slot.
//!
//! What a client makes the server keep is bounded: nothing is received while its replies do not leave, or while its
//! COMPOUNDs under way are many or large ([`waiting`]). TCP then holds the client back.

mod company;
mod haste;
mod replies;
#[cfg(test)]
mod tests;
mod waiting;

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;

use bytes::Bytes;
use dittofs_sdk::vfs::Buffer;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use self::company::Company;
use self::haste::Haste;
use self::replies::Replies;
use self::waiting::Waiting;
use crate::compound::{self, Request};
use crate::near::Near;
use crate::rpc::{
    Call, Header, LastSys, Procedure, Records, Rejection, begin_reply, reject, reply_xid,
};
use crate::server::Server;
use crate::state::Link;
use crate::types::ClientId;

pub use self::waiting::Load;

/// Bytes of replies that are collected before they are written, and before other connections get
/// their turn.
const BATCH: usize = 256 * 1024;

/// What operations know of the connection they came over.
pub struct Connection {
    /// Unique in this server's life.
    pub id: u64,
    /// The client's address.
    pub peer: SocketAddr,
    /// The address that the client connected to.
    pub local: SocketAddr,
    /// Its part in sessions, and its callbacks.
    pub link: Arc<Link>,
    /// Whose requests come over it, in 4.0.
    pub users: Users,
    /// The server, as the requests of this connection hold it.
    server: OnceLock<Near<Server>>,
}

/// The 4.0 clients that were seen on a connection: most operations do not say whose they are, but most
/// connections are one client's.
#[derive(Debug, Default)]
pub struct Users(AtomicU64);

impl Users {
    const NONE: u64 = 0;
    const SEVERAL: u64 = u64::MAX;

    /// A request of this client came.
    pub fn note(&self, client: ClientId) {
        let seen = self.0.load(Ordering::Relaxed);
        if seen == client.0 || seen == Self::SEVERAL {
            return;
        }
        let relaxed = Ordering::Relaxed;
        let noted = self
            .0
            .compare_exchange(Self::NONE, client.0, relaxed, relaxed);
        if noted.is_err_and(|other| other != client.0) {
            self.0.store(Self::SEVERAL, relaxed);
        }
    }

    /// The client, if there was only one.
    pub fn only(&self) -> Option<ClientId> {
        match self.0.load(Ordering::Relaxed) {
            Self::NONE | Self::SEVERAL => None,
            client => Some(ClientId(client)),
        }
    }
}

type Compound = Pin<Box<dyn Future<Output = Buffer> + Send>>;

/// Serves `stream` until the peer ends it, breaks the protocol, or the server drains.
pub async fn serve(server: Arc<Server>, mut stream: TcpStream, connection: Connection) {
    let mut service = Service {
        connection: Arc::new(connection),
        records: Records::new(server.settings().max_record()),
        server,
        last_sys: LastSys::default(),
        replies: Replies::default(),
        haste: Haste::default(),
        answered: 0,
    };
    let line = Arc::clone(&service.connection.link.line);
    let server = Arc::clone(&service.server);
    let mut draining = pin!(server.draining());
    let mut waiting = Waiting::new(&server);
    let mut company = Company::default();
    let mut open = true;
    let mut record_since = None;
    loop {
        while open && waiting.has_room() {
            let Some((compound, weight)) = service.next_pending(&mut open).await else {
                break;
            };
            waiting.push(compound, weight);
        }
        if line.is_open() {
            // Behind the replies: none of them waits for a callback.
            line.take(service.replies.small());
        }
        let (answered, bytes) = (service.answered, service.replies.len());
        service.haste.batch(answered, bytes);
        if bytes > 0 {
            company.batch(bytes);
        }
        if !service.replies.write_to(&stream, company.is_there()).await {
            return;
        }
        let readable = open && waiting.has_room();
        if readable && service.records.has_next() {
            // The batch is full. Others may be waiting for their first reply.
            tokio::task::yield_now().await;
            continue;
        }
        if !open && waiting.is_empty() {
            return;
        }
        let between = service.records.is_between();
        if between || service.answered > 0 {
            record_since = None;
        }
        service.answered = 0;
        let deadline = (!between).then(|| {
            *record_since.get_or_insert_with(Instant::now)
                + service.server.settings().record_timeout()
        });
        tokio::select! {
            biased;
            mut ended = waiting.ended(), if !waiting.is_empty() => loop {
                let Ok(reply) = ended else { return };
                service.queue(reply);
                match waiting.also_ended() {
                    Some(next) => ended = next,
                    None => break,
                }
            },
            ready = wait_readable(&stream, deadline), if readable => {
                open = ready && service.receive(&mut stream).await;
            }
            () = line.rung(), if line.is_open() => {}
            () = &mut draining, if readable && between && waiting.is_empty() => {
                open = false;
            }
        }
    }
}

/// Puts `next` in the place of one that has ended.
#[inline]
fn put<F: Future>(next: F, place: Option<Pin<Box<F>>>) -> Pin<Box<F>> {
    match place {
        None => Box::pin(next),
        Some(mut place) => {
            place.as_mut().set(next);
            place
        }
    }
}

/// Waits for input; false when the record under way has taken too long to arrive.
async fn wait_readable(stream: &TcpStream, deadline: Option<Instant>) -> bool {
    let ready = poll_fn(|cx| stream.poll_read_ready(cx));
    match deadline {
        None => ready.await.is_ok(),
        Some(deadline) => matches!(tokio::time::timeout_at(deadline, ready).await, Ok(Ok(()))),
    }
}

struct Service {
    server: Arc<Server>,
    connection: Arc<Connection>,
    records: Records,
    last_sys: LastSys,
    replies: Replies,
    haste: Haste,
    /// How many records were completed since this was last reset.
    answered: usize,
}

impl Service {
    /// Takes in what has arrived; false at the end of the stream. What comes meanwhile is left for the
    /// next time, and the other connections of this thread get their turn before that, unless
    /// there is reason for [`Haste`].
    async fn receive(&mut self, stream: &mut TcpStream) -> bool {
        self.records.limit(self.server.settings().max_record());
        let mut room = self.records.input();
        if self.haste.next() {
            // The stream counts as readable until it is found empty.
            return match stream.try_read_buf(&mut room) {
                Ok(count) => count > 0,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.haste.in_vain();
                    true
                }
                Err(_) => false,
            };
        }
        // Less than there is room for means that it is empty. Polled once: perhaps it was so before.
        let mut read = pin!(stream.read_buf(&mut room));
        match poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await {
            Poll::Ready(Ok(count)) => count > 0,
            Poll::Ready(Err(_)) => false,
            Poll::Pending => true,
        }
    }

    /// Answers complete records in place, up to the first that is not ready at once; and how many bytes its
    /// request and reply may have.
    async fn next_pending(&mut self, open: &mut bool) -> Option<(Compound, usize)> {
        // Those of a batch that are ready at once run in the same place, one after the other.
        let mut place = None;
        while self.replies.len() < BATCH {
            let record = match self.records.take() {
                Ok(Some(record)) => {
                    self.answered += 1;
                    record
                }
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
            let Some((call, request)) = self.answer(record, open) else {
                continue;
            };
            let weight = call.size.saturating_add(request.most_reply());
            let reply = begin_reply(self.replies.spare(), call.xid);
            let next = compound::serve(&self.server, call, request, reply);
            let mut compound = put(next, place.take());
            match poll_fn(|cx| Poll::Ready(compound.as_mut().poll(cx))).await {
                Poll::Ready(reply) => {
                    self.queue(reply);
                    place = Some(compound);
                }
                Poll::Pending => return Some((compound, weight)),
            }
        }
        None
    }

    /// Answers what needs no COMPOUND at once, else returns the COMPOUND to run and who calls.
    fn answer(&mut self, record: Bytes, open: &mut bool) -> Option<(Call, Request)> {
        let size = record.len();
        let line = &self.connection.link.line;
        if line.is_open()
            && let Some(xid) = reply_xid(&record)
        {
            line.answer(xid, record);
            return None;
        }
        let Ok(Header { xid, body }) = Header::decode(record, &mut self.last_sys) else {
            tracing::warn!(peer = %self.connection.peer, "closing: not an RPC call");
            *open = false;
            return None;
        };
        let body = match body {
            Ok(body) => body,
            Err(rejection) => {
                self.queue(reject(Buffer::default(), xid, rejection));
                return None;
            }
        };
        if body.procedure == Procedure::Null {
            self.queue(begin_reply(Buffer::default(), xid));
            return None;
        }
        let digest = self.server.digest(&body.args);
        let Ok(request) = Request::decode(body.args) else {
            self.queue(reject(Buffer::default(), xid, Rejection::GarbageArgs));
            return None;
        };
        let call = Call {
            connection: Arc::clone(&self.connection),
            peer: self.connection.peer,
            auth: body.auth,
            xid,
            size,
            digest,
        };
        Some((call, request))
    }

    /// Appends one reply to the batch; its first four bytes are room for the record mark.
    fn queue(&mut self, reply: Buffer) {
        if let Some(xid) = reply.get(4..8).and_then(<[u8]>::first_chunk) {
            let line = &self.connection.link.line;
            line.replied(u32::from_be_bytes(*xid));
        }
        self.replies.push(reply);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// A connection with a number of its own.
    pub fn new(peer: SocketAddr, local: SocketAddr) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            id,
            peer,
            local,
            link: Link::new(id),
            users: Users::default(),
            server: OnceLock::new(),
        }
    }

    /// The server, as the requests of this connection hold it.
    pub fn server(&self, server: &Arc<Server>) -> Near<Server> {
        self.server.get_or_init(|| Near::new(server)).clone()
    }
}
