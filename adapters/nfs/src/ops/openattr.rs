//! OPENATTR: the directory of an object's named attributes.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.17>

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// OPENATTR4args
    #[derive(Debug)]
    pub struct Args {
        /// Whether to make the directory.
        pub create: bool,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    /// File systems here have no named attributes (§18.17.3).
    async fn run(self, _cx: &mut Cx) -> Result<(), Status> {
        Err(Status::Notsupp)
    }
}
