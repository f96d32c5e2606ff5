//! Connections are cut at any byte of a request or of its reply, clients come back over another one
//! and repeat the request in its slot: it is executed once, and answered as the first time
//! (RFC 8881 §2.10.6). `DITTOFS_SEED` repeats a run's cuts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::settings::Settings;
use crate::status::Status;
use crate::testing::{Channel, Compound, FATAL, Harness, Reply, Slow, receive, record};
use crate::types::SessionId;

const SLOTS: u32 = 8;
/// Each round is four changes, in 4.2 five, none of which succeeds a second time.
const ROUNDS: u32 = 320;
const OPERATIONS: u64 = (SLOTS * ROUNDS * 4 + SLOTS / 2 * ROUNDS) as u64;
/// A request, and its reply, has about this many bytes. A connection is cut within the first few.
const REACH: u64 = 700;

fn seed() -> u64 {
    let seed = std::env::var("DITTOFS_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| u64::from_be_bytes(crate::entropy::random().unwrap()));
    println!("DITTOFS_SEED={seed}");
    seed
}

/// A server whose directories change slowly.
fn slow() -> (Harness, Arc<Slow>) {
    let fs = Arc::new(Slow::new());
    let share = dittofs_sdk::Share {
        fs: Arc::clone(&fs) as Arc<dyn dittofs_sdk::vfs::FileSystem>,
        ..Harness::share()
    };
    (Harness::exporting(Settings::default(), share), fs)
}

/// Passes bytes on, and cuts every connection somewhere.
struct Cutter {
    server: SocketAddr,
    seed: u64,
    connections: AtomicU64,
    in_requests: AtomicU64,
    in_replies: AtomicU64,
    /// After a request was passed on whole, and nothing of its reply.
    between: AtomicU64,
}

impl Cutter {
    async fn listen(server: SocketAddr, seed: u64) -> (SocketAddr, Arc<Self>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cutter = Arc::new(Self {
            server,
            seed,
            connections: AtomicU64::new(0),
            in_requests: AtomicU64::new(0),
            in_replies: AtomicU64::new(0),
            between: AtomicU64::new(0),
        });
        let accepting = Arc::clone(&cutter);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&accepting).pass(client));
            }
        });
        (address, cutter)
    }

    async fn pass(self: Arc<Self>, mut client: TcpStream) {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let chance = mix(self.seed ^ number);
        let at = (chance >> 2) % REACH;
        let mut server = TcpStream::connect(self.server).await.unwrap();
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let (most_requests, most_replies) = match chance % 4 {
            0 => {
                copy_record(&mut from_client, &mut to_server).await;
                self.between.fetch_add(1, Ordering::Relaxed);
                return;
            }
            1 => (u64::MAX, at),
            _ => (at, u64::MAX),
        };
        let cut = tokio::select! {
            cut = copy(&mut from_client, &mut to_server, most_requests) => cut.then_some(&self.in_requests),
            cut = copy(&mut from_server, &mut to_client, most_replies) => cut.then_some(&self.in_replies),
        };
        if let Some(cut) = cut {
            cut.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Copies one request whole.
async fn copy_record(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
) {
    let Ok(mark) = from.read_u32().await else {
        return;
    };
    if to.write_u32(mark).await.is_ok() {
        copy(from, to, u64::from(mark & !(1 << 31))).await;
    }
}

/// Copies `most` bytes; false if the stream ended before.
async fn copy(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    most: u64,
) -> bool {
    let mut left = most;
    let mut buffer = [0; 512];
    while left > 0 {
        let room = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        match from.read(&mut buffer[..room]).await {
            Ok(0) | Err(_) => return false,
            Ok(count) => {
                if to.write_all(&buffer[..count]).await.is_err() {
                    return false;
                }
                left -= count as u64;
            }
        }
    }
    true
}

/// SplitMix64's finisher.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One slot of a session, and the connection that its client has at the moment.
struct Slot<'h> {
    harness: &'h Harness,
    address: SocketAddr,
    minor: u32,
    session: SessionId,
    number: u32,
    sequence: u32,
    stream: Option<TcpStream>,
    retries: u64,
    /// How often the first was still under way.
    delays: u64,
}

impl<'h> Slot<'h> {
    /// Sends until there is an answer; DELAY is none.
    async fn call(&mut self, build: impl Fn(Compound<'h>) -> Compound<'h>) -> Reply {
        self.sequence += 1;
        loop {
            let begun = self.harness.compound(self.minor).sequence(
                self.session,
                self.sequence,
                self.number,
                true,
            );
            let sent = record(self.sequence, &build(begun).bytes());
            match self.exchange(&sent).await {
                Some(reply) if reply.status == Status::Delay && reply.count == 1 => {
                    self.delays += 1;
                    tokio::task::yield_now().await;
                }
                Some(reply) => return reply,
                None => self.stream = None,
            }
            self.retries += 1;
        }
    }

    async fn exchange(&mut self, sent: &[u8]) -> Option<Reply> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.address).await.ok()?;
            stream.set_nodelay(true).ok()?;
            self.stream = Some(stream);
        }
        let stream = self.stream.as_mut()?;
        stream.write_all(sent).await.ok()?;
        let (xid, reply) = receive(stream).await?;
        assert_eq!(xid, self.sequence);
        Some(reply)
    }

    /// Makes, moves, and makes and removes: what is left of a round is one directory.
    async fn rounds(&mut self) {
        let slot = self.number;
        for round in 0..ROUNDS {
            let [new, kept, gone] =
                ["new", "kept", "gone"].map(|kind| format!("{kind}-{slot}-{round}"));
            let at = |compound: Compound<'h>| compound.putrootfh().lookup("export");
            self.call(|c| at(c).create_dir(&new)).await.ok();
            let moved = |c| {
                at(c).op(32, |_| ()).op(29, |w| {
                    w.write(new.as_str());
                    w.write(kept.as_str());
                })
            };
            self.call(moved).await.ok();
            self.call(|c| at(c).create_dir(&gone)).await.ok();
            self.call(|c| at(c).op(28, |w| w.write(gone.as_str())))
                .await
                .ok();
            if self.minor == 2 {
                let name = gone.as_bytes();
                self.call(|c| at(c).set_xattr(1, name, b"x")).await.ok();
                self.call(|c| at(c).remove_xattr(name)).await.ok();
            }
        }
    }
}

