//! SEQUENCE: what every 4.1 request that uses a session begins with.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.46>

use crate::compound::{Cx, Operation};
use crate::state::{Begun, RequestInfo};
use crate::status::Status;
use crate::types::SessionId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// SEQUENCE4args
    #[derive(Debug)]
    pub struct Args {
        /// The session.
        pub session: SessionId,
        /// Number of this request in its slot.
        pub sequence: u32,
        /// The slot.
        pub slot: u32,
        /// Highest slot that the client has in use.
        pub highest_slot: u32,
        /// Whether the reply is to be kept for a retry.
        pub cache_this: bool,
    } => decode
}

xdr_struct! {
    /// SEQUENCE4resok
    #[derive(Debug, Clone, Copy)]
    pub struct Ok {
        /// The session.
        pub session: SessionId,
        /// Number of this request in its slot.
        pub sequence: u32,
        /// The slot.
        pub slot: u32,
        /// Highest slot that the server accepts.
        pub highest_slot: u32,
        /// Highest slot that the server would like to see used.
        pub target_highest_slot: u32,
        /// SEQ4_STATUS_* bits.
        pub status_flags: u32,
    } => encode
}

/// Decides about the request before any of its operations runs.
pub fn begin(_cx: &mut Cx, _info: &RequestInfo, _args: &Args) -> Result<Begun, Status> {
    Err(Status::Badsession)
}

impl Operation for Args {
    type Ok = Ok;
    type Err = Status;

    /// Never run as an ordinary operation: the plan takes the first one out, and a later one is
    /// NFS4ERR_SEQUENCE_POS before it runs.
    async fn run(self, _cx: &mut Cx) -> Result<Ok, Status> {
        Err(Status::SequencePos)
    }
}
