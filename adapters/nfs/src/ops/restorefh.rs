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
                Minor::V41 | Minor::V42 => Status::Nofilehandle,
            });
        };
        let stateid = cx.saved_stateid;
        cx.set_current(saved);
        cx.current_stateid = stateid;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::fixture::Fixture;
    use crate::ops::savefh;
    use crate::types::StateId;

    #[tokio::test]
    async fn the_stateid_comes_back_with_the_file_handle() {
        let fixture = Fixture::new();
        let mut cx = fixture.at(Minor::V41, "export").await;
        cx.current_stateid = Some(StateId::READ_BYPASS);
        savefh::Args {}.run(&mut cx).await.unwrap();
        let other = fixture.at(Minor::V41, "").await.current.unwrap();
        cx.set_current(other);
        assert_eq!(cx.current_stateid, None);
        Args {}.run(&mut cx).await.unwrap();
        let there = fixture.at(Minor::V41, "export").await;
        assert!(cx.object().unwrap().same_as(there.object().unwrap()));
        assert_eq!(cx.current_stateid, Some(StateId::READ_BYPASS));
    }

    #[tokio::test]
    async fn without_a_saved_file_handle_the_minor_versions_differ() {
        let fixture = Fixture::new();
        for (minor, status) in [
            (Minor::V40, Status::Restorefh),
            (Minor::V41, Status::Nofilehandle),
        ] {
            let mut cx = fixture.cx(minor);
            assert_eq!(Args {}.run(&mut cx).await, Err(status));
        }
    }
}
