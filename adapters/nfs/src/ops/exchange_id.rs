//! EXCHANGE_ID: a client says who it is, and learns whom it talks to.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.35>,
//! <https://www.rfc-editor.org/rfc/rfc7862#section-14.1>

use bytes::Bytes;

use super::fence;
use crate::compound::{Cx, Operation};
use crate::state::Principal;
use crate::state::v41::Exchange;
use crate::status::Status;
use crate::types::{Bitmap, ClientId, Family, Minor, OPAQUE_MAX, Verifier};
use crate::xdr::{BadXdr, Decode, Encode, Reader, Writer, xdr_struct};

/// The client can deal with moved file systems (EXCHGID4_FLAG_SUPP_MOVED_*).
const SUPP_MOVED: u32 = 0x0000_0003;
const BIND_PRINC_STATEID: u32 = 0x0000_0100;
/// The server is, or the client wants, no part of pNFS.
pub const USE_NON_PNFS: u32 = 0x0001_0000;
const MASK_PNFS: u32 = 0x0007_0000;
/// DESTROY_SESSION, and EXCHANGE_ID of another incarnation, are answered when nothing is under way
/// any more. In effect whether the client asks for it or not (RFC 7862 §14.1.4). Who asks is refused,
/// though the RFC has clients ask: Linux's server and pynfs have it so, and no client that works
/// with either does.
pub const SUPP_FENCE_OPS: u32 = 0x0000_0004;
/// The client updates a confirmed record.
pub const UPD_CONFIRMED_REC_A: u32 = 0x4000_0000;
/// The record is confirmed; never set by a client.
pub const CONFIRMED_R: u32 = 0x8000_0000;

/// All that a client may set.
const KNOWN: u32 = SUPP_MOVED | BIND_PRINC_STATEID | MASK_PNFS | UPD_CONFIRMED_REC_A;

xdr_struct! {
    /// EXCHANGE_ID4args
    #[derive(Debug)]
    pub struct Args {
        /// Incarnation of the client.
        pub verifier: Verifier,
        /// Name of the client over all incarnations.
        pub owner: OwnerId,
        /// EXCHGID4_FLAG_* bits.
        pub flags: u32,
        /// How the client wants its state protected.
        pub protection: Protection,
        /// What the client is, for statistics.
        pub implementation: AtMostOne<Implementation>,
    } => decode
}

/// co_ownerid
#[derive(Debug)]
pub struct OwnerId(pub Bytes);

impl Decode for OwnerId {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        reader.opaque(OPAQUE_MAX).map(Self)
    }
}

/// state_protect4_a
#[derive(Debug)]
pub enum Protection {
    /// SP4_NONE
    None,
    /// SP4_MACH_CRED: operations that must, and may, use the machine's credential.
    MachineCred(Bitmap, Bitmap),
    /// SP4_SSV
    Ssv(Ssv),
}

xdr_struct! {
    /// ssv_sp_parms4
    #[derive(Debug)]
    pub struct Ssv {
        /// Operations that must be protected.
        pub enforce: Bitmap,
        /// Operations that may be protected.
        pub allow: Bitmap,
        /// Object identifiers of hash algorithms.
        pub hashes: Vec<Bytes>,
        /// Object identifiers of encryption algorithms.
        pub ciphers: Vec<Bytes>,
        /// Versions of the secret to keep.
        pub window: u32,
        /// Handles that the client wants.
        pub handles: u32,
    } => decode
}

impl Decode for Protection {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        match reader.read::<u32>()? {
            0 => Ok(Self::None),
            1 => Ok(Self::MachineCred(reader.read()?, reader.read()?)),
            2 => reader.read().map(Self::Ssv),
            _ => Err(BadXdr),
        }
    }
}

impl Protection {
    /// Both kinds of protection require RPCSEC_GSS (RFC 8881 §18.35.3), which this server does
    /// not speak: a client that asks for them with another flavor breaks the rule, and is told
    /// so. Linux then asks for none.
    fn check(&self) -> Result<(), Status> {
        match self {
            Self::None => Ok(()),
            Self::MachineCred(..) => Err(Status::Inval),
            Self::Ssv(ssv)
                if ssv.hashes.is_empty() || ssv.ciphers.is_empty() || ssv.window == 0 =>
            {
                Err(Status::Inval)
            }
            Self::Ssv(_) => Err(Status::HashAlgUnsupp),
        }
    }
}

