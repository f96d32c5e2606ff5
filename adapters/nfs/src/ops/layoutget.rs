//! LAYOUTGET: asks where a file's data are.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.43>

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// LAYOUTGET4args
    #[derive(Debug)]
    pub struct Args {
        /// Whether to be told when there can be one.
        pub signal: bool,
        /// Type of layout.
        pub layout: u32,
        /// layoutiomode4
        pub io_mode: u32,
        /// First byte.
        pub offset: u64,
        /// Number of bytes.
        pub length: u64,
        /// Fewest bytes that are of use.
        pub min_length: u64,
        /// An open, or a layout.
        pub stateid: StateId,
        /// Largest answer in bytes.
        pub max_count: u32,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    /// This server has no pNFS: the operation is not offered (RFC 8881 §17).
    async fn run(self, _cx: &mut Cx) -> Result<(), Status> {
        Err(Status::Notsupp)
    }
}
