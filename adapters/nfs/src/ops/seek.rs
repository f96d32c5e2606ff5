//! SEEK: the next data, or the next hole, of a file.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-15.11>

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// SEEK4args
    #[derive(Debug)]
    pub struct Args {
        /// The open, lock or delegation under which to read.
        pub stateid: StateId,
        /// Where to begin.
        pub offset: u64,
        /// data_content4
        pub what: u32,
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
