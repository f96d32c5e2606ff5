//! How delegations are counted, thinned out and taken over a restart.

use dittofs_testkit::host::MemoryHost;

use super::*;

#[tokio::test]
async fn grants_and_recalls_are_counted_and_what_is_out_is_shown() {
    let host = Arc::new(MemoryHost::default());
    let w = World::around(Harness::metered(Settings::default(), &host)).await;
    let (a, mut peer) = w.client("a").await;
    let b = w.h.client41("b").await;
    make(&a, "f").await;
    let read = get(&a, READ, "f").await.1.stateid();
    get(&a, BOTH, "g").await.1.stateid();
    let shown = |kind: &str| {
        w.h.server.state.publish(0);
        host.metric("dittofs_nfs_delegations_active", &[kind])
    };
    let granted = |kind: &str| host.metric("dittofs_nfs_delegations_granted_total", &[kind]);
    assert_eq!((granted("read"), granted("write")), (Some(1), Some(1)));
    assert_eq!((shown("read"), shown("write")), (Some(1), Some(1)));
    assert_eq!(try_open(&b, BOTH, "f").await, Status::Delay);
    recalled(&mut peer, &a, Status::Ok).await;
    let recalls = |reason: &str| {
        let labels = &["read", reason];
        host.metric("dittofs_nfs_delegations_recalled_total", labels)
    };
    assert_eq!((recalls("open"), recalls("remove")), (Some(1), Some(0)));
    give_back(&a, "f", read).run().await.ok();
    assert_eq!((shown("read"), shown("write")), (Some(0), Some(1)));
}

#[tokio::test]
async fn who_has_many_is_asked_for_some_before_there_are_too_many() {
    let w = World::of(Settings {
        max_delegations: 4,
        ..Settings::default()
    })
    .await;
    let (a, mut peer) = w.client("a").await;
    let (b, _peer) = w.client("b").await;
    for name in ["1", "2", "3", "4"] {
        make(&a, name).await;
    }
    for name in ["1", "2", "3"] {
        get(&a, READ, name).await.1.stateid();
    }
    let now = Instant::now();
    sweep(&w.h.server, now).await;
    get(&b, READ, "4").await.1.stateid();
    sweep(&w.h.server, now).await;
    let mut called = peer.called().await;
    let (slot, number, _) = sequence(&mut called, a.session);
    assert_eq!((called.word(), called.word()), (0, 8), "CB_RECALL_ANY");
    assert_eq!(called.word(), 2, "half of them are its to keep");
    assert_eq!(called.args.read::<Bitmap>().unwrap(), Bitmap::of(&[0, 1]));
    peer.answer(&called, |w| {
        results(w, a.session, (slot, number), (8, Status::Ok));
    })
    .await;
    // Not again before it can have followed; the next message is a reply.
    sweep(&w.h.server, now + Duration::from_secs(1)).await;
    peer.ask(a.compound()).await.ok();
}

/// OPEN of the file `f`, as before the restart, with a delegation of this type.
fn reopen<'h>(client: &Client41<'h>, access: u32, kind: u32) -> Compound<'h> {
    file(client, "f").op(18, |w| {
        w.write(&0_u32);
        w.write(&access);
        w.write(&0_u32);
        w.write(&0_u64);
        w.write("owner");
        w.write(&0_u32);
        w.write(&1_u32);
        w.write(&kind);
    })
}

#[tokio::test]
async fn what_a_client_had_before_a_restart_it_takes_back() {
    let (host, share) = (Arc::new(MemoryHost::default()), Harness::share());
    let start = async |number| {
        let h = Harness::started(&host, &share, Settings::default(), number).await;
        World::around(h).await
    };
    let w = start(1).await;
    let (a, _peer) = w.client("a").await;
    w.h.client41("b").await;
    get(&a, BOTH, "f").await.1.stateid();

    let w = start(2).await;
    let (a, _peer) = w.returning("a").await;
    let mut again = reopen(&a, BOTH, 2).run().await;
    let (_, Got::Write(stateid)) = opened(&mut again, 3) else {
        panic!("for writing");
    };
    a.compound().reclaim_complete().run().await.ok();
    let late = reopen(&a, BOTH, 2).status().await;
    assert_eq!(late, Status::NoGrace);
    file(&a, "f").write_file(stateid, "x").run().await.ok();
}

#[tokio::test]
async fn what_could_not_be_recalled_later_is_wanted_back_at_once() {
    let (host, share) = (Arc::new(MemoryHost::default()), Harness::share());
    let start = async |number| {
        let h = Harness::started(&host, &share, Settings::default(), number).await;
        World::around(h).await
    };
    let w = start(1).await;
    let (a, _peer) = w.client("a").await;
    make(&a, "f").await;
    get(&a, READ, "f").await.1.stateid();

    let w = start(2).await;
    let (id, number) = w.h.exchange_id("a", 1).await;
    let session = w.h.create_session(id, number).await;
    let a = Client41::new(&w.h, id, session);
    let mut again = reopen(&a, READ, 1).run().await;
    let _open: StateId = again.skip(3).ok_body();
    let _change: (bool, u64, u64) = (again.body(), again.body(), again.body());
    let _rest: (u32, Bitmap) = (again.body(), again.body());
    assert!(matches!(granted_for(&mut again, true), Got::Read(_)));
}
