//! Reading a COMPOUND: tag, minor version, operations.

use bytes::Bytes;

use crate::table::Op;
use crate::types::Minor;
use crate::xdr::{BadXdr, Reader};

/// The client's words for its own log; echoed, never looked at.
pub type Tag = Bytes;

/// More operations than this are not read, whatever the settings say.
const MAX_OPS: usize = 1024;

/// COMPOUND4args.
#[derive(Debug)]
pub struct Request {
    /// Echoed in the reply.
    pub tag: Tag,
    /// As the client wrote it; may be one that is not built.
    pub minor: u32,
    /// How many operations the client says there are.
    pub announced: usize,
    /// The operations, up to the first that can't be read.
    pub ops: Vec<Op>,
}

impl Request {
    /// Reads the arguments. Only tag, minor version and the count must be sound for there to be a
    /// reply; a bad operation fails when its turn comes.
    pub fn decode(args: Bytes) -> Result<Self, BadXdr> {
        let mut reader = Reader::new(args);
        let tag = reader.opaque(usize::MAX)?;
        let number: u32 = reader.read()?;
        let announced = reader.read::<u32>()? as usize;
        let mut ops = Vec::new();
        if let Some(minor) = Minor::from_number(number) {
            // Every operation takes at least four bytes.
            let expected = announced.min(MAX_OPS).min(reader.remaining() / 4);
            ops.reserve(expected);
            while ops.len() < announced.min(MAX_OPS) {
                let op = Op::decode(minor, &mut reader)?;
                let last = op.ends_decoding();
                ops.push(op);
                if last {
                    break;
                }
            }
        }
        Ok(Self {
            tag,
            minor: number,
            announced,
            ops,
        })
    }

    /// The most bytes that its results may have, the limits of the session and the settings apart.
    pub fn most_reply(&self) -> usize {
        let rooms = self.ops.iter().map(Op::reply_room);
        rooms.fold(0, usize::saturating_add)
    }
}
