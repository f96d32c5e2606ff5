//! Two million random steps of clients, networks and operators against sessions, compared with a
//! reference that knows only what the RFC promises: what a client sends is executed once,
//! whatever is lost, repeated, late or in disorder (RFC 8881 §2.10.6).
//!
//! The clients obey the protocol; beside them somebody sends what it forbids. `DITTOFS_SEED`
//! repeats a run.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::back::Backchannel;
use super::budget::Budget;
use super::client::{Client, Lease};
use super::link::Link;
use super::session::{Fore, Session};
use super::*;
use crate::ops::create_session::ChannelAttrs;
use crate::ops::sequence::{Args, Ok as Told};
use crate::types::{ClientId, Minor, Verifier};

const STEPS: u64 = 2_000_000;
const SESSIONS: usize = 3;
const ASKED: u32 = 40;
const CACHED: u32 = 1024;
const LEASE: Duration = Duration::from_secs(90);
/// Requests that the network of one session holds at once.
const IN_NETWORK: usize = 16;
const ME: Principal = Principal::Sys(1);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// What a client sends. `name` stands for the bytes of the request: no two are alike.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sent {
    name: u64,
    slot: u32,
    sequence: u32,
    highest: u32,
    cache: bool,
    since: Instant,
}

/// What comes back of it.
#[derive(Debug, Clone, PartialEq)]
enum Answer {
    Reply(Told, Vec<u8>),
    News(Told, Status),
}

/// One slot as its client sees it.
#[derive(Default)]
struct ClientSlot {
    last: u32,
    outstanding: Option<Sent>,
}

/// What must be true of a request, by its name.
struct Truth {
    cache: bool,
    end: End,
}

enum End {
    Running(SlotGuard, Told),
    /// Finished; the reply, if it had to be kept.
    Finished(Told, Vec<u8>),
    Vanished,
}

/// A session, its client and the network between them.
struct Side {
    session: Arc<Session>,
    slots: Vec<ClientSlot>,
    target: u32,
    /// Counts changes of what the client believes; replies to what was sent before an earlier
    /// change no longer shrink its table.
    believed: u64,
    sent_at: HashMap<u64, u64>,
    /// Forgets slots that the server no longer accepts, and begins with number 1 when they come back.
    forgets: bool,
    requests: Vec<Sent>,
    replies: Vec<(Sent, Answer)>,
    truth: HashMap<u64, Truth>,
    running: Vec<u64>,
    /// The last request that each slot executed, and how many slots were accepted then.
    executed: HashMap<u32, (u32, u64)>,
    old: VecDeque<Sent>,
}

#[derive(Debug, Default)]
struct Tally {
    executed: u64,
    replayed: u64,
    unkept: u64,
    faults: u64,
    delayed: u64,
    false_retries: u64,
    misordered: u64,
    late: u64,
    withdrawn: u64,
    granted: u64,
    sessions: u64,
}

struct World {
    random: Random,
    now: Instant,
    limits: Limits,
    budget: Arc<Budget>,
    sides: Vec<Side>,
    names: u64,
    tally: Tally,
}

impl Side {
    fn new(number: u64, budget: &Arc<Budget>, limits: &Limits, now: Instant) -> Self {
        let slots = ASKED.min(limits.slots);
        let share = budget.admit(slots, CACHED, limits.reply_cache).unwrap();
        let client = Client::new(
            ClientId(number),
            Minor::V41,
            bytes::Bytes::new(),
            Verifier::default(),
            ME,
            Lease::new(now, now),
        );
        let fore = Fore {
            request: 4096,
            response: 4096,
            cached: share.each(),
            operations: 8,
            slots: share.slots(),
            most_slots: ASKED,
        };
        let target = share.slots();
        let id = SessionId([number as u8; 16]);
        let session = Session::new(
            (id, Minor::V41),
            Arc::new(client),
            fore,
            share,
            (Backchannel::default(), &ChannelAttrs::default()),
            now,
            Arc::default(),
        );
        Self {
            session: Arc::new(session),
            slots: Vec::new(),
            target,
            believed: 0,
            sent_at: HashMap::new(),
            forgets: number.is_multiple_of(2),
            requests: Vec::new(),
            replies: Vec::new(),
            truth: HashMap::new(),
            running: Vec::new(),
            executed: HashMap::new(),
            old: VecDeque::new(),
        }
    }

