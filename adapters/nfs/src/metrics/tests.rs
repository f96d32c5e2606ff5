//! Every family is moved by real COMPOUNDs, and by nothing else.

use std::sync::Arc;
use std::time::Instant;

use dittofs_sdk::Adapter;
use dittofs_testkit::host::MemoryHost;

use super::Outcome;
use crate::NfsAdapter;
use crate::ops::sequence::Args;
use crate::settings::Settings;
use crate::state::{Begun, Link, Principal, RequestInfo};
use crate::status::Status;
use crate::table::ROWS;
use crate::testing::{Channel, Client41, Compound, CopyArgs, Harness, Slow, Wire};
use crate::types::SessionId;

const ERRORS: &str = "dittofs_nfs_sequence_errors_total";
const SLOTS: &str = "dittofs_nfs_slots_in_use";

fn metered() -> (Arc<MemoryHost>, Harness) {
    let host = Arc::new(MemoryHost::default());
    let harness = Harness::metered(Settings::default(), &host);
    (host, harness)
}

fn total(host: &MemoryHost, name: &str) -> i64 {
    host.metric(name, &[])
        .unwrap_or_else(|| panic!("no {name}"))
}

/// A client with one session of two slots in which nothing ran yet.
async fn fresh<'h>(h: &'h Harness, fore: &Channel) -> Client41<'h> {
    let (id, number) = h.exchange_id("a", 1).await;
    let create = h.compound(1).create_session(id, number, fore);
    let session = create.run().await.ok_body();
    Client41::new(h, id, session)
}

fn request(link: &Arc<Link>, session: SessionId, sequence: u32) -> (RequestInfo<'_>, Args) {
    let info = RequestInfo {
        size: 100,
        announced: 2,
        reply: 60,
        digest: 5,
        principal: Principal::Sys(1000),
        link,
    };
    let args = Args {
        session,
        sequence,
        slot: 0,
        highest_slot: 0,
        cache_this: true,
    };
    (info, args)
}

#[tokio::test]
async fn every_outcome_of_sequence_has_its_counter() {
    let (host, h) = metered();
    let fore = Channel {
        request: 400,
        response: 160,
        cached: 110,
        operations: 30,
        requests: 2,
    };
    let session = fresh(&h, &fore).await.session;
    let at = |sequence, slot, cache| h.compound(1).sequence(session, sequence, slot, cache);
    let many = |cache| (0..12).fold(at(2, 0, cache), |compound, _| compound.putrootfh());

    at(1, 0, true).run().await.ok();
    at(1, 0, false).putrootfh().run().await;
    at(9, 0, true).run().await;
    at(1, 7, true).run().await;
    h.compound(1)
        .sequence_up_to(session, 2, 0, 7, false)
        .run()
        .await;
    let stranger = h.compound(1).sequence(SessionId([9; 16]), 1, 0, true);
    stranger.run().await;
    h.compound(1).op(53, |w| w.write(&1_u32)).run().await;
    at(2, 0, false).tag(&"t".repeat(400)).run().await;
    (0..30)
        .fold(at(2, 0, false), |compound, _| compound.putrootfh())
        .run()
        .await;
    assert_eq!(
        at(2, 0, true).tag(&"t".repeat(60)).status().await,
        Status::RepTooBigToCache
    );
    assert_eq!(
        at(2, 0, false).tag(&"t".repeat(140)).status().await,
        Status::RepTooBig
    );
    many(false).run().await;
    at(1, 1, false).putrootfh().run().await.ok();
    at(1, 1, false).putrootfh().run().await;
    at(3, 0, true).putrootfh().run().await.ok();
    at(3, 0, true).putrootfh().run().await.ok();
    let (info, args) = request(&h.connection.link, session, 4);
    let found = h.server.state.session(session).unwrap();
    let limits = h.server.settings().limits();
    let begun = Arc::clone(&found).begin(&info, &args, &limits, Instant::now());
    assert!(begun.is_ok());
    assert!(found.begin(&info, &args, &limits, Instant::now()).is_err());
    assert_eq!(at(4, 0, true).status().await, Status::SeqFalseRetry);
    drop(begun);

    let began = 4;
    let mut refused = 0;
    for outcome in Outcome::ALL {
        let count = host.metric(ERRORS, &[outcome.name()]).unwrap();
        match outcome {
            Outcome::Other | Outcome::SlotBusy => {}
            _ => assert!(count > 0, "{}", outcome.name()),
        }
        refused += count;
    }
    assert_eq!(total(&host, "dittofs_nfs_sequence_total"), began + refused);
    assert_eq!(
        Some(total(&host, "dittofs_nfs_replay_hits_total")),
        host.metric(ERRORS, &["replay_hit"])
    );
}

