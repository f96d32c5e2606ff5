//! WRITE_SAME: writes a pattern many times.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-15.12>

use bytes::Bytes;

use crate::compound::{Cx, Operation};
use crate::ops::write::Stable;
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// WRITE_SAME4args
    #[derive(Debug)]
    pub struct Args {
        /// The open, lock or delegation under which to write.
        pub stateid: StateId,
        /// How safe the data must be before the answer.
        pub stable: Stable,
        /// What is written.
        pub block: Block,
    } => decode
}

xdr_struct! {
    /// app_data_block4
    #[derive(Debug)]
    pub struct Block {
        /// First byte of the first block.
        pub offset: u64,
        /// Bytes of a block.
        pub size: u64,
        /// Number of blocks.
        pub count: u64,
        /// Where in a block its number stands.
        pub number_offset: u64,
        /// Number of the first block.
        pub number: u32,
        /// Where in a block the pattern stands.
        pub pattern_offset: u64,
        /// What is repeated.
        pub pattern: Bytes,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    /// No file system here keeps application data blocks, and clients write out what none would
    /// spare them: the operation is not offered (RFC 7862 §13).
    async fn run(self, _cx: &mut Cx) -> Result<(), Status> {
        Err(Status::Notsupp)
    }
}
