//! IO_ADVISE: how a client is going to use a range of a file.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-15.5>

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::{Bitmap, StateId};
use crate::xdr::xdr_struct;

xdr_struct! {
    /// IO_ADVISE4args
    #[derive(Debug)]
    pub struct Args {
        /// The open, lock or delegation.
        pub stateid: StateId,
        /// First byte.
        pub offset: u64,
        /// Number of bytes.
        pub count: u64,
        /// IO_ADVISE4_* bits.
        pub hints: Bitmap,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    /// Not offered (RFC 7862 §13).
    async fn run(self, _cx: &mut Cx) -> Result<(), Status> {
        Err(Status::Notsupp)
    }
}
