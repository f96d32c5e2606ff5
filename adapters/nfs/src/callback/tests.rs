//! Clients that are called, over connections on the loopback interface.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use dittofs_testkit::host::MemoryHost;
use tokio::task::JoinHandle;

use super::*;
use crate::status::Status;
use crate::testing::{Called, Channel, Client41, Compound, Harness, Peer};
use crate::types::ClientId;
use crate::xdr::Writer;

mod turns;
mod v40;

pub(crate) use v40::client40;

const CB_PATH_DOWN: u32 = 0x1;
const CB_PATH_DOWN_SESSION: u32 = 0x200;
const BACKCHANNEL_FAULT: u32 = 0x400;

/// A 4.1 client with a connection that carries callbacks.
pub(crate) struct World {
    pub(crate) h: Harness,
    pub(crate) address: SocketAddr,
}

impl World {
    async fn new() -> Self {
        // Long enough for any answer that is to come, and short for those that are not.
        Self::with(1).await
    }

    async fn with(callback_timeout: u32) -> Self {
        Self::of(Settings {
            callback_timeout,
            delegations_enabled: false,
            ..Settings::default()
        })
        .await
    }

    pub(crate) async fn of(settings: Settings) -> Self {
        Self::around(Harness::with(settings)).await
    }

    pub(crate) async fn around(h: Harness) -> Self {
        let address = h.listen().await;
        Self { h, address }
    }

    /// A client whose session was made over the connection returned; CB_NULL is answered.
    pub(crate) async fn client(&self, owner: &str) -> (Client41<'_>, Peer) {
        self.client_in(1, owner).await
    }

    /// The same of this minor version.
    pub(crate) async fn client_in(&self, minor: u32, owner: &str) -> (Client41<'_>, Peer) {
        let (client, mut peer) = self.returning_in(minor, owner).await;
        peer.ask(client.compound().reclaim_complete()).await.ok();
        (client, peer)
    }

    /// One that may have something to reclaim.
    pub(crate) async fn returning(&self, owner: &str) -> (Client41<'_>, Peer) {
        self.returning_in(1, owner).await
    }

    async fn returning_in(&self, minor: u32, owner: &str) -> (Client41<'_>, Peer) {
        let (id, number) = self.h.exchange_id(owner, 1).await;
        let mut peer = Peer::connect(self.address).await;
        let create = create_in(&self.h, minor, id, number);
        let session = peer.ask(create).await.ok_body();
        let null = peer.answer_null().await;
        assert_eq!(null.program, 77);
        let client = Client41::new(&self.h, id, session).in_minor(minor);
        (client, peer)
    }

    fn call(&self, client: ClientId, call: Call) -> JoinHandle<Result<Answer, Failure>> {
        let server = Arc::clone(&self.h.server);
        tokio::spawn(async move {
            let client = server.state.clients.find(client).unwrap();
            server.callbacks.call(&client, &call).await
        })
    }

    pub(crate) fn reaches(&self, client: ClientId) -> bool {
        let client = self.h.server.state.clients.find(client).unwrap();
        self.h.server.callbacks.reaches(&client)
    }

    /// Until the server has noticed something.
    pub(crate) async fn until(&self, holds: impl Fn() -> bool) {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}

/// CREATE_SESSION that asks for callbacks to program 77, by AUTH_SYS.
fn create(h: &Harness, client: ClientId, number: u32) -> Compound<'_> {
    create_in(h, 1, client, number)
}

fn create_in(h: &Harness, minor: u32, client: ClientId, number: u32) -> Compound<'_> {
    h.compound(minor).op(43, |w| {
        w.write(&client);
        w.write(&number);
        w.write(&0x2_u32);
        for channel in [
            Channel::default(),
            Channel {
                requests: 1,
                ..Channel::default()
            },
        ] {
            channel.encode(w);
        }
        w.write(&77_u32);
        w.write(&1_u32);
        sys(w);
    })
}

/// callback_sec_parms4 of AUTH_SYS.
fn sys(w: &mut Writer) {
    w.write(&1_u32);
    w.write(&13_u32);
    w.write("machine");
    w.write(&17_u32);
    w.write(&19_u32);
    w.write(&vec![23_u32]);
}

fn recall() -> Call {
    Call::Recall {
        stateid: StateId {
            seqid: 3,
            other: [4; 12],
        },
        truncate: true,
        file: FileHandle::of(&[b"handle"]),
        granted: None,
    }
}

