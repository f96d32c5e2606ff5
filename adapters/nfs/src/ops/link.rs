//! LINK: gives the saved object a further name, in the current directory.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.9>

use bytes::Bytes;
use dittofs_sdk::vfs::{Kind, Name, VfsError};

use crate::compound::{Cx, Operation};
use crate::exports::{Object, ShareObject};
use crate::status::Status;
use crate::types::ChangeInfo;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// LINK4args
    #[derive(Debug)]
    pub struct Args {
        /// The new name.
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
        let saved = cx.saved_object()?;
        let name = Name::new(&self.name)?;
        let dir = cx.writable()?;
        let Object::Share(source) = saved else {
            return Err(Status::Isdir);
        };
        if source.share.id != dir.share.id {
            return Err(Status::Xdev);
        }
        let linked = dir
            .share
            .fs
            .link(&dir.cred, &source.handle, &dir.handle, name)
            .await;
        match linked {
            Ok(change) => Ok(change.into()),
            Err(error) => Err(refused(source, error).await),
        }
    }
}

/// POSIX file systems answer EPERM where NFS says NFS4ERR_ISDIR.
async fn refused(source: &ShareObject, error: VfsError) -> Status {
    if error == VfsError::NotPermitted {
        match source.share.fs.attr(&source.handle).await {
            Ok(attr) if attr.kind == Kind::Dir => return Status::Isdir,
            _ => {}
        }
    }
    super::in_dir(error.into())
}
