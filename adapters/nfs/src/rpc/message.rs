//! Call and reply headers.
//! <https://www.rfc-editor.org/rfc/rfc5531#section-9>

use bytes::Bytes;
use dittofs_sdk::vfs::Buffer;

use super::{Auth, AuthError, LastSys};
use crate::xdr::{BadXdr, Reader, Writer};

/// NFS.
const PROGRAM: u32 = 100_003;
const VERSION: u32 = 4;
const CALL: u32 = 0;
const REPLY: u32 = 1;
const RPC_VERSION: u32 = 2;

/// A call's header, as far as it could be read.
#[derive(Debug)]
pub struct Header {
    /// Transaction id: the reply repeats it.
    pub xid: u32,
    /// What the call asks for, or why it is refused.
    pub body: Result<Body, Rejection>,
}

/// What a sound call asks for.
#[derive(Debug)]
pub struct Body {
    /// The procedure.
    pub procedure: Procedure,
    /// Whom the caller claims to be.
    pub auth: Auth,
    /// The arguments, not yet read.
    pub args: Bytes,
}

/// The procedures of NFSv4 (RFC 8881 §16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Procedure {
    /// Does nothing.
    Null,
    /// Everything.
    Compound,
}

/// Why a call is refused before its arguments are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// Another version of RPC.
    RpcMismatch,
    /// Credentials are refused.
    Auth(AuthError),
    /// Another program.
    ProgUnavail,
    /// Another version of NFS.
    ProgMismatch,
    /// No such procedure.
    ProcUnavail,
    /// The arguments can't be read.
    GarbageArgs,
}

impl Header {
    /// Reads the header of a record. [`BadXdr`] means that there is nothing to answer: the
    /// record is no call, or ends before its transaction id and type.
    pub fn decode(record: Bytes, last: &mut LastSys) -> Result<Self, BadXdr> {
        let mut reader = Reader::new(record);
        let xid = reader.read()?;
        if reader.read::<u32>()? != CALL {
            return Err(BadXdr);
        }
        let body = Self::decode_body(reader, last).unwrap_or(Err(Rejection::GarbageArgs));
        Ok(Self { xid, body })
    }

    fn decode_body(
        mut reader: Reader,
        last: &mut LastSys,
    ) -> Result<Result<Body, Rejection>, BadXdr> {
        if reader.read::<u32>()? != RPC_VERSION {
            return Ok(Err(Rejection::RpcMismatch));
        }
        let program: u32 = reader.read()?;
        let version: u32 = reader.read()?;
        let procedure: u32 = reader.read()?;
        let auth = Auth::decode(&mut reader, last)?;
        if program != PROGRAM {
            return Ok(Err(Rejection::ProgUnavail));
        }
        if version != VERSION {
            return Ok(Err(Rejection::ProgMismatch));
        }
        let procedure = match procedure {
            0 => Procedure::Null,
            1 => Procedure::Compound,
            _ => return Ok(Err(Rejection::ProcUnavail)),
        };
        let auth = match auth {
            Ok(auth) => auth,
            // NULL is answered to anybody: it is how a flavor is probed (RFC 5531 §12.1).
            Err(_) if procedure == Procedure::Null => Auth::None,
            Err(error) => return Ok(Err(Rejection::Auth(error))),
        };
        Ok(Ok(Body {
            procedure,
            auth,
            args: reader.into_rest(),
        }))
    }
}

/// The transaction id of a record that is a reply: an answer to a callback, which shares its
/// connection with the client's own calls.
pub fn reply_xid(record: &[u8]) -> Option<u32> {
    let (xid, rest) = record.split_first_chunk()?;
    let kind = u32::from_be_bytes(*rest.first_chunk()?);
    (kind == REPLY).then_some(u32::from_be_bytes(*xid))
}

/// Starts an accepted reply: room for the record mark, then the header up to and including
/// SUCCESS.
pub fn begin_reply(buffer: Buffer, xid: u32) -> Buffer {
    accepted(buffer, xid, 0).into_buffer()
}

/// A whole reply that refuses the call, with room for the record mark.
pub fn reject(buffer: Buffer, xid: u32, rejection: Rejection) -> Buffer {
    let mut writer = match rejection {
        Rejection::RpcMismatch => {
            let mut writer = denied(buffer, xid);
            words(&mut writer, [0, RPC_VERSION, RPC_VERSION]);
            writer
        }
        Rejection::Auth(error) => {
            let mut writer = denied(buffer, xid);
            words(&mut writer, [1, error as u32]);
            writer
        }
        Rejection::ProgUnavail => accepted(buffer, xid, 1),
        Rejection::ProgMismatch => accepted(buffer, xid, 2),
        Rejection::ProcUnavail => accepted(buffer, xid, 3),
        Rejection::GarbageArgs => accepted(buffer, xid, 4),
    };
    if rejection == Rejection::ProgMismatch {
        words(&mut writer, [VERSION, VERSION]);
    }
    writer.into_buffer()
}

/// MSG_ACCEPTED with an empty verifier and this accept_stat.
fn accepted(buffer: Buffer, xid: u32, status: u32) -> Writer {
    let mut writer = Writer::new(buffer);
    words(&mut writer, [0, xid, REPLY, 0, 0, 0, status]);
    writer
}

/// MSG_DENIED, up to the reject_stat.
fn denied(buffer: Buffer, xid: u32) -> Writer {
    let mut writer = Writer::new(buffer);
    words(&mut writer, [0, xid, REPLY, 1]);
    writer
}

fn words<const N: usize>(writer: &mut Writer, words: [u32; N]) {
    for word in words {
        writer.write(&word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(words_of_header: &[u32]) -> Header {
        let bytes: Vec<u8> = words_of_header
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .collect();
        Header::decode(Bytes::from(bytes), &mut LastSys::default()).unwrap()
    }

    #[test]
    fn a_null_call_is_accepted() {
        let header = call(&[7, 0, 2, PROGRAM, 4, 0, 0, 0, 0, 0]);
        assert_eq!(header.xid, 7);
        assert_eq!(header.body.unwrap().procedure, Procedure::Null);
    }

    #[test]
    fn what_is_not_offered_is_refused_by_its_own_name() {
        let refused = |words: &[u32]| call(words).body.unwrap_err();
        assert_eq!(
            refused(&[7, 0, 3, PROGRAM, 4, 0, 0, 0, 0, 0]),
            Rejection::RpcMismatch
        );
        assert_eq!(
            refused(&[7, 0, 2, 100_005, 4, 0, 0, 0, 0, 0]),
            Rejection::ProgUnavail
        );
        assert_eq!(
            refused(&[7, 0, 2, PROGRAM, 3, 0, 0, 0, 0, 0]),
            Rejection::ProgMismatch
        );
        assert_eq!(
            refused(&[7, 0, 2, PROGRAM, 4, 2, 0, 0, 0, 0]),
            Rejection::ProcUnavail
        );
        assert_eq!(
            refused(&[7, 0, 2, PROGRAM, 4, 1, 6, 0, 0, 0]),
            Rejection::Auth(AuthError::TooWeak)
        );
        assert_eq!(
            refused(&[7, 0, 2, PROGRAM, 4, 1, 1, 4, 9, 0, 0]),
            Rejection::Auth(AuthError::BadCred)
        );
        assert_eq!(refused(&[7, 0, 2, PROGRAM]), Rejection::GarbageArgs);
    }

    #[test]
    fn a_reply_is_no_call() {
        let bytes: Vec<u8> = [7_u32, 1, 0]
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .collect();
        assert!(Header::decode(Bytes::from(bytes), &mut LastSys::default()).is_err());
    }
}
