//! BIND_CONN_TO_SESSION: makes a connection one of a session's.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.34>
//!
//! The only way but CREATE_SESSION to have a connection carry callbacks; SEQUENCE never does that. A
//! client that insists on the back channel of a session without slots for it gets NFS4ERR_INVAL
//! rather than a promise that can't be kept.

use crate::compound::{Cx, Operation};
use crate::state::Direction;
use crate::status::Status;
use crate::types::SessionId;
use crate::xdr::{Encode, Writer, xdr_enum, xdr_struct};

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

xdr_struct! {
    /// BIND_CONN_TO_SESSION4resok
    #[derive(Debug)]
    pub struct Ok {
        /// The session.
        pub session: SessionId,
        /// Which channels the connection serves.
        pub direction: Direction,
        /// Never.
        pub rdma: bool,
    } => encode
}

impl Operation for Args {
    type Ok = Ok;
    type Err = Status;

    async fn run(self, cx: &mut Cx) -> Result<Ok, Status> {
        let session = cx.server.state.session_of(cx.minor(), self.session)?;
        let connection = &cx.call.connection;
        let most = cx.settings.connections_per_session();
        let direction = session.bind(&connection.link, self.direction, most)?;
        if direction.is_back() {
            let callbacks = &cx.server.callbacks;
            callbacks.probe_session(&session, &connection.link, cx.call.xid);
        }
        Ok(Ok {
            session: self.session,
            direction,
            rdma: false,
        })
    }
}

/// channel_dir_from_server4
impl Encode for Direction {
    fn encode(&self, writer: &mut Writer) {
        writer.write(&match self {
            Self::Fore => 1_u32,
            Self::Back => 2,
            Self::Both => 3,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::create_session::CONN_BACK_CHAN;
    use crate::testing::{Channel, Compound, Harness};

    fn bind(compound: Compound<'_>, session: SessionId, direction: u32) -> Compound<'_> {
        compound.op(41, |w| {
            w.write(&session);
            w.write(&direction);
            w.write(&true);
        })
    }

    #[tokio::test]
    async fn a_connection_gets_what_it_wants_and_keeps_it() {
        let h = Harness::new();
        let client = h.client41("a").await;
        for (wanted, granted) in [(1, 1), (2, 2), (3, 3), (7, 3)] {
            let other = h.reconnected();
            for _again in 0..2 {
                let mut reply = bind(other.compound(1), client.session, wanted).run().await;
                assert_eq!(reply.ok_body::<SessionId>(), client.session);
                let direction = reply.body::<u32>();
                assert_eq!((direction, reply.body::<bool>()), (granted, false));
            }
            let insists = |wanted| bind(other.compound(1), client.session, wanted).status();
            for else_wanted in [1, 2] {
                let expected = if else_wanted == granted {
                    Status::Ok
                } else {
                    Status::Inval
                };
                assert_eq!(insists(else_wanted).await, expected, "{wanted}");
            }
        }
        let other = h.reconnected();
        bind(other.compound(1), client.session, 1).run().await.ok();
        let destroy = other.compound(1).destroy_session(client.session);
        destroy.run().await.ok();
    }

    #[tokio::test]
    async fn a_session_without_slots_for_callbacks_has_none() {
        let h = Harness::new();
        let (id, number) = h.exchange_id("a", 1).await;
        let without = Channel {
            requests: 0,
            ..Channel::default()
        };
        let create = h
            .compound(1)
            .create_session_with(id, number, CONN_BACK_CHAN, &without);
        let mut reply = create.run().await;
        let session = reply.ok_body();
        let [_number, flags] = [reply.body::<u32>(), reply.body()];
        assert_eq!(flags, 0);
        let other = h.reconnected();
        for (wanted, status) in [
            (2, Status::Inval),
            (7, Status::Inval),
            (3, Status::Ok),
            (1, Status::Ok),
        ] {
            let bound = bind(other.compound(1), session, wanted);
            assert_eq!(bound.status().await, status, "{wanted}");
        }
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused() {
        let h = Harness::new();
        let client = h.client41("a").await;
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
