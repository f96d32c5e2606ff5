//! Tests run COMPOUNDs on the real path: bytes in, decoding, plan, slot, operations, bytes out.
//!
//! ```ignore
//! let h = Harness::new();
//! let client = h.client41("a").await;
//! let reply = client.compound().putrootfh().lookup("export").getfh().run().await;
//! reply.ok();
//! ```
//! An operation that the builder lacks is [`Compound::op`] with its number and what encodes its
//! arguments. Results are read in order with [`Reply::ok_body`] or looked up as statuses.

mod copying;
mod failing;
mod files;
mod gate;
mod peer;
mod ranges;
mod slow;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use bytes::Bytes;
use dittofs_memfs::{MemoryFs, Options};
use dittofs_sdk::vfs::{Buffer, Cred};
use dittofs_sdk::{Share, Squash};
use dittofs_testkit::host::MemoryHost;
use uuid::Uuid;

use crate::compound::{self, Request};
use crate::connection::Connection;
use crate::exports::Exports;
use crate::identity::Identity;
use crate::metrics::Metrics;
use crate::recovery::Past;
use crate::rpc::{Auth, Call};
use crate::server::Server;
use crate::settings::Settings;
use crate::status::Status;
use crate::types::{ClientId, FileHandle, SessionId, Verifier};
use crate::xdr::{Decode, Encode, Reader, Writer};

pub(crate) use copying::{Copied, CopyArgs};
pub(crate) use failing::Failing;
pub(crate) use peer::{Called, Peer};
pub(crate) use ranges::{BLOCK, Segment};
pub(crate) use slow::{FATAL, Slow};
pub(crate) use wire::{Wire, receive, record};

/// A server with one empty share in memory, `/export`, which everybody may write.
pub(crate) struct Harness {
    pub(crate) server: Arc<Server>,
    /// The connection that COMPOUNDs come over.
    pub(crate) connection: Arc<Connection>,
    /// Whom they come from.
    pub(crate) auth: Auth,
}

