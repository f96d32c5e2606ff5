//! DELEGPURGE: gives up delegations from before the client's restart.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.5>

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::ClientId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// DELEGPURGE4args
    #[derive(Debug)]
    pub struct Args {
        /// The client; ignored in 4.1.
        pub client: ClientId,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    /// A server that does not support CLAIM_DELEGATE_PREV answers NFS4ERR_NOTSUPP (§18.5.3).
    async fn run(self, _cx: &mut Cx) -> Result<(), Status> {
        Err(Status::Notsupp)
    }
}
