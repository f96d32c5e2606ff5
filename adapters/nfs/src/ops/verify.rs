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
    let incomparable = attr::write_only(cx.minor()).or(Bitmap::of(&[attr::RDATTR_ERROR]));
    if !mask.and(incomparable).is_empty() {
        return Err(Status::Inval);
    }
    let facts = attr::facts(cx, cx.object()?, mask).await?;
    Ok(facts.values(mask) == claimed.values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compound::OpError;
    use crate::ops::fixture::{Fixture, fattr};
    use crate::ops::nverify;
    use crate::types::Minor;

    async fn both(cx: &mut Cx, claimed: &FAttr) -> (Result<(), Status>, Result<(), Status>) {
        let attributes = claimed.clone();
        let verify = Args { attributes }.run(cx).await;
        let attributes = claimed.clone();
        (verify, nverify::Args { attributes }.run(cx).await)
    }

    #[tokio::test]
    async fn verify_and_nverify_are_opposites() {
        let fixture = Fixture::new();
        fixture.populate().await;
        let mut cx = fixture.at(Minor::V41, "export/file").await;
        let same = fattr(&[4], 0_u64);
        assert_eq!(both(&mut cx, &same).await, (Ok(()), Err(Status::Same)));
        let other = fattr(&[4], 1_u64);
        assert_eq!(both(&mut cx, &other).await, (Err(Status::NotSame), Ok(())));
    }

    #[tokio::test]
    async fn every_readable_attribute_but_the_error_is_the_same_as_itself() {
        let fixture = Fixture::new();
        fixture.populate().await;
        for path in ["", "export", "export/file", "export/char"] {
            let mut cx = fixture.at(Minor::V41, path).await;
            let object = cx.object().unwrap().clone();
            let error = Bitmap::of(&[attr::RDATTR_ERROR]);
            for number in attr::readable(Minor::V41).minus(error).iter() {
                let mask = Bitmap::of(&[number]);
                let facts = attr::facts(&cx, &object, mask).await.unwrap();
                let claimed = FAttr {
                    mask,
                    values: facts.values(mask).into(),
                };
                assert!(!claimed.values.is_empty(), "{number} has no value");
                assert_eq!(
                    both(&mut cx, &claimed).await.0,
                    Ok(()),
                    "{number} of {path}"
                );
            }
        }
    }

    #[tokio::test]
    async fn what_can_not_be_compared_is_refused() {
        let fixture = Fixture::new();
        let mut cx = fixture.at(Minor::V41, "export").await;
        for (number, status) in [
            (14, Status::Attrnotsupp),
            (11, Status::Inval),
            (54, Status::Inval),
        ] {
            let claimed = fattr(&[number], 0_u32);
            let (verify, nverify) = both(&mut cx, &claimed).await;
            assert_eq!(verify.unwrap_err().status(), status);
            assert_eq!(nverify, Err(status));
        }
    }
}
