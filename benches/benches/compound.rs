//! What one COMPOUND costs from its decoding to its encoded reply, without socket and border.
//!
//! `sequence_validation` takes a slot and gives it back with a reply, nothing else;
//! `compound_dispatch` is SEQUENCE, PUTFH and GETATTR, the same without a session in 4.0, and
//! SEQUENCE alone, and OPEN with CLOSE. Each on a host without metrics (`inert`) and on one with (`recording`).
//! Allocations are printed first.
#![allow(clippy::expect_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use dittofs_benches::allocations::{self, Counting};
use dittofs_benches::{Rig, Template};
use dittofs_nfs::metrics::Metrics;
use dittofs_testkit::host::MemoryHost;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn sequence_validation(c: &mut Criterion) {
    for (name, metrics) in hosts() {
        let rig = Rig::new(metrics);
        let (session, cx) = (rig.session("bench"), rig.cx());
        let mut number = 0;
        let mut next = || {
            number += 1;
            Rig::validate(&cx, session, number);
        };
        let before = allocations::count();
        (0..BATCH).for_each(|_| next());
        report(&format!("sequence_validation/{name}"), before);
        c.bench_function(&format!("sequence_validation/{name}"), |b| {
            b.iter(&mut next);
        });
    }
}

fn compound_dispatch(c: &mut Criterion) {
    for (name, metrics) in hosts() {
        let rig = Rig::new(metrics);
        let root = rig.root();
        let template = Template::getattr40(&root);
        measure(
            c,
            &format!("compound_dispatch/v40/{name}"),
            Load::new(&rig, template),
        );
        let template = Template::sequence(rig.session("alone"));
        measure(
            c,
            &format!("compound_dispatch/v41_sequence_alone/{name}"),
            Load::new(&rig, template),
        );
        let template = Template::getattr41(rig.session("bench"), &root);
        measure(
            c,
            &format!("compound_dispatch/v41/{name}"),
            Load::new(&rig, template),
        );
        let template = Template::open_close41(rig.opener("opener"), &root, "file");
        measure(
            c,
            &format!("compound_dispatch/v41_open_close/{name}"),
            Load::new(&rig, template),
        );
        two_threads(
            c,
            &format!("compound_dispatch/v41_two_threads/{name}"),
            &rig,
            &root,
        );
    }
}

/// A host that has no metrics, and one that has.
fn hosts() -> [(&'static str, Metrics); 2] {
    let host = Arc::new(MemoryHost::default());
    let (context, _running) = host.context(Arc::from([]));
    let recording = Metrics::new(context.metrics()).expect("the host takes every family");
    [("inert", Metrics::default()), ("recording", recording)]
}

/// Requests that are made ready ahead of the clock.
const BATCH: u64 = 1000;

/// One client's requests, numbered as they are sent.
struct Load {
    rig: Rig,
    template: Template,
    number: u32,
}

impl Load {
    fn new(rig: &Rig, template: Template) -> Self {
        Self {
            rig: rig.clone(),
            template,
            number: 0,
        }
    }

    fn batch(&mut self, count: u64) -> Vec<Bytes> {
        (0..count)
            .map(|_| {
                self.number += 1;
                self.template.numbered(self.number)
            })
            .collect()
    }

    /// Serves `count` requests; the time that took, without making them ready.
    fn run(&mut self, mut count: u64) -> Duration {
        let mut spent = Duration::ZERO;
        while count > 0 {
            let requests = self.batch(count.min(BATCH));
            count -= requests.len() as u64;
            let start = Instant::now();
            for request in requests {
                std::hint::black_box(self.rig.serve(request));
            }
            spent += start.elapsed();
        }
        spent
    }
}

fn measure(c: &mut Criterion, name: &str, mut load: Load) {
    for request in load.batch(BATCH) {
        let reply = load.rig.serve(request);
        assert_eq!(reply.first_chunk(), Some(&[0; 4]), "{name} is refused");
    }
    let requests = load.batch(BATCH);
    let before = allocations::count();
    for request in requests {
        std::hint::black_box(load.rig.serve(request));
    }
    report(name, before);
    c.bench_function(name, |b| b.iter_custom(|count| load.run(count)));
}

/// Says how many allocations each of the last `BATCH` rounds took.
fn report(name: &str, before: u64) {
    let each = (allocations::count() - before) as f64 / BATCH as f64;
    println!("{name}: {each:.2} allocations each");
}

/// Two clients on two threads, each with `count` requests: half the time per request of one
/// thread means that they share nothing.
fn two_threads(c: &mut Criterion, name: &str, rig: &Rig, root: &Bytes) {
    let mut loads = ["left", "right"].map(|owner| {
        let rig = rig.reconnected();
        Load::new(&rig, Template::getattr41(rig.session(owner), root))
    });
    c.bench_function(name, |b| {
        b.iter_custom(|count| {
            let longest = std::thread::scope(|scope| {
                let threads = loads
                    .each_mut()
                    .map(|load| scope.spawn(move || load.run(count)));
                threads
                    .map(|thread| thread.join().unwrap_or_default())
                    .into_iter()
                    .max()
            });
            // Twice `count` requests were served.
            longest.unwrap_or_default() / 2
        });
    });
}

criterion_group!(benches, sequence_validation, compound_dispatch);
criterion_main!(benches);
