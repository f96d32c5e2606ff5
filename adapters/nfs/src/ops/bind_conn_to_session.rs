//! BIND_CONN_TO_SESSION: makes a connection one of a session's.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.34>
//!
//! There are no callbacks yet, so a connection can serve the fore channel alone. A client that
//! insists on the back channel gets NFS4ERR_INVAL rather than a promise that is not kept.

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::SessionId;
use crate::xdr::{xdr_enum, xdr_struct};

xdr_struct! {
    /// BIND_CONN_TO_SESSION4args
    #[derive(Debug)]
    pub struct Args {
        /// The session.
        pub session: SessionId,
        /// Which channels the client wants.
        pub direction: Wanted,
        /// Whether the connection is to switch to RDMA.
        pub rdma: bool,
    } => decode
}

xdr_enum! {
    /// channel_dir_from_client4
    pub enum Wanted {
        /// The fore channel.
        Fore = 1,
        /// The back channel.
        Back = 2,
        /// Both, or at least the fore channel.
        ForeOrBoth = 3,
        /// Both, or at least the back channel.
        BackOrBoth = 7,
    }
}

xdr_enum! {
    /// channel_dir_from_server4
    pub enum Granted {
        /// The fore channel.
        Fore = 1,
    }
}

xdr_struct! {
    /// BIND_CONN_TO_SESSION4resok
    #[derive(Debug)]
    pub struct Ok {
        /// The session.
        pub session: SessionId,
        /// Which channels the connection serves.
        pub direction: Granted,
        /// Never.
        pub rdma: bool,
    } => encode
}

impl Operation for Args {
    type Ok = Ok;
    type Err = Status;

    async fn run(self, cx: &mut Cx) -> Result<Ok, Status> {
        let session = cx.server.state.session(self.session)?;
        match self.direction {
            Wanted::Fore | Wanted::ForeOrBoth => {}
            Wanted::Back | Wanted::BackOrBoth => return Err(Status::Inval),
        }
        let most = cx.settings.connections_per_session();
        session.associate(cx.call.connection.id, most);
        Ok(Ok {
            session: self.session,
            direction: Granted::Fore,
            rdma: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Compound, Harness};

    fn bind(compound: Compound<'_>, session: SessionId, direction: u32) -> Compound<'_> {
        compound.op(41, |w| {
            w.write(&session);
            w.write(&direction);
            w.write(&true);
        })
    }

    #[tokio::test]
    async fn a_connection_is_bound_to_the_fore_channel() {
        let h = Harness::new();
        let client = h.client41("a").await;
        let other = h.reconnected();
        for wanted in [1, 3] {
            let mut reply = bind(other.compound(1), client.session, wanted).run().await;
            assert_eq!(reply.ok_body::<SessionId>(), client.session);
            assert_eq!((reply.body::<u32>(), reply.body::<bool>()), (1, false));
        }
        other
            .compound(1)
            .destroy_session(client.session)
            .run()
            .await
            .ok();
    }

    #[tokio::test]
    async fn what_can_not_be_granted_is_invalid() {
        let h = Harness::new();
        let client = h.client41("a").await;
        for wanted in [2, 7] {
            let refused = bind(h.compound(1), client.session, wanted);
            assert_eq!(refused.status().await, Status::Inval);
        }
        assert_eq!(
            bind(h.compound(1), client.session, 5).status().await,
            Status::Badxdr
        );
        let unknown = bind(h.compound(1), SessionId([1; 16]), 1);
        assert_eq!(unknown.status().await, Status::Badsession);
    }

    #[tokio::test]
    async fn it_is_always_alone() {
        let h = Harness::new();
        let client = h.client41("a").await;
        let after = bind(client.compound(), client.session, 1);
        assert_eq!(after.status().await, Status::NotOnlyOp);
        let before = bind(h.compound(1), client.session, 1).putrootfh();
        assert_eq!(before.status().await, Status::NotOnlyOp);
    }
}
