//! SETCLIENTID: a 4.0 client says who it is.
//! <https://www.rfc-editor.org/rfc/rfc7530#section-16.33>

use bytes::Bytes;

use crate::compound::{Cx, OpError, Operation};
use crate::entropy::random;
use crate::state::Principal;
use crate::state::v40::{Callback, Introduced, Introduction};
use crate::status::Status;
use crate::types::{ClientId, OPAQUE_MAX, Verifier};
use crate::xdr::{BadXdr, Decode, Reader, Writer, xdr_struct};

/// Longest network id or universal address that is remembered; a longer one is none.
const ADDRESS_MAX: usize = 128;

/// SETCLIENTID4args
#[derive(Debug)]
pub struct Args {
    /// Incarnation of the client.
    pub verifier: Verifier,
    /// Name of the client over all incarnations.
    pub owner: Bytes,
    /// Where callbacks go.
    pub callback: Callback,
}

impl Decode for Args {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        Ok(Self {
            verifier: reader.read()?,
            owner: reader.opaque(OPAQUE_MAX)?,
            callback: Callback {
                program: reader.read()?,
                netid: address(reader)?,
                address: address(reader)?,
                ident: reader.read()?,
            },
        })
    }
}

/// A copy: a slice would keep the whole request in memory as long as the client lives.
fn address(reader: &mut Reader) -> Result<Bytes, BadXdr> {
    let text: Bytes = reader.read()?;
    if text.len() > ADDRESS_MAX {
        return Ok(Bytes::new());
    }
    Ok(Bytes::copy_from_slice(&text))
}

xdr_struct! {
    /// SETCLIENTID4resok
    #[derive(Debug)]
    pub struct Ok {
        /// The client's number.
        pub client: ClientId,
        /// What SETCLIENTID_CONFIRM has to repeat.
        pub confirm: Verifier,
    } => encode
}

/// Why SETCLIENTID is refused.
#[derive(Debug)]
pub enum Refused {
    /// NFS4ERR_CLID_INUSE, with the address of the one that has the name.
    InUse(Callback),
    /// Anything else.
    Status(Status),
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl OpError for Refused {
    fn status(&self) -> Status {
        match self {
            Self::InUse(_) => Status::ClidInuse,
            Self::Status(status) => *status,
        }
    }

    fn encode_body(&self, writer: &mut Writer) {
        if let Self::InUse(callback) = self {
            writer.write(&callback.netid);
            writer.write(&callback.address);
        }
    }
}

impl Operation for Args {
    type Ok = Ok;
    type Err = Refused;

    fn reply_room(&self) -> usize {
        2 * (4 + ADDRESS_MAX)
    }

    async fn run(self, cx: &mut Cx) -> Result<Ok, Refused> {
        let confirm = Verifier(random()?);
        let introduction = Introduction {
            owner: self.owner,
            verifier: self.verifier,
            principal: Principal::from(&cx.call.auth),
            callback: self.callback,
            confirm,
        };
        let limits = cx.server.settings().limits();
        match cx.server.state.introduce(introduction, cx.now, &limits)? {
            Introduced::Id(client, files) => {
                drop(files);
                Ok(Ok { client, confirm })
            }
            Introduced::InUse(callback) => Err(Refused::InUse(callback)),
        }
    }
}
