//! LAYOUTCOMMIT: what was written past the server becomes part of the file.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.42>

use bytes::Bytes;

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// nfstime4
    #[derive(Debug, Clone, Copy)]
    pub struct NfsTime {
        /// Seconds.
        pub seconds: i64,
        /// Nanoseconds.
        pub nanoseconds: u32,
    } => decode
}

xdr_struct! {
    /// LAYOUTCOMMIT4args
    #[derive(Debug)]
    pub struct Args {
        /// First byte.
        pub offset: u64,
        /// Number of bytes.
        pub length: u64,
        /// Whether this is after the server's restart.
        pub reclaim: bool,
        /// The layout.
        pub stateid: StateId,
        /// Last byte that was written.
        pub last_write: Option<u64>,
        /// Time of the last change of data.
        pub modified: Option<NfsTime>,
        /// Type of layout.
        pub layout: u32,
        /// In the layout type's own format.
        pub update: Bytes,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    /// This server has no pNFS: the operation is not offered (RFC 8881 §17).
    async fn run(self, _cx: &mut Cx) -> Result<(), Status> {
        Err(Status::Notsupp)
    }
}
