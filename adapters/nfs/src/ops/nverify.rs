//! NVERIFY: goes on only if attributes of the current object are not as the client says.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.15>

use crate::attr::FAttr;
use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// NVERIFY4args
    #[derive(Debug)]
    pub struct Args {
        /// What the client says.
        pub attributes: FAttr,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    fn reply_room(&self) -> usize {
        0
    }

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        if super::verify::same(cx, &self.attributes).await? {
            Err(Status::Same)
        } else {
            Ok(())
        }
    }
}
