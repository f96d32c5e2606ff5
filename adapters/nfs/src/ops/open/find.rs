//! From claim and create mode to an open file.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.16.3>

use std::sync::Arc;

use dittofs_sdk::vfs::{CreateHow, File, Kind, Name, OpenAccess, VfsError, VfsResult};

use super::args::{Claim, How};
use crate::attr::{self, Settable};
use crate::compound::Cx;
use crate::delegations::{self, Reason};
use crate::exports::{Object, ShareObject};
use crate::status::Status;
use crate::types::{Bitmap, ChangeInfo, Minor, Verifier};

/// The file of an OPEN, open in the file system, not yet for the client.
pub(super) struct Found {
    pub(super) object: ShareObject,
    pub(super) file: Arc<dyn File>,
    pub(super) change: ChangeInfo,
    pub(super) attrs: Bitmap,
    /// Whether what was there before is to be cut to size 0.
    pub(super) truncate: bool,
}

impl Found {
    /// What was there before, and stays as it is.
    fn unchanged(object: ShareObject, file: Arc<dyn File>) -> Self {
        Self {
            object,
            file,
            change: UNCHANGED,
            attrs: Bitmap::EMPTY,
            truncate: false,
        }
    }
}

const SIZE: u32 = 4;
const TIME_ACCESS: u32 = 47;
const TIME_MODIFY: u32 = 53;

/// The directory, when nothing in it was changed.
const UNCHANGED: ChangeInfo = ChangeInfo {
    atomic: false,
    before: 0,
    after: 0,
};

/// Finds or creates the file and opens it as the caller.
pub(super) async fn find(
    cx: &Cx,
    claim: &Claim,
    how: &How,
    access: OpenAccess,
) -> Result<Found, Status> {
    let object = match (claim, how) {
        (Claim::Null(name), How::Find) => by_name(cx, name).await?,
        (Claim::Null(name), how) => return Box::pin(create(cx, name, how, access)).await,
        (Claim::Handle | Claim::Delegated(_), _) if cx.minor() == Minor::V40 => {
            return Err(Status::Badxdr);
        }
        (Claim::Handle | Claim::Delegated(_) | Claim::Previous(_), How::Find) => {
            cx.share_object(Status::Isdir)?.clone()
        }
        // Only a name can be created.
        (Claim::Handle | Claim::Delegated(_) | Claim::Previous(_), _) => return Err(Status::Inval),
        (Claim::DelegatedName(_, name), how) => {
            return Box::pin(under_delegation(cx, name, how, access)).await;
        }
        // Delegations end with their client's incarnation (RFC 8881 §18.5.3).
        (Claim::DelegatedBefore, _) => return Err(Status::Notsupp),
    };
    let file = opened(cx, &object, access).await?;
    Ok(Found::unchanged(object, file))
}

async fn by_name(cx: &Cx, name: &[u8]) -> Result<ShareObject, Status> {
    let checked = Name::new(name)?;
    let dir = match cx.object()? {
        Object::Share(dir) => dir,
        Object::Pseudo(dir) => {
            // Whatever is there is a directory.
            dir.lookup(&cx.call, name)?;
            return Err(Status::Isdir);
        }
    };
    let fs = &dir.share.fs;
    let node = fs.lookup(&dir.cred, &dir.handle, checked).await?;
    Ok(dir.sibling(node.handle))
}

/// The file is there, so that creating it can only mean to cut it to size 0.
async fn under_delegation(
    cx: &Cx,
    name: &[u8],
    how: &How,
    access: OpenAccess,
) -> Result<Found, Status> {
    let truncate = match how {
        How::Find => false,
        How::Unchecked(attrs) => attrs.settable(cx.minor())?.changes.size == Some(0),
        How::Guarded(_) | How::Exclusive(_) | How::Exclusive41(..) => return Err(Status::Exist),
    };
    let object = by_name(cx, name).await?;
    let file = opened(cx, &object, access).await?;
    Ok(Found {
        attrs: if truncate {
            Bitmap::of(&[SIZE])
        } else {
            Bitmap::EMPTY
        },
        truncate,
        ..Found::unchanged(object, file)
    })
}

async fn opened(
    cx: &Cx,
    object: &ShareObject,
    access: OpenAccess,
) -> Result<Arc<dyn File>, Status> {
    if access.writes() {
        object.writable()?;
    }
    let fs = &object.share.fs;
    let file = fs.open(&object.cred, &object.handle, access).await;
    of_type(cx, file)
}

