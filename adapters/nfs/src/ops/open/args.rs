//! The wire types of OPEN.
//! <https://www.rfc-editor.org/rfc/rfc5662>

use bytes::Bytes;

use crate::attr::FAttr;
use crate::state::files::Share;
use crate::status::Status;
use crate::types::{Bitmap, ChangeInfo, ClientId, Minor, OPAQUE_MAX, StateId, Verifier};
use crate::xdr::{BadXdr, Decode, Encode, Reader, Writer, xdr_struct};

xdr_struct! {
    /// OPEN4args
    #[derive(Debug)]
    pub struct Args {
        /// Number of the operation in the owner's sequence (4.0).
        pub seqid: u32,
        /// What for, with the client's wish for a delegation.
        pub share_access: u32,
        /// What to deny others.
        pub share_deny: u32,
        /// Who opens.
        pub owner: OwnerArg,
        /// Whether and how to create the file.
        pub how: How,
        /// Which file.
        pub claim: Claim,
    } => decode
}

/// state_owner4: open_owner4 and lock_owner4
#[derive(Debug, Clone)]
pub struct OwnerArg {
    /// The client; ignored in 4.1.
    pub client: ClientId,
    /// The client's name for the owner.
    pub name: Bytes,
}

/// openflag4
#[derive(Debug)]
pub enum How {
    /// OPEN4_NOCREATE
    Find,
    /// UNCHECKED4: create it unless it is there.
    Unchecked(FAttr),
    /// GUARDED4: create it, or fail if it is there.
    Guarded(FAttr),
    /// EXCLUSIVE4: create it once, however often this arrives.
    Exclusive(Verifier),
    /// EXCLUSIVE4_1: the same, with attributes.
    Exclusive41(Verifier, FAttr),
}

/// open_claim4
#[derive(Debug)]
pub enum Claim {
    /// The file of this name in the current directory.
    Null(Bytes),
    /// CLAIM_PREVIOUS: an open from before the server's restart.
    Previous,
    /// CLAIM_DELEGATE_CUR, CLAIM_DELEG_CUR_FH: an open under this delegation.
    Delegated(StateId),
    /// CLAIM_DELEGATE_PREV, CLAIM_DELEG_PREV_FH: an open under a delegation from before the client's
    /// restart.
    DelegatedBefore,
    /// CLAIM_FH: the current object.
    Handle,
}

/// What the client would like to get with the open (4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// It did not say.
    Unsaid,
    /// A delegation, of any kind.
    Delegation,
    /// None.
    None,
    /// No longer the one that it asked for before.
    Cancel,
}

const ACCESS_MASK: u32 = 0xff;
const WANT_MASK: u32 = 0xff00;
const WANT_SIGNAL: u32 = 0x1_0000;
const WANT_PUSH: u32 = 0x2_0000;

impl Args {
    /// The share reservation, and the wish for a delegation, which exists in 4.1 only.
    pub(super) fn share(&self, minor: Minor) -> Result<(Share, Want), Status> {
        if minor == Minor::V40 {
            return Ok((
                Share::new(self.share_access, self.share_deny)?,
                Want::Unsaid,
            ));
        }
        let known = ACCESS_MASK | WANT_MASK | WANT_SIGNAL | WANT_PUSH;
        if self.share_access & !known != 0 {
            return Err(Status::Inval);
        }
        let want = match self.share_access & WANT_MASK {
            0 => Want::Unsaid,
            0x100..=0x300 => Want::Delegation,
            0x400 => Want::None,
            0x500 => Want::Cancel,
            _ => return Err(Status::Inval),
        };
        let share = Share::new(self.share_access & ACCESS_MASK, self.share_deny)?;
        Ok((share, want))
    }
}

impl Claim {
    /// Whether it takes back what there was before a restart.
    pub(super) fn is_reclaim(&self) -> bool {
        matches!(self, Self::Previous | Self::DelegatedBefore)
    }
}

impl Decode for OwnerArg {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        Ok(Self {
            client: reader.read()?,
            name: reader.opaque(OPAQUE_MAX)?,
        })
    }
}

impl Decode for How {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        match reader.read::<u32>()? {
            0 => return Ok(Self::Find),
            1 => {}
            _ => return Err(BadXdr),
        }
        match reader.read::<u32>()? {
            0 => reader.read().map(Self::Unchecked),
            1 => reader.read().map(Self::Guarded),
            2 => reader.read().map(Self::Exclusive),
            3 => Ok(Self::Exclusive41(reader.read()?, reader.read()?)),
            _ => Err(BadXdr),
        }
    }
}

impl Decode for Claim {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        match reader.read::<u32>()? {
            0 => reader.read().map(Self::Null),
            1 => reader.read::<u32>().map(|_delegation| Self::Previous),
            2 => {
                let stateid = reader.read()?;
                reader.read::<Bytes>()?;
                Ok(Self::Delegated(stateid))
            }
            3 => reader.read::<Bytes>().map(|_name| Self::DelegatedBefore),
            4 => Ok(Self::Handle),
            5 => reader.read().map(Self::Delegated),
            6 => Ok(Self::DelegatedBefore),
            _ => Err(BadXdr),
        }
    }
}

xdr_struct! {
    /// OPEN4resok
    #[derive(Debug)]
    pub struct Opened {
        /// The open.
        pub stateid: StateId,
        /// The directory before and after.
        pub change: ChangeInfo,
        /// OPEN4_RESULT_* bits.
        pub flags: u32,
        /// Attributes that were set.
        pub attrs: Bitmap,
        /// No delegation.
        pub delegation: NoDelegation,
    } => encode
}

/// open_delegation4 of a server that grants none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoDelegation(pub Want);

impl Encode for NoDelegation {
    /// A client that had a wish is told why (RFC 8881 §18.16.3).
    fn encode(&self, writer: &mut Writer) {
        const NONE: u32 = 0;
        const NONE_EXT: u32 = 3;
        const NOT_WANTED: u32 = 0;
        const NOT_SUPP_FTYPE: u32 = 3;
        const CANCELLED: u32 = 7;
        let why = match self.0 {
            Want::Unsaid => return writer.write(&NONE),
            Want::None => NOT_WANTED,
            Want::Cancel => CANCELLED,
            Want::Delegation => NOT_SUPP_FTYPE,
        };
        writer.write(&NONE_EXT);
        writer.write(&why);
    }
}
