//! Copies in the background, of clients that are called over the loopback interface.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dittofs_sdk::Share;
use dittofs_sdk::vfs::VfsError;
use serde_json::{Value, json};

use crate::callback::tests::{World, results, sequence_in};
use crate::settings::Settings;
use crate::state::copies::Phase;
use crate::state::files::{DelegationKind, Revoked};
use crate::status::Status;
use crate::testing::{Client41, Compound, CopyArgs, Harness, Peer, Slow};
use crate::types::{FileHandle, SessionId, StateId, Verifier};

const CB_OFFLOAD: u32 = 15;
/// The stateids of the files `a` and `b`.
type Pair = (StateId, StateId);

/// A server of whose copies all but the smallest go on in the background, past a gate.
struct Copying {
    w: World,
    fs: Arc<Slow>,
}

impl Copying {
    async fn new() -> Self {
        Self::with(Settings {
            delegations_enabled: false,
            ..Settings::default()
        })
        .await
    }

    async fn with(settings: Settings) -> Self {
        let fs = Arc::new(Slow::new());
        let share = Share {
            fs: fs.clone(),
            ..Harness::share()
        };
        let settings = Settings {
            copy_threshold: 1 << 20,
            ..settings
        };
        let w = World::around(Harness::exporting(settings, share)).await;
        Self { w, fs }
    }

    /// A client with the file `a` of so many MiB, and an empty file `b`.
    async fn client(&self, size: usize) -> (Client41<'_>, Peer, Pair) {
        let (client, peer) = self.w.client_in(2, "c").await;
        let a = client.written("a", &data(size)).await;
        let b = client.written("b", b"").await;
        (client, peer, (a, b))
    }

    fn copies(&self) -> usize {
        self.w.h.server.state.copies.all().len()
    }

    /// Until so many MiB are copied of the only copy.
    async fn until_done(&self, size: u64) {
        let jobs = || self.w.h.server.state.copies.all();
        let done = || jobs().iter().any(|job| job.done() == size << 20);
        self.w.until(done).await;
    }

    /// Until as many are, and the next piece waits.
    async fn until_stuck(&self, size: u64) {
        self.until_done(size).await;
        self.w.until(|| self.fs.writes.waiting() == 1).await;
    }
}

fn data(size: usize) -> Vec<u8> {
    (0..size << 20).map(|at| (at * 31 / 7) as u8).collect()
}

fn order<'h>(client: &Client41<'h>, (a, b): Pair) -> Compound<'h> {
    client.copy(("a", a), ("b", b), CopyArgs::default())
}

/// COPY of all of `a` into `b`, which goes on in the background.
async fn begun(client: &Client41<'_>, peer: &mut Peer, pair: Pair) -> StateId {
    let copied = peer.ask(order(client, pair)).await.copied(7);
    assert_eq!((copied.count, copied.synchronous), (0, false));
    copied.stateid.expect("in the background")
}

/// What CB_OFFLOAD says.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    stateid: StateId,
    status: Status,
    count: u64,
    /// Number and slot of the request that it refers to.
    referral: Option<(u32, u32)>,
}

