//! SETCLIENTID_CONFIRM: the second step of a 4.0 client's introduction.
//! <https://www.rfc-editor.org/rfc/rfc7530#section-16.34>

use crate::compound::{Cx, Operation};
use crate::state::Principal;
use crate::status::Status;
use crate::types::{ClientId, Verifier};
use crate::xdr::xdr_struct;

xdr_struct! {
    /// SETCLIENTID_CONFIRM4args
    #[derive(Debug)]
    pub struct Args {
        /// The client's number.
        pub client: ClientId,
        /// What SETCLIENTID said.
        pub confirm: Verifier,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        let principal = Principal::from(&cx.call.auth);
        let limits = cx.server.settings().limits();
        let files =
            cx.server
                .state
                .confirm(self.client, self.confirm, principal, cx.now, &limits)?;
        drop(files);
        Ok(())
    }
}