#[tokio::test]
async fn a_request_in_flight_shows_in_its_slot_and_to_its_retry() {
    let (host, h) = metered();
    let session = fresh(&h, &Channel::default()).await.session;
    let label = session.to_string();
    assert_eq!(
        host.metric(SLOTS, &[&label]),
        Some(0),
        "shown from the start"
    );

    // The very request that a COMPOUND below retries: same bytes, same user.
    let retry = h.compound(1).sequence(session, 1, 0, true).putrootfh();
    let (mut info, args) = request(&h.connection.link, session, 1);
    info.digest = h.server.digest(&retry.bytes());
    let found = h.server.state.session(session).unwrap();
    let limits = h.server.settings().limits();
    let begun = found.begin(&info, &args, &limits, Instant::now()).unwrap();
    assert_eq!(retry.status().await, Status::Delay);
    assert_eq!(host.metric(ERRORS, &["slot_busy"]), Some(1));
    h.server.state.publish(100);
    assert_eq!(host.metric(SLOTS, &[&label]), Some(1));
    assert!(matches!(begun, Begun::New(..)));
    drop(begun);
    h.server.state.publish(100);
    assert_eq!(host.metric(SLOTS, &[&label]), Some(0));
}

#[tokio::test]
async fn a_compound_that_waits_is_in_flight_until_it_is_answered() {
    let host = Arc::new(MemoryHost::default());
    let fs = Arc::new(Slow::new());
    let h = Harness::metered_slow(&fs, &host);
    let client = h.client41("a").await;
    let label = client.session.to_string();
    let mut wire = Wire::connect(h.listen().await).await;
    let in_flight = || total(&host, "dittofs_nfs_requests_in_flight");
    assert_eq!(in_flight(), 0);

    fs.open(false);
    let create = client.compound().putrootfh().lookup("export");
    let waiting = wire.call(create.create_dir("d"));
    let seen = async {
        while in_flight() == 0 {
            tokio::task::yield_now().await;
        }
        h.server.state.publish(100);
        let slots = host.metric(SLOTS, &[&label]);
        fs.open(true);
        (in_flight(), slots)
    };
    let (reply, seen) = tokio::join!(waiting, seen);
    reply.ok();
    assert_eq!(seen, (1, Some(1)));
    h.server.state.publish(100);
    assert_eq!(host.metric(SLOTS, &[&label]), Some(0));
    while in_flight() != 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn above_the_limit_of_sessions_only_their_sum_is_shown() {
    let (host, h) = metered();
    let clients = [h.client41("a").await, h.client41("b").await];
    let (info, args) = request(&h.connection.link, clients[0].session, 2);
    let found = h.server.state.session(clients[0].session).unwrap();
    let limits = h.server.settings().limits();
    let _busy = found.begin(&info, &args, &limits, Instant::now()).unwrap();

    h.server.state.publish(2);
    assert_eq!(host.series(SLOTS).len(), 2);
    h.server.state.publish(1);
    assert_eq!(
        host.series(SLOTS).into_iter().collect::<Vec<_>>(),
        [(vec!["all".to_owned()], 1)]
    );
    h.server.state.publish(2);
    assert_eq!(host.series(SLOTS).len(), 2);
    assert_eq!(host.metric(SLOTS, &["all"]), None);

    h.compound(1)
        .destroy_session(clients[1].session)
        .run()
        .await
        .ok();
    assert_eq!(host.series(SLOTS).len(), 1, "it ends with the session");
    drop(h);
}

#[tokio::test]
async fn kept_replies_are_counted_to_the_byte_until_the_session_is_gone() {
    let (host, h) = metered();
    let bytes = || total(&host, "dittofs_nfs_replay_cache_bytes");
    let session = fresh(&h, &Channel::default()).await.session;
    let request = |sequence, slot, cache| {
        h.compound(1)
            .sequence(session, sequence, slot, cache)
            .putrootfh()
    };
    assert_eq!(bytes(), 0);
    let first = request(1, 0, true).run().await.bytes.len() as i64;
    assert_eq!(bytes(), first);
    let second = request(1, 1, true).getfh().run().await.bytes.len() as i64;
    assert_eq!(bytes(), first + second);
    request(1, 1, true).getfh().run().await.ok();
    assert_eq!(bytes(), first + second, "a retry keeps nothing more");
    request(2, 0, false).run().await.ok();
    assert_eq!(bytes(), second, "the next request takes its place");
    h.compound(1).destroy_session(session).run().await.ok();
    assert_eq!(bytes(), 0);
}

#[tokio::test]
async fn sessions_are_counted_from_their_making_to_their_end() {
    let (host, h) = metered();
    let destroyed = |reason| host.metric("dittofs_nfs_sessions_destroyed_total", &[reason]);
    let client = h.client41("a").await;
    let other = h.reconnected();
    other
        .compound(1)
        .sequence(client.session, 1, 1, false)
        .run()
        .await
        .ok();
    assert_eq!(total(&host, "dittofs_nfs_sessions_active"), 1);
    assert_eq!(total(&host, "dittofs_nfs_connections_bound"), 2);
    h.server.state.disconnected(&other.connection.link);
    let unbound = |reason| host.metric("dittofs_nfs_connections_unbind_total", &[reason]);
    assert_eq!(unbound("connection_closed"), Some(1));

    client
        .compound()
        .destroy_session(client.session)
        .run()
        .await
        .ok();
    assert_eq!(destroyed("destroy_session"), Some(1));
    h.client41("b").await;
    let (id, number) = h.exchange_id("b", 2).await;
    h.create_session(id, number).await;
    assert_eq!(destroyed("client_restarted"), Some(1));
    let lease = h.server.settings().lease();
    h.server.end_leases(Instant::now() + 2 * lease).await;
    assert_eq!(destroyed("lease_expired"), Some(1));

    assert_eq!(total(&host, "dittofs_nfs_sessions_created_total"), 3);
    assert_eq!(total(&host, "dittofs_nfs_sessions_duration_seconds"), 3);
    assert_eq!(total(&host, "dittofs_nfs_sessions_active"), 0);
    assert_eq!(total(&host, "dittofs_nfs_connections_bound"), 0);
    assert_eq!(unbound("session_ended"), Some(3));
    let bound = host.metric("dittofs_nfs_connections_bind_total", &["fore"]);
    assert_eq!(bound, Some(4));
}

#[tokio::test]
async fn a_session_forgets_its_oldest_connection_beyond_the_limit() {
    let host = Arc::new(MemoryHost::default());
    let settings = Settings {
        v4_max_connections_per_session: 2,
        ..Settings::default()
    };
    let h = Harness::metered(settings, &host);
    let session = h.client41("a").await.session;
    for slot in 1..=2 {
        let join = h.reconnected();
        let join = join.compound(1).sequence(session, 1, slot, false).run();
        join.await.ok();
    }
    assert_eq!(total(&host, "dittofs_nfs_connections_bound"), 2);
    let unbound = host.metric("dittofs_nfs_connections_unbind_total", &["limit"]);
    assert_eq!(unbound, Some(1));
    let destroy = h.compound(1).destroy_session(session);
    assert_eq!(destroy.status().await, Status::ConnNotBoundToSession);
}

/// Creates a file and does with it what is counted, under the current stateid.
fn busy_compound<'h>(client: &Client41<'h>) -> Compound<'h> {
    const CURRENT: (u32, [u8; 12]) = (1, [0; 12]);
    let (seqid, other) = CURRENT;
    client
        .compound()
        .putrootfh()
        .lookup("export")
        .op(18, |w| {
            // Owner seqid, both accesses, no denial, owner, create unchecked, by name.
            for word in [0_u32, 3, 0] {
                w.write(&word);
            }
            w.write(&client.id);
            w.write("o");
            for word in [1_u32, 0, 0, 0, 0] {
                w.write(&word);
            }
            w.write("f");
        })
        .op(38, |w| {
            w.write(&seqid);
            w.raw(&other);
            w.write(&0_u64);
            w.write(&2_u32);
            w.write("hello");
        })
        .op(25, |w| {
            w.write(&seqid);
            w.raw(&other);
            w.write(&1_u64);
            w.write(&100_u32);
        })
        .op(12, |w| {
            w.write(&2_u32);
            w.write(&false);
            w.write(&0_u64);
            w.write(&10_u64);
            w.write(&true);
            w.write(&0_u32);
            w.write(&seqid);
            w.raw(&other);
            w.write(&0_u32);
            w.write(&client.id);
            w.write("l");
        })
}

