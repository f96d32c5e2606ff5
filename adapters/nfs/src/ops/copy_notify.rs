//! COPY_NOTIFY: announces to the server of a file that another one is going to copy it.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-15.3>

use crate::compound::{Cx, Operation};
use crate::ops::copy::Location;
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// COPY_NOTIFY4args
    #[derive(Debug)]
    pub struct Args {
        /// The open, lock or delegation under which to read.
        pub source: StateId,
        /// Who is going to.
        pub target: Location,
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
