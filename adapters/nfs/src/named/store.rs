//! Where values are: the extended attributes of the share's own file system.

use std::sync::Arc;

use bytes::Bytes;
use dittofs_sdk::vfs::{
    Access, Attr, Cred, FileSystem, Handle, Kind, Name, Node, OpenAccess, SetXattr, VfsError,
    VfsResult, XATTR_MAX, XattrName,
};
use tokio::sync::{Mutex, MutexGuard};

use super::handle::{NameId, Place};

/// Names that are asked for at once: all of them where there are not very many, because a store
/// without order goes through all for each page.
pub(super) const NAMES: u32 = 4096;

/// A change of part of a value is a change of all of it: one at a time. Attributes share locks,
/// which are the process's, because the exports are made anew when shares change.
static LOCKS: [Mutex<()>; 64] = [const { Mutex::const_new(()) }; 64];

/// Keeps others from changing attributes of `object` until it is dropped.
pub async fn lock(object: &Handle) -> MutexGuard<'static, ()> {
    let mixed = object.as_bytes().iter().fold(0_usize, |mixed, byte| {
        mixed.wrapping_mul(31).wrapping_add(usize::from(*byte))
    });
    let first = &LOCKS[0];
    LOCKS.get(mixed % LOCKS.len()).unwrap_or(first).lock().await
}

/// Whether the directory of an object's attributes has any entry; what can't have such a directory
/// has none.
pub async fn any(fs: &Arc<dyn FileSystem>, object: &Handle) -> VfsResult<bool> {
    let mut after = 0;
    loop {
        let listing = match fs.list_xattrs(object, after, NAMES).await {
            Err(VfsError::NotSupported) => return Ok(false),
            listing => listing?,
        };
        if listing.entries.iter().any(|entry| is_entry(&entry.name)) {
            return Ok(true);
        }
        match listing.entries.last() {
            Some(last) if !listing.eof => after = last.cookie,
            _ => return Ok(false),
        }
    }
}

/// The file system below.
#[derive(Clone)]
pub(super) struct Store(pub(super) Arc<dyn FileSystem>);

impl Store {
    /// The attributes of an object, if it has a directory of named ones.
    pub(super) async fn object(&self, object: &Handle) -> VfsResult<Attr> {
        let attr = self.0.attr(object).await?;
        match attr.kind {
            Kind::File | Kind::Dir => Ok(attr),
            _ => Err(VfsError::BadHandle),
        }
    }

    /// Refuses who may not read the object, or not write it: its attributes are part of it.
    pub(super) async fn require(
        &self,
        cred: &Cred,
        object: &Handle,
        access: OpenAccess,
    ) -> VfsResult<()> {
        let wanted = match access {
            OpenAccess::Read => Access::READ,
            OpenAccess::Write => Access::MODIFY,
            OpenAccess::Both => Access::READ | Access::MODIFY,
        };
        let granted = self.0.access(cred, object, wanted).await?;
        if granted.access.contains(wanted) {
            Ok(())
        } else {
            Err(VfsError::AccessDenied)
        }
    }

    /// The name that a handle stands for.
    pub(super) async fn name(&self, object: &Handle, id: NameId) -> VfsResult<Bytes> {
        let mut after = 0;
        loop {
            let listing = self.0.list_xattrs(object, after, NAMES).await?;
            let last = listing.entries.last().map(|entry| entry.cookie);
            let mut entries = listing.entries.into_iter();
            if let Some(found) = entries.find(|entry| NameId::of(&entry.name) == id) {
                return Ok(found.name);
            }
            match last {
                Some(last) if !listing.eof => after = last,
                _ => return Err(VfsError::Stale),
            }
        }
    }

    /// The value, as the server: whether the caller may read it was decided before.
    pub(super) async fn value(&self, object: &Handle, name: &[u8]) -> VfsResult<Bytes> {
        let name = xattr_name(name)?;
        self.0
            .xattr(&Cred::root(), object, name)
            .await
            .map_err(plain)
    }

    /// Sets a value as the caller, so that the file system judges and accounts for it.
    pub(super) async fn set(
        &self,
        cred: &Cred,
        object: &Handle,
        name: &[u8],
        value: Vec<u8>,
    ) -> VfsResult<()> {
        let (name, value) = (xattr_name(name)?, Bytes::from(value));
        self.0
            .set_xattr(cred, object, name, value, SetXattr::Replace)
            .await
            .map(drop)
            .map_err(plain)
    }

    /// An attribute of the object `of`, with its handle.
    pub(super) async fn node(&self, object: &Handle, of: &Attr, name: &[u8]) -> VfsResult<Node> {
        let size = self.value(object, name).await?.len();
        let place = Place::Attribute(*object, NameId::of(name));
        Ok(Node {
            handle: place.handle()?,
            attr: attribute_attr(place, of, size as u64),
        })
    }
}

/// The attributes of an attribute.
pub(super) fn attribute_attr(place: Place, of: &Attr, size: u64) -> Attr {
    Attr {
        kind: Kind::File,
        mode: of.mode & 0o666,
        size,
        used: size,
        nlink: 1,
        ..dir_attr(place, of)
    }
}

/// The attributes of a directory of attributes. Whatever changes in it changes its object.
pub(super) fn dir_attr(place: Place, of: &Attr) -> Attr {
    Attr {
        kind: Kind::Dir,
        // Who may read may search.
        mode: of.mode & 0o666 | (of.mode & 0o444) >> 2,
        nlink: 2,
        rdev: (0, 0),
        size: 0,
        used: 0,
        fileid: place.number(of.fileid),
        mtime: of.ctime,
        ..*of
    }
}

pub(super) fn xattr_name(name: &[u8]) -> VfsResult<XattrName<'_>> {
    XattrName::new(name).map_err(|_| VfsError::BadName)
}

/// Whether an extended attribute's name can be that of a directory entry.
pub(super) fn is_entry(name: &[u8]) -> bool {
    Name::new(name).is_ok()
}

/// An error about an extended attribute, as one about a file.
pub(super) fn plain(error: VfsError) -> VfsError {
    match error {
        VfsError::NoXattr => VfsError::NotFound,
        VfsError::XattrTooBig => VfsError::FileTooBig,
        other => other,
    }
}

/// An error about a file that is known by its handle: one that is not there was removed.
pub(super) fn gone(error: VfsError) -> VfsError {
    match error {
        VfsError::NotFound => VfsError::Stale,
        other => other,
    }
}

/// The size asked for, if a value can have it.
pub(super) fn checked_size(size: u64) -> VfsResult<usize> {
    usize::try_from(size)
        .ok()
        .filter(|size| *size <= XATTR_MAX)
        .ok_or(VfsError::FileTooBig)
}
