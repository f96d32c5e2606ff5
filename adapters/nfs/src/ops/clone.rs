//! CLONE: makes a range of a file share the data of another.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-15.13>

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// CLONE4args
    #[derive(Debug)]
    pub struct Args {
        /// The open, lock or delegation of the saved file, under which to read.
        pub source: StateId,
        /// The open, lock or delegation of the current file, under which to write.
        pub target: StateId,
        /// First byte of the source.
        pub source_offset: u64,
        /// First byte of the target.
        pub target_offset: u64,
        /// Number of bytes; 0 for all to the end of the source.
        pub count: u64,
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