/// Slot and number of a CB_SEQUENCE that begins a CB_COMPOUND, and how many operations there are.
pub(crate) fn sequence(called: &mut Called, session: SessionId) -> (u32, u32, u32) {
    sequence_in(1, called, session)
}

/// The same of this minor version.
pub(crate) fn sequence_in(minor: u32, called: &mut Called, session: SessionId) -> (u32, u32, u32) {
    assert_eq!(called.procedure, 1);
    assert_eq!(
        (called.word(), called.word()),
        (minor, 0),
        "minor version, ident"
    );
    let count = called.word();
    assert_eq!(called.word(), 11);
    assert_eq!(called.args.read::<SessionId>().unwrap(), session);
    let (number, slot) = (called.word(), called.word());
    let (_highest, _cache) = (called.word(), called.word());
    (slot, number, count)
}

/// CB_COMPOUND4res of CB_SEQUENCE and one more operation, unless its number is 0.
pub(crate) fn results(
    w: &mut Writer,
    session: SessionId,
    place: (u32, u32),
    second: (u32, Status),
) {
    w.write(&second.1);
    w.write("");
    w.write(&(1 + u32::from(second.0 != 0)));
    w.write(&11_u32);
    w.write(&Status::Ok);
    w.write(&session);
    for word in [place.1, place.0, 0, 0] {
        w.write(&word);
    }
    if second.0 != 0 {
        w.write(&second.0);
        w.write(&second.1);
    }
}

/// CB_COMPOUND4res of a CB_SEQUENCE that failed.
fn refused(w: &mut Writer, status: Status) {
    w.write(&status);
    w.write("");
    w.write(&1_u32);
    w.write(&11_u32);
    w.write(&status);
}

/// Answers a recall, which must be the next message, with this status; where it stood.
async fn answer_recall(peer: &mut Peer, session: SessionId, status: Status) -> (u32, u32) {
    let mut called = peer.called().await;
    let (slot, number, count) = sequence(&mut called, session);
    assert_eq!(count, 2);
    let place = (slot, number);
    peer.answer(&called, |w| results(w, session, place, (4, status)))
        .await;
    place
}

/// sr_status_flags of a SEQUENCE alone.
async fn flags(client: &Client41<'_>) -> u32 {
    let reply = client.compound().run().await;
    reply.ok();
    u32::from_be_bytes(*reply.bytes.last_chunk().unwrap())
}

fn bind(h: &Harness, session: SessionId, direction: u32) -> Compound<'_> {
    h.compound(1).op(41, |w| {
        w.write(&session);
        w.write(&direction);
        w.write(&false);
    })
}

#[tokio::test]
async fn a_session_is_called_over_the_connection_that_made_it_as_its_client_asked() {
    let w = World::new().await;
    let (client, mut peer) = w.client("a").await;
    assert!(w.reaches(client.id));
    let answer = w.call(client.id, recall());
    let mut called = peer.called().await;
    let mut parms = Writer::default();
    sys(&mut parms);
    assert_eq!(called.program, 77);
    assert_eq!(
        called.cred,
        (1, Bytes::copy_from_slice(&parms.as_slice()[4..]))
    );
    assert_eq!(sequence(&mut called, client.session), (0, 1, 2));
    assert_eq!(called.word(), 0, "no referring calls");
    assert_eq!(called.word(), 4);
    let stateid: StateId = called.args.read().unwrap();
    assert_eq!((stateid.seqid, called.word()), (3, 1));
    assert_eq!(called.args.read::<Bytes>().unwrap(), "handle");
    called.args.clone().finish().unwrap();
    peer.answer(&called, |w| {
        results(w, client.session, (0, 1), (4, Status::Ok));
    })
    .await;
    assert_eq!(answer.await.unwrap(), Ok(Answer::Done));

    let refused = w.call(client.id, recall());
    let place = answer_recall(&mut peer, client.session, Status::BadStateid).await;
    assert_eq!(place, (0, 2), "the next number");
    let status = Failure::Refused(Status::BadStateid);
    assert_eq!(refused.await.unwrap(), Err(status));
    assert_eq!(flags(&client).await, 0);
}

#[tokio::test]
async fn a_callback_is_of_the_minor_version_of_its_session() {
    let w = World::new().await;
    // The client was introduced in 4.1, and has a session in 4.2.
    let (id, number) = w.h.exchange_id("a", 1).await;
    let mut peer = Peer::connect(w.address).await;
    let made = peer.ask(create_in(&w.h, 2, id, number)).await.ok_body();
    peer.answer_null().await;
    let answer = w.call(id, recall());
    let mut called = peer.called().await;
    let (slot, number, _) = sequence_in(2, &mut called, made);
    peer.answer(&called, |w| {
        results(w, made, (slot, number), (4, Status::Ok));
    })
    .await;
    assert_eq!(answer.await.unwrap(), Ok(Answer::Done));
}

