//! Many clients of all minor versions at once, over shared connections and connections of their
//! own; every reply is checked, and every retry is answered byte for byte.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::oneshot;

use crate::status::Status;
use crate::testing::{Compound, Harness, Reply, Wire, receive, record};
use crate::types::{ClientId, SessionId};

const TASKS: u32 = 12;
const REQUESTS: u32 = 1000;

/// One connection that several tasks send over; replies find their task by their number.
struct Line {
    sending: tokio::sync::Mutex<OwnedWriteHalf>,
    waiting: Mutex<HashMap<u32, oneshot::Sender<Reply>>>,
    xid: AtomicU32,
}

impl Line {
    async fn connect(address: SocketAddr) -> Arc<Self> {
        let Wire {
            sending,
            mut receiving,
            ..
        } = Wire::connect(address).await;
        let line = Arc::new(Self {
            sending: tokio::sync::Mutex::new(sending),
            waiting: Mutex::default(),
            xid: AtomicU32::new(1),
        });
        let receiver = Arc::downgrade(&line);
        tokio::spawn(async move {
            while let Some((xid, reply)) = receive(&mut receiving).await {
                let Some(line) = receiver.upgrade() else {
                    return;
                };
                let waits = line.waiting.lock().remove(&xid);
                waits.expect("a reply to a call").send(reply).unwrap();
            }
        });
        line
    }

    async fn call(&self, compound: Compound<'_>) -> Reply {
        let xid = self.xid.fetch_add(1, Ordering::Relaxed);
        let (answer, reply) = oneshot::channel();
        self.waiting.lock().insert(xid, answer);
        let call = record(xid, &compound.bytes());
        self.sending.lock().await.write_all(&call).await.unwrap();
        reply.await.unwrap()
    }
}

/// A repeatable sequence of numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

/// One session, with the number of the last request in each slot.
struct Gated {
    minor: u32,
    id: SessionId,
    numbers: [u32; 4],
}

/// One client of all minor versions; its requests of 4.1 and 4.2 go through random slots.
struct Mixed<'h> {
    h: &'h Harness,
    line: Arc<Line>,
    name: String,
    old: ClientId,
    sessions: [Gated; 2],
    made: u32,
}

impl Mixed<'_> {
    async fn step(&mut self, random: &mut Random, step: u32) {
        let tag = format!("{}-{step}", self.name);
        match random.below(6) {
            0 => self.plain(&tag).await,
            1 => {
                let unknown = self.h.compound(3 + random.below(9) as u32);
                let reply = self.line.call(unknown.tag(&tag).putrootfh()).await;
                self.check(&reply, &tag, Status::MinorVersMismatch, 0);
            }
            2 => {
                let compound = self.h.compound(0).tag(&tag).putrootfh();
                let reply = self.line.call(compound.lookup("nowhere").getfh()).await;
                self.check(&reply, &tag, Status::Noent, 2);
            }
            kind => self.gated(random, &tag, kind == 3).await,
        }
    }

    async fn plain(&self, tag: &str) {
        let compound = self.h.compound(0).tag(tag).renew(self.old);
        let reply = self.line.call(compound.putrootfh().getattr()).await;
        self.check(&reply, tag, Status::Ok, 3);
    }

    /// In the session: a directory is made, or looked up under a name that nobody has; now and
    /// then the reply is asked for again.
    async fn gated(&mut self, random: &mut Random, tag: &str, make: bool) {
        let gated = &mut self.sessions[random.below(2) as usize];
        let slot = random.below(gated.numbers.len() as u64) as usize;
        gated.numbers[slot] += 1;
        let number = gated.numbers[slot];
        let name = format!("{}-{}", self.name, self.made);
        let (h, minor, session) = (self.h, gated.minor, gated.id);
        let request = || {
            let compound = h.compound(minor).tag(tag);
            let compound = compound.sequence(session, number, slot as u32, true);
            let compound = compound.putrootfh().lookup("export");
            if make {
                compound.create_dir(&name).getfh()
            } else {
                compound.lookup("nowhere")
            }
        };
        let reply = self.line.call(request()).await;
        if make {
            self.made += 1;
            self.check(&reply, tag, Status::Ok, 5);
        } else {
            self.check(&reply, tag, Status::Noent, 4);
        }
        assert_sequence(&reply, tag, session, number, slot as u32);
        if random.below(3) == 0 {
            assert_eq!(self.line.call(request()).await.bytes, reply.bytes);
        }
        if random.below(5) == 0 {
            let other = h.compound(minor).tag(tag);
            let other = other.sequence(session, number + 2, slot as u32, true);
            let reply = self.line.call(other.putrootfh()).await;
            self.check(&reply, tag, Status::SeqMisordered, 1);
        }
    }

    fn check(&self, reply: &Reply, tag: &str, status: Status, count: u32) {
        assert_eq!((reply.status, reply.count), (status, count), "{tag}");
        let length = tag.len();
        assert_eq!(reply.bytes[4..8], (length as u32).to_be_bytes(), "{tag}");
        assert_eq!(reply.bytes[8..8 + length], *tag.as_bytes(), "{}", self.name);
    }
}

