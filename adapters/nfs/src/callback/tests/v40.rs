//! 4.0 clients, to which the server connects.

use tokio::net::TcpListener;

use super::*;
use crate::connection::Connection;
use crate::types::Verifier;

/// A 4.0 client that listens for calls, and the connection to it.
pub(crate) async fn client40(w: &World) -> (ClientId, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = introduce(w, 1, listener.local_addr().unwrap()).await;
    let mut peer = Peer::accept(&listener).await;
    assert_eq!(peer.answer_null().await.program, 0x4000_0000);
    w.until(|| w.reaches(client)).await;
    (client, peer)
}

async fn introduce(w: &World, incarnation: u64, service: SocketAddr) -> ClientId {
    let [high, low] = service.port().to_be_bytes();
    let address = format!("127.0.0.1.{high}.{low}");
    let introduction = w.h.compound(0).setclientid_at("a", incarnation, &address);
    let mut reply = introduction.run().await;
    let (client, confirm): (ClientId, Verifier) = (reply.ok_body(), reply.body());
    let confirmed = w.h.compound(0).setclientid_confirm(client, confirm);
    confirmed.run().await.ok();
    client
}

async fn answer_recall40(peer: &mut Peer, status: Status) {
    let mut called = peer.called().await;
    assert_eq!(called.cred.0, 1, "AUTH_SYS, as the client used");
    let frame = [called.word(), called.word(), called.word(), called.word()];
    assert_eq!(frame, [0, 1, 1, 4], "minor version, ident, one CB_RECALL");
    peer.answer(&called, |w| {
        w.write(&status);
        w.write("");
        w.write(&1_u32);
        w.write(&4_u32);
        w.write(&status);
    })
    .await;
}

#[tokio::test]
async fn a_client_of_4_0_is_called_at_its_address_with_its_mark() {
    let w = World::with(60).await;
    let (client, mut peer) = client40(&w).await;
    let answer = w.call(client, recall());
    answer_recall40(&mut peer, Status::Ok).await;
    assert_eq!(answer.await.unwrap(), Ok(Answer::Done));

    let answer = w.call(client, recall());
    answer_recall40(&mut peer, Status::Delay).await;
    answer_recall40(&mut peer, Status::Ok).await;
    assert_eq!(answer.await.unwrap(), Ok(Answer::Done));
}

#[tokio::test]
async fn a_client_of_4_0_is_called_by_ipv6() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        return;
    };
    let w = World::with(60).await;
    let service = listener.local_addr().unwrap();
    let here = SocketAddr::new(service.ip(), 1);
    let h = Harness {
        connection: Arc::new(Connection::new(here, here)),
        ..w.h.reconnected()
    };
    let [high, low] = service.port().to_be_bytes();
    let introduction = h.compound(0).op(35, |w| {
        w.write(&1_u64);
        w.write("six");
        w.write(&0x4000_0000_u32);
        w.write("tcp6");
        w.write(format!("::1.{high}.{low}").as_str());
        w.write(&1_u32);
    });
    let mut reply = introduction.run().await;
    let (client, confirm): (ClientId, Verifier) = (reply.ok_body(), reply.body());
    h.compound(0)
        .setclientid_confirm(client, confirm)
        .run()
        .await
        .ok();
    let mut peer = Peer::accept(&listener).await;
    peer.answer_null().await;
    let answer = w.call(client, recall());
    answer_recall40(&mut peer, Status::Ok).await;
    assert_eq!(answer.await.unwrap(), Ok(Answer::Done));
}

#[tokio::test]
async fn a_lost_connection_to_a_client_of_4_0_is_made_again_when_it_is_needed() {
    let w = World::with(60).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = introduce(&w, 1, listener.local_addr().unwrap()).await;
    Peer::accept(&listener).await.answer_null().await;
    w.until(|| w.reaches(client)).await;
    let answer = w.call(client, recall());
    let mut peer = Peer::accept(&listener).await;
    peer.answer_null().await;
    answer_recall40(&mut peer, Status::Ok).await;
    assert_eq!(answer.await.unwrap(), Ok(Answer::Done));
}

#[tokio::test]
async fn callbacks_move_with_the_client_and_end_with_it() {
    let w = World::with(60).await;
    let (client, mut before) = client40(&w).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    assert_eq!(
        introduce(&w, 1, listener.local_addr().unwrap()).await,
        client
    );
    let mut after = Peer::accept(&listener).await;
    after.answer_null().await;
    w.until(|| w.reaches(client)).await;
    assert!(before.is_ended().await);
    let answer = w.call(client, recall());
    answer_recall40(&mut after, Status::Ok).await;
    assert_eq!(answer.await.unwrap(), Ok(Answer::Done));

    let replaced = introduce(&w, 2, listener.local_addr().unwrap()).await;
    assert_ne!(replaced, client);
    assert!(after.is_ended().await);
}

/// OPEN of `/export/NAME` for reading, created if need be; its stateid.
async fn open40(w: &World, client: ClientId, number: u32, name: &str) -> StateId {
    let compound = w.h.compound(0).putrootfh().lookup("export").op(18, |w| {
        for word in [number, 1, 0] {
            w.write(&word);
        }
        w.write(&client);
        w.write("owner");
        for word in [1_u32, 0, 0, 0, 0] {
            w.write(&word);
        }
        w.write(name);
    });
    let mut reply = compound.run().await;
    reply.skip(2).ok_body()
}

#[tokio::test]
async fn who_has_delegations_and_can_not_be_called_learns_so_from_renew() {
    let w = World::new().await;
    w.h.server.set_settings(Settings {
        callback_timeout: 1,
        ..Settings::default()
    });
    let (client, peer) = client40(&w).await;
    let first = open40(&w, client, 1, "first").await;
    let confirm = w.h.compound(0).putrootfh().lookup("export").lookup("first");
    let confirm = confirm.op(20, |w| {
        w.write(&first);
        w.write(&2_u32);
    });
    confirm.run().await.ok();
    open40(&w, client, 3, "second").await;
    assert!(w.h.server.state.files.has_delegation(client));
    let renew = || w.h.compound(0).renew(client).status();
    assert_eq!(renew().await, Status::Ok);
    drop(peer);
    // Nobody knows of it before the next call, and nobody listens any more.
    let call = w.call(client, recall()).await.unwrap();
    assert_eq!(call, Err(Failure::NoPath));
    assert_eq!(renew().await, Status::CbPathDown);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    introduce(&w, 1, listener.local_addr().unwrap()).await;
    assert_eq!(renew().await, Status::Ok, "not known to be down any more");
    Peer::accept(&listener).await.answer_null().await;
    w.until(|| w.reaches(client)).await;
    assert_eq!(renew().await, Status::Ok);
}

#[tokio::test]
async fn an_address_where_nobody_is_costs_nobody_anything() {
    let w = World::new().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    drop(closed);
    let refused = introduce(&w, 1, address).await;
    assert!(!w.reaches(refused));
    let call = w.call(refused, recall()).await.unwrap();
    assert_eq!(call, Err(Failure::NoPath));
    // Connected, and no answer.
    let silenced = introduce(&w, 3, silent.local_addr().unwrap()).await;
    let call = w.call(silenced, recall()).await.unwrap();
    assert_eq!(call, Err(Failure::NoPath));
    assert!(!w.reaches(silenced));
}

#[tokio::test]
async fn without_an_address_there_are_no_callbacks() {
    let w = World::new().await;
    let client = w.h.client40("a").await;
    assert!(!w.reaches(client));
    let call = w.call(client, recall()).await.unwrap();
    assert_eq!(call, Err(Failure::NoPath));
}