/// Answers the next message, which must be CB_OFFLOAD, with this status.
async fn told(peer: &mut Peer, client: &Client41<'_>, answer: Status) -> Told {
    let mut called = peer.called().await;
    let (slot, number, count) = sequence_in(2, &mut called, client.session);
    assert_eq!(count, 2);
    let referral = match called.word() {
        0 => None,
        1 => {
            let session: SessionId = called.args.read().unwrap();
            assert_eq!((session, called.word()), (client.session, 1));
            Some((called.word(), called.word()))
        }
        more => panic!("{more} referrals"),
    };
    assert_eq!(called.word(), CB_OFFLOAD);
    let file: FileHandle = called.args.read().unwrap();
    let mut named = client.file("b").getfh().run().await;
    assert_eq!(named.skip(3).ok_body::<FileHandle>(), file);
    let stateid = called.args.read().unwrap();
    let status = Status::from_number(called.word()).unwrap();
    if status == Status::Ok {
        assert_eq!(called.word(), 0, "wr_callback_id must not be set");
    }
    let count = called.args.read().unwrap();
    if status == Status::Ok {
        assert_eq!(called.word(), 0, "not stable yet");
        let verifier: Verifier = called.args.read().unwrap();
        assert_eq!(verifier, client.harness.server.identity.write_verifier);
    }
    called.args.clone().finish().unwrap();
    let result = (CB_OFFLOAD, answer);
    let place = (slot, number);
    peer.answer(&called, |w| results(w, client.session, place, result))
        .await;
    Told {
        stateid,
        status,
        count,
        referral,
    }
}

async fn status_of(client: &Client41<'_>, stateid: StateId) -> (u64, Option<Status>) {
    let status = client.file("b").offload_status(stateid);
    status.run().await.progress(3)
}

async fn is_unknown(client: &Client41<'_>, stateid: StateId) -> bool {
    let at = || client.file("b");
    let status = at().offload_status(stateid).status().await;
    let cancelled = at().offload_cancel(stateid).status().await;
    assert_eq!(status, cancelled);
    status == Status::BadStateid
}

#[tokio::test]
async fn a_client_is_told_of_the_end_after_the_answer_to_its_request() {
    let c = Copying::new().await;
    let (client, mut peer, pair) = c.client(5).await;
    let stateid = begun(&client, &mut peer, pair).await;
    let told = told(&mut peer, &client, Status::Ok).await;
    assert_eq!(
        (told.stateid, told.status, told.count),
        (stateid, Status::Ok, 5 << 20)
    );
    assert_eq!(told.referral.unwrap().1, 0, "the slot");
    assert!(client.content("b").await == data(5));
    c.w.until(|| c.copies() == 0).await;
    assert!(is_unknown(&client, stateid).await);
}

#[tokio::test]
async fn a_copy_can_be_watched_and_its_end_is_known_until_that_is_acknowledged() {
    let c = Copying::new().await;
    let (client, mut peer, pair) = c.client(5).await;
    c.fs.writes.allow_only(2);
    let stateid = begun(&client, &mut peer, pair).await;
    c.until_stuck(2).await;
    assert_eq!(status_of(&client, stateid).await, (2 << 20, None));
    c.fs.writes.allow(3);
    c.until_done(5).await;
    let ended = || {
        let jobs = c.w.h.server.state.copies.all();
        jobs.iter()
            .all(|job| matches!(job.phase(), Phase::Ended(_)))
    };
    c.w.until(ended).await;
    for _ in 0..2 {
        let status = status_of(&client, stateid).await;
        assert_eq!(status, (5 << 20, Some(Status::Ok)));
    }
    let told = told(&mut peer, &client, Status::Ok).await;
    assert_eq!(told.referral, None, "it has seen the answer by now");
    c.w.until(|| c.copies() == 0).await;
}

#[tokio::test]
async fn a_copy_is_its_users_on_its_target() {
    let c = Copying::new().await;
    let (client, mut peer, pair) = c.client(3).await;
    c.fs.writes.allow_only(0);
    let stateid = begun(&client, &mut peer, pair).await;
    assert!(is_unknown(&client, pair.1).await, "an open is no copy");
    for seqid in [0, 2] {
        assert!(is_unknown(&client, StateId { seqid, ..stateid }).await);
    }
    let other = c.w.h.client42("other").await;
    assert!(is_unknown(&other, stateid).await);
    let source = client.file("a").offload_cancel(stateid);
    assert_eq!(source.status().await, Status::BadStateid);
    let nowhere = client.compound().offload_status(stateid);
    assert_eq!(nowhere.status().await, Status::BadStateid);
    let user = c.w.h.as_user(2000);
    let user = user.compound(2).sequence(client.session, 1, 1, true);
    let user = user.putrootfh().lookup("export").lookup("b");
    let cancel = user.offload_cancel(stateid);
    assert_eq!(cancel.status().await, Status::BadStateid);
    assert_eq!(status_of(&client, stateid).await, (0, None));
    // It stands for no open either.
    let write = client.file("b").write_file(stateid, "x").status().await;
    assert_eq!(write, Status::BadStateid);
}

