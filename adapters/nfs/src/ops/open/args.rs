//! The wire types of OPEN.
//! <https://www.rfc-editor.org/rfc/rfc5662>

use bytes::Bytes;

use super::delegation::{Delegation, Want};
use crate::attr::FAttr;
use crate::state::files::{DelegationKind, Share};
use crate::status::Status;
use crate::types::{Bitmap, ChangeInfo, ClientId, Minor, OPAQUE_MAX, StateId, Verifier};
use crate::xdr::{BadXdr, Decode, Reader, xdr_struct};

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
    /// CLAIM_PREVIOUS: an open from before the server's restart, and the delegation that there was.
    Previous(Option<DelegationKind>),
    /// CLAIM_DELEGATE_CUR: an open of the file of this name under this delegation.
    DelegatedName(StateId, Bytes),
    /// CLAIM_DELEG_CUR_FH: an open of the current object under this delegation.
    Delegated(StateId),
    /// CLAIM_DELEGATE_PREV, CLAIM_DELEG_PREV_FH: an open under a delegation from before the client's
    /// restart.
    DelegatedBefore,
    /// CLAIM_FH: the current object.
    Handle,
}

const ACCESS_MASK: u32 = 0xff;

impl Args {
    /// The share reservation, and the wish for a delegation, which exists in 4.1 only.
    pub(super) fn share(&self, minor: Minor) -> Result<(Share, Want), Status> {
        if minor == Minor::V40 {
            return Ok((
                Share::new(self.share_access, self.share_deny)?,
                Want::Unsaid,
            ));
        }
        let want = Want::new(self.share_access, ACCESS_MASK)?;
        let share = Share::new(self.share_access & ACCESS_MASK, self.share_deny)?;
        Ok((share, want))
    }
}

impl Claim {
    /// The delegation under which the client has the file open already.
    pub(super) fn delegation(&self) -> Option<&StateId> {
        match self {
            Self::Delegated(stateid) | Self::DelegatedName(stateid, _) => Some(stateid),
            _ => None,
        }
    }

    /// Whether it takes back what there was before a restart.
    pub(super) fn is_reclaim(&self) -> bool {
        matches!(self, Self::Previous(_) | Self::DelegatedBefore)
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

/// open_delegation_type4 of a claim.
pub(crate) fn kind(number: u32) -> Result<Option<DelegationKind>, BadXdr> {
    match number {
        0 => Ok(None),
        1 => Ok(Some(DelegationKind::Read)),
        2 => Ok(Some(DelegationKind::Write)),
        _ => Err(BadXdr),
    }
}

impl Decode for Claim {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        match reader.read::<u32>()? {
            0 => reader.read().map(Self::Null),
            1 => kind(reader.read()?).map(Self::Previous),
            2 => Ok(Self::DelegatedName(reader.read()?, reader.read()?)),
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
        /// The delegation, or why there is none.
        pub delegation: Delegation,
    } => encode
}