#[tokio::test]
async fn attributes_come_back() {
    let w = World::new().await;
    let (client, mut peer) = w.client("a").await;
    let wanted = Bitmap::of(&[3, 4]);
    let file = FileHandle::of(&[b"handle"]);
    let answer = w.call(client.id, Call::GetAttr { file, wanted });
    let mut called = peer.called().await;
    sequence(&mut called, client.session);
    assert_eq!((called.word(), called.word()), (0, 3));
    peer.answer(&called, |w| {
        results(w, client.session, (0, 1), (3, Status::Ok));
        w.write(&wanted);
        w.opaque(&[7; 16]);
    })
    .await;
    let attrs = FAttr {
        mask: wanted,
        values: Bytes::from_static(&[7; 16]),
    };
    assert_eq!(answer.await.unwrap(), Ok(Answer::Attrs(attrs)));
}

#[tokio::test]
async fn fore_requests_go_on_while_a_callback_waits() {
    let w = World::with(60).await;
    let (client, mut peer) = w.client("a").await;
    let answer = w.call(client.id, recall());
    let mut called = peer.called().await;
    peer.ask(client.compound().putrootfh()).await.ok();
    let (slot, number, _) = sequence(&mut called, client.session);
    peer.answer(&called, |w| {
        results(w, client.session, (slot, number), (4, Status::Ok));
    })
    .await;
    assert_eq!(answer.await.unwrap(), Ok(Answer::Done));
}

#[tokio::test]
async fn a_busy_client_is_asked_again() {
    let w = World::with(60).await;
    let (client, mut peer) = w.client("a").await;
    let answer = w.call(client.id, recall());
    let first = answer_recall(&mut peer, client.session, Status::Delay).await;
    assert_eq!(first, (0, 1));
    // Refused as a whole, the slot stays as it is.
    let mut called = peer.called().await;
    assert_eq!(sequence(&mut called, client.session), (0, 2, 2));
    peer.answer(&called, |w| refused(w, Status::Delay)).await;
    let last = answer_recall(&mut peer, client.session, Status::Ok).await;
    assert_eq!(last, (0, 2));
    assert_eq!(answer.await.unwrap(), Ok(Answer::Done));
}

#[tokio::test]
async fn what_was_lost_with_a_connection_is_sent_again_over_another_under_the_same_number() {
    let w = World::with(60).await;
    let (client, mut first) = w.client("a").await;
    let mut second = Peer::connect(w.address).await;
    let mut bound = second.ask(bind(&w.h, client.session, 3)).await;
    assert_eq!(bound.ok_body::<SessionId>(), client.session);
    assert_eq!(bound.body::<u32>(), 3, "both");
    second.answer_null().await;
    let answer = w.call(client.id, recall());
    // The latest is taken.
    let mut called = second.called().await;
    assert_eq!(sequence(&mut called, client.session), (0, 1, 2));
    drop(second);
    let place = answer_recall(&mut first, client.session, Status::Ok).await;
    assert_eq!(place, (0, 1));
    assert_eq!(answer.await.unwrap(), Ok(Answer::Done));

    // Nor does it get lost when there is no other yet.
    let answer = w.call(client.id, recall());
    first.called().await;
    drop(first);
    w.until(|| !w.reaches(client.id)).await;
    assert_eq!(flags(&client).await, CB_PATH_DOWN | CB_PATH_DOWN_SESSION);
    let mut third = Peer::connect(w.address).await;
    third.ask(bind(&w.h, client.session, 7)).await.ok();
    for _ in 0..2 {
        let mut called = third.called().await;
        if called.procedure == 0 {
            third.answer(&called, |_| ()).await;
            continue;
        }
        let (slot, number, _) = sequence(&mut called, client.session);
        assert_eq!((slot, number), (0, 2));
        // It had come through, and its reply was not kept.
        third
            .answer(&called, |w| refused(w, Status::RetryUncachedRep))
            .await;
    }
    assert_eq!(answer.await.unwrap(), Ok(Answer::Done));
    assert_eq!(flags(&client).await, 0);
}