#[tokio::test]
async fn nothing_is_written_after_a_cancel_is_answered() {
    let c = Copying::new().await;
    let (client, mut peer, pair) = c.client(5).await;
    c.fs.writes.allow_only(2);
    let stateid = begun(&client, &mut peer, pair).await;
    c.until_stuck(2).await;
    let cancel = client.file("b").offload_cancel(stateid).bytes();
    let server = Arc::clone(&c.w.h.server);
    let answer = tokio::spawn(async move { Harness::of(server).serve(&cancel).await });
    let stopping = || {
        let jobs = c.w.h.server.state.copies.all();
        jobs.iter().any(|job| job.phase() != Phase::Running)
    };
    c.w.until(stopping).await;
    assert!(!answer.is_finished(), "a piece is under way");
    c.fs.writes.allow(9);
    answer.await.unwrap();
    assert_eq!(client.content("b").await.len(), 3 << 20);
    assert_eq!(c.copies(), 0);
    assert!(is_unknown(&client, stateid).await);
    // Nor is anybody called.
    let mut next = peer.ask(order(&client, pair)).await;
    assert!(next.copied(7).stateid.is_some());
}

#[tokio::test]
async fn a_copy_that_has_ended_can_be_given_up() {
    let c = Copying::new().await;
    let (client, mut peer, pair) = c.client(2).await;
    let stateid = begun(&client, &mut peer, pair).await;
    c.until_done(2).await;
    let cancel = client.file("b").offload_cancel(stateid);
    cancel.run().await.ok();
    assert!(is_unknown(&client, stateid).await);
}

#[tokio::test]
async fn a_copy_goes_on_without_its_connection_and_is_told_over_the_next() {
    let c = Copying::new().await;
    let (client, mut peer, pair) = c.client(4).await;
    c.fs.writes.allow_only(1);
    let stateid = begun(&client, &mut peer, pair).await;
    drop(peer);
    c.w.until(|| !c.w.reaches(client.id)).await;
    c.fs.writes.allow(3);
    c.until_done(4).await;
    let mut peer = Peer::connect(c.w.address).await;
    let bind = c.w.h.compound(2).op(41, |w| {
        w.write(&client.session);
        w.write(&7_u32);
        w.write(&false);
    });
    peer.ask(bind).await.ok();
    peer.answer_null().await;
    let told = told(&mut peer, &client, Status::Ok).await;
    assert_eq!((told.stateid, told.count), (stateid, 4 << 20));
}

#[tokio::test]
async fn a_client_that_is_busy_or_does_not_know_yet_is_told_again() {
    let c = Copying::new().await;
    let (client, mut peer, pair) = c.client(2).await;
    let stateid = begun(&client, &mut peer, pair).await;
    for answer in [Status::Delay, Status::BadStateid, Status::Ok] {
        assert_eq!(told(&mut peer, &client, answer).await.stateid, stateid);
    }
    c.w.until(|| c.copies() == 0).await;
}

#[tokio::test]
async fn a_copy_ends_with_its_client() {
    let c = Copying::new().await;
    let (client, mut peer, pair) = c.client(4).await;
    c.fs.writes.allow_only(1);
    begun(&client, &mut peer, pair).await;
    c.until_stuck(1).await;
    let limits = c.w.h.server.settings().limits();
    let late = Instant::now() + 2 * limits.lease + limits.courtesy;
    c.w.h.server.end_leases(late).await;
    assert_eq!(c.copies(), 0);
    c.fs.writes.allow(9);
    c.w.h.server.copier.none_running().await;
    let reader = c.w.h.client42("reader").await;
    assert!(reader.content("b").await.len() <= 2 << 20);
}

