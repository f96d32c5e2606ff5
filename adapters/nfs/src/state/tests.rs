//! Leases, expiry and slots, in virtual time.

use std::time::{Duration, Instant};

use bytes::Bytes;
use dittofs_sdk::vfs::{Attr, Buffer, Handle, Op, ReadOk, Stability, VfsError, Written};
use uuid::Uuid;

use super::back::Backchannel;
use super::files::{Bound, Caller, OpenRequest, Owner, Rival, Role, Share, Touch};
use super::session::Fore;
use super::v40::{Callback, Introduced, Introduction};
use super::v41::{Creation, Exchange};
use super::*;
use crate::exports::FileKey;
use crate::ops::create_session::{ChannelAttrs, Ok as CreatedOk};
use crate::ops::sequence::Args;
use crate::types::{ClientId, StateId, Verifier};

const LEASE: Duration = Duration::from_secs(90);
const COURTESY: Duration = Duration::from_hours(1);
const LIMITS: Limits = Limits {
    lease: LEASE,
    courtesy: COURTESY,
    clients: 100,
    sessions_per_client: 4,
    connections_per_session: 16,
    metered_sessions: 100,
    slots: 64,
    reply_cache: 1 << 20,
};
const FORE: Fore = Fore {
    request: 4096,
    response: 4096,
    cached: 1024,
    operations: 8,
    slots: 2,
    most_slots: 2,
};
const ME: Principal = Principal::Sys(1);

struct World {
    state: State,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            state: State::new(3, now, &RandomState::new(), Arc::default()),
            now,
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        for client in self.state.overdue(self.now, &LIMITS) {
            drop(self.state.discard(&client, self.now));
        }
        self.state.forget_unused(self.now, LEASE);
    }

    fn exchange(&self) -> (ClientId, u32) {
        let exchange = Exchange {
            owner: Bytes::from_static(b"a"),
            minor: Minor::V41,
            verifier: Verifier([1; 8]),
            principal: ME,
            update: false,
        };
        let exchanged = self
            .state
            .exchange_id(&exchange, self.now, &LIMITS)
            .unwrap();
        (exchanged.id, exchanged.sequence)
    }

    fn create(&self, client: ClientId, sequence: u32, id: u8) -> Result<SessionId, Status> {
        let id = SessionId([id; 16]);
        let attrs = ChannelAttrs::default();
        let ok = CreatedOk {
            session: id,
            sequence,
            flags: 0,
            fore: attrs,
            back: attrs,
        };
        let creation = Creation {
            client,
            minor: Minor::V41,
            sequence,
            principal: ME,
            link: &Link::new(1),
            id,
            session: Ok((FORE, Backchannel::default(), ok)),
        };
        let created = self.state.create_session(creation, self.now, &LIMITS);
        created.result.map(|ok| ok.session)
    }

    fn session(&self) -> SessionId {
        let (client, sequence) = self.exchange();
        self.create(client, sequence, 1).unwrap()
    }

    fn begin(&self, session: SessionId, sequence: u32) -> Result<Begun, Status> {
        let link = Link::new(1);
        let info = RequestInfo {
            size: 100,
            announced: 2,
            reply: 80,
            digest: 5,
            principal: ME,
            link: &link,
        };
        let args = Args {
            session,
            sequence,
            slot: 0,
            highest_slot: 0,
            cache_this: true,
        };
        self.state
            .session(session)?
            .begin(&info, &args, &LIMITS, self.now)
    }

    fn run(&self, session: SessionId, sequence: u32) {
        let Begun::New(slot, ..) = self.begin(session, sequence).unwrap() else {
            panic!("not new");
        };
        slot.finish(b"reply");
    }

    fn confirmed40(&self) -> ClientId {
        let confirm = Verifier([9; 8]);
        let introduction = Introduction {
            owner: Bytes::from_static(b"a"),
            verifier: Verifier([1; 8]),
            principal: ME,
            callback: Callback::default(),
            confirm,
        };
        let introduced = self.state.introduce(introduction, self.now, &LIMITS);
        let Introduced::Id(id, _) = introduced.unwrap() else {
            panic!("in use");
        };
        drop(
            self.state
                .confirm(id, confirm, ME, self.now, &LIMITS)
                .unwrap(),
        );
        id
    }

    fn is_empty(&self) -> bool {
        self.state.clients.all().is_empty()
            && self.state.sessions.len() == 0
            && self.state.clients.v40.lock().is_empty()
            && self.state.clients.v41.lock().is_empty()
    }
}

