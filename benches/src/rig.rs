//! A server in this process, and requests as bytes.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use dittofs_memfs::{MemoryFs, Options};
use dittofs_nfs::compound::{self, Cx, Mode, Request};
use dittofs_nfs::connection::Connection;
use dittofs_nfs::exports::Exports;
use dittofs_nfs::identity::Identity;
use dittofs_nfs::metrics::Metrics;
use dittofs_nfs::near::Near;
use dittofs_nfs::ops::sequence;
use dittofs_nfs::rpc::{Auth, Call};
use dittofs_nfs::server::Server;
use dittofs_nfs::settings::Settings;
use dittofs_nfs::state::Begun;
use dittofs_nfs::types::{Bitmap, Minor, SessionId, StateId, Verifier};
use dittofs_nfs::xdr::{Reader, Writer};
use dittofs_sdk::vfs::{Buffer, Cred};
use dittofs_sdk::{Share, Squash};

/// A server with one memory share, `/export`, and a caller.
#[derive(Clone)]
pub struct Rig {
    server: Arc<Server>,
    call: Call,
}

/// A request whose SEQUENCE can be renumbered without encoding it again.
#[derive(Clone)]
pub struct Template {
    bytes: BytesMut,
    sequence_at: Option<usize>,
}

impl Rig {
    /// A server that records in `metrics`.
    ///
    /// # Panics
    /// When the system has no randomness.
    #[allow(clippy::unwrap_used)]
    pub fn new(metrics: Metrics) -> Self {
        let share = Share {
            id: uuid(7),
            name: "/export".into(),
            fs: Arc::new(MemoryFs::new(&Options::default()).unwrap()),
            read_only: false,
            squash: Squash::None,
            anonymous_uid: 65534,
            anonymous_gid: 65534,
            clients: Vec::new(),
        };
        let shares: dittofs_sdk::Shares = Arc::from([Arc::new(share)]);
        let identity = Identity::new(uuid(42), 1);
        let server = Server::new(
            Settings::default(),
            Exports::new(&shares),
            identity,
            metrics,
        );
        Self {
            server: Arc::new(server),
            call: call(),
        }
    }

    /// The same server over a connection of its own.
    #[must_use]
    pub fn reconnected(&self) -> Self {
        Self {
            server: Arc::clone(&self.server),
            call: call(),
        }
    }

    /// Decodes, runs and encodes one COMPOUND; everything it needs is in memory.
    ///
    /// # Panics
    /// When the request can't be read or is not answered at once.
    #[allow(clippy::unwrap_used, clippy::panic)]
    pub fn serve(&self, args: Bytes) -> Buffer {
        let mut call = self.call.clone();
        call.digest = self.server.digest(&args);
        call.size = args.len();
        let request = Request::decode(args).unwrap();
        let reply = Buffer::with_capacity(512);
        let served = pin!(compound::serve(&self.server, call, request, reply));
        match served.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(reply) => reply,
            Poll::Pending => panic!("the memory file system never waits"),
        }
    }

    /// What SEQUENCE sees of a COMPOUND; good for any number of them.
    pub fn cx(&self) -> Cx {
        let now = Instant::now();
        Cx {
            server: Near::new(&self.server),
            settings: self.server.settings(),
            call: self.call.clone(),
            mode: Mode::Lone(Minor::V41),
            now,
            current: None,
            seen: None,
            saved: None,
            current_stateid: None,
            saved_stateid: None,
            reply: Writer::default(),
            reply_limit: usize::MAX,
            stopwatch: self.server.metrics.operations.stopwatch(now),
            is_last: true,
            shown: None,
        }
    }

    /// Takes the slot for request number `number` and gives it back with a reply.
    ///
    /// # Panics
    /// When the request is not the slot's next.
    #[allow(clippy::panic)]
    pub fn validate(cx: &Cx, session: SessionId, number: u32) {
        let args = sequence::Args {
            session,
            sequence: number,
            slot: 0,
            highest_slot: 0,
            cache_this: false,
        };
        match sequence::begin(cx, 3, 0, &args) {
            Ok(Begun::New(slot, ..)) => slot.finish(&[0; 200]),
            other => panic!("request {number} is not executed but {other:?}"),
        }
    }

    /// A client with a session.
    ///
    /// # Panics
    /// When it is refused.
    #[allow(clippy::unwrap_used)]
    pub fn session(&self, owner: &str) -> SessionId {
        let mut exchange = Writer::default();
        exchange.write(&42_u32);
        exchange.write(&Verifier([1; 8]));
        exchange.write(owner);
        for word in [0_u32, 0, 0] {
            exchange.write(&word);
        }
        let mut reply = self.lone(&exchange);
        let client: u64 = reply.read().unwrap();
        let sequence: u32 = reply.read().unwrap();

        let mut create = Writer::default();
        create.write(&43_u32);
        create.write(&client);
        create.write(&sequence);
        create.write(&0_u32);
        for _ in 0..2 {
            for word in [0_u32, 1 << 20, 1 << 20, 4096, 16, 16, 0] {
                create.write(&word);
            }
        }
        for word in [0_u32, 1, 0] {
            create.write(&word);
        }
        self.lone(&create).read().unwrap()
    }

    /// A client with a session that has nothing to reclaim, so that it may open files.
    ///
    /// # Panics
    /// When it is refused.
    pub fn opener(&self, owner: &str) -> SessionId {
        let session = self.session(owner);
        let mut ops = Writer::default();
        ops.write(&58_u32);
        ops.write(&false);
        // In a slot of its own: the numbers of the first one are the caller's.
        let mut template = Template::sequenced(session, (1, 1), 1, &ops);
        let reply = self.serve(template.numbered(1));
        assert_eq!(reply.first_chunk(), Some(&[0; 4]));
        session
    }

    /// The file handle of the share's root.
    ///
    /// # Panics
    /// When it is refused.
    #[allow(clippy::unwrap_used)]
    pub fn root(&self) -> Bytes {
        let mut ops = Writer::default();
        ops.write(&24_u32);
        ops.write(&15_u32);
        ops.write("export");
        ops.write(&10_u32);
        let reply = self.serve(compound_args(0, 3, &ops).freeze());
        let mut reader = Reader::new(Bytes::copy_from_slice(&reply));
        // Status, tag, count, then two results without a body.
        let words: [u32; 9] = std::array::from_fn(|_| reader.read().unwrap());
        assert_eq!(words.first(), Some(&0));
        reader.read().unwrap()
    }

    #[allow(clippy::unwrap_used)]
    fn lone(&self, op: &Writer) -> Reader {
        let reply = self.serve(compound_args(1, 1, op).freeze());
        let mut reader = Reader::new(Bytes::copy_from_slice(&reply));
        // Status, tag, count, number and status of the result.
        let words: [u32; 5] = std::array::from_fn(|_| reader.read().unwrap());
        assert_eq!(words.first(), Some(&0));
        reader
    }
}

