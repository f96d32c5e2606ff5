//! Arbitrary sequences of COMPOUNDs by several clients of all minor versions, in virtual time.

use std::time::Duration;

use bytes::Bytes;

use super::choices::Choices;
use super::grammar::{self, RULES};
use super::replies::{self, Seen};
use super::requests::{self, words_to};
use super::world::{Known, World};
use crate::compound::Request;
use crate::table::Flags;
use crate::xdr::Writer;

const CLIENTS: usize = 3;
/// The minor version of each one's sessions.
const MINORS: [u32; CLIENTS] = [1, 2, 2];
const SLOTS: usize = 3;
/// Most steps of one run.
const STEPS: usize = 96;

const SEQUENCE: u32 = 53;
const DESTROY_SESSION: u32 = 44;
const OPEN: u32 = 18;
const GETFH: u32 = 10;
const CLONE: u32 = 71;
const COPY: u32 = 60;
const LINK: u32 = 11;
const LOOKUP: u32 = 15;
const PUTFH: u32 = 22;
const PUTROOTFH: u32 = 24;
const RENAME: u32 = 29;
const SAVEFH: u32 = 32;
const WRITE: u32 = 38;
const OFFLOAD_CANCEL: u32 = 66;
const OFFLOAD_STATUS: u32 = 67;

const EXPIRED: u32 = 10011;
const STALE_CLIENTID: u32 = 10022;
const BADSESSION: u32 = 10052;

/// Nothing panics or hangs, every reply can be read to its end, what is sent again is answered with
/// the very same bytes, and when all clients are gone nothing is left of them.
pub fn state_machine(data: &[u8]) {
    super::run(async {
        let mut machine = Machine::new();
        let mut pick = Choices::new(data);
        for _ in 0..STEPS {
            if pick.are_over() {
                break;
            }
            machine.step(&mut pick).await;
        }
        machine.world.ends_empty().await;
    });
}

struct Machine {
    world: World,
    clients: [Client; CLIENTS],
    last: Option<Sent>,
}

/// One client: of 4.0, and of the minor version of its sessions.
#[derive(Default)]
struct Client {
    known: Known,
    /// The last number used in each slot of the session.
    slots: [u32; SLOTS],
}

/// The COMPOUND sent last.
struct Sent {
    from: usize,
    xid: u32,
    args: Vec<u8>,
    reply: Bytes,
    /// Whether the server has promised to answer the same if it is sent again.
    kept: bool,
}

impl Machine {
    fn new() -> Self {
        Self {
            world: World::new(),
            clients: Default::default(),
            last: None,
        }
    }

    async fn step(&mut self, pick: &mut Choices<'_>) {
        let from = pick.below(CLIENTS);
        match pick.below(16) {
            0 => self.arrive_41(from, pick).await,
            1 => self.arrive_40(from, pick).await,
            2 => self.again(pick).await,
            3 => self.wait(pick).await,
            4 => self.world.reconnect(from),
            5 => self.lone(from, pick).await,
            6..=8 => self.numbered(from, pick).await,
            9 => self.open(from, pick).await,
            10 => self.copy(from, pick).await,
            _ => self.sequenced(from, pick).await,
        }
    }

