//! RENAME: moves an entry of the saved directory into the current directory.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.26>

use bytes::Bytes;
use dittofs_sdk::vfs::Name;

use crate::compound::{Cx, Operation};
use crate::delegations::{self, Reason};
use crate::exports::Object;
use crate::status::Status;
use crate::types::ChangeInfo;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// RENAME4args
    #[derive(Debug)]
    pub struct Args {
        /// The entry in the saved directory.
        pub from: Bytes,
        /// Its name in the current directory.
        pub to: Bytes,
    } => decode
}

xdr_struct! {
    /// RENAME4resok
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Ok {
        /// The change of the saved directory.
        pub source: ChangeInfo,
        /// The change of the current directory.
        pub target: ChangeInfo,
    } => encode
}

impl Operation for Args {
    type Ok = Ok;
    type Err = Status;

    fn reply_room(&self) -> usize {
        2 * ChangeInfo::SIZE
    }

    async fn run(self, cx: &mut Cx) -> Result<Ok, Status> {
        let saved = cx.saved_object()?;
        let from = Name::new(&self.from)?;
        let to = Name::new(&self.to)?;
        let target = cx.writable()?;
        let Object::Share(source) = saved else {
            return Err(Status::Rofs);
        };
        if source.share.id != target.share.id {
            return Err(Status::Xdev);
        }
        // Somebody may be about to take back an open of what is replaced.
        super::reclaim::after_grace(cx)?;
        let _moved = delegations::clear_entry(cx, source, from, Reason::Rename).await?;
        let _replaced = delegations::clear_entry(cx, target, to, Reason::Rename).await?;
        let (source, target) = target
            .share
            .fs
            .rename(&target.cred, &source.handle, from, &target.handle, to)
            .await
            .map_err(|error| refused(error.into()))?;
        Ok(Ok {
            source: source.into(),
            target: target.into(),
        })
    }
}

/// A file does not replace a directory: that is NFS4ERR_EXIST (RFC 8881 §18.26.3).
fn refused(status: Status) -> Status {
    match super::in_dir(status) {
        Status::Isdir => Status::Exist,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::fixture::{Fixture, make};
    use crate::types::Minor;
    use dittofs_sdk::vfs::NewNode;

    async fn rename(fixture: &Fixture, from: (&str, &str), to: (&str, &str)) -> Result<Ok, Status> {
        let mut cx = fixture.at(Minor::V41, to.0).await;
        cx.saved = fixture.at(Minor::V41, from.0).await.current;
        Args {
            from: Bytes::copy_from_slice(from.1.as_bytes()),
            to: Bytes::copy_from_slice(to.1.as_bytes()),
        }
        .run(&mut cx)
        .await
    }

    #[tokio::test]
    async fn an_entry_moves_and_both_directories_change() {
        let fixture = Fixture::new();
        fixture.populate().await;
        let moved = rename(&fixture, ("export", "file"), ("export/dir", "new"))
            .await
            .unwrap();
        assert!(moved.source.before < moved.source.after);
        assert!(moved.target.before < moved.target.after);
        fixture.at(Minor::V41, "export/dir/new").await;
    }

    #[tokio::test]
    async fn a_name_for_the_same_file_stays_as_it_is() {
        let fixture = Fixture::new();
        fixture.populate().await;
        let same = rename(&fixture, ("export", "file"), ("export", "file"))
            .await
            .unwrap();
        assert_eq!(same.source.before, same.source.after);
        fixture.at(Minor::V41, "export/file").await;
    }

    #[tokio::test]
    async fn what_does_not_go_together_is_refused() {
        let fixture = Fixture::new();
        fixture.populate().await;
        let mut cx = fixture.at(Minor::V41, "export/dir").await;
        make(&mut cx, "inner", NewNode::Dir).await.unwrap();
        for (from, to, status) in [
            (("export", "file"), ("deep/down", "x"), Status::Xdev),
            (("export", "file"), ("", "x"), Status::Rofs),
            (("", "export"), ("export", "x"), Status::Rofs),
            (("ro", "x"), ("ro", "y"), Status::Rofs),
            (("export", "file"), ("export", "dir"), Status::Exist),
            (("export/file", "x"), ("export", "y"), Status::Notdir),
            (("export", "file"), ("export/symlink", "y"), Status::Notdir),
            (("export", "gone"), ("export", "y"), Status::Noent),
            (("export", ""), ("export", "y"), Status::Inval),
            (("export", "file"), ("export", ".."), Status::Badname),
            (("export", "dir"), ("export/dir/inner", "x"), Status::Inval),
        ] {
            assert_eq!(
                rename(&fixture, from, to).await,
                Err(status),
                "{from:?} {to:?}"
            );
        }
    }

    #[tokio::test]
    async fn the_saved_file_handle_is_needed() {
        let fixture = Fixture::new();
        let mut cx = fixture.at(Minor::V41, "export").await;
        let args = Args {
            from: Bytes::from_static(b"a"),
            to: Bytes::from_static(b"b"),
        };
        assert_eq!(args.run(&mut cx).await, Err(Status::Nofilehandle));
    }
}
