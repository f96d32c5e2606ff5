//! GETXATTR: the value of an extended attribute.
//! <https://www.rfc-editor.org/rfc/rfc8276#section-8.4.1>

use bytes::Bytes;
use dittofs_sdk::vfs::XATTR_MAX;

use super::xattr;
use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// GETXATTR4args
    #[derive(Debug)]
    pub struct Args {
        /// The attribute.
        pub name: Bytes,
    } => decode
}

impl Operation for Args {
    type Ok = Bytes;
    type Err = Status;

    fn reply_room(&self) -> usize {
        4 + XATTR_MAX
    }

    async fn run(self, cx: &mut Cx) -> Result<Bytes, Status> {
        let name = xattr::name(&self.name)?;
        let object = xattr::object(cx)?;
        let value = object.share.fs.xattr(&object.cred, &object.handle, name);
        value.await.map_err(xattr::refused)
    }
}
