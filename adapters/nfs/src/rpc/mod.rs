//! ONC RPC version 2 over TCP.
//! <https://www.rfc-editor.org/rfc/rfc5531>

mod auth;
mod message;
mod record;

use std::net::SocketAddr;
use std::sync::Arc;

pub use auth::{Auth, AuthError, AuthSys, CallbackCred, LastSys};
pub use message::{Body, Header, Procedure, Rejection, begin_reply, reject, reply_xid};
pub use record::{Oversized, Records};

use crate::connection::Connection;

/// Who calls, and over what. Cheap to clone.
#[derive(Clone)]
pub struct Call {
    /// The connection that the call came over.
    pub connection: Arc<Connection>,
    /// The caller's address.
    pub peer: SocketAddr,
    /// Whom the caller claims to be.
    pub auth: Auth,
    /// Transaction id.
    pub xid: u32,
    /// Size of the whole call in bytes, without record marks.
    pub size: usize,
    /// Tells a retry from another request in the same slot (RFC 8881 §2.10.6.1.3.1).
    pub digest: u64,
}
