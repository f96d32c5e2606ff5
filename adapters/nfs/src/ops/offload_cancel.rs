//! OFFLOAD_CANCEL: stops what COPY began.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-15.8>

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// OFFLOAD_CANCEL4args
    #[derive(Debug)]
    pub struct Args {
        /// What COPY began.
        pub stateid: StateId,
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
