//! Clients over restarts of the server, on the real path of requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dittofs_sdk::Share;
use dittofs_testkit::host::MemoryHost;

use crate::settings::Settings;
use crate::state::Census;
use crate::state::files::{Caller, Revoked};
use crate::status::Status;
use crate::testing::{Channel, Client41, Compound, Harness};
use crate::types::{Bitmap, ClientId, StateId};

const RESTART_RECLAIM_NEEDED: u32 = 0x100;

/// What outlives the server.
struct World {
    host: Arc<MemoryHost>,
    share: Share,
    settings: Settings,
    starts: u32,
}

impl World {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        Self {
            host: Arc::default(),
            share: Harness::share(),
            settings,
            starts: 0,
        }
    }

    async fn start(&mut self) -> Harness {
        self.starts += 1;
        Harness::started(&self.host, &self.share, self.settings.clone(), self.starts).await
    }
}

async fn end_grace_by_time(h: &Harness) {
    let late = Instant::now() + Duration::from_secs(7300);
    assert!(h.server.state.grace.is_due(late));
    assert!(h.server.end_grace().await);
}

fn is_grace(h: &Harness) -> bool {
    h.server.state.grace.is_active()
}

/// A 4.1 client that has not said RECLAIM_COMPLETE.
async fn returning<'h>(h: &'h Harness, owner: &str) -> Client41<'h> {
    let (id, sequence) = h.exchange_id(owner, 1).await;
    let session = h.create_session(id, sequence).await;
    Client41::new(h, id, session)
}

async fn complete(client: &Client41<'_>) {
    client.compound().reclaim_complete().run().await.ok();
}

/// What SEQUENCE tells the client.
async fn told(client: &Client41<'_>) -> u32 {
    let bytes = client.compound().run().await.bytes;
    u32::from_be_bytes(*bytes[13 * 4..].first_chunk().unwrap())
}

/// Everybody becomes silent, until the next request.
fn silence(h: &Harness) {
    h.server
        .pass(h.server.settings().lease() + Duration::from_secs(1));
}

