//! WANT_DELEGATION: asks for a delegation apart from an OPEN.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.49>

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::xdr::{BadXdr, Decode, Reader, xdr_struct};

xdr_struct! {
    /// WANT_DELEGATION4args
    #[derive(Debug)]
    pub struct Args {
        /// OPEN4_SHARE_ACCESS_WANT_* bits.
        pub want: u32,
        /// On what ground.
        pub claim: Claim,
    } => decode
}

/// deleg_claim4
#[derive(Debug)]
pub enum Claim {
    /// CLAIM_FH
    Handle,
    /// CLAIM_DELEG_PREV_FH
    HeldBefore,
    /// CLAIM_PREVIOUS, with the type of the delegation.
    Previous(u32),
}

impl Decode for Claim {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        match reader.read::<u32>()? {
            1 => reader.read().map(Self::Previous),
            4 => Ok(Self::Handle),
            6 => Ok(Self::HeldBefore),
            _ => Err(BadXdr),
        }
    }
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    /// An OPTIONAL operation that is not offered (RFC 8881 §17).
    async fn run(self, _cx: &mut Cx) -> Result<(), Status> {
        Err(Status::Notsupp)
    }
}
