//! Which minor versions are served changes from one COMPOUND to the next, and a refusal touches
//! nothing. RFC 8881 §2.7.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::settings::Settings;
use crate::status::Status;
use crate::testing::{Harness, Reply, Wire};

const RANGES: [(u32, u32); 3] = [(1, 1), (0, 0), (0, 1)];

fn range((min, max): (u32, u32)) -> Settings {
    Settings {
        v4_min_minor_version: min,
        v4_max_minor_version: max,
        ..Settings::default()
    }
}

/// Tag echoed, no results.
fn assert_refused(reply: &Reply, tag: &str) {
    assert_eq!((reply.status, reply.count), (Status::MinorVersMismatch, 0));
    let mut expected = vec![0, 0, 0x27, 0x25, 0, 0, 0, tag.len() as u8];
    expected.extend_from_slice(tag.as_bytes());
    expected.extend_from_slice(&[0; 4]);
    assert_eq!(reply.bytes, expected);
}

#[tokio::test]
async fn only_the_range_is_served() {
    let h = Harness::new();
    let client = h.client41("a").await;
    for (min, max) in RANGES {
        h.server.set_settings(range((min, max)));
        for minor in [0, 1, 2, 3, u32::MAX] {
            let compound = h.compound(minor).tag("echo");
            let reply = match minor {
                1 if max == 1 => client.compound().putrootfh().run().await,
                _ => compound.putrootfh().run().await,
            };
            if (min..=max).contains(&minor) {
                reply.ok();
            } else {
                assert_refused(&reply, "echo");
            }
        }
    }
}

#[tokio::test]
async fn a_refused_request_leaves_slot_and_state_as_they_were() {
    let h = Harness::new();
    let client = h.client41("a").await;
    let old = h.client40("a").await;
    let request = || {
        h.compound(1)
            .tag("once")
            .sequence(client.session, 2, 0, true)
            .putrootfh()
            .lookup("export")
            .create_dir("d")
    };
    h.server.set_settings(range((0, 0)));
    assert_refused(&request().run().await, "once");
    h.compound(0).renew(old).run().await.ok();
    h.server.set_settings(range((1, 1)));
    assert_refused(&h.compound(0).tag("renw").renew(old).run().await, "renw");
    let first = request().run().await;
    first.ok();
    assert_eq!(request().run().await.bytes, first.bytes);
    h.server.set_settings(range((0, 1)));
    h.compound(0).renew(old).run().await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_range_changes_under_load() {
    const EACH: u32 = 300;
    let h = Arc::new(Harness::new());
    let address = h.listen().await;
    let done = Arc::new(AtomicBool::new(false));
    let served = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
    let mut tasks = Vec::new();
    for task in 0..6 {
        let (h, done, served) = (Arc::clone(&h), Arc::clone(&done), Arc::clone(&served));
        tasks.push(tokio::spawn(async move {
            let mut wire = Wire::connect(address).await;
            let (id, number) = {
                let exchange = h.compound(1).exchange_id(&format!("c{task}"), 1, 0);
                let mut reply = wire.call(exchange).await;
                (reply.ok_body(), reply.body())
            };
            let session = h.create_session(id, number).await;
            let mut sequence = 1;
            let (mut taken, mut refused) = ([0, 0], 0);
            while !done.load(Ordering::Relaxed) {
                let gated = h.compound(1).tag("load");
                let gated = gated.sequence(session, sequence, 0, true).putrootfh();
                let plain = h.compound(0).tag("load").putrootfh().getattr();
                for (minor, compound) in [(1, gated), (0, plain)] {
                    let reply = wire.call(compound).await;
                    if reply.status == Status::Ok {
                        assert_eq!(reply.count, 2);
                        sequence += minor as u32;
                        taken[minor] += 1;
                        served[minor].fetch_add(1, Ordering::Relaxed);
                    } else {
                        assert_refused(&reply, "load");
                        refused += 1;
                    }
                }
            }
            assert!(taken.iter().all(|count| *count > 0) && refused > 0);
            (session, sequence)
        }));
    }
    // Every range lasts until the load has felt it.
    let grown = |minor: usize, from: u32| served[minor].load(Ordering::Relaxed) >= from + EACH / 6;
    for round in 0..30 {
        let (min, max) = RANGES[round % RANGES.len()];
        h.server.set_settings(range((min, max)));
        let from = served.each_ref().map(|count| count.load(Ordering::Relaxed));
        let wanted = |minor: u32| (min..=max).contains(&minor);
        while !(0..2).all(|minor| !wanted(minor) || grown(minor as usize, from[minor as usize])) {
            tokio::task::yield_now().await;
        }
    }
    done.store(true, Ordering::Relaxed);
    for task in tasks {
        let (session, sequence) = task.await.unwrap();
        let next = h.compound(1).sequence(session, sequence, 0, false);
        next.run().await.ok();
    }
}
