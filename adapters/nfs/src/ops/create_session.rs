//! CREATE_SESSION: confirms a client, and makes a session for it.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.36>
//!
//! CREATE_SESSION4_FLAG_CONN_BACK_CHAN is the whole handshake of a Linux mount: granted, the
//! connection carries callbacks from then on, and a CB_NULL behind the reply finds out whether they get
//! through.

use crate::compound::{Cx, Operation};
use crate::entropy::random;
use crate::ops::backchannel_ctl::{SecParms, choose};
use crate::ops::courtesy::make_room_for_client;
use crate::ops::exchange_id::AtMostOne;
use crate::settings::Settings;
use crate::state::session::Fore;
use crate::state::v41::Creation;
use crate::state::{Backchannel, Principal};
use crate::status::Status;
use crate::types::{ClientId, SessionId};
use crate::xdr::{BadXdr, Decode, Encode, Reader, Writer, xdr_struct};

/// CREATE_SESSION4_FLAG_CONN_BACK_CHAN: the connection is to carry callbacks as well.
pub const CONN_BACK_CHAN: u32 = 0x2;
/// PERSIST, CONN_BACK_CHAN and CONN_RDMA; the first and the last are never granted.
const KNOWN_FLAGS: u32 = 0x7;

/// RPC header with an empty credential, COMPOUND without tag, SEQUENCE.
const SMALLEST_REQUEST: u32 = 40 + 12 + 36;
/// RPC header, COMPOUND without tag, the result of SEQUENCE.
const SMALLEST_RESPONSE: u32 = 24 + 12 + 44;
/// The same of CB_COMPOUND with CB_SEQUENCE.
const SMALLEST_CALLBACK: u32 = 40 + 16 + 40;
const SMALLEST_CALLBACK_REPLY: u32 = 24 + 12 + 44;
/// CB_SEQUENCE and one that asks something.
pub const CALLBACK_OPERATIONS: u32 = 2;
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
        check_back(&self.back)?;
        let backchannel = Backchannel {
            program: self.callback_program,
            credential: choose(&self.callback_security)?.unwrap_or_default(),
        };
        let can_call = self.back.requests > 0 && self.back.operations >= CALLBACK_OPERATIONS;
        let ok = Ok {
            session: id,
            sequence: self.sequence,
            flags: if can_call {
                self.flags & CONN_BACK_CHAN
            } else {
                0
            },
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
        most_slots: asked.requests.max(1),
    })
}

/// A channel with slots must be able to carry something, be it used or not.
fn check_back(offered: &ChannelAttrs) -> Result<(), Status> {
    let small = offered.request < SMALLEST_CALLBACK || offered.response < SMALLEST_CALLBACK_REPLY;
    if small && offered.requests != 0 {
        return Err(Status::Toosmall);
    }
    Ok(())
}

impl Operation for Args {
    type Ok = Ok;
    type Err = Status;

