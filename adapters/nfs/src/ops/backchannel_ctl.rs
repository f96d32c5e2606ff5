//! BACKCHANNEL_CTL.
//! <https://www.rfc-editor.org/rfc/rfc8881>

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// BACKCHANNEL_CTL4args
    #[derive(Debug)]
    pub struct Args {} => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    async fn run(self, _cx: &mut Cx) -> Result<(), Status> {
        Err(Status::Notsupp)
    }
}
