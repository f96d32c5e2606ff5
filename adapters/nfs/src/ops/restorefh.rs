//! RESTOREFH: the saved file handle, and the stateid saved with it, are current again.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.27>

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::Minor;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// RESTOREFH has no arguments.
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
        let Some(saved) = cx.saved.clone() else {
            // RFC 8881 §18.27.3 says NOFILEHANDLE, RFC 7530 §16.27.4 RESTOREFH.
            return Err(match cx.minor() {
                Minor::V40 => Status::Restorefh,
                Minor::V41 => Status::Nofilehandle,
            });
        };
        let stateid = cx.saved_stateid;
        cx.set_current(saved);
        cx.current_stateid = stateid;
        Ok(())
    }
}