    /// EXCHANGE_ID, CREATE_SESSION, RECLAIM_COMPLETE.
    async fn arrive_41(&mut self, from: usize, pick: &mut Choices<'_>) {
        self.clients[from].known.numbered = false;
        let incarnation = u64::from(pick.rarely(64));
        let mut exchange = Writer::default();
        exchange.write(&incarnation);
        exchange.opaque(&[b'a' + from as u8]);
        words_to(&mut exchange, &[0_u32, 0, 0]);
        let reply = self
            .send(from, MINORS[from], &[(42, exchange)], false)
            .await;
        // After the client id comes the number of its next CREATE_SESSION.
        let Some(number) = reply.bytes.get(BODY + 8..BODY + 12) else {
            return;
        };
        let mut create = Writer::default();
        create.write(&self.clients[from].known.latest_client().unwrap_or_default());
        create.raw(number);
        create.write(&3_u32);
        for _ in 0..2 {
            words_to(
                &mut create,
                &[0_u32, 1 << 20, 1 << 20, 4096, 16, SLOTS as u32, 0],
            );
        }
        words_to(&mut create, &[0x4000_0000_u32, 1, 0]);
        self.send(from, MINORS[from], &[(43, create)], false).await;
        self.clients[from].slots = [0; SLOTS];
        let mut complete = Writer::default();
        complete.write(&false);
        self.in_session(from, 0, 1, vec![(58, complete)], true)
            .await;
    }

    /// SETCLIENTID, SETCLIENTID_CONFIRM.
    async fn arrive_40(&mut self, from: usize, pick: &mut Choices<'_>) {
        self.clients[from].known.numbered = true;
        let mut introduce = Writer::default();
        introduce.write(&u64::from(pick.rarely(64)));
        introduce.opaque(&[b'a' + from as u8]);
        introduce.write(&0x4000_0000_u32);
        introduce.opaque(b"tcp");
        introduce.opaque(b"127.0.0.1.0.1");
        introduce.write(&1_u32);
        self.send(from, 0, &[(35, introduce)], false).await;
        let known = &self.clients[from].known;
        let mut confirm = Writer::default();
        confirm.write(&known.latest_client().unwrap_or_default());
        confirm.raw(&known.latest_verifier());
        self.send(from, 0, &[(36, confirm)], false).await;
    }

    async fn wait(&mut self, pick: &mut Choices<'_>) {
        let time = Duration::from_secs(pick.byte().into()) / 16;
        self.world.wait(time).await;
        // Its client may have lost its session.
        self.last = None;
    }

    /// The last COMPOUND once more, perhaps over a new connection.
    async fn again(&mut self, pick: &mut Choices<'_>) {
        let Some(sent) = self.last.take() else {
            return;
        };
        if pick.rarely(64) {
            self.world.reconnect(sent.from);
        }
        let reply = self.world.serve(sent.from, sent.xid, &sent.args).await;
        let reply = reply.expect("it could be read the first time");
        let seen = replies::read(&reply, &mut self.clients[sent.from].known);
        if sent.kept {
            assert_eq!(reply, sent.reply, "another answer to the same: {seen:?}");
        }
        self.last = Some(sent);
    }

    /// An OPEN with which nothing is wrong, so that there is a file to do the rest with.
    async fn open(&mut self, from: usize, pick: &mut Choices<'_>) {
        let known = &mut self.clients[from].known;
        known.numbered = pick.rarely(96);
        let numbered = known.numbered;
        if known.latest_client().is_none() && numbered {
            self.arrive_40(from, pick).await;
        } else if known.latest_session().is_none() && !numbered {
            self.arrive_41(from, pick).await;
        }
        let known = &mut self.clients[from].known;
        known.leave();
        known.begin(OPEN, pick);
        let mut open = Writer::default();
        open.write(&known.owners.number(numbered, &mut Choices::new(&[])));
        // For reading and writing, nothing denied.
        open.write(&3_u32);
        open.write(&0_u32);
        open.write(&known.latest_client().unwrap_or_default());
        open.opaque(known.owners.name());
        // OPEN4_CREATE, UNCHECKED4, no attributes; CLAIM_NULL.
        words_to(&mut open, &[1_u32, 0, 0, 0, 0]);
        open.opaque(&[b'a' + pick.below(3) as u8]);
        let mut ops = Ops::from(share());
        ops.extend([(OPEN, open), (GETFH, Writer::default())]);
        if numbered {
            self.send(from, 0, &ops, false).await;
        } else {
            self.in_turn(from, ops).await;
        }
    }

