//! BACKCHANNEL_CTL: where and as whom callbacks of a session are to be sent.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.33>

use bytes::Bytes;

use crate::compound::{Cx, Operation};
use crate::rpc::{AuthSys, CallbackCred};
use crate::state::Backchannel;
use crate::status::Status;
use crate::xdr::{BadXdr, Decode, Reader, xdr_struct};

xdr_struct! {
    /// BACKCHANNEL_CTL4args
    #[derive(Debug)]
    pub struct Args {
        /// The client's callback program.
        pub program: u32,
        /// Credentials that it accepts.
        pub security: Vec<SecParms>,
    } => decode
}

/// callback_sec_parms4
#[derive(Debug)]
pub enum SecParms {
    /// AUTH_NONE
    None,
    /// AUTH_SYS
    Sys(AuthSys),
    /// RPCSEC_GSS
    Gss {
        /// rpc_gss_svc_t
        service: u32,
        /// The server's name of the context.
        from_server: Bytes,
        /// The client's name of the context.
        from_client: Bytes,
    },
}

impl Decode for SecParms {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        match reader.read::<u32>()? {
            0 => Ok(Self::None),
            1 => reader.read().map(Self::Sys),
            6 => Ok(Self::Gss {
                service: reader.read()?,
                from_server: reader.read()?,
                from_client: reader.read()?,
            }),
            _ => Err(BadXdr),
        }
    }
}

/// The first credential that the client offers and that can be used. A GSS context is one that this
/// server made, and it makes none: if there is nothing else, NFS4ERR_NOENT.
pub fn choose(offered: &[SecParms]) -> Result<Option<CallbackCred>, Status> {
    let usable = offered.iter().find_map(|parms| match parms {
        SecParms::None => Some(CallbackCred::Nobody),
        SecParms::Sys(parms) => Some(CallbackCred::Sys(AuthSys {
            // A copy: a slice would keep the whole request in memory as long as the session lives.
            machine: Bytes::copy_from_slice(&parms.machine),
            ..parms.clone()
        })),
        SecParms::Gss { .. } => None,
    });
    if usable.is_none() && !offered.is_empty() {
        return Err(Status::Noent);
    }
    Ok(usable)
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        let session = &cx.session()?.session;
        // The program is replaced, and with it the credentials, unless there are none.
        let chosen = choose(&self.security)?;
        session.back.set_target(Backchannel {
            program: self.program,
            credential: chosen.unwrap_or_else(|| session.back.target().credential),
        });
        // What did not get through before may do so now.
        let connection = &cx.call.connection;
        let callbacks = &cx.server.callbacks;
        callbacks.probe_session(session, &connection.link, cx.call.xid);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use dittofs_sdk::vfs::Cred;

    use super::*;
    use crate::testing::Harness;

    #[tokio::test]
    async fn the_program_is_replaced_and_a_credential_added() {
        let h = Harness::new();
        let client = h.client41("a").await;
        let control = client.compound().op(40, |w| {
            w.write(&77_u32);
            w.write(&1_u32);
            w.write(&1_u32);
            w.write(&0_u32);
            w.write("host");
            w.write(&5_u32);
            w.write(&6_u32);
            w.write(&vec![7_u32]);
        });
        control.run().await.ok();
        let session = h.server.state.session(client.session).unwrap();
        let cred = Cred {
            uid: 5,
            gid: 6,
            groups: [7].into(),
        };
        let parms = AuthSys {
            stamp: 0,
            machine: Bytes::from_static(b"host"),
            cred,
        };
        let expected = Backchannel {
            program: 77,
            credential: CallbackCred::Sys(parms),
        };
        assert_eq!(session.back.target(), expected);
    }

    #[tokio::test]
    async fn a_gss_context_that_nobody_made_does_not_exist() {
        let h = Harness::new();
        let client = h.client41("a").await;
        let control = client.compound().op(40, |w| {
            for word in [77_u32, 1, 6, 1] {
                w.write(&word);
            }
            w.write("server");
            w.write("client");
        });
        assert_eq!(control.status().await, Status::Noent);
    }
}
