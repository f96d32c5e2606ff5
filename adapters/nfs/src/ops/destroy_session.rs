//! DESTROY_SESSION.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.37>

use crate::compound::{Cx, Mode, Operation};
use crate::status::Status;
use crate::types::SessionId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// DESTROY_SESSION4args
    #[derive(Debug)]
    pub struct Args {
        /// The session.
        pub session: SessionId,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        let own = matches!(&cx.mode, Mode::Session(current) if current.session.id == self.session);
        if own && !cx.is_last {
            return Err(Status::NotOnlyOp);
        }
        // Its own session lives on in this request until the reply is out.
        cx.server
            .state
            .destroy_session(self.session, cx.call.connection.id)
    }
}
