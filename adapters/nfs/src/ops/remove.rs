//! REMOVE: takes an entry out of the current directory.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.25>
//!
//! The data of a file that is open stay until its last close.

use bytes::Bytes;
use dittofs_sdk::vfs::Name;

use crate::compound::{Cx, Operation};
use crate::delegations::{self, Reason};
use crate::status::Status;
use crate::types::ChangeInfo;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// REMOVE4args
    #[derive(Debug)]
    pub struct Args {
        /// The entry.
        pub name: Bytes,
    } => decode
}

impl Operation for Args {
    type Ok = ChangeInfo;
    type Err = Status;

    fn reply_room(&self) -> usize {
        ChangeInfo::SIZE
    }

    async fn run(self, cx: &mut Cx) -> Result<ChangeInfo, Status> {
        let name = Name::new(&self.name)?;
        let dir = cx.writable()?;
        // Somebody may be about to take back an open of it.
        super::reclaim::after_grace(cx)?;
        let _hold = delegations::clear_entry(cx, dir, name, Reason::Remove).await?;
        dir.share
            .fs
            .remove(&dir.cred, &dir.handle, name)
            .await
            .map(ChangeInfo::from)
            .map_err(|error| super::in_dir(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::fixture::{Fixture, go, make};
    use crate::types::Minor;
    use dittofs_sdk::vfs::NewNode;

    async fn remove(fixture: &Fixture, dir: &str, name: &str) -> Result<ChangeInfo, Status> {
        let mut cx = fixture.at(Minor::V41, dir).await;
        let name = Bytes::copy_from_slice(name.as_bytes());
        Args { name }.run(&mut cx).await
    }

    #[tokio::test]
    async fn the_entry_is_gone_and_the_directory_has_changed() {
        let fixture = Fixture::new();
        fixture.populate().await;
        for name in ["file", "symlink", "fifo", "dir"] {
            let change = remove(&fixture, "export", name).await.unwrap();
            assert!(change.before < change.after);
            let mut cx = fixture.cx(Minor::V41);
            let path = format!("export/{name}");
            assert_eq!(go(&mut cx, &path).await, Err(Status::Noent));
        }
    }

    #[tokio::test]
    async fn what_may_not_be_removed_stays() {
        let fixture = Fixture::new();
        fixture.populate().await;
        let mut cx = fixture.at(Minor::V41, "export/dir").await;
        make(&mut cx, "inner", NewNode::Dir).await.unwrap();
        for (dir, name, status) in [
            ("", "export", Status::Rofs),
            ("deep", "down", Status::Rofs),
            ("ro", "x", Status::Rofs),
            ("export", "gone", Status::Noent),
            ("export", "dir", Status::Notempty),
            ("export", "..", Status::Badname),
            ("export", "", Status::Inval),
            ("export/file", "x", Status::Notdir),
            ("export/symlink", "x", Status::Notdir),
        ] {
            assert_eq!(
                remove(&fixture, dir, name).await,
                Err(status),
                "{dir}/{name}"
            );
        }
    }
}
