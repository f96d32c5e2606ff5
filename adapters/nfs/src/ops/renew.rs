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

    /// Who has delegations is told when they can't be recalled; the lease is renewed all the same
    /// (§16.28.5).
    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        let client = cx.server.state.clients.v40(self.client, cx.now)?;
        cx.show(client.id);
        let server = &cx.server;
        if client.dial.is_down() && server.state.files.has_delegation(client.id) {
            return Err(Status::CbPathDown);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Harness;

    #[tokio::test]
    async fn a_confirmed_client_is_renewed_and_no_other() {
        let h = Harness::new();
        let id = h.client40("a").await;
        h.compound(0).renew(id).run().await.ok();
        assert_eq!(
            h.compound(0).renew(ClientId(7)).status().await,
            Status::StaleClientid
        );
        let new = h.client41("a").await;
        assert_eq!(
            h.compound(0).renew(new.id).status().await,
            Status::StaleClientid
        );
        assert_eq!(new.compound().renew(id).status().await, Status::Notsupp);
    }
}
