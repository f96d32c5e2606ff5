//! GETATTR: attributes of the current object.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.7>

use std::pin::pin;

use crate::attr;
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
    /// The attributes are encoded where they are read, without a copy in between.
    type Ok = ();
    type Err = Status;

    fn reply_room(&self) -> usize {
        attr::encoded_max(self.wanted)
    }

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        if !self.wanted.and(attr::write_only(cx.minor())).is_empty() {
            return Err(Status::Inval);
        }
        let object = cx.current.as_ref().ok_or(Status::Nofilehandle)?;
        let facts = pin!(attr::facts_of_seen(cx, object, &cx.seen, self.wanted)).await?;
        facts.encode(self.wanted, &mut cx.reply);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::fixture::Fixture;
    use crate::types::Minor;
    use crate::xdr::Reader;
    use bytes::Bytes;

    async fn getattr(cx: &mut Cx, wanted: Bitmap) -> (Bitmap, Bytes) {
        let start = cx.reply.position();
        Args { wanted }.run(cx).await.unwrap();
        let body = Bytes::copy_from_slice(&cx.reply.as_slice()[start..]);
        assert!(body.len() <= attr::encoded_max(wanted));
        let mut reader = Reader::new(body);
        (reader.read().unwrap(), reader.read().unwrap())
    }

    #[tokio::test]
    async fn what_is_not_supported_is_left_out_and_the_rest_is_the_same_everywhere() {
        let fixture = Fixture::new();
        fixture.populate().await;
        let everything = (0..96)
            .fold(Bitmap::EMPTY, Bitmap::with)
            .minus(attr::write_only(Minor::V41));
        for minor in [Minor::V40, Minor::V41] {
            for path in ["", "export", "export/file", "export/symlink"] {
                let mut cx = fixture.at(minor, path).await;
                let (present, values) = getattr(&mut cx, everything).await;
                assert_eq!(present, attr::readable(minor), "{path}");
                let supported: Bitmap = Reader::new(values).read().unwrap();
                assert_eq!(supported, attr::supported(minor), "{path}");
            }
        }
    }

    #[tokio::test]
    async fn an_attribute_that_can_only_be_set_is_refused() {
        let fixture = Fixture::new();
        let mut cx = fixture.at(Minor::V41, "export").await;
        for number in [48, 54, 74] {
            let wanted = Bitmap::of(&[1, number]);
            let refused = Args { wanted }.run(&mut cx).await.err();
            assert_eq!(refused, Some(Status::Inval));
        }
    }

    #[tokio::test]
    async fn every_share_has_an_id_of_its_own() {
        let fixture = Fixture::new();
        let mut ids = Vec::new();
        for path in ["", "export", "ro", "deep/down"] {
            let mut cx = fixture.at(Minor::V41, path).await;
            ids.push(getattr(&mut cx, Bitmap::of(&[8])).await.1);
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 4);
    }

    #[tokio::test]
    async fn space_is_told_where_space_is() {
        let fixture = Fixture::new();
        let mut cx = fixture.at(Minor::V41, "export").await;
        let (_, values) = getattr(&mut cx, Bitmap::of(&[44])).await;
        assert_ne!(values.as_ref(), [0; 8]);
    }
}
