//! GETDEVICELIST: all pNFS devices of a file system.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.41>

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::Verifier;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// GETDEVICELIST4args
    #[derive(Debug)]
    pub struct Args {
        /// Type of layout.
        pub layout: u32,
        /// Most devices in the answer.
        pub max_devices: u32,
        /// Where to go on.
        pub cookie: u64,
        /// What the cookie is of.
        pub verifier: Verifier,
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