impl Harness {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        Self::exporting(settings, Self::share())
    }

    /// What it counts is kept by `host`.
    pub(crate) fn metered(settings: Settings, host: &Arc<MemoryHost>) -> Self {
        let (cx, _running) = host.context(Arc::from([]));
        let metrics = Metrics::new(cx.metrics()).unwrap();
        Self::reporting(settings, Self::share(), metrics)
    }

    /// What it counts is kept by `host`, and changes wait for `fs`.
    pub(crate) fn metered_slow(fs: &Arc<Slow>, host: &Arc<MemoryHost>) -> Self {
        let (cx, _running) = host.context(Arc::from([]));
        let metrics = Metrics::new(cx.metrics()).unwrap();
        let share = Share {
            fs: fs.clone(),
            ..Self::share()
        };
        Self::reporting(Settings::default(), share, metrics)
    }

    pub(crate) fn share() -> Share {
        let options = Options {
            mode: 0o777,
            ..Options::default()
        };
        Share {
            id: Uuid::from_u128(7),
            name: "/export".into(),
            fs: Arc::new(MemoryFs::new(&options).unwrap()),
            read_only: false,
            squash: Squash::None,
            anonymous_uid: 65534,
            anonymous_gid: 65534,
            clients: Vec::new(),
        }
    }

    pub(crate) fn exporting(settings: Settings, share: Share) -> Self {
        Self::reporting(settings, share, Metrics::default())
    }

    /// Start number `start` of a server whose records `host` keeps; the share outlives it.
    pub(crate) async fn started(
        host: &Arc<MemoryHost>,
        share: &Share,
        settings: Settings,
        start: u32,
    ) -> Self {
        let (cx, _running) = host.context(Arc::from([]));
        let past = Past::load(cx.kv(), &settings).await.unwrap();
        let shares: dittofs_sdk::Shares = Arc::from([Arc::new(share.clone())]);
        let identity = Identity::new(Uuid::from_u128(42), start);
        let server = Server::new(
            settings,
            Exports::new(&shares),
            identity,
            Metrics::new(cx.metrics()).unwrap(),
        );
        Self {
            server: Arc::new(server.after(past, Instant::now())),
            connection: connection(),
            auth: Auth::Sys(Cred::user(1000, 1000)),
        }
    }

    fn reporting(settings: Settings, share: Share, metrics: Metrics) -> Self {
        let shares: dittofs_sdk::Shares = Arc::from([Arc::new(share)]);
        let server = Server::new(
            settings,
            Exports::new(&shares),
            Identity::new(Uuid::from_u128(42), 1),
            metrics,
        );
        Self {
            server: Arc::new(server),
            connection: connection(),
            auth: Auth::Sys(Cred::user(1000, 1000)),
        }
    }

    /// A further connection to this server.
    pub(crate) fn of(server: Arc<Server>) -> Self {
        Self {
            server,
            connection: connection(),
            auth: Auth::Sys(Cred::user(1000, 1000)),
        }
    }

    /// The same server over another connection.
    pub(crate) fn reconnected(&self) -> Self {
        Self {
            server: Arc::clone(&self.server),
            connection: connection(),
            auth: self.auth.clone(),
        }
    }

    /// The same server and connection, as another user.
    pub(crate) fn as_user(&self, uid: u32) -> Self {
        Self {
            server: Arc::clone(&self.server),
            connection: Arc::clone(&self.connection),
            auth: Auth::Sys(Cred::user(uid, uid)),
        }
    }

    /// A COMPOUND of this minor version without operations yet.
    pub(crate) fn compound(&self, minor: u32) -> Compound<'_> {
        Compound {
            harness: self,
            minor,
            tag: Vec::new(),
            count: 0,
            ops: Writer::default(),
        }
    }

    /// Runs encoded COMPOUND4args; returns encoded COMPOUND4res.
    pub(crate) async fn serve(&self, args: &[u8]) -> Bytes {
        static LAST: AtomicU32 = AtomicU32::new(1000);
        self.serve_as(LAST.fetch_add(1, Ordering::Relaxed), args)
            .await
    }

    /// As [`serve`](Self::serve), with this transaction id.
    pub(crate) async fn serve_as(&self, xid: u32, args: &[u8]) -> Bytes {
        // Header with AUTH_SYS of no groups.
        const HEADER: usize = 40 + 20;
        let call = Call {
            connection: Arc::clone(&self.connection),
            peer: self.connection.peer,
            auth: self.auth.clone(),
            xid,
            size: HEADER + args.len(),
            digest: self.server.digest(args),
        };
        let request = Request::decode(Bytes::copy_from_slice(args)).unwrap();
        let reply = compound::serve(&self.server, call, request, Buffer::default()).await;
        Bytes::copy_from_slice(&reply)
    }

    /// A 4.1 client with one session that has completed its reclaims.
    pub(crate) async fn client41(&self, owner: &str) -> Client41<'_> {
        self.client_in(1, owner).await
    }

    /// A 4.2 client with one session that has completed its reclaims.
    pub(crate) async fn client42(&self, owner: &str) -> Client41<'_> {
        self.client_in(2, owner).await
    }

    /// The same of this minor version.
    pub(crate) async fn client_in(&self, minor: u32, owner: &str) -> Client41<'_> {
        let exchange = self.compound(minor).exchange_id(owner, 1, 0);
        let mut reply = exchange.run().await;
        let (id, sequence) = (reply.ok_body(), reply.body());
        let create = self.compound(minor);
        let create = create.create_session(id, sequence, &Channel::default());
        let session = create.run().await.ok_body();
        let client = Client41::new(self, id, session).in_minor(minor);
        client.compound().reclaim_complete().run().await.ok();
        client
    }

    /// A confirmed 4.0 client.
    pub(crate) async fn client40(&self, owner: &str) -> ClientId {
        let mut reply = self.compound(0).setclientid(owner, 1).run().await;
        let (client, confirm): (ClientId, Verifier) = (reply.ok_body(), reply.body());
        let confirmed = self.compound(0).setclientid_confirm(client, confirm);
        confirmed.run().await.ok();
        client
    }

    /// EXCHANGE_ID of an incarnation; the client's number and that of its next CREATE_SESSION.
    pub(crate) async fn exchange_id(&self, owner: &str, incarnation: u64) -> (ClientId, u32) {
        let exchange = self.compound(1).exchange_id(owner, incarnation, 0);
        let mut reply = exchange.run().await;
        (reply.ok_body(), reply.body())
    }

    pub(crate) async fn create_session(&self, client: ClientId, sequence: u32) -> SessionId {
        let create = self
            .compound(1)
            .create_session(client, sequence, &Channel::default());
        create.run().await.ok_body()
    }
}

