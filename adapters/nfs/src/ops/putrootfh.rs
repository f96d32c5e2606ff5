//! PUTROOTFH: the root of the pseudo file system becomes the current file handle.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.21>

use crate::compound::{Cx, Operation};
use crate::exports;
use crate::status::Status;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// PUTROOTFH has no arguments.
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
        let root = exports::root(&cx.server.exports());
        cx.set_current(root);
        Ok(())
    }
}