async fn session_of(h: &Harness) -> SessionId {
    session_in(h, 1).await
}

async fn session_in(h: &Harness, minor: u32) -> SessionId {
    let exchange = h.compound(minor).exchange_id("a", 1, 0);
    let mut reply = exchange.run().await;
    let (id, number) = (reply.ok_body(), reply.body());
    let asked = Channel {
        requests: SLOTS,
        ..Channel::default()
    };
    let create = h.compound(minor).create_session(id, number, &asked);
    create.run().await.ok_body()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_operations_survive_cuts_at_any_byte_and_run_once() {
    let (h, fs) = slow();
    let sessions = [session_in(&h, 1).await, session_in(&h, 2).await];
    let (address, cutter) = Cutter::listen(h.listen().await, seed()).await;
    let mut slots: [Slot<'_>; SLOTS as usize] = std::array::from_fn(|slot| Slot {
        harness: &h,
        address,
        minor: 1 + slot as u32 % 2,
        session: sessions[slot % 2],
        number: slot as u32,
        sequence: 0,
        stream: None,
        retries: 0,
        delays: 0,
    });
    let [s0, s1, s2, s3, s4, s5, s6, s7] = slots.each_mut().map(Slot::rounds);
    tokio::join!(s0, s1, s2, s3, s4, s5, s6, s7);

    assert_eq!(fs.changes(), OPERATIONS, "executed by the file system");
    for slot in &mut slots {
        for (kind, status) in [
            ("new", Status::Noent),
            ("kept", Status::Ok),
            ("gone", Status::Noent),
        ] {
            for round in 0..ROUNDS {
                slot.sequence += 1;
                let name = format!("{kind}-{}-{round}", slot.number);
                let look = h.compound(slot.minor);
                let look = look.sequence(slot.session, slot.sequence, slot.number, false);
                let look = look.putrootfh().lookup("export").lookup(&name);
                assert_eq!(look.status().await, status, "{name}");
            }
        }
    }
    let sum = |of: fn(&Slot<'_>) -> u64| slots.iter().map(of).sum::<u64>();
    let [requests, between, replies] = [&cutter.in_requests, &cutter.between, &cutter.in_replies]
        .map(|cuts| cuts.load(Ordering::Relaxed));
    println!(
        "{OPERATIONS} operations; cuts: {requests} in requests, {between} after, {replies} in replies; \
         {} retries, {} while the first was under way",
        sum(|slot| slot.retries),
        sum(|slot| slot.delays),
    );
    assert!(
        [requests, between, replies]
            .iter()
            .all(|cuts| *cuts > OPERATIONS / 20)
    );
}

#[tokio::test]
async fn a_compound_whose_connection_dies_ends_and_keeps_its_reply() {
    let (h, fs) = slow();
    let session = session_of(&h).await;
    let address = h.listen().await;
    let compound = || {
        let compound = h.compound(1).sequence(session, 1, 0, true);
        compound
            .putrootfh()
            .lookup("export")
            .create_dir("d")
            .getfh()
    };

    fs.open(false);
    let mut dying = TcpStream::connect(address).await.unwrap();
    dying
        .write_all(&record(1, &compound().bytes()))
        .await
        .unwrap();
    let retry = async || {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(&record(2, &compound().bytes()))
            .await
            .unwrap();
        receive(&mut stream).await.unwrap().1
    };
    // It has been begun once a retry is told to wait.
    let begun = async {
        while h.server.state.session(session).unwrap().in_use() == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_mins(1), begun).await.unwrap();
    drop(dying);
    let waiting = retry().await;
    assert_eq!((waiting.status, waiting.count), (Status::Delay, 1));
    assert_eq!(fs.changes(), 0);

    fs.open(true);
    let ended = async {
        loop {
            match retry().await {
                reply if reply.status == Status::Delay => tokio::task::yield_now().await,
                reply => return reply,
            }
        }
    };
    let reply = timeout(Duration::from_mins(1), ended).await.unwrap();
    reply.ok();
    assert_eq!(fs.changes(), 1);
    assert_eq!(retry().await.bytes, reply.bytes);
}

#[tokio::test]
async fn a_compound_that_panics_ends_its_connection_and_its_retry_is_told() {
    let (h, _fs) = slow();
    let client = h.client41("a").await;
    let create = client.compound().putrootfh().lookup("export");
    let request = record(7, &create.create_dir(FATAL).bytes());
    let address = h.listen().await;

    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(&request).await.unwrap();
    assert!(receive(&mut first).await.is_none(), "nothing to answer");

    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(&request).await.unwrap();
    let (_, reply) = receive(&mut second).await.unwrap();
    assert_eq!(reply.status, Status::Serverfault);
    client.compound().putrootfh().run().await.ok();
}
