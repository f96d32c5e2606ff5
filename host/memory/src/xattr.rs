//! Extended attributes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use dittofs_sdk::vfs::{
    Cred, DirChange, Handle, SetXattr, VfsError, VfsResult, XATTR_MAX, XattrListing, XattrName,
    posix,
};

use crate::core::Core;
use crate::inode::State;
use crate::quota::{Charge, Quota};

/// What an attribute costs beside its name and value.
const COST: u64 = 64;
/// Most bytes of all names of one object, as in Linux.
const NAMES_MAX: usize = 64 * 1024;

/// The extended attributes of one object.
#[derive(Debug, Default)]
pub(crate) struct Xattrs {
    values: BTreeMap<Bytes, Value>,
    names: usize,
}

#[derive(Debug)]
struct Value {
    bytes: Bytes,
    _charge: Charge,
}

impl Xattrs {
    fn get(&self, name: &[u8]) -> VfsResult<Bytes> {
        let value = self.values.get(name).ok_or(VfsError::NoXattr)?;
        Ok(value.bytes.clone())
    }

    fn set(
        &mut self,
        name: &[u8],
        value: &[u8],
        how: SetXattr,
        quota: &Arc<Quota>,
    ) -> VfsResult<()> {
        let is_new = !self.values.contains_key(name);
        match how {
            SetXattr::Create if !is_new => return Err(VfsError::Exists),
            SetXattr::Replace if is_new => return Err(VfsError::NoXattr),
            _ => {}
        }
        if is_new && self.names + name.len() > NAMES_MAX {
            return Err(VfsError::NoSpace);
        }
        let value = Value {
            _charge: Charge::take(quota, COST + (name.len() + value.len()) as u64)?,
            // A copy: the caller's bytes may be a small part of a large buffer.
            bytes: Bytes::copy_from_slice(value),
        };
        if is_new {
            self.names += name.len();
            self.values.insert(Bytes::copy_from_slice(name), value);
        } else if let Some(old) = self.values.get_mut(name) {
            *old = value;
        }
        Ok(())
    }

    fn remove(&mut self, name: &[u8]) -> VfsResult<()> {
        self.values.remove(name).ok_or(VfsError::NoXattr)?;
        self.names -= name.len();
        Ok(())
    }
}

impl Core {
    pub(crate) fn xattr(
        &self,
        cred: &Cred,
        object: &Handle,
        name: XattrName<'_>,
    ) -> VfsResult<Bytes> {
        let inode = self.find(object)?;
        let state = inode.state.read();
        posix::check_xattr(&state.rights(inode.ino), cred, false)?;
        state.xattrs.get(name.as_bytes())
    }

    pub(crate) fn set_xattr(
        &self,
        cred: &Cred,
        object: &Handle,
        name: XattrName<'_>,
        value: &[u8],
        how: SetXattr,
    ) -> VfsResult<DirChange> {
        if value.len() > XATTR_MAX {
            return Err(VfsError::XattrTooBig);
        }
        self.alter_xattrs(cred, object, |state| {
            let (name, quota) = (name.as_bytes(), &self.bytes);
            state.xattrs.set(name, value, how, quota)
        })
    }

    pub(crate) fn remove_xattr(
        &self,
        cred: &Cred,
        object: &Handle,
        name: XattrName<'_>,
    ) -> VfsResult<DirChange> {
        self.alter_xattrs(cred, object, |state| state.xattrs.remove(name.as_bytes()))
    }

    fn alter_xattrs(
        &self,
        cred: &Cred,
        object: &Handle,
        alter: impl FnOnce(&mut State) -> VfsResult<()>,
    ) -> VfsResult<DirChange> {
        let inode = self.find(object)?;
        let mut state = inode.state.write();
        posix::check_xattr(&state.rights(inode.ino), cred, true)?;
        let before = state.change();
        alter(&mut state)?;
        state.changed();
        Ok(DirChange {
            atomic: true,
            before,
            after: state.change(),
        })
    }

    pub(crate) fn list_xattrs(
        &self,
        object: &Handle,
        after: u64,
        limit: u32,
    ) -> VfsResult<XattrListing> {
        let inode = self.find(object)?;
        let state = inode.state.read();
        posix::require_xattrs(state.kind())?;
        let names = state.xattrs.values.keys().cloned();
        Ok(XattrListing::page(names, after, limit))
    }
}
