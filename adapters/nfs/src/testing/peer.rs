//! A client that can be called: both directions of one connection, message by message.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Compound, Reply, record};
use crate::xdr::{Reader, Writer};

/// The client's end of a connection.
pub(crate) struct Peer {
    stream: TcpStream,
    xid: u32,
}

/// A call of the server.
#[derive(Debug)]
pub(crate) struct Called {
    xid: u32,
    pub(crate) program: u32,
    pub(crate) procedure: u32,
    /// Flavor and body of the credential.
    pub(crate) cred: (u32, Bytes),
    /// The arguments of CB_COMPOUND, from the minor version on.
    pub(crate) args: Reader,
}

impl Peer {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        Self { stream, xid: 1000 }
    }

    /// The server connects.
    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        Self { stream, xid: 1000 }
    }

    /// Sends a COMPOUND; its reply must be the next message.
    pub(crate) async fn ask(&mut self, compound: Compound<'_>) -> Reply {
        self.xid += 1;
        let sent = record(self.xid, &compound.bytes());
        self.stream.write_all(&sent).await.unwrap();
        let message = self.message().await.expect("a reply");
        let mut header = Reader::new(message.clone());
        for expected in [self.xid, 1, 0, 0, 0, 0] {
            assert_eq!(header.read::<u32>().unwrap(), expected, "its reply");
        }
        Reply::new(message.slice(24..))
    }

    /// The next message, which must be a call.
    pub(crate) async fn called(&mut self) -> Called {
        let mut reader = Reader::new(self.message().await.expect("a call"));
        let mut word = || reader.read::<u32>().unwrap();
        let (xid, kind, rpc, program, version) = (word(), word(), word(), word(), word());
        assert_eq!((kind, rpc, version), (0, 2, 1));
        let procedure = word();
        let cred = (reader.read().unwrap(), reader.read().unwrap());
        assert_eq!(reader.fixed::<8>().unwrap(), [0; 8], "no verifier");
        if procedure == 1 {
            assert_eq!(reader.read::<Bytes>().unwrap(), "", "no tag");
        }
        Called {
            xid,
            program,
            procedure,
            cred,
            args: reader,
        }
    }

    /// Answers a call with SUCCESS and these results.
    pub(crate) async fn answer(&mut self, called: &Called, results: impl FnOnce(&mut Writer)) {
        let mut reply = Writer::default();
        for word in [called.xid, 1, 0, 0, 0, 0] {
            reply.write(&word);
        }
        results(&mut reply);
        let mark = reply.position() as u32 | 1 << 31;
        let bytes = [&mark.to_be_bytes(), reply.as_slice()].concat();
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// Refuses a call with this accept_stat.
    pub(crate) async fn refuse(&mut self, called: &Called, status: u32) {
        let reply: [u32; 6] = [called.xid, 1, 0, 0, 0, status];
        let words = std::iter::once(&0x8000_0018).chain(&reply);
        let bytes: Vec<u8> = words.flat_map(|word| word.to_be_bytes()).collect();
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// Answers CB_NULL, which must be the next message.
    pub(crate) async fn answer_null(&mut self) -> Called {
        let called = self.called().await;
        assert_eq!((called.procedure, called.cred.0), (0, 0));
        self.answer(&called, |_| ()).await;
        called
    }

    async fn message(&mut self) -> Option<Bytes> {
        let mark = self.stream.read_u32().await.ok()?;
        assert_ne!(mark & 1 << 31, 0, "a message is one fragment");
        let mut bytes = vec![0; (mark & !(1 << 31)) as usize];
        self.stream.read_exact(&mut bytes).await.ok()?;
        Some(bytes.into())
    }

    /// Whether the server ends the connection.
    pub(crate) async fn is_ended(&mut self) -> bool {
        self.message().await.is_none()
    }
}

impl Called {
    /// More of the arguments.
    pub(crate) fn word(&mut self) -> u32 {
        self.args.read().unwrap()
    }
}