#[test]
fn a_client_that_sends_within_its_lease_lives() {
    let mut world = World::new();
    let session = world.session();
    for sequence in 1..5 {
        world.wait(Duration::from_secs(80));
        world.run(session, sequence);
    }
}

#[test]
fn a_silent_client_leaves_nothing_behind() {
    let mut world = World::new();
    let session = world.session();
    world.run(session, 1);
    world.wait(LEASE);
    assert!(world.state.session(session).is_ok(), "the lease just ends");
    world.wait(Duration::from_millis(1));
    assert!(matches!(world.begin(session, 2), Err(Status::Badsession)));
    world.wait(Duration::ZERO);
    assert!(world.is_empty());
}

#[test]
fn a_refused_sequence_does_not_renew() {
    let mut world = World::new();
    let session = world.session();
    world.wait(Duration::from_secs(80));
    assert!(matches!(
        world.begin(session, 7),
        Err(Status::SeqMisordered)
    ));
    world.wait(Duration::from_secs(20));
    assert!(world.state.session(session).is_err());
}

#[test]
fn a_client_that_waits_for_a_reply_is_not_silent() {
    let mut world = World::new();
    let session = world.session();
    let Begun::New(slot, ..) = world.begin(session, 1).unwrap() else {
        panic!("not new");
    };
    world.wait(LEASE * 3);
    assert!(world.state.session(session).is_ok());
    slot.finish(b"reply");
    world.wait(Duration::ZERO);
    assert!(world.state.session(session).is_err());
}

#[test]
fn a_client_that_goes_while_a_request_of_it_runs_leaves_nothing_behind() {
    let world = World::new();
    let session = world.session();
    let begun = world.begin(session, 1).unwrap();
    let client = world.state.session(session).unwrap().client.id;
    world.state.destroy_session(session, 1, world.now).unwrap();
    drop(world.state.destroy_client(client).unwrap());
    assert!(world.is_empty());
    drop(begun);
    assert!(world.is_empty());
}

#[test]
fn an_unconfirmed_client_waits_one_lease() {
    let mut world = World::new();
    let (client, sequence) = world.exchange();
    world.wait(LEASE + Duration::from_millis(1));
    assert_eq!(
        world.create(client, sequence, 1),
        Err(Status::StaleClientid)
    );
    assert!(world.is_empty());
}

#[test]
fn a_4_0_client_renews_by_what_names_it() {
    let mut world = World::new();
    let id = world.confirmed40();
    for _ in 0..3 {
        world.wait(Duration::from_secs(80));
        world.state.clients.v40(id, world.now).unwrap();
    }
    world.wait(LEASE + Duration::from_millis(1));
    assert!(world.is_empty());
    let gone = |id| world.state.clients.v40(id, world.now).unwrap_err();
    assert_eq!(gone(id), Status::Expired);
    assert_eq!(gone(ClientId(id.0 + 1)), Status::StaleClientid);
}

#[test]
fn numbers_of_clients_tell_the_servers_start() {
    let world = World::new();
    let (a, _) = world.exchange();
    let (b, _) = world.exchange();
    assert_ne!(a, b);
    assert_eq!((a.0 >> 32, b.0 >> 32), (3, 3));
}