#[tokio::test]
async fn operations_bytes_and_locks_are_counted_and_timed() {
    let (host, h) = metered();
    let client = h.client41("a").await;
    busy_compound(&client).run().await.ok();
    let requests = |name, status| host.metric("dittofs_nfs_requests_total", &[name, status]);
    let took = |name| host.metric("dittofs_nfs_request_duration_milliseconds", &[name]);
    for name in ["OPEN", "WRITE", "READ", "LOCK"] {
        assert_eq!(requests(name, "NFS4ERR_OK"), Some(1), "{name}");
        assert_eq!(took(name), Some(1), "{name}");
    }
    let moved = |way| host.metric("dittofs_nfs_bytes_transferred_total", &[way]);
    assert_eq!((moved("write"), moved("read")), (Some(5), Some(4)));

    h.server.state.publish(100);
    assert_eq!(total(&host, "dittofs_locks_active"), 1);
    let asked = |status| host.metric("dittofs_locks_acquire_total", &[status]);
    assert_eq!(asked("granted"), Some(1));
    let other = h.client41("b").await;
    assert_eq!(busy_compound(&other).status().await, Status::Denied);
    assert_eq!(asked("denied"), Some(1));
    assert_eq!(requests("LOCK", "NFS4ERR_DENIED"), Some(1));

    assert_eq!(
        client.compound().op(9999, |_| ()).status().await,
        Status::OpIllegal
    );
    assert_eq!(requests("ILLEGAL", "NFS4ERR_OP_ILLEGAL"), Some(1));
    h.compound(3).putrootfh().run().await;
    assert_eq!(total(&host, "dittofs_nfs_minor_version_mismatch_total"), 1);

    let limits = h.server.settings().limits();
    let late = Instant::now() + 2 * limits.lease + limits.courtesy;
    h.server.end_leases(late).await;
    h.server.state.publish(100);
    assert_eq!(total(&host, "dittofs_locks_active"), 0);
}