#[tokio::test]
async fn a_client_that_does_not_answer_is_told_and_called_again_when_it_binds() {
    let w = World::new().await;
    let (client, mut peer) = w.client("a").await;
    let answer = w.call(client.id, recall());
    peer.called().await;
    assert_eq!(answer.await.unwrap(), Err(Failure::Timeout));
    assert!(!w.reaches(client.id));
    assert_eq!(flags(&client).await, CB_PATH_DOWN | CB_PATH_DOWN_SESSION);
    let answer = w.call(client.id, recall()).await.unwrap();
    assert_eq!(answer, Err(Failure::NoPath), "without waiting");

    peer.ask(bind(&w.h, client.session, 3)).await.ok();
    peer.answer_null().await;
    assert_eq!(flags(&client).await, 0);
    let answer = w.call(client.id, recall());
    // Whether it ever received number 1, only the client knows.
    let mut called = peer.called().await;
    assert_eq!(sequence(&mut called, client.session), (0, 1, 1));
    peer.answer(&called, |w| {
        results(w, client.session, (0, 1), (0, Status::Ok));
    })
    .await;
    let place = answer_recall(&mut peer, client.session, Status::Ok).await;
    assert_eq!(place, (0, 2));
    assert_eq!(answer.await.unwrap(), Ok(Answer::Done));
}

#[tokio::test]
async fn a_number_that_the_client_did_not_expect_is_a_fault_that_another_session_mends() {
    let w = World::new().await;
    let (client, mut peer) = w.client("a").await;
    let answer = w.call(client.id, recall());
    let called = peer.called().await;
    peer.answer(&called, |w| refused(w, Status::SeqMisordered))
        .await;
    let told = CB_PATH_DOWN | CB_PATH_DOWN_SESSION | BACKCHANNEL_FAULT;
    w.until(|| !w.reaches(client.id)).await;
    assert_eq!(flags(&client).await, told);
    // The call goes on in a session that comes in time.
    let session: SessionId = peer.ask(create(&w.h, client.id, 2)).await.ok_body();
    for _ in 0..2 {
        let mut called = peer.called().await;
        if called.procedure == 0 {
            peer.answer(&called, |_| ()).await;
            continue;
        }
        let (slot, number, _) = sequence(&mut called, session);
        assert_eq!((slot, number), (0, 1));
        peer.answer(&called, |w| results(w, session, (0, 1), (4, Status::Ok)))
            .await;
    }
    assert_eq!(answer.await.unwrap(), Ok(Answer::Done));
    assert_eq!(flags(&client).await, told & !CB_PATH_DOWN);
    peer.ask(w.h.compound(1).destroy_session(client.session))
        .await
        .ok();
    let other = Client41::new(&w.h, client.id, session);
    assert_eq!(flags(&other).await, 0);
}

