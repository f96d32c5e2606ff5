//! 4.0 goes on as it was beside the path of 4.1. RFC 7530.

use crate::settings::Settings;
use crate::status::Status;
use crate::testing::{Harness, Reply};
use crate::types::{ClientId, FileHandle, StateId, Verifier};

struct Opened {
    stateid: StateId,
    file: FileHandle,
}

/// Reads the result of OPEN, after PUTROOTFH and LOOKUP, and that of GETFH.
fn opened(reply: &mut Reply) -> Opened {
    let stateid = reply.skip(2).ok_body();
    let _cinfo: (bool, (u64, u64)) = (reply.body(), (reply.body(), reply.body()));
    let _flags: u32 = reply.body();
    let words: u32 = reply.body();
    for _ in 0..words {
        reply.body::<u32>();
    }
    assert_eq!(reply.body::<u32>(), 0, "no delegation");
    Opened {
        stateid,
        file: reply.ok_body(),
    }
}

async fn open(h: &Harness, client: ClientId, seqid: u32, name: &str) -> Reply {
    h.compound(0)
        .putrootfh()
        .lookup("export")
        .open_file(client, seqid, "owner", name)
        .getfh()
        .run()
        .await
}

/// An open of a confirmed owner; its last number is 2.
async fn confirmed(h: &Harness, client: ClientId) -> Opened {
    let mut reply = open(h, client, 1, "f").await;
    let opened = opened(&mut reply);
    let confirm = h
        .compound(0)
        .putfh(&opened.file)
        .open_confirm(opened.stateid, 2);
    let stateid = confirm.run().await.skip(1).ok_body();
    Opened { stateid, ..opened }
}

#[tokio::test]
async fn a_handle_leads_back_to_its_object_without_a_session() {
    let h = Harness::new();
    let root = h.compound(0).putrootfh().lookup("export").getfh();
    let handle: FileHandle = root.run().await.skip(2).ok_body();
    let mut reply = h
        .compound(0)
        .tag("both")
        .putfh(&handle)
        .getattr()
        .run()
        .await;
    assert_eq!((reply.status, reply.count), (Status::Ok, 2));
    assert_eq!(reply.bytes[4..12], *b"\0\0\0\x04both");
    assert_eq!(reply.skip(1).next(), (9, Status::Ok));
}

#[tokio::test]
async fn the_number_of_an_open_is_checked_replayed_and_refused() {
    let h = Harness::new();
    let client = h.client40("a").await;
    confirmed(&h, client).await;
    let third = open(&h, client, 3, "g").await;
    third.ok();
    assert_eq!(open(&h, client, 3, "g").await.bytes, third.bytes);
    assert_eq!(open(&h, client, 5, "h").await.status, Status::BadSeqid);
    assert_eq!(open(&h, client, 1, "h").await.status, Status::BadSeqid);
    open(&h, client, 4, "h").await.ok();
}

#[tokio::test]
async fn a_close_is_replayed() {
    let h = Harness::new();
    let client = h.client40("a").await;
    let open = confirmed(&h, client).await;
    let close = |seqid| {
        h.compound(0)
            .putfh(&open.file)
            .close_file(seqid, open.stateid)
    };
    let closed = close(3).run().await;
    closed.ok();
    assert_eq!(close(3).run().await.bytes, closed.bytes);
    assert_eq!(close(5).status().await, Status::BadSeqid);
    let write = h.compound(0).putfh(&open.file);
    let write = write.write_file(open.stateid, "x");
    assert_eq!(write.status().await, Status::BadStateid);
}

#[tokio::test]
async fn the_number_of_a_lock_is_checked_and_replayed() {
    let h = Harness::new();
    let client = h.client40("a").await;
    let open = confirmed(&h, client).await;
    let lock = |seqid| {
        h.compound(0)
            .putfh(&open.file)
            .lock_file((open.stateid, seqid), client, ("l", 0))
    };
    assert_eq!(lock(5).status().await, Status::BadSeqid);
    let locked = lock(3).run().await;
    locked.ok();
    assert_eq!(lock(3).run().await.bytes, locked.bytes);
}

#[tokio::test]
async fn a_client_confirms_itself_and_renews() {
    let h = Harness::new();
    let mut reply = h.compound(0).setclientid("a", 1).run().await;
    let (client, confirm): (ClientId, Verifier) = (reply.ok_body(), reply.body());
    let early = h.compound(0).renew(client);
    assert_eq!(early.status().await, Status::StaleClientid);
    let wrong = h.compound(0).setclientid_confirm(client, Verifier([0; 8]));
    assert_eq!(wrong.status().await, Status::StaleClientid);
    let confirm = || h.compound(0).setclientid_confirm(client, confirm);
    confirm().run().await.ok();
    confirm().run().await.ok();
    h.compound(0).renew(client).run().await.ok();
    let stranger = h.compound(0).renew(ClientId(1));
    assert_eq!(stranger.status().await, Status::StaleClientid);
}

#[tokio::test]
async fn a_blocked_operation_ends_its_compound_and_those_before_it_stand() {
    let h = Harness::with(Settings {
        blocked_operations: vec!["GETFH".into()],
        ..Settings::default()
    });
    let reply = h.compound(0).putrootfh().getfh().putrootfh().run().await;
    assert_eq!((reply.status, reply.count), (Status::Notsupp, 2));
    h.compound(0).putrootfh().getattr().run().await.ok();
}

#[tokio::test]
async fn an_unknown_opcode_is_illegal_and_so_are_those_of_41() {
    let h = Harness::new();
    for number in [0, 2, 53, 58, 59, 10_044, u32::MAX] {
        let compound = h.compound(0).putrootfh().op(number, |_| ());
        let mut reply = compound.run().await;
        assert_eq!((reply.status, reply.count), (Status::OpIllegal, 2));
        assert_eq!(reply.skip(1).next(), (10_044, Status::OpIllegal));
    }
}
