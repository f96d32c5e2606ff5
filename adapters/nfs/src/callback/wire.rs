//! Callbacks as bytes: the call that is sent, the reply that comes back.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-20>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-15>,
//! RPC: <https://www.rfc-editor.org/rfc/rfc5531#section-9>

use bytes::Bytes;

use super::{Answer, Call, Offloaded, Referral};
use crate::attr::FAttr;
use crate::ops::write::Stable;
use crate::rpc::CallbackCred;
use crate::status::Status;
use crate::types::{Minor, SessionId};
use crate::xdr::{BadXdr, Decode, Encode, Reader, Writer, xdr_struct};

const CALL: u32 = 0;
const REPLY: u32 = 1;
const RPC_VERSION: u32 = 2;
/// Version of the callback program. It is 1 for any minor version (RFC 7531, RFC 5662), which
/// stands in the COMPOUND.
const PROGRAM_VERSION: u32 = 1;
const CB_NULL: u32 = 0;
const CB_COMPOUND: u32 = 1;
/// Longest verifier of a reply.
const BODY_MAX: usize = 400;

const CB_GETATTR: u32 = 3;
const CB_RECALL: u32 = 4;
const CB_RECALL_ANY: u32 = 8;
const CB_SEQUENCE: u32 = 11;
const CB_NOTIFY_LOCK: u32 = 13;
const CB_OFFLOAD: u32 = 15;

/// The place of a callback in its session.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The session.
    pub(super) session: SessionId,
    /// The minor version of the session.
    pub(super) minor: Minor,
    /// Slot of the back channel.
    pub(super) slot: u32,
    /// Number in the slot.
    pub(super) number: u32,
    /// Highest slot with a callback outstanding.
    pub(super) highest: u32,
    /// Requests of the client whose replies it may not have seen yet, and that this callback
    /// speaks of the result of.
    pub(super) referrals: Vec<Referral>,
}

/// What a COMPOUND of callbacks says of itself.
#[derive(Debug, Clone)]
pub(super) enum Frame {
    /// 4.0: the mark that SETCLIENTID gave.
    V40 {
        /// callback_ident
        ident: u32,
    },
    /// 4.1: where in the session it stands.
    Session(Place),
}

/// CB_NULL as a record, with room for the transaction id. Credentials are none: the flavor that a client
/// accepts on CB_COMPOUND it may refuse here (Linux does).
pub(super) fn null(program: u32) -> Vec<u8> {
    let mut writer = header(program, CB_NULL, &CallbackCred::Nobody);
    mark(&mut writer)
}

/// CB_COMPOUND as such a record, with this operation, or in a session with CB_SEQUENCE alone.
pub(super) fn compound(
    program: u32,
    cred: &CallbackCred,
    frame: &Frame,
    call: Option<&Call>,
) -> Vec<u8> {
    let mut writer = header(program, CB_COMPOUND, cred);
    writer.write("");
    let (minor, ident) = match frame {
        Frame::V40 { ident } => (Minor::V40, *ident),
        // "MUST be ignored" (RFC 8881 §20.2.3).
        Frame::Session(place) => (place.minor, 0),
    };
    writer.write(&(minor as u32));
    writer.write(&ident);
    let sequence = u32::from(matches!(frame, Frame::Session(_)));
    writer.write(&(sequence + u32::from(call.is_some())));
    if let Frame::Session(place) = frame {
        writer.write(&CB_SEQUENCE);
        writer.write(place);
    }
    if let Some(call) = call {
        writer.write(call);
    }
    mark(&mut writer)
}

fn header(program: u32, procedure: u32, cred: &CallbackCred) -> Writer {
    let mut writer = Writer::default();
    for word in [0, 0, CALL, RPC_VERSION, program, PROGRAM_VERSION, procedure] {
        writer.write(&word);
    }
    writer.write(cred);
    // An empty verifier.
    writer.write(&0_u32);
    writer.write(&0_u32);
    writer
}

/// Puts the record mark in its place.
fn mark(writer: &mut Writer) -> Vec<u8> {
    let len = writer.position().saturating_sub(4) as u32;
    writer.patch_u32(0, len | 1 << 31);
    writer.as_slice().to_vec()
}

