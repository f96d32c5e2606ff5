//! PUTFH: a file handle that the client has becomes the current one.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.19>

use crate::compound::{Cx, Operation};
use crate::exports;
use crate::status::Status;
use crate::types::FileHandle;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// PUTFH4args
    #[derive(Debug)]
    pub struct Args {
        /// The file handle.
        pub object: FileHandle,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    fn reply_room(&self) -> usize {
        0
    }

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        let object = exports::resolve(&cx.server.exports(), &cx.call, &self.object)?;
        cx.set_current(object);
        Ok(())
    }
}