fn connection() -> Arc<Connection> {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    Arc::new(Connection::new(address, address))
}

/// A client of 4.1, or later, and its session. Requests go through slot 0 one after the other.
pub(crate) struct Client41<'h> {
    pub(crate) harness: &'h Harness,
    pub(crate) id: ClientId,
    pub(crate) session: SessionId,
    minor: u32,
    sequence: AtomicU32,
}

impl<'h> Client41<'h> {
    pub(crate) fn new(harness: &'h Harness, id: ClientId, session: SessionId) -> Self {
        Self {
            harness,
            id,
            session,
            minor: 1,
            sequence: AtomicU32::new(0),
        }
    }

    /// The same client, whose session is one of this minor version.
    pub(crate) fn in_minor(self, minor: u32) -> Self {
        Self { minor, ..self }
    }

    /// A COMPOUND that begins with SEQUENCE.
    pub(crate) fn compound(&self) -> Compound<'h> {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        self.harness
            .compound(self.minor)
            .sequence(self.session, sequence, 0, true)
    }
}

/// channel_attrs4 as a client asks for them.
#[derive(Clone, Copy)]
pub(crate) struct Channel {
    pub(crate) request: u32,
    pub(crate) response: u32,
    pub(crate) cached: u32,
    pub(crate) operations: u32,
    pub(crate) requests: u32,
}

impl Default for Channel {
    fn default() -> Self {
        Self {
            request: 2 << 20,
            response: 2 << 20,
            cached: 8192,
            operations: 16,
            requests: 8,
        }
    }
}

impl Channel {
    pub(crate) fn encode(self, writer: &mut Writer) {
        for word in [
            0,
            self.request,
            self.response,
            self.cached,
            self.operations,
            self.requests,
            0,
        ] {
            writer.write(&word);
        }
    }
}

/// A COMPOUND under construction.
pub(crate) struct Compound<'h> {
    harness: &'h Harness,
    minor: u32,
    tag: Vec<u8>,
    count: u32,
    ops: Writer,
}

