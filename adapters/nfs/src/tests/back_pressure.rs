//! A client makes the server keep no more than it may: neither by what it does not read, nor by what it
//! has the server wait for.

use std::sync::Arc;

use dittofs_testkit::host::MemoryHost;
use tokio::io::AsyncWriteExt;
use tokio::task::yield_now;

use crate::settings::Settings;
use crate::status::Status;
use crate::testing::{Compound, Harness, Slow, Wire, receive, record};
use crate::types::StateId;

const MEGABYTE: u32 = 1 << 20;
/// Requests of a megabyte each.
const REQUESTS: u32 = 200;

fn at_file(h: &Harness) -> Compound<'_> {
    h.compound(0).putrootfh().lookup("export").lookup("file")
}

async fn make_file(h: &Harness) {
    let client = h.client40("a").await;
    let open = h.compound(0).putrootfh().lookup("export");
    open.open_file(client, 1, "owner", "file").run().await.ok();
}

fn write(h: &Harness) -> Vec<u8> {
    let data = "x".repeat(MEGABYTE as usize);
    at_file(h).write_file(StateId::ANONYMOUS, &data).bytes()
}

/// Sends a request again and again.
fn send(wire: Wire, request: Vec<u8>) -> tokio::net::tcp::OwnedReadHalf {
    let Wire {
        mut sending,
        receiving,
        ..
    } = wire;
    tokio::spawn(async move {
        for xid in 0..REQUESTS {
            sending.write_all(&record(xid, &request)).await.unwrap();
        }
        std::future::pending::<()>().await;
    });
    receiving
}

/// What is counted, once it does not grow any more.
async fn settled(count: impl Fn() -> usize) -> usize {
    loop {
        let before = count();
        for _ in 0..1000 {
            yield_now().await;
        }
        if before > 0 && count() == before {
            return before;
        }
    }
}

#[tokio::test]
async fn a_client_that_reads_no_replies_is_not_served_on() {
    let host = Arc::new(MemoryHost::default());
    let h = Harness::metered(Settings::default(), &host);
    make_file(&h).await;
    h.serve(&write(&h)).await;
    let read = at_file(&h).op(25, |w| {
        w.write(&StateId::ANONYMOUS);
        w.write(&0_u64);
        w.write(&MEGABYTE);
    });
    let wire = Wire::connect(h.listen().await).await;
    let mut receiving = send(wire, read.bytes());
    let served = settled(|| {
        let read = host.metric("dittofs_nfs_bytes_transferred_total", &["read"]);
        read.unwrap_or(0) as usize / MEGABYTE as usize
    });
    // The buffers of the sockets take some.
    assert!(served.await < REQUESTS as usize / 2);
    for xid in 0..REQUESTS {
        let (replied, reply) = receive(&mut receiving).await.unwrap();
        assert_eq!((replied, reply.status), (xid, Status::Ok));
    }
}

#[tokio::test]
async fn a_client_does_not_fill_the_server_with_what_waits() {
    let fs = Arc::new(Slow::new());
    let h = Harness::metered_slow(&fs, &Arc::default());
    make_file(&h).await;
    fs.writes.allow_only(0);
    let address = h.listen().await;
    let mut receiving = send(Wire::connect(address).await, write(&h));
    let waiting = settled(|| fs.writes.waiting()).await;
    assert!((2..=128).contains(&waiting), "{waiting}");
    // Nor does that keep others out.
    let mut other = Wire::connect(address).await;
    other.call(at_file(&h).getfh()).await.ok();
    fs.writes.allow(REQUESTS as usize);
    for _ in 0..REQUESTS {
        let (_, reply) = receive(&mut receiving).await.unwrap();
        assert_eq!(reply.status, Status::Ok);
    }
}
