//! GETFH: the current file handle goes to the client.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.8>

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::{FH_MAX, FileHandle};
use crate::xdr::xdr_struct;

xdr_struct! {
    /// GETFH has no arguments.
    #[derive(Debug)]
    pub struct Args {} => decode
}

impl Operation for Args {
    type Ok = FileHandle;
    type Err = Status;

    fn reply_room(&self) -> usize {
        4 + FH_MAX
    }

    async fn run(self, cx: &mut Cx) -> Result<FileHandle, Status> {
        Ok(cx.object()?.file_handle())
    }
}
