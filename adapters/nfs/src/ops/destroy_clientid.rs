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
        let client = cx.server.state.clients.find(self.client);
        let files = cx.server.state.destroy_client(self.client)?;
        drop(files);
        if let Some(client) = client {
            let name = client.name();
            cx.server.record(name.clone()).await?;
            cx.server.reclaimed(&name).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Harness;

    #[tokio::test]
    async fn a_client_with_a_session_is_busy() {
        let h = Harness::new();
        let client = h.client41("a").await;
        assert_eq!(
            client.compound().destroy_clientid(client.id).status().await,
            Status::ClientidBusy
        );
        assert_eq!(
            h.compound(1).destroy_clientid(client.id).status().await,
            Status::ClientidBusy
        );
        client
            .compound()
            .destroy_session(client.session)
            .run()
            .await
            .ok();
        h.compound(1).destroy_clientid(client.id).run().await.ok();
        assert_eq!(
            h.compound(1).destroy_clientid(client.id).status().await,
            Status::StaleClientid
        );
    }

    #[tokio::test]
    async fn an_unconfirmed_client_can_go() {
        let h = Harness::new();
        let (id, _) = h.exchange_id("a", 1).await;
        h.compound(1).destroy_clientid(id).run().await.ok();
        assert_eq!(
            h.compound(1).destroy_clientid(id).status().await,
            Status::StaleClientid
        );
    }

    #[tokio::test]
    async fn a_client_of_the_other_minor_version_is_unknown() {
        let h = Harness::new();
        let id = h.client40("a").await;
        assert_eq!(
            h.compound(1).destroy_clientid(id).status().await,
            Status::StaleClientid
        );
    }
}
