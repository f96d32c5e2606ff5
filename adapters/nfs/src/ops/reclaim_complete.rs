//! RECLAIM_COMPLETE: the client has taken back all that it had before a restart.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.51>

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// RECLAIM_COMPLETE4args
    #[derive(Debug)]
    pub struct Args {
        /// Whether only the file system of the current file handle is meant.
        pub one_fs: bool,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        if self.one_fs {
            // Of a file system that migrated here, which none does: "otherwise ignored".
            return cx.object().map(drop);
        }
        let client = cx.session_client().ok_or(Status::OpNotInSession)?;
        if client.complete_reclaim() {
            Ok(())
        } else {
            Err(Status::CompleteAlready)
        }
    }
}