    fn begin(
        &self,
        sent: &Sent,
        connection: u64,
        digest: u64,
        world: (&Limits, Instant),
    ) -> Result<Begun, Status> {
        let link = Link::new(connection);
        let info = RequestInfo {
            size: 100,
            announced: 2,
            reply: 80,
            digest,
            principal: ME,
            link: &link,
        };
        let args = Args {
            session: self.session.id,
            sequence: sent.sequence,
            slot: sent.slot,
            highest_slot: sent.highest,
            cache_this: sent.cache,
        };
        Arc::clone(&self.session).begin(&info, &args, world.0, world.1)
    }

    fn outstanding(&self) -> Option<u32> {
        let last = self
            .slots
            .iter()
            .rposition(|slot| slot.outstanding.is_some())?;
        Some(last as u32)
    }

    /// The client takes note of an answer.
    fn receive(&mut self, sent: &Sent, answer: &Answer) {
        let Some(slot) = self.slots.get_mut(sent.slot as usize) else {
            return;
        };
        if slot.outstanding != Some(*sent) {
            return;
        }
        slot.outstanding = None;
        let (Answer::Reply(told, _) | Answer::News(told, _)) = answer;
        let target = told.target_highest_slot + 1;
        let current = self.sent_at.remove(&sent.name) == Some(self.believed);
        if self.forgets && current {
            let accepted = told.highest_slot as usize + 1;
            if self
                .outstanding()
                .is_none_or(|highest| (highest as usize) < accepted)
            {
                self.slots.truncate(accepted);
            }
        }
        if self.target != target {
            self.target = target;
            self.believed += 1;
        }
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let now = Instant::now();
        let limits = Limits {
            lease: LEASE,
            courtesy: Duration::ZERO,
            clients: 10,
            sessions_per_client: 4,
            connections_per_session: 4,
            metered_sessions: 0,
            slots: 16,
            reply_cache: 1 << 20,
        };
        let budget = Arc::new(Budget::default());
        let sides = (0..SESSIONS as u64)
            .map(|number| Side::new(number, &budget, &limits, now))
            .collect();
        Self {
            random: Random(seed),
            now,
            limits,
            budget,
            sides,
            names: 0,
            tally: Tally::default(),
        }
    }

    fn step(&mut self) {
        let side = self.random.below(self.sides.len());
        match self.random.below(100) {
            0..25 => self.send(side),
            25..30 => self.retry(side),
            30..55 => self.arrive(side),
            55..75 => self.finish(side),
            75..92 => self.answer(side),
            92..95 => self.misbehave(side),
            95..97 => self.late(side),
            97 => self.now += Duration::from_millis(self.random.next() % 2000),
            98 => self.lose(side),
            _ => self.operate(side),
        }
    }

    fn send(&mut self, side: usize) {
        let (name, now) = (self.names, self.now);
        let (pick, cache) = (self.random.one_in(3), self.random.one_in(2));
        let chance = self.random.next();
        let side = &mut self.sides[side];
        if side.requests.len() >= IN_NETWORK {
            return;
        }
        let target = side.target as usize;
        while side.slots.len() < target {
            side.slots.push(ClientSlot::default());
        }
        let mut free = (0..target).filter(|at| side.slots[*at].outstanding.is_none());
        // "SHOULD use the lowest available slot": most do.
        let Some(slot) = (if pick {
            free.nth(chance as usize % target)
        } else {
            free.next()
        }) else {
            return;
        };
        let highest = side.outstanding().unwrap_or(0).max(slot as u32);
        let last = &mut side.slots[slot];
        last.last = last.last.wrapping_add(1);
        let sent = Sent {
            name,
            slot: slot as u32,
            sequence: last.last,
            highest,
            cache,
            since: now,
        };
        last.outstanding = Some(sent);
        side.sent_at.insert(name, side.believed);
        side.requests.push(sent);
        self.names += 1;
    }

    fn retry(&mut self, side: usize) {
        let chance = self.random.next() as usize;
        let side = &mut self.sides[side];
        let waiting: Vec<Sent> = side
            .slots
            .iter()
            .filter_map(|slot| slot.outstanding)
            .collect();
        if side.requests.len() < IN_NETWORK && !waiting.is_empty() {
            side.requests.push(waiting[chance % waiting.len()]);
        }
    }

    /// The network hands one request to the server, over any of four connections.
    fn arrive(&mut self, at: usize) {
        let (chance, connection) = (self.random.next() as usize, self.random.next() % 4);
        let side = &mut self.sides[at];
        if side.requests.is_empty() {
            return;
        }
        let sent = side.requests.swap_remove(chance % side.requests.len());
        if side.old.len() == 64 {
            side.old.pop_front();
        }
        side.old.push_back(sent);
        self.deliver(at, sent, connection);
    }

