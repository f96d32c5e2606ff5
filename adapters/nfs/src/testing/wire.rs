//! COMPOUNDs over TCP, as a client sends them: record marks, RPC headers, AUTH_SYS.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::{Compound, Harness, Reply};
use crate::workers::Workers;
use crate::xdr::{Reader, Writer};

/// One connection to a server.
pub(crate) struct Wire {
    pub(crate) sending: OwnedWriteHalf,
    pub(crate) receiving: OwnedReadHalf,
    xid: u32,
}

impl Harness {
    /// Accepts connections at the address returned.
    pub(crate) async fn listen(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(Arc::clone(&self.server).accept(listener, Arc::new(Workers::none())));
        address
    }
}

impl Wire {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (receiving, sending) = stream.into_split();
        Self {
            sending,
            receiving,
            xid: 0,
        }
    }

    /// Sends one COMPOUND and waits for its reply.
    pub(crate) async fn call(&mut self, compound: Compound<'_>) -> Reply {
        self.xid += 1;
        let sent = record(self.xid, &compound.bytes());
        self.sending.write_all(&sent).await.unwrap();
        let (xid, reply) = receive(&mut self.receiving).await.unwrap();
        assert_eq!(xid, self.xid);
        reply
    }
}

/// One record with a call of user 1000.
pub(crate) fn record(xid: u32, args: &[u8]) -> Vec<u8> {
    let mut call = Writer::default();
    for word in [xid, 0, 2, 100_003, 4, 1] {
        call.write(&word);
    }
    // AUTH_SYS: stamp, machine, uid, gid, no groups; then AUTH_NONE as the verifier.
    for word in [1_u32, 20, 0, 0, 1000, 1000, 0, 0, 0] {
        call.write(&word);
    }
    call.raw(args);
    let mark = call.position() as u32 | 1 << 31;
    [&mark.to_be_bytes(), call.as_slice()].concat()
}

/// The next reply and its number; `None` at the end of the stream.
pub(crate) async fn receive(from: &mut (impl AsyncReadExt + Unpin)) -> Option<(u32, Reply)> {
    let mark = from.read_u32().await.ok()?;
    assert_ne!(mark & 1 << 31, 0, "a reply is one fragment");
    let mut bytes = vec![0; (mark & !(1 << 31)) as usize];
    from.read_exact(&mut bytes).await.ok()?;
    let bytes = Bytes::from(bytes);
    let mut header = Reader::new(bytes.clone());
    let xid = header.read().unwrap();
    for expected in [1_u32, 0, 0, 0, 0] {
        assert_eq!(header.read::<u32>().unwrap(), expected, "an accepted reply");
    }
    Some((xid, Reply::new(bytes.slice(24..))))
}
