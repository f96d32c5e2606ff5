//! GETDEVICEINFO: where a pNFS device is.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.40>

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::Bitmap;
use crate::xdr::{BadXdr, Decode, Reader, xdr_struct};

/// deviceid4
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceId(pub [u8; 16]);

impl Decode for DeviceId {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        reader.fixed().map(Self)
    }
}

xdr_struct! {
    /// GETDEVICEINFO4args
    #[derive(Debug)]
    pub struct Args {
        /// The device.
        pub device: DeviceId,
        /// Type of layout.
        pub layout: u32,
        /// Largest answer in bytes.
        pub max_count: u32,
        /// Kinds of notifications.
        pub notifications: Bitmap,
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
