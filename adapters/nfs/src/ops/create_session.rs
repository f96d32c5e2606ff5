//! CREATE_SESSION: confirms a client, and makes a session for it.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.36>
//!
//! There are no callbacks yet, so CREATE_SESSION4_FLAG_CONN_BACK_CHAN is never granted: granting
//! it is the whole handshake of a Linux mount, and a promise. The attributes of the back
//! channel are echoed and its program and credentials remembered, for the day it is kept.

use crate::compound::{Cx, Operation};
use crate::entropy::random;
use crate::ops::backchannel_ctl::{SecParms, choose};
use crate::ops::exchange_id::AtMostOne;
use crate::settings::Settings;
use crate::state::Principal;
use crate::state::session::{Backchannel, Fore};
use crate::state::v41::Creation;
use crate::status::Status;
use crate::types::{ClientId, SessionId};
use crate::xdr::{BadXdr, Decode, Encode, Reader, Writer, xdr_struct};

/// PERSIST, CONN_BACK_CHAN and CONN_RDMA; none is granted.
const KNOWN_FLAGS: u32 = 0x7;

/// RPC header with an empty credential, COMPOUND without tag, SEQUENCE.
const SMALLEST_REQUEST: u32 = 40 + 12 + 36;
/// RPC header, COMPOUND without tag, the result of SEQUENCE.
const SMALLEST_RESPONSE: u32 = 24 + 12 + 44;
/// What a READ or WRITE takes beside its data. Without it a client of a power of two would have
/// to split every transfer in two.
const DATA_OVERHEAD: u32 = 4096;
/// Slots times this is memory that a client can pin.
const MOST_CACHED: u32 = 16 * 1024;

xdr_struct! {
    /// CREATE_SESSION4args
    #[derive(Debug)]
    pub struct Args {
        /// The client.
        pub client: ClientId,
        /// Number of this CREATE_SESSION among the client's.
        pub sequence: u32,
        /// CREATE_SESSION4_FLAG_* bits.
        pub flags: u32,
        /// What the client would like for requests.
        pub fore: ChannelAttrs,
        /// What the client offers for callbacks.
        pub back: ChannelAttrs,
        /// Program of callbacks.
        pub callback_program: u32,
        /// Credentials that the client accepts on callbacks.
        pub callback_security: Vec<SecParms>,
    } => decode
}

/// channel_attrs4
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelAttrs {
    /// Padding that the sender would put before data.
    pub header_pad: u32,
    /// Largest request in bytes.
    pub request: u32,
    /// Largest reply in bytes.
    pub response: u32,
    /// Largest reply that is kept, in bytes.
    pub cached: u32,
    /// Most operations of a request.
    pub operations: u32,
    /// Most requests at once.
    pub requests: u32,
    /// Inbound read queue depth, with RDMA.
    pub rdma_ird: Option<u32>,
}

impl Decode for ChannelAttrs {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        Ok(Self {
            header_pad: reader.read()?,
            request: reader.read()?,
            response: reader.read()?,
            cached: reader.read()?,
            operations: reader.read()?,
            requests: reader.read()?,
            rdma_ird: reader.read::<AtMostOne<u32>>()?.0,
        })
    }
}

impl Encode for ChannelAttrs {
    fn encode(&self, writer: &mut Writer) {
        writer.write(&self.header_pad);
        writer.write(&self.request);
        writer.write(&self.response);
        writer.write(&self.cached);
        writer.write(&self.operations);
        writer.write(&self.requests);
        writer.write(&AtMostOne(self.rdma_ird));
    }
}

xdr_struct! {
    /// CREATE_SESSION4resok
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Ok {
        /// The session.
        pub session: SessionId,
        /// As in the arguments.
        pub sequence: u32,
        /// CREATE_SESSION4_FLAG_* bits that are granted.
        pub flags: u32,
        /// What holds for requests.
        pub fore: ChannelAttrs,
        /// What holds for callbacks.
        pub back: ChannelAttrs,
    } => encode
}

impl Args {
    fn properties(
        &self,
        id: SessionId,
        settings: &Settings,
    ) -> Result<(Fore, Backchannel, Ok), Status> {
        if self.flags & !KNOWN_FLAGS != 0 {
            return Err(Status::Inval);
        }
        let fore = negotiate(&self.fore, settings)?;
        let backchannel = Backchannel {
            program: self.callback_program,
            credential: choose(&self.callback_security)?,
        };
        let ok = Ok {
            session: id,
            sequence: self.sequence,
            flags: 0,
            fore: ChannelAttrs {
                header_pad: 0,
                request: fore.request,
                response: fore.response,
                cached: fore.cached,
                operations: fore.operations,
                requests: fore.slots,
                rdma_ird: None,
            },
            // "MUST NOT change" for half of them, and clients of different ages disagree on the
            // other half: exactly what was offered suits all.
            back: self.back,
        };
        Ok((fore, backchannel, ok))
    }
}

fn negotiate(asked: &ChannelAttrs, settings: &Settings) -> Result<Fore, Status> {
    if asked.request < SMALLEST_REQUEST || asked.response < SMALLEST_RESPONSE {
        return Err(Status::Toosmall);
    }
    let response = asked.response.min(settings.max_read_size + DATA_OVERHEAD);
    Ok(Fore {
        request: asked.request.min(settings.max_write_size + DATA_OVERHEAD),
        response,
        cached: asked.cached.min(response).min(MOST_CACHED),
        operations: asked.operations.clamp(1, settings.max_compound_ops),
        slots: asked.requests.clamp(1, settings.v4_max_session_slots),
    })
}

impl Operation for Args {
    type Ok = Ok;
    type Err = Status;

    async fn run(self, cx: &mut Cx) -> Result<Ok, Status> {
        let server = &cx.server;
        let settings = server.settings();
        let id = SessionId(random()?);
        let creation = Creation {
            client: self.client,
            sequence: self.sequence,
            principal: Principal::from(&cx.call.auth),
            connection: cx.call.connection.id,
            id,
            session: self.properties(id, &settings),
        };
        server
            .state
            .create_session(creation, cx.now, &settings.limits())
            .result
    }
}