/// What a create mode asks of the file system.
struct Creation {
    how: CreateHow,
    first: Settable,
    /// Attributes that the reply names if the file is new.
    attrs: Bitmap,
}

impl Creation {
    /// A named attribute has a size; all else is its object's.
    fn size_only(&mut self) {
        self.attrs = self.attrs.and(Bitmap::of(&[SIZE]));
        let size = self.first.changes.size;
        self.first = Settable::default();
        self.first.changes.size = size;
    }
}

fn creation(minor: Minor, how: &How) -> Result<Creation, Status> {
    // The file system may keep the verifier in the times; a client that is told so sets them
    // itself (RFC 8881 §18.16.3).
    let times = Bitmap::of(&[TIME_ACCESS, TIME_MODIFY]);
    let exclusive = |Verifier(verifier): Verifier| CreateHow::Exclusive(verifier);
    Ok(match how {
        How::Find => return Err(Status::Inval),
        How::Unchecked(attrs) | How::Guarded(attrs) => {
            let settable = attrs.settable(minor)?;
            Creation {
                how: match how {
                    How::Guarded(_) => CreateHow::Guarded,
                    _ => CreateHow::Unchecked,
                },
                attrs: settable.mask,
                first: settable,
            }
        }
        How::Exclusive(verifier) => Creation {
            how: exclusive(*verifier),
            first: Settable::default(),
            attrs: times,
        },
        How::Exclusive41(..) if minor == Minor::V40 => return Err(Status::Badxdr),
        How::Exclusive41(verifier, attrs) => {
            let settable = attrs.settable(minor)?;
            if !settable
                .mask
                .minus(attr::exclusive_create(minor))
                .is_empty()
            {
                return Err(Status::Inval);
            }
            Creation {
                how: exclusive(*verifier),
                attrs: settable.mask.or(times),
                first: settable,
            }
        }
    })
}

async fn create(cx: &Cx, name: &[u8], how: &How, access: OpenAccess) -> Result<Found, Status> {
    let checked = Name::new(name)?;
    let mut creation = creation(cx.minor(), how)?;
    let dir = cx.share_object(Status::Rofs)?;
    if dir.is_named() {
        creation.size_only();
    }
    let truncate = creation.how == CreateHow::Unchecked && creation.first.changes.size == Some(0);
    if dir.share.read_only {
        return instead_of_creating(cx, dir, checked, &creation, truncate, access).await;
    }
    let first = creation.first.first(Kind::File, dir)?;
    let _hold = delegations::clear_owner(cx, dir, Reason::Open).await?;
    let created = first.create(dir, checked, creation.how, access);
    let created = of_type(cx, created.await)?;
    let existed = !created.created;
    Ok(Found {
        object: dir.sibling(created.node.handle),
        file: created.file,
        change: created.dir.into(),
        attrs: match (existed, truncate) {
            (false, _) => creation.attrs,
            (true, true) => Bitmap::of(&[SIZE]),
            (true, false) => Bitmap::EMPTY,
        },
        truncate: existed && truncate,
    })
}

/// In a share that is exported read-only: what is there may be opened, nothing is made.
async fn instead_of_creating(
    cx: &Cx,
    dir: &ShareObject,
    name: Name<'_>,
    creation: &Creation,
    truncate: bool,
    access: OpenAccess,
) -> Result<Found, Status> {
    let fs = &dir.share.fs;
    let node = match fs.lookup(&dir.cred, &dir.handle, name).await {
        Err(VfsError::NotFound) => return Err(Status::Rofs),
        node => node?,
    };
    if creation.how != CreateHow::Unchecked {
        return Err(Status::Exist);
    }
    if truncate {
        return Err(Status::Rofs);
    }
    let object = dir.sibling(node.handle);
    let file = opened(cx, &object, access).await?;
    Ok(Found::unchanged(object, file))
}

/// What is neither file, directory nor link has an error of its own in 4.1; 4.0 calls it a
/// link (RFC 8881 §18.16.3, RFC 7530 §16.16.5).
fn of_type<T>(cx: &Cx, result: VfsResult<T>) -> Result<T, Status> {
    result.map_err(|error| match (error, cx.minor()) {
        (VfsError::WrongType, Minor::V40) => Status::Symlink,
        (VfsError::WrongType, Minor::V41 | Minor::V42) => Status::WrongType,
        (error, _) => error.into(),
    })
}
