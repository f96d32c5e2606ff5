//! Both minor versions at once: shared operations, separate state. RFC 8881 §2.7.

use crate::status::Status;
use crate::testing::{Client41, Harness, Wire};
use crate::types::{ClientId, FileHandle, StateId};

#[tokio::test]
async fn a_connection_may_begin_with_40_and_go_on_with_41() {
    let h = Harness::new();
    let mut wire = Wire::connect(h.listen().await).await;
    wire.call(h.compound(0).putrootfh().getattr()).await.ok();
    let exchange = h.compound(1).exchange_id("a", 1, 0);
    let mut reply = wire.call(exchange).await;
    let (client, number): (ClientId, u32) = (reply.ok_body(), reply.body());
    let create = h
        .compound(1)
        .create_session(client, number, &crate::testing::Channel::default());
    let session = wire.call(create).await.ok_body();
    let client = Client41::new(&h, client, session);
    wire.call(client.compound().reclaim_complete()).await.ok();
    wire.call(client.compound().putrootfh().getattr())
        .await
        .ok();
    wire.call(h.compound(0).putrootfh().getattr()).await.ok();
}

#[tokio::test]
async fn both_see_the_same_files_under_the_same_handles() {
    let h = Harness::new();
    let client = h.client41("a").await;
    let made = client
        .compound()
        .putrootfh()
        .lookup("export")
        .create_dir("d");
    made.run().await.ok();
    let of_40 = h.compound(0).putrootfh().lookup("export").lookup("d");
    let of_41 = client.compound().putrootfh().lookup("export").lookup("d");
    let handle: FileHandle = of_40.getfh().run().await.skip(3).ok_body();
    let same: FileHandle = of_41.getfh().run().await.skip(3).ok_body();
    assert_eq!(handle, same);
    let attr_40 = h.compound(0).putfh(&handle).getattr().run().await;
    let attr_41 = client.compound().putfh(&handle).getattr().run().await;
    attr_40.ok();
    let body = attr_40.bytes.len() - 16 - 8..;
    assert_eq!(
        attr_40.bytes[body],
        attr_41.bytes[attr_41.bytes.len() - 16 - 8..]
    );
}

#[tokio::test]
async fn an_owner_of_41_has_no_numbers_whatever_it_sends() {
    let h = Harness::new();
    let client = h.client41("a").await;
    for (i, seqid) in [77, 0, 77, u32::MAX, 3].into_iter().enumerate() {
        let name = format!("f{i}");
        let open = client.compound().putrootfh().lookup("export");
        let open = open.open_file(ClientId(u64::from(seqid)), seqid, "owner", &name);
        let mut reply = open.getfh().run().await;
        let stateid: StateId = reply.skip(2).ok_body();
        let file = client.compound().putrootfh().lookup("export").lookup(&name);
        let file: FileHandle = file.getfh().run().await.skip(3).ok_body();
        let close = client.compound().putfh(&file).close_file(seqid, stateid);
        close.run().await.ok();
    }
}

#[tokio::test]
async fn minors_may_alternate_and_neither_disturbs_the_other() {
    let h = Harness::new();
    let (old, new) = (h.client40("a").await, h.client41("a").await);
    let mut wire = Wire::connect(h.listen().await).await;
    for round in 0..100_u32 {
        wire.call(h.compound(0).renew(old)).await.ok();
        wire.call(new.compound().putrootfh().getattr()).await.ok();
        let renew = new.compound().renew(old);
        assert_eq!(wire.call(renew).await.status, Status::Notsupp, "{round}");
        let sequence = h.compound(0).sequence(new.session, round, 0, false);
        assert_eq!(wire.call(sequence).await.status, Status::OpIllegal);
    }
}

#[tokio::test]
async fn a_stateid_is_never_valid_for_a_client_of_the_other_minor() {
    let h = Harness::new();
    let (old, new) = (h.client40("a").await, h.client41("a").await);
    assert_ne!(old, new.id);

    let open = h.compound(0).putrootfh().lookup("export");
    let open = open.open_file(old, 1, "owner", "f");
    let unconfirmed: StateId = open.run().await.skip(2).ok_body();
    let handle = h.compound(0).putrootfh().lookup("export").lookup("f");
    let file: FileHandle = handle.getfh().run().await.skip(3).ok_body();
    let confirm = h.compound(0).putfh(&file).open_confirm(unconfirmed, 2);
    let of_40: StateId = confirm.run().await.skip(1).ok_body();
    let open = new.compound().putrootfh().lookup("export");
    let open = open.open_file(ClientId(0), 0, "owner", "f");
    let of_41: StateId = open.run().await.skip(2).ok_body();

    let write_40 = |stateid| h.compound(0).putfh(&file).write_file(stateid, "x");
    let write_41 = |stateid| new.compound().putfh(&file).write_file(stateid, "x");
    assert_eq!(write_40(of_41).status().await, Status::BadStateid);
    assert_eq!(write_41(of_40).status().await, Status::BadStateid);
    let close_40 = h.compound(0).putfh(&file).close_file(3, of_41);
    assert_eq!(close_40.status().await, Status::BadStateid);
    let close_41 = new.compound().putfh(&file).close_file(0, of_40);
    assert_eq!(close_41.status().await, Status::BadStateid);
    write_40(of_40).run().await.ok();
    write_41(of_41).run().await.ok();
}
