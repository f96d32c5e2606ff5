//! Connections and sessions are many to many (RFC 8881 §2.10.3.1): one session over several
//! connections, as with nconnect, and several sessions and clients over one connection.

use crate::status::Status;
use crate::testing::{Client41, Compound, Harness};
use crate::types::{ClientId, SessionId, StateId};

const READ: u32 = 25;

fn make<'h>(compound: Compound<'h>, name: &str) -> Compound<'h> {
    compound.putrootfh().lookup("export").create_dir(name)
}

async fn opened(client: &Client41<'_>, owner: &str) -> StateId {
    let open = client.compound().putrootfh().lookup("export");
    let open = open.open_file(client.id, 0, owner, "f");
    open.run().await.skip(2).ok_body()
}

fn read(compound: Compound<'_>, stateid: StateId) -> Compound<'_> {
    let file = compound.putrootfh().lookup("export").lookup("f");
    file.op(READ, |w| {
        w.write(&stateid);
        w.write(&0_u64);
        w.write(&1_u32);
    })
}

#[tokio::test]
async fn one_session_over_many_connections_is_one_session() {
    let h = Harness::new();
    let client = h.client41("a").await;
    let stateid = opened(&client, "owner").await;
    let connections: Vec<Harness> = (0..4).map(|_| h.reconnected()).collect();
    for (slot, connection) in (1..).zip(&connections) {
        let at = |number| {
            let compound = connection.compound(1);
            compound.sequence(client.session, number, slot, true)
        };
        let first = make(at(1), &format!("d{slot}")).run().await;
        first.ok();
        // State belongs to the client, and so to all its connections.
        read(at(2), stateid).run().await.ok();
        make(at(3), &format!("e{slot}")).run().await.ok();
    }
    // A retry finds its slot wherever it comes in, each slot has a count of its own.
    for (slot, connection) in (1..).zip(connections.iter().rev()) {
        let again = connection.compound(1);
        let again = again.sequence(client.session, 3, slot, true);
        make(again, &format!("e{slot}")).run().await.ok();
    }
    // Each of them has become one of the session's, and may end it.
    let end = connections[2].compound(1).destroy_session(client.session);
    end.run().await.ok();
    let gone = connections[0].compound(1);
    let gone = gone.sequence(client.session, 4, 1, false);
    assert_eq!(gone.status().await, Status::Badsession);
}

#[tokio::test]
async fn a_connection_of_the_session_that_closes_leaves_the_others() {
    let h = Harness::new();
    let client = h.client41("a").await;
    let other = h.reconnected();
    let join = other.compound(1).sequence(client.session, 1, 1, false);
    join.run().await.ok();
    h.server.state.disconnected(&h.connection.link);
    let at = |number| other.compound(1).sequence(client.session, number, 1, false);
    at(2).run().await.ok();
    // The closed one would have to join again.
    let end = h.compound(1).destroy_session(client.session);
    assert_eq!(end.status().await, Status::ConnNotBoundToSession);
    let end = other.compound(1).destroy_session(client.session);
    end.run().await.ok();
}

#[tokio::test]
async fn one_connection_carries_sessions_and_clients_that_do_not_see_each_other() {
    let h = Harness::new();
    let (a, b) = (h.client41("a").await, h.client41("b").await);
    // A second session of the first client: its own slots, the same state.
    let number = h.exchange_id("a", 1).await.1;
    let second: SessionId = h.create_session(a.id, number).await;
    let second = Client41::new(&h, a.id, second);
    let stateid = opened(&a, "owner").await;
    read(second.compound(), stateid).run().await.ok();
    assert_eq!(
        read(b.compound(), stateid).status().await,
        Status::BadStateid
    );
    // An owner of the same name is another client's own, whatever client id it writes.
    let other = b.compound().putrootfh().lookup("export");
    let other = other.open_file(ClientId(a.id.0), 0, "owner", "f");
    let other: StateId = other.run().await.skip(2).ok_body();
    assert_ne!(other.other, stateid.other);
    assert_eq!(read(a.compound(), other).status().await, Status::BadStateid);

    let end = a.compound().destroy_session(a.session);
    end.run().await.ok();
    assert_eq!(a.compound().status().await, Status::Badsession);
    read(second.compound(), stateid).run().await.ok();
    read(b.compound(), other).run().await.ok();
    let busy = h.compound(1).destroy_clientid(a.id);
    assert_eq!(busy.status().await, Status::ClientidBusy);
}