#[test]
fn every_status_has_an_index_of_its_own() {
    let mut indices: Vec<_> = Status::ALL.iter().map(|status| status.index()).collect();
    indices.sort_unstable();
    assert!(indices.iter().all(|index| *index < Status::COUNT));
    assert!(indices.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn labels_are_bounded() {
    // The host refuses further series of a family beyond 10,000.
    assert!((ROWS.len() + 1) * Status::ALL.len() < 10_000);
}

#[tokio::test]
async fn a_restart_registers_nothing_anew_and_keeps_counting() {
    let host = Arc::new(MemoryHost::default());
    let mut families = Vec::new();
    for round in 1..=3 {
        let (cx, _running) = host.context(Arc::from([]));
        let settings = Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            ..Settings::default()
        };
        let adapter = NfsAdapter::start(cx, settings, None).await.unwrap();
        assert_eq!(total(&host, "dittofs_nfs_active_connections"), 0);
        let address = adapter.inspect("address").unwrap();
        let address = address["address"].as_str().unwrap().parse().unwrap();
        let mut wire = Wire::connect(address).await;
        let h = Harness::new();
        wire.call(h.compound(0).putrootfh()).await.ok();
        let requests = ["PUTROOTFH", "NFS4ERR_OK"];
        assert_eq!(
            host.metric("dittofs_nfs_requests_total", &requests),
            Some(round)
        );
        assert_eq!(
            total(&host, "dittofs_nfs_connections_accepted_total"),
            round
        );
        assert_eq!(total(&host, "dittofs_nfs_active_connections"), 1);
        drop(wire);
        adapter.drain(std::time::Duration::from_secs(30)).await;
        adapter.stop().await;
        assert_eq!(total(&host, "dittofs_nfs_connections_closed_total"), round);
        if round == 1 {
            families = host.families();
        }
        assert_eq!(host.families(), families);
    }
}

#[test]
fn every_family_is_documented() {
    let (host, _harness) = metered();
    let document = include_str!("../../../../docs/nfs-protocol.md");
    for family in host.families() {
        let short = family.trim_start_matches("dittofs_nfs_");
        let named = document.contains(&format!("`{family}`"));
        assert!(
            named || document.contains(&format!("`…_{short}`")),
            "{family}"
        );
    }
}

#[tokio::test]
async fn copies_and_their_bytes_are_counted() {
    let (host, h) = metered();
    let client = h.client42("a").await;
    let a = client.written("a", b"0123456789").await;
    let b = client.written("b", b"").await;
    let copy = |args| client.copy(("a", a), ("b", b), args);
    copy(CopyArgs::default()).run().await.ok();
    let ended = |result| host.metric("dittofs_nfs_copies_total", &["synchronous", result]);
    assert_eq!(ended("completed"), Some(1));
    assert_eq!(total(&host, "dittofs_nfs_bytes_copied_total"), 10);
    assert_eq!(total(&host, "dittofs_nfs_copies_active"), 0);
    client.file("b").close_file(0, b).run().await.ok();
    assert_eq!(copy(CopyArgs::default()).status().await, Status::BadStateid);
    assert_eq!(total(&host, "dittofs_nfs_bytes_copied_total"), 10);
}