#[tokio::test]
async fn a_call_about_a_request_names_it_until_its_slot_is_used_again() {
    let w = World::with(60).await;
    let (client, mut peer) = w.client("a").await;
    let granted = Referral {
        session: client.session,
        slot: 0,
        sequence: 1,
    };
    let recall = || match recall() {
        Call::Recall {
            stateid,
            truncate,
            file,
            ..
        } => Call::Recall {
            stateid,
            truncate,
            file,
            granted: Some(granted),
        },
        other => other,
    };
    // RECLAIM_COMPLETE was the slot's first request, and is its last so far.
    let answer = w.call(client.id, recall());
    let mut called = peer.called().await;
    sequence(&mut called, client.session);
    assert_eq!(called.word(), 1);
    assert_eq!(called.args.read::<SessionId>().unwrap(), client.session);
    assert_eq!([called.word(), called.word(), called.word()], [1, 1, 0]);
    peer.answer(&called, |w| {
        results(w, client.session, (0, 1), (4, Status::Ok));
    })
    .await;
    answer.await.unwrap().unwrap();

    client.compound().run().await.ok();
    let answer = w.call(client.id, recall());
    let mut called = peer.called().await;
    sequence(&mut called, client.session);
    assert_eq!(called.word(), 0);
    peer.answer(&called, |w| {
        results(w, client.session, (0, 2), (4, Status::Ok));
    })
    .await;
    answer.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_says_what_it_carries_and_sequence_adds_no_callbacks() {
    let w = World::new().await;
    let (client, peer) = w.client("a").await;
    drop(peer);
    w.until(|| !w.reaches(client.id)).await;
    for (wanted, granted) in [(1, Some(1)), (2, Some(2)), (3, Some(3)), (7, Some(3))] {
        let mut peer = Peer::connect(w.address).await;
        let mut reply = peer.ask(bind(&w.h, client.session, wanted)).await;
        let session = reply.ok_body::<SessionId>();
        assert_eq!(
            (session, Some(reply.body::<u32>())),
            (client.session, granted)
        );
        assert_eq!(w.reaches(client.id), wanted != 1);
        drop(peer);
        w.until(|| !w.reaches(client.id)).await;
    }
    let mut peer = Peer::connect(w.address).await;
    peer.ask(client.compound()).await.ok();
    assert!(!w.reaches(client.id));
    // It is one of the fore channel now; the client may not insist on another, but add.
    let refused = peer.ask(bind(&w.h, client.session, 2)).await;
    assert_eq!(refused.status, Status::Inval);
    let mut added = peer.ask(bind(&w.h, client.session, 3)).await;
    assert_eq!(added.ok_body::<SessionId>(), client.session);
    assert_eq!(added.body::<u32>(), 3);
    peer.answer_null().await;
    assert!(w.reaches(client.id));
    let refused = peer.ask(bind(&w.h, client.session, 1)).await;
    assert_eq!(refused.status, Status::Inval);
}

#[tokio::test]
async fn one_connection_serves_many_sessions_and_its_end_is_theirs() {
    let w = World::new().await;
    let (client, mut peer) = w.client("a").await;
    let (id, number) = w.h.exchange_id("b", 1).await;
    let session: SessionId = peer.ask(create(&w.h, id, number)).await.ok_body();
    peer.answer_null().await;
    assert!(w.reaches(client.id) && w.reaches(id));
    let sessions = [client.session, session].map(|id| w.h.server.state.session(id).unwrap());
    assert!(
        sessions
            .iter()
            .all(|session| session.back_links().len() == 1)
    );
    drop(peer);
    w.until(|| !w.reaches(client.id) && !w.reaches(id)).await;
    assert!(
        sessions
            .iter()
            .all(|session| session.back_links().is_empty())
    );
}

#[tokio::test]
async fn callbacks_and_what_connections_carry_are_counted() {
    let host = Arc::new(MemoryHost::default());
    let settings = Settings {
        callback_timeout: 1,
        ..Settings::default()
    };
    let h = Harness::metered(settings, &host);
    let address = h.listen().await;
    let w = World { h, address };
    let (client, mut peer) = w.client("a").await;
    let done = w.call(client.id, recall());
    answer_recall(&mut peer, client.session, Status::Delay).await;
    answer_recall(&mut peer, client.session, Status::Ok).await;
    done.await.unwrap().unwrap();
    let lost = w.call(client.id, recall());
    peer.called().await;
    lost.await.unwrap().unwrap_err();
    let total = |name: &str| host.metric(&format!("dittofs_nfs_{name}"), &[]).unwrap();
    assert_eq!(total("backchannel_callbacks_total"), 2);
    assert_eq!(total("backchannel_callback_failures_total"), 1);
    assert_eq!(total("backchannel_callback_retries_total"), 1);
    assert_eq!(total("backchannel_callback_duration_seconds"), 2);

    for wanted in [1, 2] {
        let mut peer = Peer::connect(w.address).await;
        peer.ask(bind(&w.h, client.session, wanted)).await.ok();
        drop(peer);
    }
    let binds = |way| host.metric("dittofs_nfs_connections_bind_total", &[way]);
    // COMPOUNDs of the harness come over a connection of the fore channel.
    assert_eq!(["fore", "back", "both"].map(binds), [1, 1, 1].map(Some));
    w.until(|| total("connections_bound") == 1).await;
}

#[tokio::test]
async fn a_service_that_refuses_the_probe_is_no_path() {
    let w = World::new().await;
    let (id, number) = w.h.exchange_id("a", 1).await;
    let mut peer = Peer::connect(w.address).await;
    let session = peer.ask(create(&w.h, id, number)).await.ok_body();
    let null = peer.called().await;
    // PROG_UNAVAIL
    peer.refuse(&null, 1).await;
    w.until(|| !w.reaches(id)).await;
    let client = Client41::new(&w.h, id, session);
    assert_eq!(flags(&client).await, CB_PATH_DOWN | CB_PATH_DOWN_SESSION);
}

#[tokio::test]
async fn a_reply_that_comes_late_shows_that_the_client_can_be_called_after_all() {
    let w = World::new().await;
    let (client, mut peer) = w.client("a").await;
    let answer = w.call(client.id, recall());
    let called = peer.called().await;
    assert_eq!(answer.await.unwrap(), Err(Failure::Timeout));
    assert!(!w.reaches(client.id));
    peer.answer(&called, |_| ()).await;
    peer.answer(&called, |w| w.write(&7_u32)).await;
    peer.ask(client.compound()).await.ok();
    w.until(|| w.reaches(client.id)).await;
}