#[tokio::test]
async fn a_copy_ends_when_what_it_goes_on_under_is_given_back() {
    for side in ["a", "b"] {
        let c = Copying::new().await;
        let (client, mut peer, pair) = c.client(4).await;
        c.fs.writes.allow_only(1);
        begun(&client, &mut peer, pair).await;
        c.until_stuck(1).await;
        let stateid = if side == "a" { pair.0 } else { pair.1 };
        client.file(side).close_file(0, stateid).run().await.ok();
        c.fs.writes.allow(9);
        let told = told(&mut peer, &client, Status::Ok).await;
        assert_eq!((told.status, told.count), (Status::BadStateid, 2 << 20));
    }
}

#[tokio::test]
async fn a_failure_is_told_with_what_was_copied_before() {
    let c = Copying::new().await;
    let (client, mut peer, pair) = c.client(4).await;
    c.fs.writes.allow_only(3);
    begun(&client, &mut peer, pair).await;
    c.until_stuck(3).await;
    c.fs.writes.fail(VfsError::NoSpace);
    c.fs.writes.allow(1);
    let told = told(&mut peer, &client, Status::Ok).await;
    assert_eq!((told.status, told.count), (Status::Nospc, 3 << 20));
}

#[tokio::test]
async fn a_source_that_is_cut_meanwhile_is_copied_as_far_as_it_goes() {
    let c = Copying::new().await;
    let (client, mut peer, pair) = c.client(4).await;
    c.fs.writes.allow_only(1);
    begun(&client, &mut peer, pair).await;
    c.until_stuck(1).await;
    let cut = client.file("a").op(34, |w| {
        w.write(&pair.0);
        w.write(&crate::types::Bitmap::of(&[4]));
        w.opaque(&((2_u64 << 20) + 5).to_be_bytes());
    });
    cut.run().await.ok();
    c.fs.writes.allow(9);
    let told = told(&mut peer, &client, Status::Ok).await;
    assert_eq!(told.status, Status::Ok);
    // A piece may have been read before.
    assert!([(2 << 20) + 5].contains(&told.count), "{}", told.count);
}

#[tokio::test]
async fn who_has_enough_copies_or_can_not_be_called_gets_none_in_the_background() {
    let c = Copying::with(Settings {
        max_async_copies_per_client: 1,
        delegations_enabled: false,
        ..Settings::default()
    })
    .await;
    let (client, mut peer, pair) = c.client(2).await;
    let stateid = begun(&client, &mut peer, pair).await;
    c.until_done(2).await;
    let copied = order(&client, pair).run().await.copied(7);
    assert_eq!((copied.stateid, copied.count), (None, 1 << 20));
    // It counts until its end is acknowledged.
    let cancel = client.file("b").offload_cancel(stateid);
    cancel.run().await.ok();
    drop(peer);
    c.w.until(|| !c.w.reaches(client.id)).await;
    let copied = order(&client, pair).run().await.copied(7);
    assert_eq!((copied.stateid, copied.count), (None, 1 << 20));
}

#[tokio::test]
async fn copies_take_turns() {
    let c = Copying::new().await;
    let (client, mut peer, pair) = c.client(4).await;
    c.fs.writes.allow_only(0);
    for _ in 0..8 {
        begun(&client, &mut peer, pair).await;
    }
    c.fs.writes.allow(8 * 2);
    let jobs = c.w.h.server.state.copies.all();
    let sum = || jobs.iter().map(|job| job.done()).sum::<u64>();
    c.w.until(|| sum() == 16 << 20).await;
    assert!(jobs.iter().all(|job| job.done() > 0), "each had a turn");
}

