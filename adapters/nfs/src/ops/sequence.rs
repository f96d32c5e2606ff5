//! SEQUENCE: what every 4.1 request that uses a session begins with.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.46>

use crate::compound::{Cx, Operation};
use crate::state::{Begun, Principal, RequestInfo};
use crate::status::Status;
use crate::types::SessionId;
use crate::xdr::xdr_struct;

/// Number of the operation.
pub const NUMBER: u32 = 53;

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
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// Decides about a request with `announced` operations before any of them runs.
pub fn begin(cx: &Cx, announced: usize, args: &Args) -> Result<Begun, Status> {
    let info = RequestInfo {
        size: cx.call.size,
        announced,
        digest: cx.call.digest,
        principal: Principal::from(&cx.call.auth),
        connection: cx.call.connection.id,
    };
    let wanted = cx.server.settings().v4_max_session_slots;
    cx.server
        .state
        .session(args.session)?
        .begin(&info, args, wanted, cx.now)
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
