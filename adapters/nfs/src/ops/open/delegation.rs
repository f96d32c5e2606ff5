//! What OPEN and WANT_DELEGATION say of delegations.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.16.3>

use dittofs_sdk::vfs::OpenAccess;

use crate::delegations::{Granted, Refusal};
use crate::state::files::{DelegationKind, NoDelegation};
use crate::status::Status;
use crate::xdr::{Encode, Writer};

/// What the client would like to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// It did not say, as all clients of 4.0.
    Unsaid,
    /// A delegation for reading.
    Read,
    /// A delegation for writing.
    Write,
    /// A delegation of any kind.
    Any,
    /// None.
    None,
    /// No longer the one that it asked for before.
    Cancel,
}

const WANT_MASK: u32 = 0xff00;
/// OPEN4_SHARE_ACCESS_WANT_SIGNAL_DELEG_WHEN_RESRC_AVAIL and
/// OPEN4_SHARE_ACCESS_WANT_PUSH_DELEG_WHEN_UNCONTENDED: nobody is told later, and the reply says
/// so; and OPEN4_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS (RFC 9754 §5), a wish that is not granted.
const HINTS: u32 = 0x13_0000;

impl Want {
    /// The wish in an OPEN's share_access or a WANT_DELEGATION, beside the bits `others`.
    pub fn new(bits: u32, others: u32) -> Result<Self, Status> {
        if bits & !(others | WANT_MASK | HINTS) != 0 {
            return Err(Status::Inval);
        }
        Ok(match bits & WANT_MASK {
            0 => Self::Unsaid,
            0x100 => Self::Read,
            0x200 => Self::Write,
            0x300 => Self::Any,
            0x400 => Self::None,
            0x500 => Self::Cancel,
            _ => return Err(Status::Inval),
        })
    }

    /// The kinds that would do, the best one first, for a file that is open for `access`.
    pub fn kinds(self, access: OpenAccess) -> &'static [DelegationKind] {
        use DelegationKind::{Read, Write};
        match self {
            Self::Unsaid | Self::Any if !access.writes() => &[Read],
            Self::Unsaid | Self::Write => &[Write],
            Self::Any => &[Write, Read],
            Self::Read => &[Read],
            Self::None | Self::Cancel => &[],
        }
    }
}

/// open_delegation4
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delegation {
    /// OPEN_DELEGATE_NONE: there is nothing to say.
    None,
    /// OPEN_DELEGATE_NONE_EXT: there is none, and why.
    Not(Why),
    /// OPEN_DELEGATE_READ or OPEN_DELEGATE_WRITE
    Granted(Granted),
}

/// why_no_delegation4
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
#[expect(missing_docs, reason = "the names are the RFC's")]
pub enum Why {
    NotWanted = 0,
    Contention = 1,
    Resource = 2,
    NotSuppFtype = 3,
    WriteDelegNotSuppFtype = 4,
    NotSuppUpgrade = 5,
    NotSuppDowngrade = 6,
    Cancelled = 7,
    IsDir = 8,
}

impl From<Refusal> for Why {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::State(NoDelegation::Contention) => Self::Contention,
            Refusal::State(NoDelegation::Resource) | Refusal::Unavailable => Self::Resource,
            Refusal::State(NoDelegation::Upgrade) => Self::NotSuppUpgrade,
            Refusal::State(NoDelegation::Downgrade) => Self::NotSuppDowngrade,
            Refusal::NotWritable => Self::WriteDelegNotSuppFtype,
            Refusal::Named => Self::NotSuppFtype,
        }
    }
}

impl Delegation {
    /// stateid, recall, space limit, ACE with a user's number
    pub const SIZE_MAX: usize = 4 + 16 + 4 + 12 + (12 + 4 + 12);

    /// What is said to a client that wanted `want`; one without a wish gets no reason.
    pub fn of(result: Result<Granted, Refusal>, want: Want) -> Self {
        match (result, want) {
            (Ok(granted), _) => Self::Granted(granted),
            (Err(_), Want::Unsaid) => Self::None,
            (Err(_), Want::None) => Self::Not(Why::NotWanted),
            (Err(_), Want::Cancel) => Self::Not(Why::Cancelled),
            (Err(refusal), _) => Self::Not(refusal.into()),
        }
    }
}

impl Encode for Delegation {
    fn encode(&self, writer: &mut Writer) {
        const NONE: u32 = 0;
        const READ: u32 = 1;
        const WRITE: u32 = 2;
        const NONE_EXT: u32 = 3;
        const LIMIT_SIZE: u32 = 1;
        // A close writes back, as without a delegation: no space is set aside for what would be
        // written later (RFC 8881 §10.4.1), and a program on the server finds in the file what
        // was there at the close.
        const ALWAYS: u64 = 0;
        match self {
            Self::None => writer.write(&NONE),
            Self::Not(why) => {
                writer.write(&NONE_EXT);
                writer.write(&(*why as u32));
                // Whether there will be a callback when there can be one.
                if matches!(why, Why::Contention | Why::Resource) {
                    writer.write(&false);
                }
            }
            Self::Granted(granted) => {
                writer.write(&match granted.kind {
                    DelegationKind::Read => READ,
                    DelegationKind::Write => WRITE,
                });
                writer.write(&granted.stateid);
                writer.write(&granted.recalled);
                if granted.kind == DelegationKind::Write {
                    writer.write(&LIMIT_SIZE);
                    writer.write(&ALWAYS);
                }
                encode_ace(granted, writer);
            }
        }
    }
}

/// nfsace4: the user who opened the file may open it again, as far as it was opened. For others the
/// client has to ask, as it does for all if nobody is named.
fn encode_ace(granted: &Granted, writer: &mut Writer) {
    const ALLOWED: u32 = 0;
    const READ_DATA: u32 = 1;
    const WRITE_DATA: u32 = 2;
    const APPEND_DATA: u32 = 4;
    let access = granted.access;
    let mut mask = 0;
    if access.reads() {
        mask |= READ_DATA;
    }
    if access.writes() && granted.kind == DelegationKind::Write {
        mask |= WRITE_DATA | APPEND_DATA;
    }
    writer.write(&ALLOWED);
    writer.write(&0_u32);
    if let Some(user) = granted.user {
        writer.write(&mask);
        writer.write(user.to_string().as_str());
    } else {
        writer.write(&0_u32);
        writer.write("");
    }
}