impl Template {
    /// 4.1: SEQUENCE alone in slot 0.
    pub fn sequence(session: SessionId) -> Self {
        Self::sequenced(session, (0, 0), 0, &Writer::default())
    }

    /// 4.1: SEQUENCE, PUTFH, GETATTR as Linux asks for it.
    pub fn getattr41(session: SessionId, handle: &Bytes) -> Self {
        Self::sequenced(session, (0, 0), 2, &putfh_getattr(handle))
    }

    /// 4.1: SEQUENCE, PUTFH of a directory, OPEN of `name` for reading, made if need be, CLOSE.
    pub fn open_close41(session: SessionId, directory: &Bytes, name: &str) -> Self {
        const READ_NO_DELEGATION: u32 = 0x401;
        let mut ops = Writer::default();
        ops.write(&22_u32);
        ops.write(directory);
        ops.write(&18_u32);
        for word in [0, READ_NO_DELEGATION, 0] {
            ops.write(&word);
        }
        ops.write(&0_u64);
        ops.write("owner");
        // OPEN4_CREATE, UNCHECKED4 without attributes; CLAIM_NULL.
        for word in [1_u32, 0] {
            ops.write(&word);
        }
        ops.write(&Bitmap::EMPTY);
        for word in [0_u32, 0] {
            ops.write(&word);
        }
        ops.write(name);
        ops.write(&4_u32);
        ops.write(&0_u32);
        ops.write(&StateId::CURRENT);
        Self::sequenced(session, (0, 0), 3, &ops)
    }

    /// 4.0: PUTFH, GETATTR.
    pub fn getattr40(handle: &Bytes) -> Self {
        Self {
            bytes: compound_args(0, 2, &putfh_getattr(handle)),
            sequence_at: None,
        }
    }

    /// The request, as number `number` of its slot.
    ///
    /// # Panics
    /// Never: the place is within the bytes.
    pub fn numbered(&mut self, number: u32) -> Bytes {
        if let Some(place) = self
            .sequence_at
            .and_then(|at| self.bytes.get_mut(at..at + 4))
        {
            place.copy_from_slice(&number.to_be_bytes());
        }
        Bytes::copy_from_slice(&self.bytes)
    }

    fn sequenced(
        session: SessionId,
        (slot, highest): (u32, u32),
        count: u32,
        rest: &Writer,
    ) -> Self {
        let mut ops = Writer::default();
        ops.write(&53_u32);
        ops.write(&session);
        // Number, slot, highest slot, whether to keep the reply.
        for word in [0_u32, slot, highest, 0] {
            ops.write(&word);
        }
        ops.raw(rest.as_slice());
        // Tag, minor version, count, SEQUENCE, session.
        Self {
            bytes: compound_args(1, count + 1, &ops),
            sequence_at: Some(4 + 4 + 4 + 4 + 16),
        }
    }
}

fn putfh_getattr(handle: &Bytes) -> Writer {
    let mut ops = Writer::default();
    ops.write(&22_u32);
    ops.write(handle);
    ops.write(&9_u32);
    ops.write(&Bitmap::of(&[
        1, 3, 4, 8, 20, 33, 35, 36, 37, 41, 45, 47, 51, 52, 53, 55,
    ]));
    ops
}

fn compound_args(minor: u32, count: u32, ops: &Writer) -> BytesMut {
    let mut args = Writer::default();
    args.write("");
    args.write(&minor);
    args.write(&count);
    args.raw(ops.as_slice());
    BytesMut::from(args.as_slice())
}

fn call() -> Call {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    Call {
        connection: Arc::new(Connection::new(address, address)),
        peer: address,
        auth: Auth::Sys(Cred::user(0, 0)),
        xid: 1,
        size: 0,
        digest: 0,
    }
}

fn uuid(number: u128) -> dittofs_sdk::uuid::Uuid {
    dittofs_sdk::uuid::Uuid::from_u128(number)
}