/// The first result is that of SEQUENCE, and of this very request.
fn assert_sequence(reply: &Reply, tag: &str, session: SessionId, number: u32, slot: u32) {
    let results = 12 + tag.len().next_multiple_of(4);
    let mut expected = [53_u32.to_be_bytes(), [0; 4]].concat();
    expected.extend_from_slice(&session.0);
    expected.extend_from_slice(&number.to_be_bytes());
    expected.extend_from_slice(&slot.to_be_bytes());
    assert_eq!(reply.bytes[results..results + expected.len()], expected);
}

/// A session of this minor version; that of 4.2 is another one of the client that 4.1 knows.
async fn gated(h: &Harness, line: &Line, minor: u32, name: &str) -> Gated {
    let mut reply = line.call(h.compound(minor).exchange_id(name, 1, 0)).await;
    let (client, number) = (reply.ok_body(), reply.body());
    let create = h.compound(minor);
    let create = create.create_session(client, number, &crate::testing::Channel::default());
    Gated {
        minor,
        id: line.call(create).await.ok_body(),
        numbers: [0; 4],
    }
}

async fn client(h: &Harness, line: Arc<Line>, name: String) -> Mixed<'_> {
    let setclientid = h.compound(0).setclientid(&name, 1);
    let mut reply = line.call(setclientid).await;
    let (old, confirm) = (reply.ok_body(), reply.body());
    let confirm = h.compound(0).setclientid_confirm(old, confirm);
    line.call(confirm).await.ok();
    let sessions = [
        gated(h, &line, 1, &name).await,
        gated(h, &line, 2, &name).await,
    ];
    Mixed {
        h,
        line,
        name,
        old,
        sessions,
        made: 0,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reply_is_the_right_one() {
    let seed = u64::from_ne_bytes(crate::entropy::random().unwrap());
    println!("seed {seed}");
    let h = Arc::new(Harness::new());
    let address = h.listen().await;
    let shared = Line::connect(address).await;
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let line = match task % 2 {
            0 => Arc::clone(&shared),
            _ => Line::connect(address).await,
        };
        let h = Arc::clone(&h);
        tasks.push(tokio::spawn(async move {
            let mut client = client(&h, line, format!("c{task}")).await;
            let mut random = Random(seed ^ u64::from(task) << 32);
            for step in 0..REQUESTS {
                client.step(&mut random, step).await;
            }
            (client.sessions.map(|session| session.id), client.made)
        }));
    }
    let mut sessions = Vec::new();
    for (task, running) in tasks.into_iter().enumerate() {
        let (ids, made) = running.await.unwrap();
        sessions.extend(ids);
        // Each name was made once, and the next one was not.
        for (count, status) in [(made - 1, Status::Ok), (made, Status::Noent)] {
            let name = format!("c{task}-{count}");
            let found = h.compound(0).putrootfh().lookup("export").lookup(&name);
            assert_eq!(found.status().await, status, "{name}");
        }
    }
    sessions.sort_unstable();
    sessions.dedup();
    assert_eq!(sessions.len(), 2 * TASKS as usize, "sessions are unique");
}