    /// A COPY with which nothing is wrong if it is of 4.2 and the files are there, and a question about it.
    async fn copy(&mut self, from: usize, pick: &mut Choices<'_>) {
        self.clients[from].known.numbered = false;
        if self.clients[from].known.latest_session().is_none() {
            self.arrive_41(from, pick).await;
        }
        let at = |name: &[u8]| {
            let mut lookup = Writer::default();
            lookup.opaque(name);
            share().into_iter().chain([(LOOKUP, lookup)])
        };
        let mut write = Writer::default();
        write.raw(&[0; 16 + 8 + 4]);
        write.opaque(b"content");
        let mut copy = Writer::default();
        copy.raw(&[0; 2 * 16 + 3 * 8 + 3 * 4]);
        let mut ops: Ops = at(b"a").collect();
        ops.extend([(WRITE, write), (SAVEFH, Writer::default())]);
        ops.extend(at(b"b"));
        ops.extend([(GETFH, Writer::default()), (COPY, copy)]);
        self.in_turn(from, ops).await;
        let mut ops: Ops = at(b"b").collect();
        let about = pick.one_of(&[OFFLOAD_CANCEL, OFFLOAD_STATUS]);
        ops.push(self.written(from, about, pick));
        self.in_turn(from, ops).await;
    }

    async fn in_turn(&mut self, from: usize, ops: Ops) {
        let number = self.clients[from].slots[0].wrapping_add(1);
        self.in_session(from, 0, number, ops, true).await;
    }

    /// One operation of 4.1 or 4.2 without a session.
    async fn lone(&mut self, from: usize, pick: &mut Choices<'_>) {
        self.clients[from].known.numbered = false;
        let op = if pick.rarely(64) {
            self.operation(from, pick)
        } else {
            self.written(from, pick.one_of(&[41, 42, 43, 44, 57]), pick)
        };
        self.send(from, MINORS[from], &[op], false).await;
    }

    /// A COMPOUND of 4.0.
    async fn numbered(&mut self, from: usize, pick: &mut Choices<'_>) {
        self.clients[from].known.numbered = true;
        if self.clients[from].known.latest_client().is_none() {
            self.arrive_40(from, pick).await;
        }
        let ops = self.operations(from, pick);
        let reply = self.send(from, 0, &ops, false).await;
        if [STALE_CLIENTID, EXPIRED].contains(&reply.seen.status) {
            self.clients[from].known.forget_client();
        }
    }

    /// A COMPOUND in a session.
    async fn sequenced(&mut self, from: usize, pick: &mut Choices<'_>) {
        self.clients[from].known.numbered = false;
        if self.clients[from].known.latest_session().is_none() {
            self.arrive_41(from, pick).await;
        }
        let ops = self.operations(from, pick);
        let slot = pick.below(SLOTS);
        let number = if pick.rarely(12) {
            pick.u32()
        } else {
            self.clients[from].slots[slot].wrapping_add(1)
        };
        let cache = !pick.rarely(96);
        self.in_session(from, slot, number, ops, cache).await;
    }

    async fn in_session(&mut self, from: usize, slot: usize, number: u32, ops: Ops, cache: bool) {
        let client = &self.clients[from];
        let Some(session) = client.known.latest_session() else {
            return;
        };
        let mut sequence = Writer::default();
        sequence.raw(&session);
        sequence.write(&number);
        sequence.write(&(slot as u32));
        sequence.write(&(SLOTS as u32 - 1));
        sequence.write(&cache);
        let mut all = vec![(SEQUENCE, sequence)];
        all.extend(ops);
        let reply = self.send(from, MINORS[from], &all, cache).await;
        match reply.seen.results.first() {
            Some((SEQUENCE, 0)) => self.clients[from].slots[slot] = number,
            Some((SEQUENCE, BADSESSION)) => self.clients[from].known.forget_session(),
            _ => {}
        }
    }

