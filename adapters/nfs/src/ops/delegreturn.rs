//! DELEGRETURN: gives a delegation back.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.6>

use super::io;
use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// DELEGRETURN4args
    #[derive(Debug)]
    pub struct Args {
        /// The delegation.
        pub stateid: StateId,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    /// None is ever granted, so no stateid is one.
    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        let stateid = io::actual(cx, self.stateid)?;
        let files = &cx.server.state.files;
        files.owner_of(io::caller(cx), &stateid)?;
        Err(Status::BadStateid)
    }
}
