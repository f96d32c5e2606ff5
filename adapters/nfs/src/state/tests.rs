//! Leases, expiry and slots, in virtual time.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::session::{Backchannel, Fore};
use super::v40::{Callback, Introduced, Introduction};
use super::v41::{Creation, Exchange};
use super::*;
use crate::ops::create_session::{ChannelAttrs, Ok as CreatedOk};
use crate::ops::sequence::Args;
use crate::types::{ClientId, Verifier};

const LEASE: Duration = Duration::from_secs(90);
const LIMITS: Limits = Limits {
    lease: LEASE,
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
        drop(self.state.expire(self.now, LEASE));
    }

    fn exchange(&self) -> (ClientId, u32) {
        let exchange = Exchange {
            owner: Bytes::from_static(b"a"),
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
        let attrs = ChannelAttrs {
            header_pad: 0,
            request: 0,
            response: 0,
            cached: 0,
            operations: 0,
            requests: 0,
            rdma_ird: None,
        };
        let ok = CreatedOk {
            session: id,
            sequence,
            flags: 0,
            fore: attrs,
            back: attrs,
        };
        let creation = Creation {
            client,
            sequence,
            principal: ME,
            connection: 1,
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
        let info = RequestInfo {
            size: 100,
            announced: 2,
            reply: 80,
            digest: 5,
            principal: ME,
            connection: 1,
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
        world.state.clients.v40(id, world.now, LEASE).unwrap();
    }
    world.now += LEASE + Duration::from_millis(1);
    let expired = world.state.clients.v40(id, world.now, LEASE);
    assert_eq!(expired.unwrap_err(), Status::Expired, "not swept yet");
    world.wait(Duration::ZERO);
    assert!(world.is_empty());
    let gone = |id| world.state.clients.v40(id, world.now, LEASE).unwrap_err();
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
