//! What the operations on extended attributes have in common: of which objects, and in which words
//! they are refused.
//! <https://www.rfc-editor.org/rfc/rfc8276#section-8>
//!
//! A name on the wire has no prefix that says whose namespace it is in: clients take theirs off, and
//! a file system adds its own. The values are those that OPENATTR shows as files
//! ([`named`](crate::named)).

use bytes::Bytes;
use dittofs_sdk::vfs::{Capabilities, NameError, VfsError, XattrName};
use tokio::sync::MutexGuard;

use crate::compound::Cx;
use crate::delegations::{self, Access, Hold, Reason};
use crate::exports::ShareObject;
use crate::named;
use crate::state::files::Touch;
use crate::status::Status;

/// The current object, where its file system has extended attributes. Those of named attributes
/// would be attributes of attributes.
pub fn object(cx: &Cx) -> Result<&ShareObject, Status> {
    let object = cx.share_object(Status::Notsupp)?;
    if object.is_named() {
        return Err(Status::WrongType);
    }
    let able = object.share.fs.info().capabilities;
    if able.contains(Capabilities::XATTR) {
        Ok(object)
    } else {
        Err(Status::Notsupp)
    }
}

/// xattrkey4
pub fn name(bytes: &Bytes) -> Result<XattrName<'_>, Status> {
    XattrName::new(bytes).map_err(|error| match error {
        NameError::Forbidden => Status::Badchar,
        error => error.into(),
    })
}

/// The refusal of a file system that has extended attributes: some of its objects have none.
pub fn refused(error: VfsError) -> Status {
    match error {
        VfsError::NotSupported => Status::WrongType,
        other => other.into(),
    }
}

/// An object whose attributes are about to be changed. While this lives, nobody has a delegation of
/// it (RFC 8276 §8.8), and nobody writes a part of an attribute, which takes all of it.
pub struct Changing {
    /// The object.
    pub object: ShareObject,
    _hold: Hold,
    _lock: MutexGuard<'static, ()>,
}

/// Makes way for a change of the current object's attributes. Who may reclaim a delegation relies on
/// the file until the grace period is over, for which the lists of these operations have no other
/// word than NFS4ERR_DELAY (RFC 8276 §8.4.5).
pub async fn change(cx: &Cx) -> Result<Changing, Status> {
    let object = object(cx)?.writable()?.clone();
    super::reclaim::after_grace(cx).map_err(|_| Status::Delay)?;
    let access = Access::new(cx, object.key(), Touch::Change, Reason::Setxattr);
    Ok(Changing {
        _hold: delegations::clear(cx, access).await?,
        _lock: named::lock(&object.handle).await,
        object,
    })
}
