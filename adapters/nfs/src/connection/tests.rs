use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::exports::Exports;
use crate::identity::Identity;
use crate::metrics::Metrics;
use crate::server::Server;
use crate::settings::Settings;
use crate::types::ClientId;
use crate::workers::Workers;

#[test]
fn one_client_is_told_from_several() {
    let users = super::Users::default();
    assert_eq!(users.only(), None);
    users.note(ClientId(7));
    users.note(ClientId(7));
    assert_eq!(users.only(), Some(ClientId(7)));
    users.note(ClientId(8));
    users.note(ClientId(7));
    assert_eq!(users.only(), None);
}

async fn serve(settings: Settings) -> (Arc<Server>, SocketAddr) {
    let shares: dittofs_sdk::Shares = Arc::from([]);
    let identity = Identity::new(uuid::Uuid::nil(), 1);
    let server = Server::new(
        settings,
        Exports::new(&shares),
        identity,
        Metrics::default(),
    );
    let server = Arc::new(server);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(Arc::clone(&server).accept(listener, Arc::new(Workers::none())));
    (server, address)
}

/// One record that holds these words.
fn record(words: &[u32]) -> Vec<u8> {
    let mark = (words.len() * 4) as u32 | 1 << 31;
    std::iter::once(&mark)
        .chain(words)
        .flat_map(|word| word.to_be_bytes())
        .collect()
}

fn null_call(xid: u32) -> Vec<u8> {
    record(&[xid, 0, 2, 100_003, 4, 0, 0, 0, 0, 0])
}

async fn reply(stream: &mut TcpStream) -> Vec<u32> {
    let mark = stream.read_u32().await.unwrap();
    assert_ne!(mark & 1 << 31, 0, "a reply is one fragment");
    let mut words = Vec::new();
    for _ in 0..(mark & !(1 << 31)) / 4 {
        words.push(stream.read_u32().await.unwrap());
    }
    words
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0]).await, Ok(0) | Err(_))
}

#[tokio::test]
async fn a_batch_of_calls_is_answered_in_order() {
    let (_server, address) = serve(Settings::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let batch: Vec<u8> = (0..1000).flat_map(null_call).collect();
    stream.write_all(&batch).await.unwrap();
    for xid in 0..1000 {
        assert_eq!(reply(&mut stream).await, [xid, 1, 0, 0, 0, 0]);
    }
}

#[tokio::test]
async fn a_call_cut_anywhere_is_answered_once_complete() {
    let (_server, address) = serve(Settings::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let call = null_call(7);
    for cut in 1..call.len() {
        stream.write_all(&call[..cut]).await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(&call[cut..]).await.unwrap();
        assert_eq!(reply(&mut stream).await, [7, 1, 0, 0, 0, 0]);
    }
}

#[tokio::test]
async fn what_is_no_call_or_too_large_ends_the_connection_and_no_other() {
    let (_server, address) = serve(Settings::default()).await;
    let mut good = TcpStream::connect(address).await.unwrap();
    for bad in [record(&[7, 1, 0]), record(&[7]), vec![0xff; 8]] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&bad).await.unwrap();
        assert!(is_closed(&mut stream).await, "{bad:?}");
    }
    good.write_all(&null_call(1)).await.unwrap();
    assert_eq!(reply(&mut good).await[0], 1);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_stops_in_a_record_is_cut_off_and_an_idle_one_is_not() {
    let (_server, address) = serve(Settings::default()).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    let mut stuck = TcpStream::connect(address).await.unwrap();
    stuck.write_all(&null_call(1)[..10]).await.unwrap();
    assert!(is_closed(&mut stuck).await);
    idle.write_all(&null_call(2)).await.unwrap();
    assert_eq!(reply(&mut idle).await[0], 2);
}

#[tokio::test]
async fn a_sender_that_trickles_does_not_win_time() {
    let settings = Settings {
        record_timeout: 1,
        ..Settings::default()
    };
    let (_server, address) = serve(settings).await;
    let mut slow = TcpStream::connect(address).await.unwrap();
    let mark = 0x8000_1000_u32.to_be_bytes();
    for byte in mark.into_iter().chain(std::iter::repeat_n(0, 50)) {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        if slow.write_all(&[byte]).await.is_err() {
            return;
        }
    }
    assert!(is_closed(&mut slow).await);
}

#[tokio::test]
async fn one_connection_too_many_is_turned_away() {
    let (_server, address) = serve(Settings {
        max_connections: 1,
        ..Settings::default()
    })
    .await;
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(&null_call(1)).await.unwrap();
    reply(&mut first).await;
    let mut second = TcpStream::connect(address).await.unwrap();
    assert!(is_closed(&mut second).await);
}

#[tokio::test]
async fn draining_ends_idle_connections() {
    let (server, address) = serve(Settings::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&null_call(1)).await.unwrap();
    reply(&mut stream).await;
    server.drain(std::time::Duration::from_secs(30)).await;
    assert!(is_closed(&mut stream).await);
}
