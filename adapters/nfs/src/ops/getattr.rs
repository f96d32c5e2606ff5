//! GETATTR: attributes of the current object.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.7>

use crate::attr::{self, Attributes};
use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::Bitmap;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// GETATTR4args
    #[derive(Debug)]
    pub struct Args {
        /// The attributes that are wanted; what is not supported is left out of the answer.
        pub wanted: Bitmap,
    } => decode
}

impl Operation for Args {
    type Ok = Attributes;
    type Err = Status;

    fn reply_room(&self) -> usize {
        attr::ENCODED_MAX
    }

    async fn run(self, cx: &mut Cx) -> Result<Attributes, Status> {
        if !self.wanted.and(attr::write_only()).is_empty() {
            return Err(Status::Inval);
        }
        let facts = attr::facts(cx, cx.object()?, self.wanted).await?;
        Ok(Attributes {
            facts,
            wanted: self.wanted,
        })
    }
}
