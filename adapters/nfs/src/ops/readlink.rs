//! READLINK: the target of the current symbolic link.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.24>

use bytes::Bytes;
use dittofs_sdk::vfs::VfsError;

use crate::compound::{Cx, Operation};
use crate::exports::Object;
use crate::status::Status;
use crate::types::Minor;
use crate::xdr::xdr_struct;

/// Longest target that a file system has (PATH_MAX).
const TARGET_MAX: usize = 4096;

xdr_struct! {
    /// READLINK has no arguments.
    #[derive(Debug)]
    pub struct Args {} => decode
}

impl Operation for Args {
    type Ok = Bytes;
    type Err = Status;

    fn reply_room(&self) -> usize {
        4 + TARGET_MAX
    }

    async fn run(self, cx: &mut Cx) -> Result<Bytes, Status> {
        // RFC 7530 §16.25.5 has no better status for what is no link.
        let wrong_type = match cx.minor() {
            Minor::V40 => Status::Inval,
            Minor::V41 | Minor::V42 => Status::WrongType,
        };
        let Object::Share(link) = cx.object()? else {
            return Err(wrong_type);
        };
        link.share
            .fs
            .read_link(&link.cred, &link.handle)
            .await
            .map_err(|error| match error {
                VfsError::WrongType | VfsError::Invalid | VfsError::IsDir => wrong_type,
                other => other.into(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::fixture::Fixture;

    #[tokio::test]
    async fn only_a_symbolic_link_has_a_target() {
        let fixture = Fixture::new();
        fixture.populate().await;
        for (minor, status) in [(Minor::V40, Status::Inval), (Minor::V41, Status::WrongType)] {
            for path in ["", "export", "export/file", "export/dir", "export/fifo"] {
                let mut cx = fixture.at(minor, path).await;
                assert_eq!(Args {}.run(&mut cx).await, Err(status), "{path}");
            }
            let mut cx = fixture.at(minor, "export/symlink").await;
            assert_eq!(
                Args {}.run(&mut cx).await,
                Ok(Bytes::from_static(b"target"))
            );
        }
    }
}