    fn deliver(&mut self, at: usize, sent: Sent, connection: u64) {
        let side = &mut self.sides[at];
        let awaited = side
            .slots
            .get(sent.slot as usize)
            .is_some_and(|slot| slot.outstanding == Some(sent));
        let (before, after);
        before = side.session.table().0.accepted();
        let begun = side.begin(&sent, connection, sent.name, (&self.limits, self.now));
        after = side.session.table().0.accepted();
        self.tally.withdrawn += u64::from(before.saturating_sub(after));
        self.tally.granted += u64::from(after.saturating_sub(before));
        match begun {
            Ok(Begun::New(guard, _, told)) => {
                assert!(
                    awaited,
                    "{sent:?} was answered before and is executed again"
                );
                let truth = Truth {
                    cache: sent.cache,
                    end: End::Running(guard, told),
                };
                assert!(
                    side.truth.insert(sent.name, truth).is_none(),
                    "{sent:?} is executed twice"
                );
                side.executed.insert(sent.slot, (sent.sequence, sent.name));
                side.running.push(sent.name);
                self.tally.executed += 1;
            }
            Ok(Begun::Replay(bytes)) => {
                let Some(Truth {
                    end: End::Finished(told, reply),
                    cache: true,
                }) = side.truth.get(&sent.name)
                else {
                    panic!("{sent:?} has no reply to repeat");
                };
                assert_eq!(bytes[..], reply[..]);
                side.replies
                    .push((sent, Answer::Reply(*told, reply.clone())));
                self.tally.replayed += 1;
            }
            Ok(Begun::Unkept(told, news)) => {
                let truth = side
                    .truth
                    .get(&sent.name)
                    .map(|truth| (&truth.end, truth.cache));
                match truth {
                    Some((End::Finished(..), cache)) => {
                        assert_eq!(news, Status::RetryUncachedRep);
                        assert!(!cache || !awaited, "{sent:?} was to be kept");
                        self.tally.unkept += 1;
                    }
                    Some((End::Vanished, _)) => {
                        assert!(news == Status::Serverfault);
                        self.tally.faults += 1;
                    }
                    _ => panic!("{sent:?} was not executed"),
                }
                side.replies.push((sent, Answer::News(told, news)));
            }
            Err(Status::Delay) => {
                let truth = side.truth.get(&sent.name).map(|truth| &truth.end);
                assert!(
                    matches!(truth, Some(End::Running(..))),
                    "{sent:?} does not run"
                );
                self.tally.delayed += 1;
            }
            Err(status) => {
                assert!(!awaited, "{sent:?} is owed an answer, not {status:?}");
                assert!(
                    matches!(
                        status,
                        Status::SeqMisordered | Status::SeqFalseRetry | Status::Badslot
                    ),
                    "{status:?}"
                );
                self.tally.late += 1;
            }
        }
    }

    fn finish(&mut self, side: usize) {
        let (chance, vanish, lost) = (
            self.random.next() as usize,
            self.random.one_in(20),
            self.random.one_in(5),
        );
        let side = &mut self.sides[side];
        if side.running.is_empty() {
            return;
        }
        let name = side.running.swap_remove(chance % side.running.len());
        let sent = side
            .slots
            .iter()
            .filter_map(|slot| slot.outstanding)
            .find(|sent| sent.name == name);
        let truth = side.truth.get_mut(&name).unwrap();
        let End::Running(guard, told) = std::mem::replace(&mut truth.end, End::Vanished) else {
            panic!("not running");
        };
        if vanish {
            drop(guard);
            return;
        }
        let reply = [name.to_be_bytes(); 3].concat();
        guard.finish(&reply);
        truth.end = End::Finished(told, reply.clone());
        if let Some(sent) = sent.filter(|_| !lost) {
            side.replies.push((sent, Answer::Reply(told, reply)));
        }
    }

    /// The network hands one reply to the client.
    fn answer(&mut self, side: usize) {
        let chance = self.random.next() as usize;
        let side = &mut self.sides[side];
        if !side.replies.is_empty() {
            let (sent, answer) = side.replies.swap_remove(chance % side.replies.len());
            side.receive(&sent, &answer);
        }
    }

