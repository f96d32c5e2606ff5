//! REMOVE: takes an entry out of the current directory.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.25>
//!
//! The data of a file that is open stay until its last close.

use bytes::Bytes;
use dittofs_sdk::vfs::Name;

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::ChangeInfo;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// REMOVE4args
    #[derive(Debug)]
    pub struct Args {
        /// The entry.
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
        let name = Name::new(&self.name)?;
        let dir = cx.writable()?;
        dir.share
            .fs
            .remove(&dir.cred, &dir.handle, name)
            .await
            .map(ChangeInfo::from)
            .map_err(|error| super::in_dir(error.into()))
    }
}