    /// Where it begins, and up to four operations.
    fn operations(&mut self, from: usize, pick: &mut Choices<'_>) -> Ops {
        let mut ops = Ops::new();
        if pick.rarely(128) {
            let mut handle = Writer::default();
            handle.opaque(&self.clients[from].known.enter(pick));
            ops.push((PUTFH, handle));
        } else {
            self.clients[from].known.leave();
            ops.extend(share());
        }
        for _ in 0..=pick.below(4) {
            let op = self.operation(from, pick);
            if [LINK, RENAME].contains(&op.0) {
                ops.push((SAVEFH, Writer::default()));
                ops.extend(share());
            }
            if [COPY, CLONE].contains(&op.0) {
                ops.push((SAVEFH, Writer::default()));
                if !pick.rarely(16) {
                    ops.extend(share());
                    ops.push(self.written(from, LOOKUP, pick));
                }
            }
            let opens = op.0 == OPEN;
            ops.push(op);
            if opens {
                ops.push((GETFH, Writer::default()));
            }
        }
        ops
    }

    fn operation(&mut self, from: usize, pick: &mut Choices<'_>) -> (u32, Writer) {
        // What makes state comes more often than its share of the table.
        const FREQUENT: [u32; 24] = [
            18, 18, 18, 12, 4, 14, 10, 15, 38, 25, 9, 28, 29, 34, 21, 20, 72, 73, 73, 75, 60, 60,
            66, 67,
        ];
        let number = if pick.rarely(96) {
            RULES[pick.below(RULES.len())].number
        } else {
            pick.one_of(&FREQUENT)
        };
        self.written(from, number, pick)
    }

    fn written(&mut self, from: usize, number: u32, pick: &mut Choices<'_>) -> (u32, Writer) {
        let rule = grammar::of(number).unwrap();
        let mut writer = Writer::default();
        requests::write(rule, &mut self.clients[from].known, pick, &mut writer);
        let mut args = Writer::default();
        args.raw(&writer.as_slice()[4..]);
        (number, args)
    }

    /// Sends a COMPOUND, has the client learn from the reply, and keeps both.
    async fn send(&mut self, from: usize, minor: u32, ops: &[(u32, Writer)], cache: bool) -> Reply {
        let mut writer = Writer::default();
        writer.opaque(b"tag");
        writer.write(&minor);
        writer.write(&(ops.len() as u32));
        for (number, args) in ops {
            writer.write(number);
            writer.raw(args.as_slice());
        }
        let args = writer.as_slice().to_vec();
        let xid = self.world.next_xid();
        let reply = self.world.serve(from, xid, &args).await;
        let Some(reply) = reply else {
            // It breaks off before the number of an operation: RPC answers that.
            self.last = None;
            return Reply::default();
        };
        let seen = replies::read(&reply, &mut self.clients[from].known);
        assert_eq!(&seen.tag[..], b"tag");
        let ends = ops.iter().any(|(number, _)| *number == DESTROY_SESSION);
        let in_slot = cache && !ends && seen.results.first() == Some(&(SEQUENCE, 0));
        let request = Request::decode(Bytes::copy_from_slice(&args)).unwrap();
        let once = minor == 0 && request.ops.iter().any(|op| op.has(Flags::ONCE));
        self.last = Some(Sent {
            from,
            xid,
            args,
            reply: reply.clone(),
            kept: in_slot || once,
        });
        Reply { bytes: reply, seen }
    }
}

/// To the share's root.
fn share() -> [(u32, Writer); 2] {
    let mut name = Writer::default();
    name.opaque(b"export");
    [(PUTROOTFH, Writer::default()), (LOOKUP, name)]
}

/// Numbers and arguments.
type Ops = Vec<(u32, Writer)>;

#[derive(Default)]
struct Reply {
    bytes: Bytes,
    seen: Seen,
}

/// Where the body of the first result begins: after status, tag, count, number and status.
const BODY: usize = 4 + 8 + 4 + 8;
