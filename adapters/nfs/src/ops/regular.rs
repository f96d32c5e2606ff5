//! Regular files, and what lies in them, for the operations of 4.2 on ranges.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-15>

use std::sync::Arc;

use dittofs_sdk::vfs::{Attr, Content, Extent, File, Kind, VfsError};

use crate::exports::{Object, ShareObject};
use crate::status::Status;

/// An object that is a regular file, and no named attribute.
pub(super) async fn file(object: &Object) -> Result<(ShareObject, Attr), Status> {
    let Object::Share(object) = object else {
        return Err(Status::WrongType);
    };
    let attr = object.share.fs.attr(&object.handle).await?;
    if attr.kind != Kind::File || object.is_named() {
        return Err(Status::WrongType);
    }
    Ok((object.clone(), attr))
}

/// The refusal of operations whose lists have no NFS4ERR_LOCKED for what a share reservation denies
/// (RFC 7862 §11.2).
pub(super) fn denied(status: Status) -> Status {
    match status {
        Status::Locked => Status::Access,
        other => other,
    }
}

/// What is at `offset` of a file; none at and beyond its end. A file system that does not tell
/// holes from data has data only, and the hole that begins at the end of every file
/// (RFC 7862 §15.11.3).
pub(super) async fn extent(
    file: &Arc<dyn File>,
    offset: u64,
    until: u64,
) -> Result<Option<Extent>, Status> {
    match file.extent(offset, until).await {
        Err(VfsError::NotSupported) => {
            let end = file.attr().await?.size;
            let content = Content::Data;
            Ok((offset < end).then_some(Extent { content, end }))
        }
        // One that ends where it begins would be found for ever.
        Ok(Some(extent)) if extent.end <= offset => Err(Status::Io),
        told => Ok(told?),
    }
}
