//! GET_DIR_DELEGATION: asks to be told of changes in a directory.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.39>

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::Bitmap;
use crate::xdr::{Encode, Writer, xdr_struct};

xdr_struct! {
    /// attr_notice4: a time that notifications may be late.
    #[derive(Debug, Clone, Copy)]
    pub struct Delay {
        /// Seconds.
        pub seconds: i64,
        /// Nanoseconds.
        pub nanoseconds: u32,
    } => decode
}

xdr_struct! {
    /// GET_DIR_DELEGATION4args
    #[derive(Debug)]
    pub struct Args {
        /// Whether to be told when there can be one.
        pub signal: bool,
        /// Kinds of notifications.
        pub notifications: Bitmap,
        /// For attributes of entries.
        pub child_delay: Delay,
        /// For attributes of the directory.
        pub dir_delay: Delay,
        /// Attributes of entries.
        pub child_attrs: Bitmap,
        /// Attributes of the directory.
        pub dir_attrs: Bitmap,
    } => decode
}

/// GDD4_UNAVAIL: there is none now, and the client is not told when there is.
#[derive(Debug)]
pub struct Unavailable;

impl Encode for Unavailable {
    fn encode(&self, writer: &mut Writer) {
        writer.write(&1_u32);
        writer.write(&false);
    }
}

impl Operation for Args {
    type Ok = Unavailable;
    type Err = Status;

    /// Directory delegations are not granted; that is no error (§18.39.3).
    async fn run(self, _cx: &mut Cx) -> Result<Unavailable, Status> {
        Ok(Unavailable)
    }
}
