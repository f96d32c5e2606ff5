//! 4.2 is 4.1 with more operations and attributes: what is its own, and what it shares. RFC 7862 §2.

use crate::status::Status;
use crate::table::{Minors, ROWS};
use crate::testing::{Channel, Client41, Harness};
use crate::types::{ClientId, SessionId};

const GETDEVICELIST: u32 = 48;

#[tokio::test]
async fn an_operation_of_a_higher_minor_version_is_unknown_in_a_lower_one() {
    let h = Harness::new();
    let of_41 = h.client41("a").await;
    let of_42 = h.client42("b").await;
    for row in ROWS.iter().filter(|row| row.minors == Minors::From42) {
        // It comes without arguments: who knows it, finds that they are missing.
        let in_40 = h.compound(0).putrootfh().op(row.number, |_| ());
        let in_41 = of_41.compound().putrootfh().op(row.number, |_| ());
        let in_42 = of_42.compound().putrootfh().op(row.number, |_| ());
        assert_eq!(in_40.status().await, Status::OpIllegal, "{}", row.name);
        assert_eq!(in_41.status().await, Status::OpIllegal, "{}", row.name);
        assert_eq!(in_42.status().await, Status::Badxdr, "{}", row.name);
    }
}

#[tokio::test]
async fn what_4_2_must_not_have_is_not_supported() {
    let h = Harness::new();
    let client = h.client42("a").await;
    for row in ROWS {
        if matches!(row.minors, Minors::Only40 | Minors::Only41) {
            let compound = client.compound().putrootfh().op(row.number, |_| ());
            assert_eq!(compound.status().await, Status::Notsupp, "{}", row.name);
        }
    }
    // Whether its arguments can be read or not.
    let whole = client.compound().putrootfh().op(GETDEVICELIST, |w| {
        w.raw(&[0; 24]);
    });
    assert_eq!(whole.status().await, Status::Notsupp);
}

#[tokio::test]
async fn a_session_is_unknown_in_every_minor_version_but_its_own() {
    let h = Harness::new();
    let sessions = [h.client41("a").await.session, h.client42("b").await.session];
    for (own, session) in [1, 2].into_iter().zip(sessions) {
        let other = 3 - own;
        let sequence = h.compound(other).sequence(session, 2, 0, false);
        assert_eq!(sequence.status().await, Status::Badsession);
        let end = h.compound(other).destroy_session(session);
        assert_eq!(end.status().await, Status::Badsession);
        let bind = h.compound(other).op(41, |w| {
            w.write(&session);
            w.write(&1_u32);
            w.write(&false);
        });
        assert_eq!(bind.status().await, Status::Badsession);
        // Nothing of that has touched its slot.
        let sequence = h.compound(own).sequence(session, 2, 0, false);
        sequence.run().await.ok();
    }
}

#[tokio::test]
async fn a_client_is_the_same_in_4_1_and_4_2_and_has_sessions_in_both() {
    let h = Harness::new();
    let of_41 = h.client41("a").await;
    let mut again = h.compound(2).exchange_id("a", 1, 0).run().await;
    let (id, number): (ClientId, u32) = (again.ok_body(), again.body());
    assert_eq!(id, of_41.id);
    let create = h.compound(2);
    let create = create.create_session(id, number, &Channel::default());
    let session: SessionId = create.run().await.ok_body();
    let of_42 = h.compound(2).sequence(session, 1, 0, true).putrootfh();
    of_42.run().await.ok();
    // What it opened in one it knows in the other, as any two sessions of a client do.
    let open = of_41.compound().putrootfh().lookup("export");
    let mut opened = open.open_file(id, 0, "owner", "f").run().await;
    let stateid: crate::types::StateId = opened.skip(2).ok_body();
    let write = h.compound(2).sequence(session, 2, 0, true).putrootfh();
    let write = write.lookup("export").lookup("f").write_file(stateid, "x");
    write.run().await.ok();
    // A new incarnation takes all of it away, whichever minor version it comes in.
    let mut reborn = h.compound(2).exchange_id("a", 2, 0).run().await;
    let (id, number) = (reborn.ok_body(), reborn.body());
    let create = h.compound(2);
    let create = create.create_session(id, number, &Channel::default());
    create.run().await.ok();
    let lost: &Client41<'_> = &of_41;
    assert_eq!(lost.compound().status().await, Status::Badsession);
}
