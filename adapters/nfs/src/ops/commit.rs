//! COMMIT: makes what was written to the current file stable.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.3>

use std::sync::Arc;

use dittofs_sdk::vfs::{File, OpenAccess, VfsError, VfsResult};

use crate::compound::{Cx, Operation};
use crate::exports::ShareObject;
use crate::status::Status;
use crate::types::Verifier;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// COMMIT4args
    #[derive(Debug)]
    pub struct Args {
        /// First byte.
        pub offset: u64,
        /// How many; 0 for all that follow.
        pub count: u32,
    } => decode
}

impl Operation for Args {
    type Ok = Verifier;
    type Err = Status;

    fn reply_room(&self) -> usize {
        8
    }

    async fn run(self, cx: &mut Cx) -> Result<Verifier, Status> {
        let object = cx.share_object(Status::Isdir)?.clone();
        // Who wrote through an open may commit, whatever became of the file's mode since.
        let user = object.cred.uid;
        let file = match cx.server.state.files.writer(&object.key(), user) {
            Some(file) => file,
            None => open(&object)
                .await
                .map_err(|error| super::not_a_file(cx, error.into()))?,
        };
        file.commit(self.offset, self.count.into()).await?;
        Ok(cx.server.identity.write_verifier)
    }
}

/// COMMIT names no open, and there may be none. A file may have become read-only since it was written; to make it
/// stable is no change, so that who may read it may do that too.
async fn open(object: &ShareObject) -> VfsResult<Arc<dyn File>> {
    let fs = &object.share.fs;
    match fs
        .open(&object.cred, &object.handle, OpenAccess::Write)
        .await
    {
        Err(VfsError::AccessDenied | VfsError::ReadOnly) => {
            fs.open(&object.cred, &object.handle, OpenAccess::Read)
                .await
        }
        other => other,
    }
}
