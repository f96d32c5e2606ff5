//! Extended attributes: those of the kernel's `user.` namespace, and no other.
//!
//! The kernel has them for files and directories only, and asks for read or write permission on
//! the object; in a sticky directory only the owner may set them.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};

use bytes::Bytes;
use dittofs_sdk::vfs::{
    Cred, DirChange, SetXattr, VfsError, VfsResult, XATTR_MAX, XattrListing, XattrName, posix,
};
use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::cache::Object;
use super::core::{Core, proc_path};
use super::errno;

const PREFIX: &[u8] = b"user.";
/// The longest name, prefix included (`XATTR_NAME_MAX`).
const NAME_MAX: usize = 255;
/// The most bytes of all names of an object (`XATTR_LIST_MAX`).
const LIST_MAX: usize = 64 * 1024;
/// Room for what most objects have.
const FEW: usize = 1024;

/// Whether the file system of `dir` has extended attributes for users.
pub(super) fn supported(dir: BorrowedFd<'_>) -> bool {
    let asked = rustix::fs::getxattr(proc_path(dir), c"user.dittofs.probe", &mut [0; 1]);
    !matches!(asked, Err(Errno::OPNOTSUPP | Errno::NOSYS))
}

impl Core {
    pub(super) fn xattr(
        &self,
        cred: &Cred,
        object: &Object,
        name: XattrName<'_>,
    ) -> VfsResult<Bytes> {
        posix::require_xattrs(object.kind)?;
        let name = key(name)?;
        self.identity
            .judge(|| posix::check_xattr(&self.rights(object)?, cred, false))?;
        let path = proc_path(object.as_fd());
        let value = self.identity.act(cred, || {
            fill(XATTR_MAX, |room| rustix::fs::getxattr(&path, &name, room))
        });
        value.map(Bytes::from)
    }

    pub(super) fn set_xattr(
        &self,
        cred: &Cred,
        object: &Object,
        name: XattrName<'_>,
        value: &[u8],
        how: SetXattr,
    ) -> VfsResult<DirChange> {
        if value.len() > XATTR_MAX {
            return Err(VfsError::XattrTooBig);
        }
        let flags = match how {
            SetXattr::Either => XattrFlags::empty(),
            SetXattr::Create => XattrFlags::CREATE,
            SetXattr::Replace => XattrFlags::REPLACE,
        };
        let name = key(name)?;
        self.alter_xattrs(cred, object, |path| {
            rustix::fs::setxattr(path, &name, value, flags)
        })
    }

    pub(super) fn remove_xattr(
        &self,
        cred: &Cred,
        object: &Object,
        name: XattrName<'_>,
    ) -> VfsResult<DirChange> {
        let name = key(name)?;
        self.alter_xattrs(cred, object, |path| rustix::fs::removexattr(path, &name))
    }

    fn alter_xattrs(
        &self,
        cred: &Cred,
        object: &Object,
        alter: impl FnOnce(&str) -> Result<(), Errno>,
    ) -> VfsResult<DirChange> {
        posix::require_xattrs(object.kind)?;
        self.identity
            .judge(|| posix::check_xattr(&self.rights(object)?, cred, true))?;
        let path = proc_path(object.as_fd());
        let _busy = self.changing(object.fileid);
        let ((), change) = self.alter(object, || {
            self.identity.act(cred, || alter(&path).map_err(errno::vfs))
        })?;
        Ok(change)
    }

    pub(super) fn list_xattrs(
        &self,
        object: &Object,
        after: u64,
        limit: u32,
    ) -> VfsResult<XattrListing> {
        posix::require_xattrs(object.kind)?;
        let path = proc_path(object.as_fd());
        let list = self
            .identity
            .serve(|| fill(LIST_MAX, |room| rustix::fs::listxattr(&path, room)))?;
        let names = list
            .split(|byte| *byte == 0)
            .filter_map(|name| name.strip_prefix(PREFIX))
            .filter(|name| !name.is_empty())
            .map(Bytes::copy_from_slice);
        Ok(XattrListing::page(names, after, limit))
    }
}

/// The name as the kernel has it.
fn key(name: XattrName<'_>) -> VfsResult<CString> {
    let full = [PREFIX, name.as_bytes()].concat();
    if full.len() > NAME_MAX {
        return Err(VfsError::NameTooLong);
    }
    CString::new(full).map_err(|_| VfsError::BadName)
}

/// What `call` fills in, which is `most` bytes at most.
fn fill(most: usize, call: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> VfsResult<Vec<u8>> {
    let mut buffer = vec![0; FEW];
    let len = match call(&mut buffer) {
        Err(Errno::RANGE) => {
            buffer.resize(most, 0);
            call(&mut buffer)
        }
        done => done,
    };
    buffer.truncate(len.map_err(errno::vfs)?);
    Ok(buffer)
}