#[tokio::test]
async fn the_operator_sees_copies_and_ends_them() {
    let c = Copying::new().await;
    let (client, mut peer, pair) = c.client(4).await;
    c.fs.writes.allow_only(1);
    begun(&client, &mut peer, pair).await;
    c.until_stuck(1).await;
    let server = Arc::clone(&c.w.h.server);
    let view = || server.view("copies", Instant::now()).unwrap();
    let shown = view()[0].clone();
    let id = shown["copy_id"].as_str().unwrap().to_owned();
    assert_eq!(shown["client_id"], format!("{:016x}", client.id.0));
    assert_eq!(
        (&shown["bytes_done"], &shown["bytes_total"]),
        (&json!(1 << 20), &json!(4 << 20))
    );
    assert_eq!(
        (&shown["state"], &shown["error"]),
        (&json!("running"), &Value::Null)
    );
    for side in ["source", "target"] {
        assert!(shown[side].as_str().unwrap().starts_with("/export#"));
    }
    let act = |id: &str| {
        let (server, args) = (Arc::clone(&server), json!({ "id": id }));
        async move { server.act("copy-cancel", &args).await }
    };
    assert!(act("17").await.is_err());
    let cancelled = tokio::spawn(act(&id));
    c.w.until(|| view()[0]["state"] == "stopping").await;
    c.fs.writes.allow(1);
    cancelled.await.unwrap().unwrap();
    assert_eq!(view()[0]["state"], "failed");
    assert_eq!(view()[0]["error"], "NFS4ERR_OFFLOAD_DENIED");
    assert!(act(&id).await.is_err(), "it has ended");
    let told = told(&mut peer, &client, Status::Ok).await;
    assert_eq!((told.status, told.count), (Status::OffloadDenied, 2 << 20));
}

#[tokio::test]
async fn nobody_gets_a_delegation_that_a_copy_stands_against() {
    let c = Copying::with(Settings::default()).await;
    let (client, mut peer, pair) = c.client(3).await;
    for (name, stateid) in [("a", pair.0), ("b", pair.1)] {
        client.file(name).close_file(0, stateid).run().await.ok();
    }
    let files = &c.w.h.server.state.files;
    let of = |id| drop(files.revoke_client(id, Revoked::Admin));
    of(client.id);
    let held = || DelegationKind::ALL.map(|kind| files.delegations(kind));
    assert_eq!(held(), [0, 0]);
    c.fs.writes.allow_only(1);
    let nobody = (StateId::READ_BYPASS, StateId::ANONYMOUS);
    begun(&client, &mut peer, nobody).await;
    c.until_stuck(1).await;
    let (other, _peer) = c.w.client_in(2, "other").await;
    let open = async |name| {
        let share = other.compound().putrootfh().lookup("export");
        let open = share.open_file(other.id, 0, "owner", name);
        open.run().await.skip(2).ok_body::<StateId>()
    };
    let b = open("b").await;
    assert_eq!(held(), [0, 0]);
    open("c").await;
    assert_eq!(held(), [0, 1], "other files are as they were");
    c.fs.writes.allow(2);
    told(&mut peer, &client, Status::Ok).await;
    c.w.until(|| c.copies() == 0).await;
    other.file("b").close_file(0, b).run().await.ok();
    open("b").await;
    assert_eq!(held(), [0, 2]);
}

#[tokio::test]
async fn copies_end_when_the_server_drains() {
    let c = Copying::new().await;
    let (client, mut peer, pair) = c.client(4).await;
    c.fs.writes.allow_only(1);
    begun(&client, &mut peer, pair).await;
    c.until_stuck(1).await;
    drop(peer);
    let server = Arc::clone(&c.w.h.server);
    let drained = tokio::spawn(async move { server.drain(Duration::from_hours(1)).await });
    c.fs.writes.allow(1);
    drained.await.unwrap();
    assert_eq!(c.copies(), 0);
}
