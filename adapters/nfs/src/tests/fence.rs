//! Who ends a session of 4.2, or comes back as another incarnation, is answered when nothing is under
//! way any more. RFC 7862 §14.1.

use std::pin::{Pin, pin};
use std::sync::Arc;

use crate::ops::exchange_id::{SUPP_FENCE_OPS, USE_NON_PNFS};
use crate::settings::Settings;
use crate::status::Status;
use crate::testing::{Client41, Compound, Harness, Reply, Slow};
use crate::types::ClientId;

/// A server whose directories change only while `Slow` lets them.
fn slow() -> (Harness, Arc<Slow>) {
    let fs = Arc::new(Slow::new());
    let share = dittofs_sdk::Share {
        fs: fs.clone(),
        ..Harness::share()
    };
    (Harness::exporting(Settings::default(), share), fs)
}

/// A request of the client in a slot of its own, which makes a directory.
fn makes<'h>(client: &Client41<'h>, minor: u32, slot: u32, name: &str) -> Compound<'h> {
    let compound = client.harness.compound(minor);
    let compound = compound.sequence(client.session, 1, slot, true);
    compound.putrootfh().lookup("export").create_dir(name)
}

/// Goes on with what `future` does until it has to wait; whether it still has to.
async fn waits<F: Future>(mut future: Pin<&mut F>) -> bool {
    for _ in 0..1000 {
        tokio::select! {
            biased;
            _ = &mut future => return false,
            () = tokio::task::yield_now() => {}
        }
    }
    true
}

#[tokio::test]
async fn a_session_ends_when_nothing_of_it_is_under_way() {
    let (h, fs) = slow();
    let client = h.client42("a").await;
    fs.open(false);
    let mut making = pin!(makes(&client, 2, 1, "d").run());
    assert!(waits(making.as_mut()).await);
    let destroy = || h.compound(2).destroy_session(client.session).run();
    let mut first = pin!(destroy());
    let mut again = pin!(destroy());
    assert!(waits(first.as_mut()).await);
    assert!(waits(again.as_mut()).await, "nor is a repetition answered");
    fs.open(true);
    let (made, first, again): (Reply, Reply, Reply) = tokio::join!(making, first, again);
    made.ok();
    let ended = [first.status, again.status];
    assert!(ended.contains(&Status::Ok) && ended.contains(&Status::Badsession));
}

#[tokio::test]
async fn one_of_4_1_ends_at_once() {
    let (h, fs) = slow();
    let client = h.client41("a").await;
    fs.open(false);
    let mut making = pin!(makes(&client, 1, 1, "d").run());
    assert!(waits(making.as_mut()).await);
    let destroy = h.compound(1).destroy_session(client.session);
    destroy.run().await.ok();
    fs.open(true);
    making.await.ok();
}

#[tokio::test]
async fn sessions_that_end_themselves_or_each_other_wait_for_nobody() {
    let (h, _fs) = slow();
    let (a, b) = (h.client42("a").await, h.client42("b").await);
    let of_a = a.compound().destroy_session(b.session);
    let of_b = b.compound().destroy_session(a.session);
    let (of_a, of_b) = tokio::join!(of_a.run(), of_b.run());
    assert!(of_a.status == Status::Ok || of_b.status == Status::Ok);
    let itself = h.client42("c").await;
    let end = itself.compound().destroy_session(itself.session);
    end.run().await.ok();
}

#[tokio::test]
async fn another_incarnation_is_answered_when_nothing_of_the_former_is_under_way() {
    let (h, fs) = slow();
    let client = h.client42("a").await;
    fs.open(false);
    let mut making = pin!(makes(&client, 2, 1, "d").run());
    assert!(waits(making.as_mut()).await);
    // The same incarnation knows what it has under way.
    h.compound(2).exchange_id("a", 1, 0).run().await.ok();
    let reborn = h.compound(2).exchange_id("a", 2, 0);
    let mut reborn = pin!(reborn.run());
    assert!(waits(reborn.as_mut()).await);
    // What begins only now is not waited for.
    let mut later = pin!(makes(&client, 2, 2, "e").run());
    assert!(waits(later.as_mut()).await);
    fs.open(true);
    making.await.ok();
    reborn.await.ok();
    later.await.ok();
}

#[tokio::test]
async fn it_is_in_effect_for_clients_of_4_2_and_not_to_be_asked_for() {
    let h = Harness::new();
    let flags = async |minor, asked| {
        let mut reply = h.compound(minor).exchange_id("a", 1, asked).run().await;
        match reply.status {
            Status::Ok => {
                let (_, _): (ClientId, u32) = (reply.ok_body(), reply.body());
                Ok(reply.body::<u32>())
            }
            status => Err(status),
        }
    };
    assert_eq!(flags(2, 0).await, Ok(USE_NON_PNFS | SUPP_FENCE_OPS));
    assert_eq!(flags(1, 0).await, Ok(USE_NON_PNFS));
    for minor in [1, 2] {
        assert_eq!(flags(minor, SUPP_FENCE_OPS).await, Err(Status::Inval));
    }
}
