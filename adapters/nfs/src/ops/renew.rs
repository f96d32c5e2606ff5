//! RENEW: a 4.0 client is alive.
//! <https://www.rfc-editor.org/rfc/rfc7530#section-16.30>

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::ClientId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// RENEW4args
    #[derive(Debug)]
    pub struct Args {
        /// The client.
        pub client: ClientId,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    /// Never NFS4ERR_CB_PATH_DOWN, which is about delegations.
    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        let lease = cx.server.settings().lease();
        cx.server.state.clients.v40(self.client, cx.now, lease)?;
        Ok(())
    }
}
