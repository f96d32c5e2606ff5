//! LINK: gives the saved object a further name, in the current directory.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.9>

use bytes::Bytes;
use dittofs_sdk::vfs::{Kind, Name, VfsError};

use crate::compound::{Cx, Operation};
use crate::delegations::{self, Access, Reason};
use crate::exports::{Object, ShareObject};
use crate::state::files::Touch;
use crate::status::Status;
use crate::types::ChangeInfo;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// LINK4args
    #[derive(Debug)]
    pub struct Args {
        /// The new name.
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
        let saved = cx.saved_object()?;
        let name = Name::new(&self.name)?;
        let dir = cx.writable()?;
        let Object::Share(source) = saved else {
            return Err(Status::Isdir);
        };
        if source.share.id != dir.share.id {
            return Err(Status::Xdev);
        }
        let access = Access::new(cx, source.key(), Touch::Change, Reason::Link);
        let _hold = delegations::clear(cx, access).await?;
        let linked = dir
            .share
            .fs
            .link(&dir.cred, &source.handle, &dir.handle, name)
            .await;
        match linked {
            Ok(change) => Ok(change.into()),
            Err(error) => Err(refused(source, error).await),
        }
    }
}

/// POSIX file systems answer EPERM where NFS says NFS4ERR_ISDIR.
async fn refused(source: &ShareObject, error: VfsError) -> Status {
    if error == VfsError::NotPermitted {
        match source.share.fs.attr(&source.handle).await {
            Ok(attr) if attr.kind == Kind::Dir => return Status::Isdir,
            _ => {}
        }
    }
    super::in_dir(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attr;
    use crate::ops::fixture::Fixture;
    use crate::types::{Bitmap, Minor};

    async fn link(
        fixture: &Fixture,
        source: &str,
        dir: &str,
        name: &str,
    ) -> Result<ChangeInfo, Status> {
        let mut cx = fixture.at(Minor::V41, dir).await;
        cx.saved = fixture.at(Minor::V41, source).await.current;
        let name = Bytes::copy_from_slice(name.as_bytes());
        Args { name }.run(&mut cx).await
    }

    #[tokio::test]
    async fn both_names_lead_to_the_same_object() {
        let fixture = Fixture::new();
        fixture.populate().await;
        let change = link(&fixture, "export/file", "export/dir", "again")
            .await
            .unwrap();
        assert!(change.before < change.after);
        let a = fixture.at(Minor::V41, "export/file").await;
        let b = fixture.at(Minor::V41, "export/dir/again").await;
        assert!(a.object().unwrap().same_as(b.object().unwrap()));
        let facts = attr::facts(&a, a.object().unwrap(), Bitmap::EMPTY)
            .await
            .unwrap();
        assert_eq!(facts.attr.nlink, 2);
    }

    #[tokio::test]
    async fn what_can_have_no_further_name_there_is_refused() {
        let fixture = Fixture::new();
        fixture.populate().await;
        for (source, dir, name, status) in [
            ("export/dir", "export", "x", Status::Isdir),
            ("", "export", "x", Status::Isdir),
            ("export/file", "deep/down", "x", Status::Xdev),
            ("export/file", "ro", "x", Status::Rofs),
            ("export/file", "export", "dir", Status::Exist),
            ("export/file", "export/fifo", "x", Status::Notdir),
            ("export/file", "export/symlink", "x", Status::Notdir),
            ("export/file", "export", ".", Status::Badname),
        ] {
            let linked = link(&fixture, source, dir, name).await;
            assert_eq!(linked, Err(status), "{source} {dir}/{name}");
        }
    }
}
