//! REMOVEXATTR: takes an extended attribute away.
//! <https://www.rfc-editor.org/rfc/rfc8276#section-8.4.4>

use bytes::Bytes;

use super::xattr;
use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::ChangeInfo;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// REMOVEXATTR4args
    #[derive(Debug)]
    pub struct Args {
        /// The attribute.
        pub name: Bytes,
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
        let changing = xattr::change(cx).await?;
        let object = &changing.object;
        let fs = &object.share.fs;
        let change = fs.remove_xattr(&object.cred, &object.handle, name);
        change.await.map(ChangeInfo::from).map_err(xattr::refused)
    }
}
