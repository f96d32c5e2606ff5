//! FREE_STATEID: forgets a stateid that has no locks.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.38>

use super::io;
use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// FREE_STATEID4args
    #[derive(Debug)]
    pub struct Args {
        /// The stateid.
        pub stateid: StateId,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        let stateid = io::actual(cx, self.stateid)?;
        cx.server.state.files.free(io::caller(cx), &stateid)
    }
}
