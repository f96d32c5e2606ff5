//! LOOKUPP: the directory above the current one.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.14>

use crate::compound::{Cx, Operation};
use crate::exports::{Object, PseudoDir};
use crate::status::Status;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// LOOKUPP has no arguments.
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
        let above = parent(cx).await?;
        cx.set_current(above);
        Ok(())
    }
}

/// The directory above the current one; NFS4ERR_NOENT above the root.
pub(super) async fn parent(cx: &Cx) -> Result<Object, Status> {
    match cx.object()? {
        Object::Pseudo(dir) => dir.parent(),
        Object::Share(dir) if dir.is_named() => {
            // What the attributes belong to, be it a directory or not (§18.14.3).
            dir.share.fs.attr(&dir.handle).await?;
            let owner = cx.server.exports().named_attributes_owner(dir);
            owner.map(Object::Share).ok_or(Status::Notdir)
        }
        Object::Share(dir) if dir.is_share_root() => {
            PseudoDir::of_junction(&cx.server.exports(), &dir.share)
                .map(|(above, _)| Object::Pseudo(above))
                .ok_or(Status::Noent)
        }
        Object::Share(dir) => {
            let node = dir.share.fs.parent(&dir.cred, &dir.handle).await?;
            Ok(Object::Share(dir.sibling(node.handle)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::fixture::{Fixture, make};
    use crate::types::Minor;
    use dittofs_sdk::vfs::NewNode;

    #[tokio::test]
    async fn the_way_up_leads_over_the_junction_to_the_root_and_ends_there() {
        let fixture = Fixture::new();
        let mut cx = fixture.at(Minor::V41, "deep/down").await;
        make(&mut cx, "dir", NewNode::Dir).await.unwrap();
        for expected in ["deep/down", "deep", ""] {
            Args {}.run(&mut cx).await.unwrap();
            let there = fixture.at(Minor::V41, expected).await;
            assert!(
                cx.object().unwrap().same_as(there.object().unwrap()),
                "{expected}"
            );
        }
        assert_eq!(Args {}.run(&mut cx).await, Err(Status::Noent));
    }

    #[tokio::test]
    async fn there_is_no_way_up_from_a_file() {
        let fixture = Fixture::new();
        fixture.populate().await;
        for (name, status) in [("file", Status::Notdir), ("symlink", Status::Symlink)] {
            let mut cx = fixture.at(Minor::V41, &format!("export/{name}")).await;
            assert_eq!(Args {}.run(&mut cx).await, Err(status));
        }
    }
}
