//! RENAME: moves an entry of the saved directory into the current directory.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.26>

use bytes::Bytes;
use dittofs_sdk::vfs::Name;

use crate::compound::{Cx, Operation};
use crate::exports::Object;
use crate::status::Status;
use crate::types::ChangeInfo;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// RENAME4args
    #[derive(Debug)]
    pub struct Args {
        /// The entry in the saved directory.
        pub from: Bytes,
        /// Its name in the current directory.
        pub to: Bytes,
    } => decode
}

xdr_struct! {
    /// RENAME4resok
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Ok {
        /// The change of the saved directory.
        pub source: ChangeInfo,
        /// The change of the current directory.
        pub target: ChangeInfo,
    } => encode
}

impl Operation for Args {
    type Ok = Ok;
    type Err = Status;

    fn reply_room(&self) -> usize {
        2 * ChangeInfo::SIZE
    }

    async fn run(self, cx: &mut Cx) -> Result<Ok, Status> {
        let saved = cx.saved_object()?;
        let from = Name::new(&self.from)?;
        let to = Name::new(&self.to)?;
        let target = cx.writable()?;
        let Object::Share(source) = saved else {
            return Err(Status::Rofs);
        };
        if source.share.id != target.share.id {
            return Err(Status::Xdev);
        }
        let (source, target) = target
            .share
            .fs
            .rename(&target.cred, &source.handle, from, &target.handle, to)
            .await
            .map_err(|error| refused(error.into()))?;
        Ok(Ok {
            source: source.into(),
            target: target.into(),
        })
    }
}

/// A file does not replace a directory: that is NFS4ERR_EXIST (RFC 8881 §18.26.3).
fn refused(status: Status) -> Status {
    match super::in_dir(status) {
        Status::Isdir => Status::Exist,
        other => other,
    }
}