    async fn run(self, cx: &mut Cx) -> Result<Ok, Status> {
        let server = &cx.server;
        let settings = server.settings();
        make_room_for_client(cx, self.client).await;
        let id = SessionId(random()?);
        let creation = Creation {
            client: self.client,
            minor: cx.minor(),
            sequence: self.sequence,
            principal: Principal::from(&cx.call.auth),
            link: &cx.call.connection.link,
            id,
            session: self.properties(id, &settings),
        };
        let created = server
            .state
            .create_session(creation, cx.now, &settings.limits());
        drop(created.files);
        let ok = created.result?;
        // It may have confirmed the client, which is on record before anybody can rely on it
        // (RFC 8881 §8.4.3).
        if let Some(client) = server.state.clients.find(self.client) {
            client.seen_at(cx.call.peer);
            server.record(client.name()).await?;
        }
        // Not that of an earlier request, of which this is a retry.
        if ok.session == id && ok.flags & CONN_BACK_CHAN != 0 {
            let session = server.state.session(id)?;
            let calls = &server.callbacks;
            calls.probe_session(&session, &cx.call.connection.link, cx.call.xid);
        }
        Ok(ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Channel, Harness, Reply};

    fn fore(reply: &mut Reply) -> ChannelAttrs {
        let _session: SessionId = reply.ok_body();
        let _sequence: u32 = reply.body();
        assert_eq!(reply.body::<u32>(), CONN_BACK_CHAN, "no other is granted");
        reply.body()
    }

    #[tokio::test]
    async fn a_client_gets_at_most_what_it_asked_for() {
        let h = Harness::new();
        let (id, number) = h.exchange_id("a", 1).await;
        let asked = Channel {
            request: 1 << 20,
            response: 4 << 20,
            cached: 1 << 20,
            operations: 8,
            requests: 1000,
        };
        let mut reply = h
            .compound(1)
            .create_session_with(id, number, 0x7, &asked)
            .run()
            .await;
        let granted = fore(&mut reply);
        assert_eq!(granted.request, 1 << 20);
        assert_eq!(granted.response, (1 << 20) + 4096);
        assert_eq!(granted.cached, 16 * 1024);
        assert_eq!(granted.operations, 8);
        assert_eq!(granted.requests, 64);
        let back: ChannelAttrs = reply.body();
        assert_eq!((back.response, back.requests), (4 << 20, 1000), "echoed");
    }

    #[tokio::test]
    async fn a_channel_that_could_carry_nothing_is_too_small() {
        let h = Harness::new();
        let (id, number) = h.exchange_id("a", 1).await;
        for (i, small) in [
            Channel {
                request: 20,
                ..Channel::default()
            },
            Channel {
                response: 0,
                ..Channel::default()
            },
        ]
        .iter()
        .enumerate()
        {
            let create = h.compound(1).create_session(id, number + i as u32, small);
            assert_eq!(create.status().await, Status::Toosmall);
        }
    }

    #[tokio::test]
    async fn what_no_session_can_be_made_of_can_be_mended_under_the_same_number_or_the_next() {
        let h = Harness::new();
        let (id, number) = h.exchange_id("a", 1).await;
        let create = |number, flags| {
            h.compound(1)
                .create_session_with(id, number, flags, &Channel::default())
        };
        assert_eq!(create(number, 0x8).status().await, Status::Inval);
        assert_eq!(create(number, 0x8).status().await, Status::Inval);
        let made: SessionId = create(number, 0).run().await.ok_body();
        // Under a number that is used, all is a retry.
        let again: SessionId = create(number, 0x8).run().await.ok_body();
        assert_eq!(again, made);
        assert_eq!(
            create(number + 2, 0x8).status().await,
            Status::SeqMisordered
        );
        assert_eq!(create(number + 1, 0x8).status().await, Status::Inval);
        create(number + 2, 0).run().await.ok();
        assert_eq!(create(number + 1, 0).status().await, Status::SeqMisordered);
    }

    #[tokio::test]
    async fn a_refusal_uses_its_number_and_is_repeated_under_it() {
        let h = Harness::with(Settings {
            v4_max_sessions_per_client: 1,
            ..Settings::default()
        });
        let (id, number) = h.exchange_id("a", 1).await;
        let create = |number| {
            h.compound(1)
                .create_session(id, number, &Channel::default())
        };
        let first: SessionId = create(number).run().await.ok_body();
        let refused = create(number + 1).run().await;
        assert_eq!(refused.status, Status::Nospc);
        let end = h.compound(1).destroy_session(first);
        end.run().await.ok();
        // There would be room now.
        assert_eq!(create(number + 1).run().await.bytes, refused.bytes);
        // EXCHANGE_ID says where the numbers go on.
        assert_eq!(h.exchange_id("a", 1).await, (id, number + 2));
        create(number + 2).run().await.ok();
        assert_eq!(create(number + 1).status().await, Status::SeqMisordered);
    }

    #[tokio::test]
    async fn a_retry_may_come_after_sequence_and_the_first_without() {
        let h = Harness::new();
        let client = h.client41("a").await;
        let number = h.exchange_id("a", 1).await.1;
        let made = h.create_session(client.id, number).await;
        let again = client.compound();
        let again = again.create_session(client.id, number, &Channel::default());
        let session: SessionId = again.run().await.ok_body();
        assert_eq!(session, made);
    }

    #[tokio::test]
    async fn once_a_client_is_confirmed_any_user_of_it_may_make_or_retry_sessions() {
        let h = Harness::new();
        let (id, number) = h.exchange_id("a", 1).await;
        let first = h.create_session(id, number).await;
        let other = h.as_user(2000);
        assert_eq!(other.create_session(id, number).await, first, "a retry");
        assert_ne!(other.create_session(id, number + 1).await, first);
    }

    #[tokio::test]
    async fn a_retry_makes_no_second_session() {
        let h = Harness::new();
        let (id, number) = h.exchange_id("a", 1).await;
        let create = || {
            h.compound(1)
                .create_session(id, number, &Channel::default())
        };
        let first = create().run().await;
        assert_eq!(create().run().await.bytes, first.bytes);
        let next = h
            .compound(1)
            .create_session(id, number + 2, &Channel::default());
        assert_eq!(next.status().await, Status::SeqMisordered);
        let next = h
            .compound(1)
            .create_session(id, number + 1, &Channel::default())
            .run()
            .await;
        assert_eq!(next.status, Status::Ok);
        assert_ne!(next.bytes, first.bytes);
    }

    #[tokio::test]
    async fn the_number_that_precedes_the_first_is_misordered() {
        let h = Harness::new();
        let (id, number) = h.exchange_id("a", 1).await;
        let create = h
            .compound(1)
            .create_session(id, number - 1, &Channel::default());
        assert_eq!(create.status().await, Status::SeqMisordered);
    }

    #[tokio::test]
    async fn another_user_can_neither_confirm_a_client_nor_spoil_its_number() {
        let h = Harness::new();
        let (id, number) = h.exchange_id("a", 1).await;
        let other = h.as_user(2000);
        let create = other
            .compound(1)
            .create_session(id, number, &Channel::default());
        assert_eq!(create.status().await, Status::ClidInuse);
        h.create_session(id, number).await;
    }

    #[tokio::test]
    async fn sessions_of_a_client_are_bounded() {
        let settings = Settings {
            v4_max_sessions_per_client: 2,
            ..Settings::default()
        };
        let h = Harness::with(settings);
        let (id, number) = h.exchange_id("a", 1).await;
        h.create_session(id, number).await;
        h.create_session(id, number + 1).await;
        let third = h
            .compound(1)
            .create_session(id, number + 2, &Channel::default());
        assert_eq!(third.status().await, Status::Nospc);
    }

    #[tokio::test]
    async fn clients_are_bounded() {
        let h = Harness::with(Settings {
            max_clients: 1,
            ..Settings::default()
        });
        let _client = h.client41("a").await;
        let (id, number) = h.exchange_id("b", 1).await;
        let create = h
            .compound(1)
            .create_session(id, number, &Channel::default());
        assert_eq!(create.status().await, Status::Nospc);
        let third = h.compound(1).exchange_id("c", 1, 0);
        assert_eq!(third.status().await, Status::Delay, "one waits already");
    }

    #[tokio::test]
    async fn an_unknown_client_is_stale() {
        let h = Harness::new();
        let create = h
            .compound(1)
            .create_session(ClientId(7), 1, &Channel::default());
        assert_eq!(create.status().await, Status::StaleClientid);
    }
}
