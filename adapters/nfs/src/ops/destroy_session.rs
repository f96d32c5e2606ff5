//! DESTROY_SESSION.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.37>,
//! <https://www.rfc-editor.org/rfc/rfc7862#section-14.1>

use super::fence;
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
        let session = cx.server.state.session_of(cx.minor(), self.session)?;
        let connection = cx.call.connection.id;
        // Before it ends, so that who asks again waits too; after, for what came meanwhile.
        if session.is_associated(connection) {
            fence::settle(cx, std::slice::from_ref(&session)).await;
        }
        // Its own session lives on in this request until the reply is out.
        let state = &cx.server.state;
        state.destroy_session(self.session, connection, cx.now)?;
        fence::settle(cx, &[session]).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Harness;

    #[tokio::test]
    async fn a_session_destroys_itself_and_the_reply_gets_out() {
        let h = Harness::new();
        let client = h.client41("a").await;
        client
            .compound()
            .destroy_session(client.session)
            .run()
            .await
            .ok();
        assert_eq!(client.compound().status().await, Status::Badsession);
        let again = h.compound(1).destroy_session(client.session);
        assert_eq!(again.status().await, Status::Badsession);
    }

    #[tokio::test]
    async fn within_its_own_session_it_must_be_last() {
        let h = Harness::new();
        let client = h.client41("a").await;
        let early = client
            .compound()
            .destroy_session(client.session)
            .putrootfh();
        assert_eq!(early.status().await, Status::NotOnlyOp);
        client.compound().run().await.ok();
    }

    #[tokio::test]
    async fn a_connection_must_be_one_of_the_session() {
        let h = Harness::new();
        let client = h.client41("a").await;
        let other = h.reconnected();
        let destroy = || other.compound(1).destroy_session(client.session);
        assert_eq!(destroy().status().await, Status::ConnNotBoundToSession);
        let join = other.compound(1).sequence(client.session, 1, 1, false);
        join.run().await.ok();
        destroy().run().await.ok();
    }

    #[tokio::test]
    async fn another_session_can_be_destroyed_anywhere_after_sequence() {
        let h = Harness::new();
        let (a, b) = (h.client41("a").await, h.client41("b").await);
        a.compound()
            .destroy_session(b.session)
            .putrootfh()
            .run()
            .await
            .ok();
        assert_eq!(b.compound().status().await, Status::Badsession);
    }
}
