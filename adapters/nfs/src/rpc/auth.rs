//! Credentials of a call.
//! <https://www.rfc-editor.org/rfc/rfc5531#section-8.2>,
//! AUTH_SYS: <https://www.rfc-editor.org/rfc/rfc5531#appendix-A>

use bytes::Bytes;
use dittofs_sdk::vfs::Cred;

use crate::xdr::{BadXdr, Decode, Encode, Reader, Writer};

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

/// The credential of AUTH_SYS that was read last: most calls of a connection come from the same user, and
/// none of them need be read but the first.
#[derive(Debug, Default)]
pub struct LastSys(Option<(Box<[u8]>, Cred)>);

impl LastSys {
    fn read(&mut self, body: &[u8]) -> Result<Cred, BadXdr> {
        if let Some((last, cred)) = &self.0
            && **last == *body
        {
            return Ok(cred.clone());
        }
        let cred = sys(Reader::new(Bytes::copy_from_slice(body)))?;
        self.0 = Some((Box::from(body), cred.clone()));
        Ok(cred)
    }
}

impl Auth {
    /// Reads credential and verifier. The outer error means that the message itself ends early.
    pub fn decode(
        reader: &mut Reader,
        last: &mut LastSys,
    ) -> Result<Result<Self, AuthError>, BadXdr> {
        let flavor: u32 = reader.read()?;
        let auth = reader.with_opaque(BODY_MAX, |body| match flavor {
            AUTH_NONE => Ok(Self::None),
            AUTH_SYS => last
                .read(body)
                .map(Self::Sys)
                .map_err(|BadXdr| AuthError::BadCred),
            _ => Err(AuthError::TooWeak),
        })?;
        let _verifier_flavor: u32 = reader.read()?;
        reader.with_opaque(BODY_MAX, |_| ())?;
        Ok(auth)
    }
}

fn sys(mut reader: Reader) -> Result<Cred, BadXdr> {
    let parms: AuthSys = reader.read()?;
    reader.finish()?;
    Ok(parms.cred)
}

/// authsys_parms, which also stand within arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthSys {
    /// An arbitrary number.
    pub stamp: u32,
    /// The machine's name.
    pub machine: Bytes,
    /// The user.
    pub cred: Cred,
}

impl Decode for AuthSys {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        let stamp = reader.read()?;
        let machine = reader.opaque(MACHINE_MAX)?;
        let uid = reader.read()?;
        let gid = reader.read()?;
        let groups: Vec<u32> = reader.array(GROUPS_MAX)?;
        let cred = Cred {
            uid,
            gid,
            groups: groups.into(),
        };
        Ok(Self {
            stamp,
            machine,
            cred,
        })
    }
}

impl Encode for AuthSys {
    fn encode(&self, writer: &mut Writer) {
        writer.write(&self.stamp);
        writer.write(&self.machine);
        writer.write(&self.cred.uid);
        writer.write(&self.cred.gid);
        writer.write(&*self.cred.groups);
    }
}

/// A credential that a client accepts on callbacks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CallbackCred {
    /// AUTH_NONE.
    #[default]
    Nobody,
    /// AUTH_SYS, with exactly these parameters.
    Sys(AuthSys),
}

/// opaque_auth
impl Encode for CallbackCred {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Nobody => {
                writer.write(&AUTH_NONE);
                writer.write(&0_u32);
            }
            Self::Sys(parms) => {
                writer.write(&AUTH_SYS);
                let length_at = writer.position();
                writer.write(&0_u32);
                writer.write(parms);
                let length = writer.position().saturating_sub(length_at + 4);
                writer.patch_u32(length_at, length as u32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(last: &mut LastSys, uid: u32, groups: &[u32], cut: usize) -> Result<Auth, AuthError> {
        let parms = AuthSys {
            stamp: 7,
            machine: Bytes::from_static(b"client"),
            cred: Cred {
                groups: groups.into(),
                ..Cred::user(uid, 100)
            },
        };
        let mut body = Writer::default();
        body.write(&parms);
        let mut writer = Writer::default();
        writer.write(&AUTH_SYS);
        writer.opaque(body.as_slice().get(cut..).unwrap());
        writer.write(&AUTH_NONE);
        writer.opaque(b"");
        let bytes = Bytes::copy_from_slice(writer.as_slice());
        Auth::decode(&mut Reader::new(bytes), last).unwrap()
    }

    #[test]
    fn who_calls_is_known_again_and_told_from_others() {
        let mut last = LastSys::default();
        for (uid, groups) in [
            (1, &[5, 6][..]),
            (1, &[5, 6]),
            (2, &[5, 6]),
            (1, &[5, 6]),
            (1, &[5]),
            (1, &[]),
        ] {
            let Ok(Auth::Sys(cred)) = read(&mut last, uid, groups, 0) else {
                panic!("refused");
            };
            assert_eq!((cred.uid, &*cred.groups), (uid, groups));
            // What can't be read leaves nobody's place to the next.
            assert_eq!(read(&mut last, uid, groups, 4), Err(AuthError::BadCred));
        }
    }
}