impl Encode for Place {
    fn encode(&self, writer: &mut Writer) {
        writer.write(&self.session);
        writer.write(&self.number);
        writer.write(&self.slot);
        writer.write(&self.highest);
        // Nothing that is asked of a client does harm when it is asked twice.
        writer.write(&false);
        writer.write(&(self.referrals.len() as u32));
        for referral in &self.referrals {
            writer.write(&referral.session);
            writer.write(&1_u32);
            writer.write(&referral.sequence);
            writer.write(&referral.slot);
        }
    }
}

impl Call {
    fn number(&self) -> u32 {
        match self {
            Self::Recall { .. } => CB_RECALL,
            Self::GetAttr { .. } => CB_GETATTR,
            Self::RecallAny { .. } => CB_RECALL_ANY,
            Self::NotifyLock { .. } => CB_NOTIFY_LOCK,
            Self::Offload { .. } => CB_OFFLOAD,
        }
    }
}

impl Encode for Call {
    fn encode(&self, writer: &mut Writer) {
        writer.write(&self.number());
        match self {
            Self::Recall {
                stateid,
                truncate,
                file,
                ..
            } => {
                writer.write(stateid);
                writer.write(truncate);
                writer.write(file);
            }
            Self::GetAttr { file, wanted } => {
                writer.write(file);
                writer.write(wanted);
            }
            Self::RecallAny { keep, kinds } => {
                writer.write(keep);
                writer.write(kinds);
            }
            Self::NotifyLock { file, owner } => {
                writer.write(file);
                writer.write(&owner.client);
                writer.opaque(&owner.name);
            }
            Self::Offload {
                file,
                stateid,
                result,
                ..
            } => {
                writer.write(file);
                writer.write(stateid);
                writer.write(result);
            }
        }
    }
}

/// offload_info4
impl Encode for Offloaded {
    fn encode(&self, writer: &mut Writer) {
        match self.result {
            Ok(()) => {
                writer.write(&Status::Ok);
                // The stateid stands before: wr_callback_id "MUST NOT be set" (RFC 7862 §16.1.3).
                writer.write(&0_u32);
                writer.write(&self.count);
                writer.write(&Stable::Unstable);
                writer.write(&self.verifier);
            }
            Err(status) => {
                writer.write(&status);
                writer.write(&self.count);
            }
        }
    }
}

/// What the RPC layer made of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// Not executed: the credential, the program or its version is not accepted.
    #[error("the client's callback service refuses the call")]
    Rpc,
    /// Unreadable.
    #[error("the client's reply is malformed")]
    Garbage,
}

impl From<BadXdr> for Refused {
    fn from(_: BadXdr) -> Self {
        Self::Garbage
    }
}

/// The results of a reply to CB_NULL or CB_COMPOUND, from behind its transaction id.
pub(super) fn results(message: Bytes) -> Result<Reader, Refused> {
    let mut reader = Reader::new(message);
    let _xid: u32 = reader.read()?;
    if reader.read::<u32>()? != REPLY {
        return Err(Refused::Garbage);
    }
    // MSG_ACCEPTED, verifier, SUCCESS.
    if reader.read::<u32>()? != 0 {
        return Err(Refused::Rpc);
    }
    let _flavor: u32 = reader.read()?;
    reader.opaque(BODY_MAX)?;
    if reader.read::<u32>()? != 0 {
        return Err(Refused::Rpc);
    }
    Ok(reader)
}

xdr_struct! {
    /// CB_SEQUENCE4resok
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) struct Sequenced {
        /// The session.
        pub(super) session: SessionId,
        /// Number in the slot.
        pub(super) number: u32,
        /// The slot.
        pub(super) slot: u32,
        /// Highest slot that the client accepts.
        pub(super) highest: u32,
        /// Highest slot that it would like to see used.
        pub(super) target: u32,
    } => decode
}

/// CB_COMPOUND4res, result by result.
#[derive(Debug)]
pub(super) struct Results {
    status: Status,
    left: u32,
    reader: Reader,
}

impl Results {
    /// Begins to read.
    pub(super) fn new(mut reader: Reader) -> Result<Self, Refused> {
        let status = status(&mut reader)?;
        let _tag: Bytes = reader.read()?;
        let left = reader.read()?;
        Ok(Self {
            status,
            left,
            reader,
        })
    }

