//! LAYOUTSTATS: what was read and written at pNFS devices.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-15.7>

use bytes::Bytes;

use crate::compound::{Cx, Operation};
use crate::ops::getdeviceinfo::DeviceId;
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// io_info4
    #[derive(Debug)]
    pub struct Io {
        /// Number of operations.
        pub count: u64,
        /// Number of bytes.
        pub bytes: u64,
    } => decode
}

xdr_struct! {
    /// LAYOUTSTATS4args
    #[derive(Debug)]
    pub struct Args {
        /// First byte.
        pub offset: u64,
        /// Number of bytes.
        pub length: u64,
        /// The layout.
        pub stateid: StateId,
        /// What was read.
        pub read: Io,
        /// What was written.
        pub written: Io,
        /// The device.
        pub device: DeviceId,
        /// Type of layout.
        pub layout: u32,
        /// In the layout type's own format.
        pub update: Bytes,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    /// This server has no pNFS: the operation is not offered (RFC 7862 §13).
    async fn run(self, _cx: &mut Cx) -> Result<(), Status> {
        Err(Status::Notsupp)
    }
}
