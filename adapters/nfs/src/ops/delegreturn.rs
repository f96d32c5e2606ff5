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

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        let stateid = io::actual(cx, self.stateid)?;
        let key = cx.share_object(Status::BadStateid)?.key();
        let files = &cx.server.state.files;
        let (client, closed) = files.return_delegation(io::caller(cx), &stateid, &key)?;
        drop(closed);
        cx.server.delegations.returned();
        io::renew_by(cx, client)
    }
}
