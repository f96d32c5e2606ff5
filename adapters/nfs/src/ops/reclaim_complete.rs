//! RECLAIM_COMPLETE: the client has taken back all that it had before a restart.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.51>

use crate::compound::{Cx, Operation};
use crate::state::News;
use crate::status::Status;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// RECLAIM_COMPLETE4args
    #[derive(Debug)]
    pub struct Args {
        /// Whether only the file system of the current file handle is meant.
        pub one_fs: bool,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        if self.one_fs {
            // Of a file system that migrated here, which none does: "otherwise ignored".
            return cx.object().map(drop);
        }
        let client = cx.session_client().ok_or(Status::OpNotInSession)?;
        if client.reclaim_complete() {
            return Err(Status::CompleteAlready);
        }
        cx.server.established(client).await?;
        if !client.complete_reclaim() {
            return Err(Status::CompleteAlready);
        }
        client.untell(News::RESTART_RECLAIM_NEEDED);
        cx.server.reclaimed(&client.name()).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Client41, Harness};

    #[tokio::test]
    async fn it_is_done_once() {
        let h = Harness::new();
        let (id, number) = h.exchange_id("a", 1).await;
        let client = Client41::new(&h, id, h.create_session(id, number).await);
        client.compound().reclaim_complete().run().await.ok();
        assert_eq!(
            client.compound().reclaim_complete().status().await,
            Status::CompleteAlready
        );
    }

    #[tokio::test]
    async fn for_one_file_system_it_needs_a_file_handle_and_does_nothing() {
        let h = Harness::new();
        let (id, number) = h.exchange_id("a", 1).await;
        let client = Client41::new(&h, id, h.create_session(id, number).await);
        assert_eq!(
            client.compound().with(58, &true).status().await,
            Status::Nofilehandle
        );
        client
            .compound()
            .putrootfh()
            .with(58, &true)
            .run()
            .await
            .ok();
        client.compound().reclaim_complete().run().await.ok();
    }
}
