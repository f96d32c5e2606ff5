//! SETCLIENTID: a 4.0 client says who it is.
//! <https://www.rfc-editor.org/rfc/rfc7530#section-16.33>

use bytes::Bytes;

use crate::callback::Endpoint;
use crate::compound::{Cx, OpError, Operation};
use crate::entropy::random;
use crate::state::Principal;
use crate::state::v40::{Callback, Introduced, Introduction};
use crate::status::Status;
use crate::types::{ClientId, Family, OPAQUE_MAX, Verifier};
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
                endpoint: None,
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
        let Callback { netid, address, .. } = &self.callback;
        let (peer, local) = (cx.call.peer.ip(), cx.call.connection.local.ip());
        // An address that leads nowhere means that there are no callbacks, and so no delegations.
        let endpoint = Endpoint::new(netid, address, peer, local);
        let introduction = Introduction {
            owner: self.owner,
            verifier: self.verifier,
            principal: Principal::from(&cx.call.auth),
            callback: Callback {
                endpoint,
                ..self.callback
            },
            confirm,
        };
        let limits = cx.settings.limits();
        let name = (Family::V40, introduction.owner.clone());
        let give = cx
            .server
            .give_name(&name, introduction.principal, cx.now, limits.lease);
        give.await;
        match cx.server.state.introduce(introduction, cx.now, &limits)? {
            Introduced::Id(client, files) => {
                drop(files);
                Ok(Ok { client, confirm })
            }
            Introduced::InUse(callback) => Err(Refused::InUse(callback)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Harness;

    /// OPEN of a new file, which leaves the client with state.
    async fn open(h: &Harness, client: ClientId) {
        let opened = h.compound(0).putrootfh().lookup("export").op(18, |w| {
            for word in [1_u32, 1, 0] {
                w.write(&word);
            }
            w.write(&client);
            w.write("owner");
            // UNCHECKED4 without attributes, CLAIM_NULL.
            for word in [1_u32, 0, 0, 0, 0] {
                w.write(&word);
            }
            w.write("file");
        });
        opened.run().await.ok();
    }

    #[tokio::test]
    async fn a_name_in_use_is_refused_to_another_user_with_the_holders_address() {
        let h = Harness::new();
        let client = h.client40("a").await;
        open(&h, client).await;
        let mut reply = h.as_user(2000).compound(0).setclientid("a", 1).run().await;
        assert_eq!(reply.next(), (35, Status::ClidInuse));
        assert_eq!(reply.body::<Bytes>(), "tcp");
        assert_eq!(reply.body::<Bytes>(), "192.0.2.1.8.1");
        h.compound(0).renew(client).run().await.ok();
    }

    #[tokio::test]
    async fn a_name_without_state_goes_to_another_user() {
        let h = Harness::new();
        let client = h.client40("a").await;
        let other = h.as_user(2000);
        assert_ne!(other.client40("a").await, client);
        assert_eq!(h.compound(0).renew(client).status().await, Status::Expired);
    }

    #[tokio::test]
    async fn the_callback_address_is_remembered() {
        let h = Harness::new();
        let id = h.client40("a").await;
        let client = h.server.state.clients.find(id).unwrap();
        let expected = Callback {
            program: 0x4000_0000,
            netid: Bytes::from_static(b"tcp"),
            address: Bytes::from_static(b"192.0.2.1.8.1"),
            ident: 1,
            endpoint: None,
        };
        assert_eq!(client.dial.target(), expected);
    }

    #[tokio::test]
    async fn later_minor_versions_do_not_have_it() {
        let h = Harness::new();
        let client = h.client41("a").await;
        assert_eq!(
            client.compound().setclientid("a", 1).status().await,
            Status::Notsupp
        );
    }
}