/// `<1>` in XDR.
#[derive(Debug)]
pub struct AtMostOne<T>(pub Option<T>);

impl<T: Decode> Decode for AtMostOne<T> {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        reader.array(1).map(|mut values| Self(values.pop()))
    }
}

impl<T: Encode> Encode for AtMostOne<T> {
    fn encode(&self, writer: &mut Writer) {
        // A count of nought or one is encoded as a presence is.
        writer.write(&self.0);
    }
}

xdr_struct! {
    /// nfs_impl_id4
    #[derive(Debug)]
    pub struct Implementation {
        /// Domain name of the maker.
        pub domain: Bytes,
        /// Name of the product.
        pub name: Bytes,
        /// Seconds of the build's date.
        pub seconds: i64,
        /// Nanoseconds of it.
        pub nanoseconds: u32,
    } => both
}

xdr_struct! {
    /// EXCHANGE_ID4resok
    #[derive(Debug)]
    pub struct Ok {
        /// The client's number.
        pub client: ClientId,
        /// Number of its next CREATE_SESSION.
        pub sequence: u32,
        /// EXCHGID4_FLAG_* bits.
        pub flags: u32,
        /// state_protect4_r: always SP4_NONE.
        pub protection: u32,
        /// server_owner4: which of equal servers this is.
        pub minor_id: u64,
        /// server_owner4: who the server is.
        pub major_id: Bytes,
        /// Who may know this server's client ids.
        pub scope: Bytes,
        /// What the server is.
        pub implementation: AtMostOne<Implementation>,
    } => encode
}

impl Operation for Args {
    type Ok = Ok;
    type Err = Status;

