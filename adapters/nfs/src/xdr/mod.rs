//! XDR: the wire encoding of RPC and NFS.
//! <https://www.rfc-editor.org/rfc/rfc4506>
//!
//! Decoding reads from one refcounted record, so that names and data are slices of it and are
//! never copied. Lengths are checked against what is left of the record before anything is
//! allocated: a record can't make the server reserve more than the record's own size.

mod macros;
mod reader;
mod writer;

pub(crate) use macros::{xdr_enum, xdr_struct};
pub use reader::{BadXdr, Decode, Reader};
pub use writer::{Encode, Writer};