    /// Somebody sends what no client may. The reference: what each slot executed last.
    fn misbehave(&mut self, at: usize) {
        let kind = self.random.below(5);
        let chance = self.random.next() as usize;
        let (limits, now) = (self.limits, self.now);
        let side = &mut self.sides[at];
        let accepted = side.session.table().0.accepted();
        let mut sent = Sent {
            name: u64::MAX,
            slot: chance as u32 % accepted,
            sequence: 0,
            highest: 0,
            cache: true,
            since: now,
        };
        sent.highest = sent.slot;
        let last = side.executed.get(&sent.slot).copied();
        let expected = match (kind, last) {
            (0, _) => {
                sent.slot = accepted + chance as u32 % 3;
                sent.highest = sent.slot;
                Status::Badslot
            }
            (1, _) => {
                sent.highest = ASKED;
                Status::BadHighSlot
            }
            (2, Some((sequence, _))) => {
                sent.sequence = sequence;
                // One that was withdrawn since has no number that could be retried.
                Status::SeqFalseRetry
            }
            (3, Some((sequence, _))) => {
                sent.sequence = sequence.wrapping_add(2 + chance as u32 % 100);
                Status::SeqMisordered
            }
            (_, Some((sequence, _))) if sequence > 2 => {
                sent.sequence = sequence - 1;
                Status::SeqMisordered
            }
            _ => return,
        };
        let withdrawn = side.session.table().0.was_withdrawn(sent.slot);
        if withdrawn && matches!(expected, Status::SeqFalseRetry) {
            return;
        }
        let status = side
            .begin(&sent, 9, u64::MAX, (&limits, now))
            .map(|_| ())
            .unwrap_err();
        assert_eq!(status, expected, "{sent:?} after {last:?}");
        match expected {
            Status::SeqFalseRetry => self.tally.false_retries += 1,
            _ => self.tally.misordered += 1,
        }
    }

    /// A copy that lay in an abandoned connection arrives; none lies there longer than a lease.
    fn late(&mut self, at: usize) {
        let (chance, connection) = (self.random.next() as usize, self.random.next() % 4);
        let now = self.now;
        let side = &mut self.sides[at];
        side.old
            .retain(|sent| now.duration_since(sent.since) < LEASE);
        if !side.old.is_empty() {
            let sent = side.old[chance % side.old.len()];
            self.deliver(at, sent, connection);
        }
    }

    /// A connection breaks: what is under way in either direction is lost.
    fn lose(&mut self, side: usize) {
        let side = &mut self.sides[side];
        side.requests.clear();
        side.replies.clear();
    }

    /// The operator changes a setting, or a client comes back with a new session.
    fn operate(&mut self, at: usize) {
        match self.random.below(40) {
            0..8 => self.limits.slots = 1 + self.random.below(ASKED as usize + 8) as u32,
            8 => self.limits.reply_cache = 1 << (15 + self.random.below(6)),
            9 => self.now += LEASE,
            10 => {
                self.tally.sessions += 1;
                let number = self.tally.sessions;
                self.sides.swap_remove(at);
                self.limits.reply_cache = 1 << 20;
                self.sides
                    .push(Side::new(number, &self.budget, &self.limits, self.now));
            }
            _ => {}
        }
        self.check();
    }

    /// Memory is accounted for to the byte.
    fn check(&self) {
        let mut reserved = 0;
        for side in &self.sides {
            let last = side
                .executed
                .iter()
                .filter(|(slot, _)| **slot < side.session.table().0.accepted());
            let kept: usize = last
                .filter_map(|(slot, (_, name))| Some((slot, side.truth.get(name)?)))
                .filter(|(slot, truth)| {
                    truth.cache && !side.session.table().0.was_withdrawn(**slot)
                })
                .map(|(_, truth)| match &truth.end {
                    End::Finished(_, reply) => reply.len(),
                    _ => 0,
                })
                .sum();
            assert_eq!(side.session.table().0.kept(), kept);
            assert_eq!(side.session.in_use() as usize, side.running.len());
            assert_eq!(
                side.session.table().1.slots(),
                side.session.table().0.accepted()
            );
            reserved +=
                u64::from(side.session.table().0.accepted()) * u64::from(side.session.fore.cached);
        }
        assert_eq!(self.budget.reserved(), reserved);
    }
}

#[test]
fn two_million_random_steps_execute_each_request_exactly_once() {
    let seed = std::env::var("DITTOFS_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| u64::from_be_bytes(crate::entropy::random().unwrap()));
    println!("DITTOFS_SEED={seed}");
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    world.check();
    let tally = &world.tally;
    println!("{STEPS} steps: {tally:?}");
    for (what, count) in [
        ("executed", tally.executed),
        ("replayed", tally.replayed),
        ("unkept", tally.unkept),
        ("faults", tally.faults),
        ("delayed", tally.delayed),
        ("false retries", tally.false_retries),
        ("misordered", tally.misordered),
        ("late", tally.late),
        ("withdrawn", tally.withdrawn),
        ("granted", tally.granted),
    ] {
        assert!(count > 100, "too few {what}: {count}");
    }
    world.sides.clear();
    assert_eq!(world.budget.reserved(), 0);
}