#[test]
fn a_request_that_vanished_is_answered_with_a_fault_and_never_run_again() {
    let world = World::new();
    let session = world.session();
    let begun = world.begin(session, 1).unwrap();
    assert!(matches!(world.begin(session, 1), Err(Status::Delay)));
    drop(begun);
    let Begun::Unkept(_, Status::Serverfault) = world.begin(session, 1).unwrap() else {
        panic!("run again");
    };
    world.run(session, 2);
}

impl World {
    /// Gives a client an open that denies everything.
    fn open(&self, client: ClientId, file: u8) -> Result<StateId, Status> {
        let handle = Handle::new(&[file]).unwrap();
        let request = OpenRequest {
            owner: Owner {
                client,
                role: Role::Open,
                name: Arc::from(*b"o"),
            },
            key: FileKey {
                share: Uuid::nil(),
                handle,
            },
            user: 1,
            share: Share::new(3, 3).unwrap(),
            touch: Touch::Change,
            file: Arc::new(Nothing),
            confirmed: true,
            limit: Bound { each: 9, all: 9 },
        };
        let caller = Caller::V41(client);
        Ok(self.state.files.open(caller, &request)?.stateid)
    }
}

/// A file that nobody reads.
struct Nothing;

impl File for Nothing {
    fn attr(&self) -> Op<Attr> {
        Op::err(VfsError::Io)
    }
    fn read(&self, _: u64, _: u32, _: Buffer) -> Op<ReadOk> {
        Op::err(VfsError::Io)
    }
    fn write(&self, _: u64, _: Bytes, _: Stability) -> Op<Written> {
        Op::err(VfsError::Io)
    }
    fn commit(&self, _: u64, _: u64) -> Op<()> {
        Op::err(VfsError::Io)
    }
    fn truncate(&self, _: u64) -> Op<Attr> {
        Op::err(VfsError::Io)
    }
}

#[test]
fn a_silent_client_with_state_is_kept_for_the_time_of_courtesy() {
    let mut world = World::new();
    let session = world.session();
    let client = Arc::clone(&world.state.session(session).unwrap().client);
    world.open(client.id, 1).unwrap();
    world.wait(LEASE + COURTESY);
    assert!(world.state.is_silent(&client, world.now, LEASE));
    world.run(session, 1);
    assert!(!world.state.is_silent(&client, world.now, LEASE));
    world.wait(LEASE + COURTESY);
    world.wait(Duration::from_millis(1));
    assert!(world.is_empty());
    assert!(!world.state.files.has_state(client.id));
}

#[test]
fn only_what_is_silent_altogether_gives_way() {
    let mut world = World::new();
    let session = world.session();
    let old = world.confirmed40();
    let new = world.state.session(session).unwrap().client.id;
    let (a, b) = (world.open(new, 1).unwrap(), world.open(old, 2).unwrap());
    let rivals = |world: &World| -> Vec<Rival> {
        [a, b]
            .map(|stateid| world.state.files.rival(Caller::V40, &stateid).unwrap())
            .to_vec()
    };
    let both = rivals(&world);
    world.now += LEASE + Duration::from_millis(1);
    world.run(session, 1);
    let now = world.now;
    assert!(world.state.silent_owners(&both, now, LEASE).is_none());
    world.now += LEASE + Duration::from_millis(1);
    let now = world.now;
    assert_eq!(
        world.state.silent_owners(&both, now, LEASE).unwrap().len(),
        2
    );
    assert_eq!(world.state.most_silent(now, LEASE).unwrap().id, old);

    drop(world.state.take_from_silent(&both, now, LEASE));
    let test = |caller, stateid| world.state.files.test(caller, stateid);
    assert_eq!(test(Caller::V41(new), &a), Status::Expired);
    assert_eq!(test(Caller::V40, &b), Status::Expired);
    assert!(
        world.state.session(session).is_ok(),
        "4.1 keeps its session"
    );
    let gone = world.state.clients.v40(old, now).unwrap_err();
    assert_eq!(gone, Status::Expired);
}
