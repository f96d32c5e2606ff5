//! The smallest client: COMPOUNDs by hand. Longer ones are put together by [`Operations`].

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Result, ensure};

use crate::operations::{Operations, Results};
use crate::site::PATIENCE;

/// NFS4ERR_MINOR_VERS_MISMATCH
pub const MINOR_VERS_MISMATCH: u32 = 10_021;

const PUTROOTFH: u32 = 24;
const EXCHANGE_ID: u32 = 42;
const SEQUENCE: u32 = 53;

/// A connection of user 0.
pub struct Client {
    stream: TcpStream,
    xid: u32,
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// Of the COMPOUND.
    pub status: u32,
    /// As it was sent, if all is well.
    pub tag: String,
    /// Number of results.
    pub results: u32,
}

impl Client {
    /// Connects to a server.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, xid: 0 })
    }

    /// PUTROOTFH in 4.0.
    pub fn v40(&mut self) -> Result<Answer> {
        self.compound(0, &[PUTROOTFH])
    }

    /// EXCHANGE_ID in 4.1.
    pub fn v41(&mut self) -> Result<Answer> {
        self.introduce(1)
    }

    /// EXCHANGE_ID in 4.2.
    pub fn v42(&mut self) -> Result<Answer> {
        self.introduce(2)
    }

    fn introduce(&mut self, minor: u32) -> Result<Answer> {
        // Verifier, the owner "me", no flags, SP4_NONE, no implementation id.
        let owner = u32::from_be_bytes(*b"me\0\0");
        self.compound(minor, &[EXCHANGE_ID, 0, 1, 2, owner, 0, 0, 0])
    }

    /// SEQUENCE in a session that there is not.
    pub fn lost_session(&mut self) -> Result<Answer> {
        self.compound(1, &[SEQUENCE, 1, 2, 3, 4, 1, 0, 0, 0])
    }

    /// One operation, with its arguments, as words.
    pub fn compound(&mut self, minor: u32, operation: &[u32]) -> Result<Answer> {
        self.send(minor, 1, &bytes(operation))?;
        let mut reply = self.receive()?;
        let status = reply.word()?;
        let tag = String::from_utf8(reply.opaque()?)?;
        Ok(Answer {
            status,
            tag,
            results: reply.word()?,
        })
    }

    /// Several operations, of which all but the last must succeed; the status of that, and its
    /// results.
    pub fn run(&mut self, minor: u32, operations: &Operations) -> Result<(u32, Results)> {
        self.send(minor, operations.count(), operations.bytes())?;
        let mut reply = self.receive()?;
        let (status, _tag, results) = (reply.word()?, reply.opaque()?, reply.word()?);
        ensure!(
            results == operations.count(),
            "status {status} after {results} of {} operations",
            operations.count()
        );
        Ok((status, reply))
    }

    fn send(&mut self, minor: u32, count: u32, operations: &[u8]) -> Result<()> {
        self.xid += 1;
        // A call of NFSv4 COMPOUND with AUTH_SYS as root; then the tag, the minor version, the count.
        let mut words = vec![self.xid, 0, 2, 100_003, 4, 1];
        words.extend([1, 20, 0, 0, 0, 0, 0, 0, 0]);
        words.extend([4, u32::from_be_bytes(*b"echo"), minor, count]);
        let mark = (words.len() * 4 + operations.len()) as u32 | 1 << 31;
        let head = [&[mark], words.as_slice()].concat();
        self.stream
            .write_all(&[&bytes(&head), operations].concat())?;
        Ok(())
    }

    /// The reply to the last call, after its header.
    fn receive(&mut self) -> Result<Results> {
        let length = self.word()? & !(1 << 31);
        let mut record = vec![0; length as usize];
        self.stream.read_exact(&mut record)?;
        let mut reply = Results::new(record);
        for expected in [self.xid, 1, 0, 0, 0, 0] {
            let word = reply.word()?;
            ensure!(word == expected, "{word} in the header, not {expected}");
        }
        Ok(reply)
    }

    fn word(&mut self) -> Result<u32> {
        let mut word = [0; 4];
        self.stream.read_exact(&mut word)?;
        Ok(u32::from_be_bytes(word))
    }
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}
