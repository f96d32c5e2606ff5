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
        session.associate(cx.call.connection.id);
        Ok(Ok {
            session: self.session,
            direction: Granted::Fore,
            rdma: false,
        })
    }
}
