//! LAYOUTERROR: what went wrong at a pNFS device.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-15.6>

use crate::compound::{Cx, Operation};
use crate::ops::getdeviceinfo::DeviceId;
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// device_error4
    #[derive(Debug)]
    pub struct DeviceError {
        /// The device.
        pub device: DeviceId,
        /// What it answered.
        pub status: u32,
        /// Number of the operation.
        pub operation: u32,
    } => decode
}

xdr_struct! {
    /// LAYOUTERROR4args
    #[derive(Debug)]
    pub struct Args {
        /// First byte.
        pub offset: u64,
        /// Number of bytes.
        pub length: u64,
        /// The layout.
        pub stateid: StateId,
        /// What went wrong.
        pub errors: Vec<DeviceError>,
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
