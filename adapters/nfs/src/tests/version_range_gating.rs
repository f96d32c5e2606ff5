//! Which minor versions are served changes from one COMPOUND to the next, and a refusal touches
//! nothing. RFC 8881 §2.7.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::settings::Settings;
use crate::status::Status;
use crate::testing::{Harness, Reply, Wire};

const RANGES: [(u32, u32); 6] = [(1, 1), (0, 0), (2, 2), (0, 1), (1, 2), (0, 2)];

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
    let clients = [h.client41("a").await, h.client42("b").await];
    for (min, max) in RANGES {
        h.server.set_settings(range((min, max)));
        for minor in [0, 1, 2, 3, u32::MAX] {
            let served = (min..=max).contains(&minor);
            let client = clients.get((minor as usize).wrapping_sub(1));
            let compound = match client {
                Some(client) if served => client.compound(),
                _ => h.compound(minor).tag("echo"),
            };
            let reply = compound.putrootfh().run().await;
            if served {
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
    let served: Arc<[AtomicU32; 3]> = Arc::default();
    let mut tasks = Vec::new();
    for task in 0..6 {
        let sessions = [
            h.client41(&format!("c{task} of 4.1")).await.session,
            h.client42(&format!("c{task} of 4.2")).await.session,
        ];
        let (h, done, served) = (Arc::clone(&h), Arc::clone(&done), Arc::clone(&served));
        tasks.push(tokio::spawn(async move {
            let mut wire = Wire::connect(address).await;
            let mut sequences = [2; 2];
            let (mut taken, mut refused) = ([0; 3], 0);
            while !done.load(Ordering::Relaxed) {
                for minor in [1, 0, 2] {
                    let compound = h.compound(minor as u32).tag("load");
                    let compound = match minor {
                        0 => compound.putrootfh().getattr(),
                        _ => compound
                            .sequence(sessions[minor - 1], sequences[minor - 1], 0, true)
                            .putrootfh(),
                    };
                    let reply = wire.call(compound).await;
                    if reply.status == Status::Ok {
                        assert_eq!(reply.count, 2);
                        if minor > 0 {
                            sequences[minor - 1] += 1;
                        }
                        taken[minor] += 1;
                        served[minor].fetch_add(1, Ordering::Relaxed);
                    } else {
                        assert_refused(&reply, "load");
                        refused += 1;
                    }
                }
            }
            assert!(taken.iter().all(|count| *count > 0) && refused > 0);
            [1, 2].map(|minor| (minor as u32, sessions[minor - 1], sequences[minor - 1]))
        }));
    }
    // Every range lasts until the load has felt it.
    let grown = |minor: usize, from: u32| served[minor].load(Ordering::Relaxed) >= from + EACH / 6;
    for round in 0..30 {
        let (min, max) = RANGES[round % RANGES.len()];
        h.server.set_settings(range((min, max)));
        let from = served.each_ref().map(|count| count.load(Ordering::Relaxed));
        let wanted = |minor: u32| (min..=max).contains(&minor);
        while !(0..3).all(|minor| !wanted(minor) || grown(minor as usize, from[minor as usize])) {
            tokio::task::yield_now().await;
        }
    }
    done.store(true, Ordering::Relaxed);
    for task in tasks {
        for (minor, session, sequence) in task.await.unwrap() {
            let next = h.compound(minor).sequence(session, sequence, 0, false);
            next.run().await.ok();
        }
    }
}