impl Compound<'_> {
    /// One more operation, its arguments written by `args`.
    pub(crate) fn op(mut self, number: u32, args: impl FnOnce(&mut Writer)) -> Self {
        self.count += 1;
        self.ops.write(&number);
        args(&mut self.ops);
        self
    }

    /// One more operation, with one argument.
    pub(crate) fn with<T: Encode>(self, number: u32, arg: &T) -> Self {
        self.op(number, |w| w.write(arg))
    }

    pub(crate) fn tag(mut self, tag: &str) -> Self {
        self.tag = tag.into();
        self
    }

    pub(crate) fn sequence(
        self,
        session: SessionId,
        sequence: u32,
        slot: u32,
        cache: bool,
    ) -> Self {
        self.sequence_up_to(session, sequence, slot, slot, cache)
    }

    pub(crate) fn sequence_up_to(
        self,
        session: SessionId,
        sequence: u32,
        slot: u32,
        highest: u32,
        cache: bool,
    ) -> Self {
        self.op(53, |w| {
            w.write(&session);
            w.write(&sequence);
            w.write(&slot);
            w.write(&highest);
            w.write(&cache);
        })
    }

    pub(crate) fn exchange_id(self, owner: &str, incarnation: u64, flags: u32) -> Self {
        self.op(42, |w| {
            w.write(&incarnation);
            w.write(owner);
            w.write(&flags);
            w.write(&0_u32);
            w.write(&0_u32);
        })
    }

    pub(crate) fn create_session(self, client: ClientId, sequence: u32, fore: &Channel) -> Self {
        self.create_session_with(client, sequence, 0, fore)
    }

    pub(crate) fn create_session_with(
        self,
        client: ClientId,
        sequence: u32,
        flags: u32,
        fore: &Channel,
    ) -> Self {
        self.op(43, |w| {
            w.write(&client);
            w.write(&sequence);
            w.write(&flags);
            fore.encode(w);
            fore.encode(w);
            w.write(&0x4000_0000_u32);
            w.write(&vec![0_u32]);
        })
    }

    pub(crate) fn destroy_session(self, session: SessionId) -> Self {
        self.with(44, &session)
    }

    pub(crate) fn destroy_clientid(self, client: ClientId) -> Self {
        self.with(57, &client)
    }

    pub(crate) fn reclaim_complete(self) -> Self {
        self.with(58, &false)
    }

    /// With callbacks to another machine than the client's own, where nobody is called.
    pub(crate) fn setclientid(self, owner: &str, incarnation: u64) -> Self {
        self.setclientid_at(owner, incarnation, "192.0.2.1.8.1")
    }

    pub(crate) fn setclientid_at(self, owner: &str, incarnation: u64, address: &str) -> Self {
        self.op(35, |w| {
            w.write(&incarnation);
            w.write(owner);
            w.write(&0x4000_0000_u32);
            w.write("tcp");
            w.write(address);
            w.write(&1_u32);
        })
    }

    pub(crate) fn setclientid_confirm(self, client: ClientId, confirm: Verifier) -> Self {
        self.op(36, |w| {
            w.write(&client);
            w.write(&confirm);
        })
    }

    pub(crate) fn renew(self, client: ClientId) -> Self {
        self.with(30, &client)
    }

    pub(crate) fn putrootfh(self) -> Self {
        self.op(24, |_| ())
    }

    pub(crate) fn putfh(self, handle: &FileHandle) -> Self {
        self.with(22, handle)
    }

    pub(crate) fn lookup(self, name: &str) -> Self {
        self.op(15, |w| w.write(name))
    }

    pub(crate) fn getfh(self) -> Self {
        self.op(10, |_| ())
    }

    /// The encoded COMPOUND4args.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.opaque(&self.tag);
        writer.write(&self.minor);
        writer.write(&self.count);
        writer.raw(self.ops.as_slice());
        writer.as_slice().to_vec()
    }

    /// Runs it.
    pub(crate) async fn run(self) -> Reply {
        Reply::new(self.harness.serve(&self.bytes()).await)
    }

    /// Runs it and returns its status alone.
    pub(crate) async fn status(self) -> Status {
        self.run().await.status
    }
}

/// A COMPOUND4res, read result by result.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Of the COMPOUND, and so of the last result.
    pub(crate) status: Status,
    /// How many results there are.
    pub(crate) count: u32,
    /// All of it, encoded.
    pub(crate) bytes: Bytes,
    reader: Reader,
}

impl Reply {
    pub(crate) fn new(bytes: Bytes) -> Self {
        let mut reader = Reader::new(bytes.clone());
        let status = status(&mut reader);
        reader.read::<Bytes>().unwrap();
        let count = reader.read().unwrap();
        let mut reply = Self {
            status,
            count,
            bytes,
            reader,
        };
        reply.skip_sequence();
        reply
    }

    /// Fails the test unless the COMPOUND succeeded.
    #[track_caller]
    pub(crate) fn ok(&self) {
        assert_eq!(self.status, Status::Ok);
    }

    /// The next result's operation and status. The one of SEQUENCE is passed over.
    pub(crate) fn next(&mut self) -> (u32, Status) {
        (self.body(), status(&mut self.reader))
    }

    /// The next result's body, or the start of it, which must be of a success.
    #[track_caller]
    pub(crate) fn ok_body<T: Decode>(&mut self) -> T {
        assert_eq!(self.next().1, Status::Ok);
        self.body()
    }

    /// Passes over `count` results without bodies, which must be successes.
    #[track_caller]
    pub(crate) fn skip(&mut self, count: usize) -> &mut Self {
        for _ in 0..count {
            self.ok_body::<()>();
        }
        self
    }

    /// More of the body.
    #[track_caller]
    pub(crate) fn body<T: Decode>(&mut self) -> T {
        self.reader.read().unwrap()
    }

    fn skip_sequence(&mut self) {
        let mut ahead = Self {
            reader: self.reader.clone(),
            bytes: Bytes::new(),
            ..*self
        };
        if self.count > 0 && ahead.next() == (53, Status::Ok) {
            ahead.reader.fixed::<36>().unwrap();
            self.reader = ahead.reader;
        }
    }
}

fn status(reader: &mut Reader) -> Status {
    Status::from_number(reader.read().unwrap()).unwrap()
}
