//! Clients that wait for locks are told of their turn.

use super::*;

/// OPEN of `/export/f`, created if need be; the stateid and rflags.
async fn open(client: &Client41<'_>, peer: &mut Peer) -> (StateId, u32) {
    let compound = client.compound().putrootfh().lookup("export").op(18, |w| {
        for word in [0_u32, 3, 0] {
            w.write(&word);
        }
        w.write(&client.id);
        w.write("owner");
        for word in [1_u32, 0, 0, 0, 0] {
            w.write(&word);
        }
        w.write("f");
    });
    let mut reply = peer.ask(compound).await;
    reply.skip(2);
    let stateid = reply.ok_body();
    let [_, _, _, _, _, flags] = std::array::from_fn(|_| reply.body::<u32>());
    (stateid, flags)
}

/// LOCK of the whole file by WRITEW_LT.
fn lock<'h>(client: &Client41<'h>, open: &StateId, name: &str) -> Compound<'h> {
    let compound = client.compound().putrootfh().lookup("export").lookup("f");
    compound.op(12, |w| {
        for word in [4_u32, 0] {
            w.write(&word);
        }
        w.write(&0_u64);
        w.write(&u64::MAX);
        w.write(&1_u32);
        w.write(&0_u32);
        w.write(open);
        w.write(&0_u32);
        w.write(&client.id);
        w.write(name);
    })
}

#[tokio::test]
async fn a_client_that_waits_for_a_lock_is_called_when_it_may_have_it() {
    let w = World::with(60).await;
    tokio::spawn(tell_turns(Arc::clone(&w.h.server)));
    let (holder, mut first) = w.client("a").await;
    let (waiter, mut second) = w.client("b").await;
    let (held, flags) = open(&holder, &mut first).await;
    assert_eq!(flags & 0x20, 0x20, "OPEN4_RESULT_MAY_NOTIFY_LOCK");
    let (wanted, _) = open(&waiter, &mut second).await;
    first.ask(lock(&holder, &held, "one")).await.ok();
    let denied = second.ask(lock(&waiter, &wanted, "two")).await;
    assert_eq!(denied.status, Status::Denied);

    // The holder ends.
    let state = &w.h.server.state;
    drop(state.files.release_client(holder.id));
    let mut called = second.called().await;
    assert_eq!(sequence(&mut called, waiter.session), (0, 1, 2));
    assert_eq!([called.word(), called.word()], [0, 13]);
    let mut named = second
        .ask(
            waiter
                .compound()
                .putrootfh()
                .lookup("export")
                .lookup("f")
                .getfh(),
        )
        .await;
    named.skip(3);
    assert_eq!(
        called.args.read::<FileHandle>().unwrap(),
        named.ok_body::<FileHandle>()
    );
    assert_eq!(called.args.read::<ClientId>().unwrap(), waiter.id);
    assert_eq!(called.args.read::<Bytes>().unwrap(), "two");
    second
        .answer(&called, |w| {
            results(w, waiter.session, (0, 1), (13, Status::Ok));
        })
        .await;
    second.ask(lock(&waiter, &wanted, "two")).await.ok();
}

#[tokio::test]
async fn a_client_without_callbacks_is_promised_none() {
    let w = World::new().await;
    let (client, mut peer) = w.client("a").await;
    let other = w.h.client41("b").await;
    assert_eq!(open(&client, &mut peer).await.1 & 0x20, 0x20);
    let mut plain = Peer::connect(w.address).await;
    assert_eq!(open(&other, &mut plain).await.1 & 0x20, 0);
}
