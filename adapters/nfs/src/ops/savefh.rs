//! SAVEFH: the current file handle, and the current stateid with it, are kept for later.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.28>

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// SAVEFH has no arguments.
    #[derive(Debug)]
    pub struct Args {} => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    fn reply_room(&self) -> usize {
        0
    }

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        cx.saved = Some(cx.object()?.clone());
        cx.saved_stateid = cx.current_stateid;
        Ok(())
    }
}
