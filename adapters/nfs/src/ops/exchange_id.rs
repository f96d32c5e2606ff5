//! EXCHANGE_ID: a client says who it is, and learns whom it talks to.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.35>

use bytes::Bytes;

use crate::compound::{Cx, Operation};
use crate::state::Principal;
use crate::state::v41::Exchange;
use crate::status::Status;
use crate::types::{Bitmap, ClientId, OPAQUE_MAX, Verifier};
use crate::xdr::{BadXdr, Decode, Encode, Reader, Writer, xdr_struct};

/// The client can deal with moved file systems (EXCHGID4_FLAG_SUPP_MOVED_*).
const SUPP_MOVED: u32 = 0x0000_0003;
const BIND_PRINC_STATEID: u32 = 0x0000_0100;
/// The server is, or the client wants, no part of pNFS.
pub const USE_NON_PNFS: u32 = 0x0001_0000;
const MASK_PNFS: u32 = 0x0007_0000;
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
        self.protection.check()?;
        let exchange = Exchange {
            owner: self.owner.0,
            verifier: self.verifier,
            principal: Principal::from(&cx.call.auth),
            update: self.flags & UPD_CONFIRMED_REC_A != 0,
        };
        let server = &cx.server;
        let limits = server.settings().limits();
        let exchanged = server.state.exchange_id(exchange, cx.now, &limits)?;
        let confirmed = if exchanged.confirmed { CONFIRMED_R } else { 0 };
        let owner = Bytes::copy_from_slice(server.identity.owner.as_bytes());
        Ok(Ok {
            client: exchanged.id,
            sequence: exchanged.sequence,
            flags: USE_NON_PNFS | confirmed,
            protection: 0,
            minor_id: 0,
            major_id: owner.clone(),
            scope: owner,
            implementation: AtMostOne(Some(Implementation {
                domain: Bytes::from_static(b"dittofs.io"),
                name: Bytes::from_static(concat!("DittoFS ", env!("CARGO_PKG_VERSION")).as_bytes()),
                seconds: 0,
                nanoseconds: 0,
            })),
        })
    }
}
