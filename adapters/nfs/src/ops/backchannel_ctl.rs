//! BACKCHANNEL_CTL: where and as whom callbacks of a session are to be sent.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.33>

use bytes::Bytes;
use dittofs_sdk::vfs::Cred;

use crate::compound::{Cx, Operation};
use crate::rpc::authsys_parms;
use crate::state::session::{Backchannel, CallbackCred};
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
    Sys(Cred),
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
            1 => authsys_parms(reader).map(Self::Sys),
            6 => Ok(Self::Gss {
                service: reader.read()?,
                from_server: reader.read()?,
                from_client: reader.read()?,
            }),
            _ => Err(BadXdr),
        }
    }
}

/// The first credential that the client offers. A GSS context is one that this server made, and
/// it makes none: NFS4ERR_NOENT.
pub fn choose(offered: &[SecParms]) -> Result<Option<CallbackCred>, Status> {
    if offered
        .iter()
        .any(|parms| matches!(parms, SecParms::Gss { .. }))
    {
        return Err(Status::Noent);
    }
    Ok(offered.first().map(|parms| match parms {
        SecParms::Sys(cred) => CallbackCred::Sys(cred.clone()),
        SecParms::None | SecParms::Gss { .. } => CallbackCred::Nobody,
    }))
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        let session = &cx.session()?.session;
        // Credentials are added, the program is replaced; what was chosen before stays good.
        let credential = choose(&self.security)?.or(session.backchannel().credential);
        session.set_backchannel(Backchannel {
            program: self.program,
            credential,
        });
        Ok(())
    }
}
