//! One client connection: a batch of records in, a batch of replies out.
//!
//! The connection's task reads what has arrived and polls each COMPOUND once in place. If it is
//! ready (everything it needs is hot), its reply joins the batch, which leaves in one write; no
//! other thread was woken. If it is not, it becomes a task of its own and the connection
//! goes on reading. Calls to the client leave with the replies, and its replies to them are told
//! from its calls by their type (RFC 8881 §2.10.3.1: one connection may carry both). A COMPOUND that has started is never cancelled, also not when its
//! connection goes away: a retry on another connection finds its reply in the slot.

mod haste;
mod replies;

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
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::haste::Haste;
use self::replies::Replies;
use crate::compound::{self, Request};
use crate::near::Near;
use crate::rpc::{Call, Header, Procedure, Records, Rejection, begin_reply, reject, reply_xid};
use crate::server::Server;
use crate::state::Link;
use crate::types::ClientId;

/// COMPOUNDs of one connection that may be under way at once; beyond, the connection is not
/// read, and TCP holds the client back.
const IN_FLIGHT: usize = 256;
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
        replies: Replies::default(),
        haste: Haste::default(),
        answered: 0,
    };
    let line = Arc::clone(&service.connection.link.line);
    let server = Arc::clone(&service.server);
    let mut draining = pin!(server.draining());
    let mut waiting = Waiting(JoinSet::new());
    let mut open = true;
    let mut record_since = None;
    loop {
        while open && waiting.0.len() < IN_FLIGHT {
            let Some(compound) = service.next_pending(&mut open).await else {
                break;
            };
            let under_way = UnderWay::new(&service.server);
            waiting.0.spawn(async move {
                let _under_way = under_way;
                compound.await
            });
        }
        if line.is_open() {
            // Behind the replies: none of them waits for a callback.
            line.take(service.replies.small());
        }
        let (answered, bytes) = (service.answered, service.replies.len());
        service.haste.batch(answered, bytes);
        if !service.replies.write_to(&stream).await {
            return;
        }
        let readable = open && waiting.0.len() < IN_FLIGHT;
        if readable && service.records.has_next() {
            // The batch is full. Others may be waiting for their first reply.
            tokio::task::yield_now().await;
            continue;
        }
        if !open && waiting.0.is_empty() {
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
            Some(mut done) = waiting.0.join_next(), if !waiting.0.is_empty() => loop {
                // It panicked. Its client learns that from the connection, and what became of
                // the request from its retry on another one.
                let Ok(reply) = done else { return };
                service.queue(reply);
                match waiting.0.try_join_next() {
                    Some(next) => done = next,
                    None => break,
                }
            },
            ready = wait_readable(&stream, deadline), if readable => {
                open = ready && service.receive(&mut stream).await;
            }
            () = line.rung(), if line.is_open() => {}
            () = &mut draining, if readable && between && waiting.0.is_empty() => {
                open = false;
            }
        }
    }
}