    /// The result of CB_SEQUENCE.
    pub(super) fn sequence(&mut self) -> Result<Result<Sequenced, Status>, Refused> {
        match self.next(CB_SEQUENCE)? {
            Status::Ok => Ok(Ok(self.reader.read()?)),
            status => Ok(Err(status)),
        }
    }

    /// The result of the operation that was called.
    pub(super) fn answer(mut self, call: &Call) -> Result<Result<Answer, Status>, Refused> {
        match self.next(call.number())? {
            Status::Ok => Ok(Ok(match call {
                Call::GetAttr { .. } => Answer::Attrs(FAttr::decode(&mut self.reader)?),
                _ => Answer::Done,
            })),
            status => Ok(Err(status)),
        }
    }

    /// The status of the next result. A COMPOUND that failed as a whole has none; one whose
    /// operation is not known has that of CB_ILLEGAL.
    fn next(&mut self, number: u32) -> Result<Status, Refused> {
        const CB_ILLEGAL: u32 = 10044;
        let Some(left) = self.left.checked_sub(1) else {
            return match self.status {
                Status::Ok => Err(Refused::Garbage),
                status => Ok(status),
            };
        };
        self.left = left;
        let found: u32 = self.reader.read()?;
        if found != number && found != CB_ILLEGAL {
            return Err(Refused::Garbage);
        }
        Ok(status(&mut self.reader)?)
    }
}

/// A status; one that is in no RFC is a fault of whoever sent it.
fn status(reader: &mut Reader) -> Result<Status, BadXdr> {
    Ok(Status::from_number(reader.read()?).unwrap_or(Status::Serverfault))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::{Bitmap, FileHandle};

    fn call() -> Call {
        Call::GetAttr {
            file: FileHandle::of(&[b"file"]),
            wanted: Bitmap::of(&[3]),
        }
    }

    fn words(words: &[u32]) -> Bytes {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        bytes.into()
    }

    #[test]
    fn a_call_is_one_record_with_its_length() {
        let frame = Frame::V40 { ident: 9 };
        let cred = CallbackCred::Nobody;
        let record = compound(5, &cred, &frame, Some(&call()));
        let mark = u32::from_be_bytes(*record.first_chunk().unwrap());
        assert_eq!(mark, (record.len() as u32 - 4) | 1 << 31);
        let expected = words(&[
            mark,
            0,
            0,
            2,
            5,
            1,
            1,
            0,
            0,
            0,
            0,
            0,
            0,
            9,
            1,
            3,
            4,
            0x6669_6c65,
            1,
            8,
        ]);
        assert_eq!(record, expected);
    }

    #[test]
    fn what_rpc_refuses_and_what_makes_no_sense_are_told_apart() {
        let refused = |of: &[u32]| results(words(of)).unwrap_err();
        assert_eq!(refused(&[1, 1, 1, 1, 2]), Refused::Rpc, "MSG_DENIED");
        assert_eq!(refused(&[1, 1, 0, 0, 0, 2, 1, 1]), Refused::Rpc);
        assert_eq!(refused(&[1, 0, 0, 0, 0, 0]), Refused::Garbage, "a call");
        assert_eq!(refused(&[1, 1, 0, 0]), Refused::Garbage);
        assert!(results(words(&[1, 1, 0, 0, 0, 0])).is_ok());
    }

    #[test]
    fn a_compound_without_results_speaks_for_itself() {
        let whole = |status| {
            let reader = Reader::new(words(&[status, 0, 0]));
            Results::new(reader).unwrap().answer(&call())
        };
        let expected = Ok(Err(Status::MinorVersMismatch));
        assert_eq!(whole(Status::MinorVersMismatch as u32), expected);
        assert_eq!(whole(0), Err(Refused::Garbage));
    }

    proptest! {
        #[test]
        fn nothing_that_a_client_answers_does_harm(
            bytes in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..200),
        ) {
            let bytes = Bytes::from(bytes);
            if let Ok(reader) = results(bytes.clone()) {
                let _ = Results::new(reader);
            }
            if let Ok(mut results) = Results::new(Reader::new(bytes)) {
                let _ = results.sequence();
                let _ = results.answer(&call());
            }
        }
    }
}