/// OPEN of the file `f`, new.
fn open(compound: Compound<'_>, client: ClientId, share: (u32, u32)) -> Compound<'_> {
    let create = |w: &mut crate::xdr::Writer| {
        w.write(&1_u32);
        w.write(&0_u32);
        w.write(&Bitmap::EMPTY);
        w.write("");
        w.write(&0_u32);
        w.write("f");
    };
    open_as(compound.putrootfh().lookup("export"), client, share, create)
}

/// OPEN of the file `f`, from before the restart.
fn reopen(compound: Compound<'_>, client: ClientId, share: (u32, u32)) -> Compound<'_> {
    open_as(in_file(compound), client, share, |w| {
        w.write(&0_u32);
        w.write(&1_u32);
        w.write(&0_u32);
    })
}

fn open_as(
    compound: Compound<'_>,
    client: ClientId,
    (access, deny): (u32, u32),
    rest: impl FnOnce(&mut crate::xdr::Writer),
) -> Compound<'_> {
    compound.op(18, |w| {
        w.write(&0_u32);
        w.write(&access);
        w.write(&deny);
        w.write(&client);
        w.write("owner");
        rest(w);
    })
}

fn in_file(compound: Compound<'_>) -> Compound<'_> {
    compound.putrootfh().lookup("export").lookup("f")
}

fn lock(
    compound: Compound<'_>,
    open: (StateId, u32),
    client: ClientId,
    reclaim: bool,
) -> Compound<'_> {
    in_file(compound).op(12, |w| {
        w.write(&2_u32);
        w.write(&reclaim);
        w.write(&0_u64);
        w.write(&10_u64);
        w.write(&true);
        w.write(&open.1);
        w.write(&open.0);
        w.write(&0_u32);
        w.write(&client);
        w.write("l");
    })
}

async fn opened(client: &Client41<'_>, share: (u32, u32)) -> StateId {
    let mut reply = open(client.compound(), client.id, share).run().await;
    reply.skip(2).ok_body()
}

async fn reopened(client: &Client41<'_>, share: (u32, u32)) -> Result<StateId, Status> {
    let mut reply = reopen(client.compound(), client.id, share).run().await;
    match reply.status {
        Status::Ok => Ok(reply.skip(3).ok_body()),
        status => Err(status),
    }
}

/// A 4.0 client with a confirmed open of `f`.
async fn opened40(h: &Harness, owner: &str, share: (u32, u32)) -> (ClientId, StateId) {
    let client = h.client40(owner).await;
    let mut reply = open(h.compound(0), client, share).run().await;
    let stateid: StateId = reply.skip(2).ok_body();
    let confirm = in_file(h.compound(0)).open_confirm(stateid, 1);
    (client, confirm.run().await.skip(3).ok_body())
}

#[tokio::test]
async fn without_clients_on_record_there_is_no_grace_period() {
    let mut world = World::new();
    for _ in 0..2 {
        let h = world.start().await;
        assert!(!is_grace(&h));
        // Confirmed, but without anything that it could have had.
        returning(&h, "a").await;
        h.client40("b").await;
    }
    let h = world.start().await;
    let a = h.client41("a").await;
    opened(&a, (3, 0)).await;
    a.compound().destroy_session(a.session).run().await.ok();
    let h = world.start().await;
    assert!(is_grace(&h));
}

#[tokio::test]
async fn a_client_that_says_goodbye_is_not_waited_for() {
    let mut world = World::new();
    let h = world.start().await;
    let a = h.client41("a").await;
    a.compound().destroy_session(a.session).run().await.ok();
    h.compound(1).destroy_clientid(a.id).run().await.ok();
    assert!(!is_grace(&world.start().await));
}

#[tokio::test]
async fn what_a_client_had_it_takes_back_before_others_get_anything() {
    let mut world = World::new();
    let h = world.start().await;
    let a = h.client41("a").await;
    opened(&a, (3, 2)).await;

    let h = world.start().await;
    let b = h.client41("b").await;
    let new = || open(b.compound(), b.id, (3, 0));
    assert_eq!(new().status().await, Status::Grace);
    assert_eq!(told(&b).await, 0);
    assert_eq!(reopened(&b, (3, 0)).await, Err(Status::NoGrace));

    let stale = h.compound(1).create_session(a.id, 2, &Channel::default());
    assert_eq!(stale.status().await, Status::StaleClientid);
    let a = returning(&h, "a").await;
    assert_eq!(told(&a).await, RESTART_RECLAIM_NEEDED);
    let early = open(a.compound(), a.id, (1, 0));
    assert_eq!(early.status().await, Status::Grace);
    let back = reopened(&a, (3, 2)).await.unwrap();
    let locked = lock(a.compound(), (back, 0), a.id, true);
    let mut locked = locked.run().await;
    let locked: StateId = locked.skip(3).ok_body();
    let write = in_file(a.compound()).write_file(locked, "x");
    write.run().await.ok();
    assert_eq!(new().status().await, Status::Grace);

    let stands = || h.server.state.grace.report(Instant::now());
    let metric = |name: &str, labels: &[&str]| world.host.metric(name, labels);
    let reclaims = |status| metric("dittofs_locks_reclaim_total", &[status]);
    assert_eq!((reclaims("granted"), reclaims("error")), (Some(2), Some(1)));
    let active = || metric("dittofs_locks_grace_period_active", &[]);
    h.server.metrics.grace.stands(stands());
    assert_eq!(active(), Some(1));

    complete(&a).await;
    assert_eq!(told(&a).await, 0);
    assert!(!is_grace(&h), "all are done");
    h.server.metrics.grace.stands(stands());
    assert_eq!(active(), Some(0));
    assert_eq!(reopened(&a, (3, 2)).await, Err(Status::NoGrace));
    assert_eq!(new().status().await, Status::ShareDenied);
}

#[tokio::test]
async fn a_client_of_40_takes_back_without_confirmation() {
    let mut world = World::new();
    let h = world.start().await;
    let (_, stateid) = opened40(&h, "a", (3, 0)).await;

    let h = world.start().await;
    let io = in_file(h.compound(0)).write_file(stateid, "x");
    assert_eq!(io.status().await, Status::StaleStateid);
    let (a, b) = (h.client40("a").await, h.client40("b").await);
    let bad = reopen(h.compound(0), b, (3, 0)).status().await;
    assert_eq!(bad, Status::NoGrace);
    let new = open(h.compound(0), a, (3, 0)).status().await;
    assert_eq!(new, Status::Grace);
    let again = in_file(h.compound(0)).op(18, |w| {
        for word in [1_u32, 3, 0] {
            w.write(&word);
        }
        w.write(&a);
        w.write("owner");
        for word in [0_u32, 1, 0] {
            w.write(&word);
        }
    });
    let mut reply = again.run().await;
    let back: StateId = reply.skip(3).ok_body();
    let _change: (bool, u64, u64) = (reply.body(), reply.body(), reply.body());
    assert_eq!(reply.body::<u32>() & 2, 0, "not to be confirmed");
    let locked = lock(h.compound(0), (back, 2), a, true);
    locked.run().await.ok();
    // 4.0 has no way to say that it is done.
    assert!(is_grace(&h));
    end_grace_by_time(&h).await;
    assert!(!is_grace(&h));

    // Who reclaimed may do so again, after the next restart; who had nothing may not.
    let h = world.start().await;
    let (a, b) = (h.client40("a").await, h.client40("b").await);
    reopen(h.compound(0), a, (3, 0)).run().await.ok();
    let bad = reopen(h.compound(0), b, (3, 0)).status().await;
    assert_eq!(bad, Status::NoGrace);
}

#[tokio::test]
async fn what_could_be_in_the_way_of_a_reclaim_waits() {
    let mut world = World::new();
    let h = world.start().await;
    opened(&h.client41("a").await, (3, 2)).await;
    let h = world.start().await;
    let b = h.client41("b").await;
    let dir = || b.compound().putrootfh().lookup("export");
    let file = || in_file(b.compound());
    let write = file().write_file(StateId::ANONYMOUS, "x");
    assert_eq!(write.status().await, Status::Grace);
    let read = |stateid: StateId| {
        file().op(25, |w| {
            w.write(&stateid);
            w.write(&0_u64);
            w.write(&1_u32);
        })
    };
    assert_eq!(read(StateId::ANONYMOUS).status().await, Status::Grace);
    read(StateId::READ_BYPASS).run().await.ok();
    let remove = dir().op(28, |w| w.write("f"));
    assert_eq!(remove.status().await, Status::Grace);
    let rename = dir().op(32, |_| ()).op(29, |w| {
        w.write("f");
        w.write("g");
    });
    assert_eq!(rename.status().await, Status::Grace);
    let test = file().op(13, |w| {
        w.write(&2_u32);
        w.write(&0_u64);
        w.write(&1_u64);
        w.write(&b.id);
        w.write("l");
    });
    assert_eq!(test.status().await, Status::Grace);
    dir().create_dir("d").run().await.ok();
}

#[tokio::test]
async fn who_did_not_come_back_in_time_may_not_after_the_next_restart() {
    let mut world = World::new();
    let h = world.start().await;
    opened(&h.client41("a").await, (3, 0)).await;
    opened(&h.client41("b").await, (3, 0)).await;
    opened40(&h, "c", (1, 0)).await;

    // One stays away, one confirms itself and says no more, one reclaims and does not complete.
    let h = world.start().await;
    let b = returning(&h, "b").await;
    h.client40("c").await;
    reopened(&b, (3, 0)).await.unwrap();
    end_grace_by_time(&h).await;
    assert_eq!(reopened(&b, (3, 0)).await, Err(Status::NoGrace));
    assert_eq!(told(&b).await, RESTART_RECLAIM_NEEDED);

    let h = world.start().await;
    assert!(!is_grace(&h), "nobody may reclaim");
    for owner in ["a", "b"] {
        let client = returning(&h, owner).await;
        assert_eq!(reopened(&client, (3, 0)).await, Err(Status::NoGrace));
        assert_eq!(told(&client).await, 0);
    }
    let c = h.client40("c").await;
    let bad = reopen(h.compound(0), c, (1, 0)).status().await;
    assert_eq!(bad, Status::NoGrace);
}

#[tokio::test]
async fn a_restart_within_the_grace_period_leaves_all_rights() {
    let mut world = World::new();
    let h = world.start().await;
    for owner in ["a", "b", "c"] {
        opened(&h.client41(owner).await, (3, 0)).await;
    }
    let h = world.start().await;
    let a = returning(&h, "a").await;
    reopened(&a, (3, 0)).await.unwrap();
    complete(&a).await;
    let b = returning(&h, "b").await;
    reopened(&b, (3, 0)).await.unwrap();

    let h = world.start().await;
    for owner in ["a", "b", "c"] {
        assert!(is_grace(&h));
        let client = returning(&h, owner).await;
        reopened(&client, (3, 0)).await.unwrap();
        complete(&client).await;
    }
    assert!(!is_grace(&h));
}

#[tokio::test]
async fn who_lost_something_may_not_reclaim_unless_it_knows() {
    for acknowledge in [false, true] {
        let mut world = World::new();
        let h = world.start().await;
        let a = h.client41("a").await;
        let lost = opened(&a, (3, 3)).await;
        silence(&h);
        let b = h.client41("b").await;
        let won = opened(&b, (3, 0)).await;
        let close = in_file(b.compound()).close_file(0, won);
        close.run().await.ok();
        if acknowledge {
            a.compound().with(45, &lost).run().await.ok();
        }

        let h = world.start().await;
        let a = returning(&h, "a").await;
        let expected = if acknowledge {
            Ok(())
        } else {
            Err(Status::NoGrace)
        };
        let found = reopened(&a, (3, 3)).await.map(|_| ());
        assert_eq!(found, expected);
        let b = returning(&h, "b").await;
        let found = reopened(&b, (3, 0)).await.map(|_| ());
        let conflict = if acknowledge {
            Err(Status::ReclaimConflict)
        } else {
            Ok(())
        };
        assert_eq!(found, conflict);
    }
}

#[tokio::test]
async fn what_is_taken_away_within_the_lease_is_on_record_too() {
    let mut world = World::new();
    let h = world.start().await;
    let a = h.client41("a").await;
    let lost = opened(&a, (3, 0)).await;
    let rival = h
        .server
        .state
        .files
        .rival(Caller::V41(a.id), &lost)
        .unwrap();
    world.host.break_pairs(true);
    assert!(!h.server.revoke(rival, Revoked::Recallable).await);
    in_file(a.compound()).write_file(lost, "x").run().await.ok();
    world.host.break_pairs(false);
    assert!(h.server.revoke(rival, Revoked::Recallable).await);
    assert_eq!(told(&a).await, 0x40);
    opened(&a, (3, 0)).await;

    let h = world.start().await;
    let a = returning(&h, "a").await;
    assert_eq!(reopened(&a, (3, 0)).await, Err(Status::NoGrace));
    complete(&a).await;
    opened(&a, (3, 0)).await;
    let h = world.start().await;
    let a = returning(&h, "a").await;
    reopened(&a, (3, 0)).await.unwrap();
}

#[tokio::test]
async fn a_client_of_40_whose_lease_was_cancelled_may_not_reclaim() {
    let mut world = World::new();
    let h = world.start().await;
    opened40(&h, "a", (3, 3)).await;
    silence(&h);
    opened(&h.client41("b").await, (3, 0)).await;
    let h = world.start().await;
    let a = h.client40("a").await;
    let bad = reopen(h.compound(0), a, (3, 3)).status().await;
    assert_eq!(bad, Status::NoGrace);
}

#[tokio::test]
async fn a_reclaimed_lock_that_another_has_is_a_conflict() {
    let mut world = World::new();
    let h = world.start().await;
    opened(&h.client41("a").await, (3, 0)).await;
    opened(&h.client41("b").await, (3, 0)).await;
    let h = world.start().await;
    let (a, b) = (returning(&h, "a").await, returning(&h, "b").await);
    for (client, expected) in [(&a, Status::Ok), (&b, Status::ReclaimConflict)] {
        let open = reopened(client, (3, 0)).await.unwrap();
        let locked = lock(client.compound(), (open, 0), client.id, true);
        assert_eq!(locked.status().await, expected);
    }
    let denied = reopened(&b, (3, 3)).await;
    assert_eq!(denied, Err(Status::ReclaimConflict));
}

#[tokio::test]
async fn nobody_reclaims_under_the_name_of_another() {
    let mut world = World::new();
    let h = world.start().await;
    opened(&h.client41("a").await, (3, 0)).await;
    let h = world.start().await.as_user(2000);
    let thief = returning(&h, "a").await;
    assert_eq!(reopened(&thief, (3, 0)).await, Err(Status::NoGrace));
    assert!(is_grace(&h));
}

#[tokio::test]
async fn the_period_is_as_long_as_the_lease_that_clients_knew() {
    let mut world = World::with(Settings {
        lease_time: 600,
        ..Settings::default()
    });
    let h = world.start().await;
    opened(&h.client41("a").await, (3, 0)).await;
    world.settings.lease_time = 20;
    let h = world.start().await;
    let total = |h: &Harness| h.server.state.grace.report(Instant::now()).total;
    assert_eq!(total(&h), Duration::from_mins(10));
    let h = world.start().await;
    assert_eq!(total(&h), Duration::from_secs(90));
}

#[tokio::test]
async fn clients_and_all_they_had_leave_nothing_behind() {
    let mut world = World::new();
    let h = world.start().await;
    let a = h.client41("a").await;
    let stateid = opened(&a, (3, 0)).await;
    let locked = lock(a.compound(), (stateid, 0), a.id, false);
    locked.run().await.ok();
    opened40(&h, "b", (1, 0)).await;
    let limits = h.server.settings().limits();
    let late = Instant::now() + limits.lease + limits.courtesy + Duration::from_secs(1);
    h.server.end_leases(late).await;
    let state = &h.server.state;
    assert_eq!(state.census(), Census::default());
    let (cx, _running) = world.host.context(Arc::from([]));
    assert_eq!(cx.kv().list("client/").await.unwrap(), []);
}

#[tokio::test]
async fn nobody_is_confirmed_who_can_not_be_put_on_record() {
    let mut world = World::new();
    let h = world.start().await;
    world.host.break_pairs(true);
    let (id, sequence) = h.exchange_id("a", 1).await;
    let create = || {
        h.compound(1)
            .create_session(id, sequence, &Channel::default())
    };
    assert_eq!(create().status().await, Status::Serverfault);
    let mut reply = h.compound(0).setclientid("b", 1).run().await;
    let (old, verifier): (ClientId, crate::types::Verifier) = (reply.ok_body(), reply.body());
    let confirm = || h.compound(0).setclientid_confirm(old, verifier);
    assert_eq!(confirm().status().await, Status::Serverfault);

    world.host.break_pairs(false);
    let session = create().run().await.ok_body();
    confirm().run().await.ok();
    let (cx, _running) = world.host.context(Arc::from([]));
    assert_eq!(cx.kv().list("client/").await.unwrap().len(), 2);

    // Nor does a client get anything that would not be known of after a restart.
    world.host.break_pairs(true);
    let a = Client41::new(&h, id, session);
    let complete = a.compound().reclaim_complete();
    assert_eq!(complete.status().await, Status::Serverfault);
    assert_eq!(
        open(a.compound(), a.id, (1, 0)).status().await,
        Status::Grace
    );
    let refused = open(h.compound(0), old, (1, 0)).status().await;
    assert_eq!(refused, Status::Serverfault);
    assert_eq!(h.server.state.census().opens, 0);
    world.host.break_pairs(false);
    a.compound().reclaim_complete().run().await.ok();
}

#[tokio::test]
async fn what_can_not_be_noted_as_lost_is_not_given_to_others() {
    let mut world = World::new();
    let h = world.start().await;
    let (a, b) = (h.client41("a").await, h.client41("b").await);
    opened(&a, (3, 3)).await;
    silence(&h);
    world.host.break_pairs(true);
    let new = || open(b.compound(), b.id, (3, 0));
    assert_eq!(new().status().await, Status::ShareDenied);
    assert_eq!(told(&a).await, 0);
    silence(&h);
    world.host.break_pairs(false);
    new().run().await.ok();
    assert_eq!(told(&a).await, 0x10);
}

#[tokio::test]
async fn the_grace_period_lasts_until_its_end_is_on_record() {
    let mut world = World::new();
    let h = world.start().await;
    opened(&h.client41("a").await, (3, 0)).await;
    let h = world.start().await;
    let b = h.client41("b").await;
    world.host.break_pairs(true);
    assert!(!h.server.end_grace().await);
    let a = h.exchange_id("a", 1).await;
    assert_eq!(
        open(b.compound(), b.id, (3, 0)).status().await,
        Status::Grace
    );
    world.host.break_pairs(false);
    h.server.end_leases(Instant::now()).await;
    assert!(!is_grace(&h));
    let session = h.create_session(a.0, a.1).await;
    let a = Client41::new(&h, a.0, session);
    assert_eq!(reopened(&a, (3, 0)).await, Err(Status::NoGrace));
    open(b.compound(), b.id, (3, 0)).run().await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_incarnation_is_on_record_however_many_race() {
    let mut world = World::new();
    let h = world.start().await;
    let racing = (1..=8).map(|incarnation| {
        let h = h.reconnected();
        tokio::spawn(async move {
            let (id, sequence) = h.exchange_id("a", incarnation).await;
            let create = h
                .compound(1)
                .create_session(id, sequence, &Channel::default());
            create.status().await == Status::Ok
        })
    });
    let mut confirmed = 0;
    for racer in racing.collect::<Vec<_>>() {
        confirmed += usize::from(racer.await.unwrap());
    }
    assert!(confirmed > 0);
    let (cx, _running) = world.host.context(Arc::from([]));
    assert_eq!(cx.kv().list("client/").await.unwrap().len(), 1);
}
