//! Credentials of a call.
//! <https://www.rfc-editor.org/rfc/rfc5531#section-8.2>,
//! AUTH_SYS: <https://www.rfc-editor.org/rfc/rfc5531#appendix-A>

use dittofs_sdk::vfs::Cred;

use crate::xdr::{BadXdr, Reader};

const AUTH_NONE: u32 = 0;
const AUTH_SYS: u32 = 1;
/// Longest body of a credential or verifier.
const BODY_MAX: usize = 400;
/// Longest machine name of AUTH_SYS.
const MACHINE_MAX: usize = 255;
/// Most further groups of AUTH_SYS.
const GROUPS_MAX: usize = 16;

/// Whom the caller claims to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Nobody.
    None,
    /// A user of the client machine, as it says.
    Sys(Cred),
}

/// auth_stat: why credentials are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum AuthError {
    /// The credential can't be read.
    BadCred = 1,
    /// The flavor is not offered.
    TooWeak = 5,
}

impl Auth {
    /// Reads credential and verifier. The outer error means that the message itself ends early.
    pub fn decode(reader: &mut Reader) -> Result<Result<Self, AuthError>, BadXdr> {
        let flavor: u32 = reader.read()?;
        let body = reader.opaque(BODY_MAX)?;
        let _verifier_flavor: u32 = reader.read()?;
        reader.opaque(BODY_MAX)?;
        Ok(match flavor {
            AUTH_NONE => Ok(Self::None),
            AUTH_SYS => sys(Reader::new(body))
                .map(Self::Sys)
                .map_err(|BadXdr| AuthError::BadCred),
            _ => Err(AuthError::TooWeak),
        })
    }
}

fn sys(mut reader: Reader) -> Result<Cred, BadXdr> {
    let cred = authsys_parms(&mut reader)?;
    reader.finish()?;
    Ok(cred)
}

/// authsys_parms, which also stand within arguments.
pub fn authsys_parms(reader: &mut Reader) -> Result<Cred, BadXdr> {
    let _stamp: u32 = reader.read()?;
    reader.opaque(MACHINE_MAX)?;
    let uid = reader.read()?;
    let gid = reader.read()?;
    let groups: Vec<u32> = reader.array(GROUPS_MAX)?;
    Ok(Cred {
        uid,
        gid,
        groups: groups.into(),
    })
}
