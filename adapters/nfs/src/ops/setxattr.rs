//! SETXATTR: makes an extended attribute, or gives it another value.
//! <https://www.rfc-editor.org/rfc/rfc8276#section-8.4.2>

use bytes::Bytes;
use dittofs_sdk::vfs::SetXattr;

use super::xattr;
use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::ChangeInfo;
use crate::xdr::{xdr_enum, xdr_struct};

xdr_enum! {
    /// setxattr_option4
    pub enum How {
        /// SETXATTR4_EITHER
        Either = 0,
        /// SETXATTR4_CREATE
        Create = 1,
        /// SETXATTR4_REPLACE
        Replace = 2,
    }
}

xdr_struct! {
    /// SETXATTR4args
    #[derive(Debug)]
    pub struct Args {
        /// What to do with a name that is taken, or free.
        pub how: How,
        /// The attribute.
        pub name: Bytes,
        /// Its value.
        pub value: Bytes,
    } => decode
}

impl Operation for Args {
    type Ok = ChangeInfo;
    type Err = Status;

    fn reply_room(&self) -> usize {
        ChangeInfo::SIZE
    }

    async fn run(self, cx: &mut Cx) -> Result<ChangeInfo, Status> {
        let name = xattr::name(&self.name)?;
        let how = match self.how {
            How::Either => SetXattr::Either,
            How::Create => SetXattr::Create,
            How::Replace => SetXattr::Replace,
        };
        let changing = xattr::change(cx).await?;
        let object = &changing.object;
        let fs = &object.share.fs;
        let change = fs.set_xattr(&object.cred, &object.handle, name, self.value, how);
        change.await.map(ChangeInfo::from).map_err(xattr::refused)
    }
}
