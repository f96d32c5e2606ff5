//! VERIFY: goes on only if attributes of the current object are as the client says.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.31>

use crate::attr::{self, FAttr};
use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::Bitmap;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// VERIFY4args
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
        if same(cx, &self.attributes).await? {
            Ok(())
        } else {
            Err(Status::NotSame)
        }
    }
}

/// Whether the attributes of the current object are these.
pub(super) async fn same(cx: &Cx, claimed: &FAttr) -> Result<bool, Status> {
    let mask = claimed.mask;
    if mask.has_unknown() || !mask.minus(attr::supported(cx.minor())).is_empty() {
        return Err(Status::Attrnotsupp);
    }
    // Neither can be compared: one is about an error, the others can't be read.
    let incomparable = attr::write_only().or(Bitmap::of(&[attr::RDATTR_ERROR]));
    if !mask.and(incomparable).is_empty() {
        return Err(Status::Inval);
    }
    let facts = attr::facts(cx, cx.object()?, mask).await?;
    Ok(facts.values(mask) == claimed.values)
}
