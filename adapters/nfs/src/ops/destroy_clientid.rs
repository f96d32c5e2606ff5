//! DESTROY_CLIENTID: a client says that it will not come back.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.50>

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::ClientId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// DESTROY_CLIENTID4args
    #[derive(Debug)]
    pub struct Args {
        /// The client.
        pub client: ClientId,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        // The own client has a session at least, that of SEQUENCE: it is found busy by that.
        let files = cx.server.state.destroy_client(self.client)?;
        drop(files);
        Ok(())
    }
}