/// COMPOUNDs that were not ready at once. They run to their end also without the connection.
struct Waiting(JoinSet<Buffer>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.detach_all();
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

    /// Answers complete records in place, up to the first that is not ready at once.
    async fn next_pending(&mut self, open: &mut bool) -> Option<Compound> {
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
            let Some(mut compound) = self.answer(record, open) else {
                continue;
            };
            match poll_fn(|cx| Poll::Ready(compound.as_mut().poll(cx))).await {
                Poll::Ready(reply) => self.queue(reply),
                Poll::Pending => return Some(compound),
            }
        }
        None
    }

    /// Answers what needs no COMPOUND at once, else returns the COMPOUND to run.
    fn answer(&mut self, record: Bytes, open: &mut bool) -> Option<Compound> {
        let size = record.len();
        let line = &self.connection.link.line;
        if line.is_open()
            && let Some(xid) = reply_xid(&record)
        {
            line.answer(xid, record);
            return None;
        }
        let Ok(Header { xid, body }) = Header::decode(record) else {
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
        let reply = begin_reply(self.replies.spare(), xid);
        Some(Box::pin(compound::serve(
            &self.server,
            call,
            request,
            reply,
        )))
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

/// Counts a COMPOUND that was not answered at once, also when it panics.
struct UnderWay(Arc<Server>);

impl UnderWay {
    fn new(server: &Arc<Server>) -> Self {
        server.metrics.in_flight.add(1);
        Self(Arc::clone(server))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.metrics.in_flight.add(-1);
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use crate::exports::Exports;
    use crate::identity::Identity;
    use crate::metrics::Metrics;
    use crate::server::Server;
    use crate::settings::Settings;
    use crate::types::ClientId;
    use crate::workers::Workers;

    #[test]
    fn one_client_is_told_from_several() {
        let users = super::Users::default();
        assert_eq!(users.only(), None);
        users.note(ClientId(7));
        users.note(ClientId(7));
        assert_eq!(users.only(), Some(ClientId(7)));
        users.note(ClientId(8));
        users.note(ClientId(7));
        assert_eq!(users.only(), None);
    }

    async fn serve(settings: Settings) -> (Arc<Server>, SocketAddr) {
        let shares: dittofs_sdk::Shares = Arc::from([]);
        let identity = Identity::new(uuid::Uuid::nil(), 1);
        let server = Server::new(
            settings,
            Exports::new(&shares),
            identity,
            Metrics::default(),
        );
        let server = Arc::new(server);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(Arc::clone(&server).accept(listener, Arc::new(Workers::none())));
        (server, address)
    }

    /// One record that holds these words.
    fn record(words: &[u32]) -> Vec<u8> {
        let mark = (words.len() * 4) as u32 | 1 << 31;
        std::iter::once(&mark)
            .chain(words)
            .flat_map(|word| word.to_be_bytes())
            .collect()
    }

    fn null_call(xid: u32) -> Vec<u8> {
        record(&[xid, 0, 2, 100_003, 4, 0, 0, 0, 0, 0])
    }

    async fn reply(stream: &mut TcpStream) -> Vec<u32> {
        let mark = stream.read_u32().await.unwrap();
        assert_ne!(mark & 1 << 31, 0, "a reply is one fragment");
        let mut words = Vec::new();
        for _ in 0..(mark & !(1 << 31)) / 4 {
            words.push(stream.read_u32().await.unwrap());
        }
        words
    }

    async fn is_closed(stream: &mut TcpStream) -> bool {
        matches!(stream.read(&mut [0]).await, Ok(0) | Err(_))
    }

    #[tokio::test]
    async fn a_batch_of_calls_is_answered_in_order() {
        let (_server, address) = serve(Settings::default()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let batch: Vec<u8> = (0..1000).flat_map(null_call).collect();
        stream.write_all(&batch).await.unwrap();
        for xid in 0..1000 {
            assert_eq!(reply(&mut stream).await, [xid, 1, 0, 0, 0, 0]);
        }
    }

    #[tokio::test]
    async fn a_call_cut_anywhere_is_answered_once_complete() {
        let (_server, address) = serve(Settings::default()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let call = null_call(7);
        for cut in 1..call.len() {
            stream.write_all(&call[..cut]).await.unwrap();
            tokio::task::yield_now().await;
            stream.write_all(&call[cut..]).await.unwrap();
            assert_eq!(reply(&mut stream).await, [7, 1, 0, 0, 0, 0]);
        }
    }

    #[tokio::test]
    async fn what_is_no_call_or_too_large_ends_the_connection_and_no_other() {
        let (_server, address) = serve(Settings::default()).await;
        let mut good = TcpStream::connect(address).await.unwrap();
        for bad in [record(&[7, 1, 0]), record(&[7]), vec![0xff; 8]] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(&bad).await.unwrap();
            assert!(is_closed(&mut stream).await, "{bad:?}");
        }
        good.write_all(&null_call(1)).await.unwrap();
        assert_eq!(reply(&mut good).await[0], 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sender_that_stops_in_a_record_is_cut_off_and_an_idle_one_is_not() {
        let (_server, address) = serve(Settings::default()).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        let mut stuck = TcpStream::connect(address).await.unwrap();
        stuck.write_all(&null_call(1)[..10]).await.unwrap();
        assert!(is_closed(&mut stuck).await);
        idle.write_all(&null_call(2)).await.unwrap();
        assert_eq!(reply(&mut idle).await[0], 2);
    }

    #[tokio::test]
    async fn a_sender_that_trickles_does_not_win_time() {
        let settings = Settings {
            record_timeout: 1,
            ..Settings::default()
        };
        let (_server, address) = serve(settings).await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        let mark = 0x8000_1000_u32.to_be_bytes();
        for byte in mark.into_iter().chain(std::iter::repeat_n(0, 50)) {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            if slow.write_all(&[byte]).await.is_err() {
                return;
            }
        }
        assert!(is_closed(&mut slow).await);
    }

    #[tokio::test]
    async fn one_connection_too_many_is_turned_away() {
        let (_server, address) = serve(Settings {
            max_connections: 1,
            ..Settings::default()
        })
        .await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(&null_call(1)).await.unwrap();
        reply(&mut first).await;
        let mut second = TcpStream::connect(address).await.unwrap();
        assert!(is_closed(&mut second).await);
    }

    #[tokio::test]
    async fn draining_ends_idle_connections() {
        let (server, address) = serve(Settings::default()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&null_call(1)).await.unwrap();
        reply(&mut stream).await;
        server.drain(std::time::Duration::from_secs(30)).await;
        assert!(is_closed(&mut stream).await);
    }
}