    async fn run(self, cx: &mut Cx) -> Result<Ok, Status> {
        if self.flags & !KNOWN != 0 {
            return Err(Status::Inval);
        }
        let offered = match cx.minor() {
            Minor::V40 | Minor::V41 => 0,
            Minor::V42 => SUPP_FENCE_OPS,
        };
        self.protection.check()?;
        let exchange = Exchange {
            owner: self.owner.0,
            minor: cx.minor(),
            verifier: self.verifier,
            principal: Principal::from(&cx.call.auth),
            update: self.flags & UPD_CONFIRMED_REC_A != 0,
        };
        let server = &cx.server;
        let limits = server.settings().limits();
        let name = (Family::Sessions, exchange.owner.clone());
        let former = server.state.named(&name);
        let former = former.filter(|client| client.verifier != exchange.verifier);
        let sessions = former.map_or_else(Vec::new, |client| client.sessions());
        if !exchange.update {
            let give = server.give_name(&name, exchange.principal, cx.now, limits.lease);
            give.await;
        }
        let exchanged = server.state.exchange_id(&exchange, cx.now, &limits)?;
        fence::settle(cx, &sessions).await;
        let confirmed = if exchanged.confirmed { CONFIRMED_R } else { 0 };
        let owner = Bytes::copy_from_slice(server.identity.owner.as_bytes());
        Ok(Ok {
            client: exchanged.id,
            sequence: exchanged.sequence,
            flags: USE_NON_PNFS | offered | confirmed,
            protection: 0,
            minor_id: 0,
            major_id: owner.clone(),
            scope: owner,
            implementation: AtMostOne(Some(Implementation {
                domain: Bytes::from_static(b"dittofs"),
                name: Bytes::from_static(concat!("DittoFS ", env!("CARGO_PKG_VERSION")).as_bytes()),
                seconds: 0,
                nanoseconds: 0,
            })),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Harness;

    async fn exchange(
        h: &Harness,
        incarnation: u64,
        flags: u32,
    ) -> Result<(ClientId, u32), Status> {
        let mut reply = h
            .compound(1)
            .exchange_id("a", incarnation, flags)
            .run()
            .await;
        if reply.status != Status::Ok {
            return Err(reply.status);
        }
        let id = reply.ok_body();
        let _sequence: u32 = reply.body();
        Ok((id, reply.body()))
    }

    #[tokio::test]
    async fn a_new_owner_gets_a_number_that_is_not_confirmed() {
        let h = Harness::new();
        let (_, flags) = exchange(&h, 1, 0).await.unwrap();
        assert_eq!(flags, USE_NON_PNFS);
    }

    #[tokio::test]
    async fn a_confirmed_owner_keeps_its_number() {
        let h = Harness::new();
        let client = h.client41("a").await;
        assert_eq!(
            exchange(&h, 1, 0).await,
            Ok((client.id, USE_NON_PNFS | CONFIRMED_R))
        );
        assert_eq!(
            exchange(&h, 1, UPD_CONFIRMED_REC_A).await,
            Ok((client.id, USE_NON_PNFS | CONFIRMED_R))
        );
    }

    #[tokio::test]
    async fn a_second_try_before_confirmation_gets_a_new_number() {
        let h = Harness::new();
        let (first, sequence) = h.exchange_id("a", 1).await;
        let (second, _) = h.exchange_id("a", 1).await;
        assert_ne!(first, second);
        let old =
            h.compound(1)
                .create_session(first, sequence, &crate::testing::Channel::default());
        assert_eq!(old.status().await, Status::StaleClientid);
    }

    #[tokio::test]
    async fn a_restarted_client_loses_its_old_session_when_it_is_confirmed_and_not_before() {
        let h = Harness::new();
        let old = h.client41("a").await;
        let (id, sequence) = h.exchange_id("a", 2).await;
        assert_ne!(id, old.id);
        old.compound().run().await.ok();
        h.create_session(id, sequence).await;
        assert_eq!(old.compound().status().await, Status::Badsession);
    }

    #[tokio::test]
    async fn an_owner_in_use_is_refused_to_another_user() {
        let h = Harness::new();
        let _client = h.client41("a").await;
        let other = h.as_user(2000);
        assert_eq!(exchange(&other, 1, 0).await, Err(Status::ClidInuse));
        assert_eq!(
            exchange(&other, 1, UPD_CONFIRMED_REC_A).await,
            Err(Status::Perm)
        );
    }

    #[tokio::test]
    async fn an_owner_without_state_goes_to_another_user() {
        let h = Harness::new();
        let client = h.client41("a").await;
        let destroyed = client.compound().destroy_session(client.session);
        destroyed.run().await.ok();
        let (id, flags) = exchange(&h.as_user(2000), 1, 0).await.unwrap();
        assert_ne!(id, client.id);
        assert_eq!(flags, USE_NON_PNFS);
    }

    #[tokio::test]
    async fn an_update_needs_a_confirmed_record_of_the_same_incarnation() {
        let h = Harness::new();
        assert_eq!(
            exchange(&h, 1, UPD_CONFIRMED_REC_A).await,
            Err(Status::Noent)
        );
        let _client = h.client41("a").await;
        assert_eq!(
            exchange(&h, 2, UPD_CONFIRMED_REC_A).await,
            Err(Status::NotSame)
        );
        // The verifier is looked at before the user (case 8 says "any principal").
        assert_eq!(
            exchange(&h.as_user(2000), 2, UPD_CONFIRMED_REC_A).await,
            Err(Status::NotSame)
        );
    }

    #[tokio::test]
    async fn bits_that_a_client_must_not_set_are_invalid() {
        let h = Harness::new();
        for flags in [CONFIRMED_R, 0x4, 0x2000_0000] {
            assert_eq!(
                exchange(&h, 1, flags).await,
                Err(Status::Inval),
                "{flags:#x}"
            );
        }
    }

    #[tokio::test]
    async fn protection_that_needs_gss_is_refused() {
        let h = Harness::new();
        let protected = |body: fn(&mut Writer)| {
            h.compound(1).op(42, |w| {
                w.write(&1_u64);
                w.write("a");
                w.write(&0_u32);
                body(w);
                w.write(&0_u32);
            })
        };
        let machine = protected(|w| {
            w.write(&1_u32);
            w.write(&Bitmap::of(&[44]));
            w.write(&Bitmap::EMPTY);
        });
        assert_eq!(machine.status().await, Status::Inval);
        let ssv = protected(|w| {
            w.write(&2_u32);
            w.write(&Bitmap::EMPTY);
            w.write(&Bitmap::EMPTY);
            w.write(&vec![Bytes::from_static(b"\x2b\x0e\x03\x02\x1a")]);
            w.write(&vec![Bytes::from_static(b"\x60\x86\x48\x01")]);
            w.write(&1_u32);
            w.write(&1_u32);
        });
        assert_eq!(ssv.status().await, Status::HashAlgUnsupp);
    }

    #[tokio::test]
    async fn without_sequence_it_must_be_alone() {
        let h = Harness::new();
        let reply = h.compound(1).exchange_id("a", 1, 0).putrootfh().run().await;
        assert_eq!((reply.status, reply.count), (Status::NotOnlyOp, 1));
    }
}
