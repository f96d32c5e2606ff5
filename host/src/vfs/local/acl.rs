//! Access control lists: the kernel's two attributes, and its format of them.
//!
//! The kernel decides who may set a list and enforces it. Where we judge first (as an ordinary
//! user's server), we read it to judge by it.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use dittofs_sdk::vfs::{
    Acl, AclWho, Attr, Capabilities, Cred, Kind, PosixAcl, PosixAcls, VfsError, VfsResult, posix,
};
use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::cache::Object;
use super::core::{Core, proc_path};
use super::errno;
use super::namespace::First;

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";

/// `POSIX_ACL_XATTR_VERSION`
const VERSION: u32 = 2;
/// `ACL_UNDEFINED_ID`
const NO_ID: u32 = u32::MAX;
/// Bytes of an entry: tag, permission, id.
const ENTRY: usize = 8;
/// Owner, group, mask and others beside the named ones.
const LARGEST: usize = 4 + (PosixAcl::MAX_NAMED + 4) * ENTRY;

/// Whether the file system of `dir` keeps lists.
pub(super) fn probe(dir: BorrowedFd<'_>) -> bool {
    read(dir, ACCESS).is_ok()
}

/// Whether an object has an access list.
pub(super) fn has_list(object: BorrowedFd<'_>) -> VfsResult<bool> {
    has(object, ACCESS)
}

/// Whether what is made in a directory inherits a list.
pub(super) fn has_default(dir: BorrowedFd<'_>) -> VfsResult<bool> {
    has(dir, DEFAULT)
}

fn has(object: BorrowedFd<'_>, name: &str) -> VfsResult<bool> {
    match rustix::fs::getxattr(proc_path(object), name, &mut [0_u8; 1]) {
        // No list has as little as the room given.
        Ok(_) | Err(Errno::RANGE) => Ok(true),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(false),
        Err(error) => Err(errno::vfs(error)),
    }
}

impl Core {
    pub(super) fn has_lists(&self) -> bool {
        self.keeps.contains(Capabilities::POSIX_ACL)
    }

    /// The lists of an object, also where its mode says it all.
    pub(super) fn acls(&self, object: &Object) -> VfsResult<PosixAcls> {
        if object.kind == Kind::Symlink || !self.has_lists() {
            return Err(VfsError::NotSupported);
        }
        let default = match object.kind {
            Kind::Dir => read(object.as_fd(), DEFAULT)?,
            _ => None,
        };
        let access = match read(object.as_fd(), ACCESS)? {
            Some(access) => access,
            None => PosixAcl::of_mode(self.attr(object)?.mode),
        };
        Ok(PosixAcls { access, default })
    }

    /// What permissions are judged by.
    pub(super) fn rights(&self, object: &Object) -> VfsResult<posix::Rights> {
        self.rights_with(object, self.attr(object)?)
    }

    /// As [`rights`](Self::rights), of an object whose attributes are known.
    pub(super) fn rights_with(&self, object: &Object, attr: Attr) -> VfsResult<posix::Rights> {
        let acl = match object.kind {
            Kind::Symlink => None,
            _ if !self.has_lists() => None,
            _ => read(object.as_fd(), ACCESS)?,
        };
        Ok(posix::Rights {
            attr,
            acl: acl.filter(|acl| !acl.is_mode()).map(Arc::new),
        })
    }

    pub(super) fn set_acl(&self, cred: &Cred, object: &Object, acl: &Acl) -> VfsResult<Attr> {
        let acls = posix::check_acl(object.kind, acl)?;
        if !self.has_lists() {
            return Err(VfsError::NotSupported);
        }
        self.identity.judge(|| {
            if posix::is_owner(&self.attr(object)?, cred) {
                Ok(())
            } else {
                Err(VfsError::NotPermitted)
            }
        })?;
        let _busy = self.changing(object.fileid);
        self.identity.act(cred, || write_lists(object, acls))?;
        self.changed(object.fileid, object.as_fd())?;
        self.settle(object)?;
        self.attr(object)
    }

    /// The mode with which an object is made: until its own list is set, one that its directory
    /// gives it must not let anybody in, and a creation mask counts if that gives none.
    pub(super) fn first_mode(
        &self,
        dir: &Object,
        first: First<'_>,
        otherwise: u32,
    ) -> VfsResult<u32> {
        let mode = first.attr.mode.unwrap_or(otherwise) & 0o7777;
        if first.acl.is_some() {
            return Ok(mode & !0o077);
        }
        let Some(umask) = first.attr.umask else {
            return Ok(mode);
        };
        let inherits = self.has_lists()
            && self
                .identity
                .serve(|| read(dir.as_fd(), DEFAULT))?
                .is_some();
        Ok(if inherits {
            mode
        } else {
            mode & !(umask & 0o777)
        })
    }
}

/// Gives a new object its lists, under the identity that this thread has.
pub(super) fn protect(object: &Object, acl: &Acl) -> VfsResult<()> {
    write_lists(object, posix::check_acl(object.kind, acl)?)
}

/// Sets both lists, or neither.
fn write_lists(object: &Object, acls: &PosixAcls) -> VfsResult<()> {
    if object.kind != Kind::Dir {
        return write(object, ACCESS, Some(&acls.access));
    }
    let before = read(object.as_fd(), DEFAULT)?;
    if before != acls.default {
        write(object, DEFAULT, acls.default.as_ref())?;
    }
    write(object, ACCESS, Some(&acls.access)).inspect_err(|_| {
        if before != acls.default {
            let _ = write(object, DEFAULT, before.as_ref());
        }
    })
}

fn write(object: &Object, name: &str, acl: Option<&PosixAcl>) -> VfsResult<()> {
    let path = proc_path(object.as_fd());
    let Some(acl) = acl else {
        return match rustix::fs::removexattr(path, name) {
            Err(Errno::NODATA) => Ok(()),
            done => done.map_err(errno::vfs),
        };
    };
    rustix::fs::setxattr(path, name, &encode(acl), XattrFlags::empty()).map_err(errno::vfs)
}

/// The list under `name`; none if the object has none.
fn read(object: BorrowedFd<'_>, name: &str) -> VfsResult<Option<PosixAcl>> {
    let path = proc_path(object);
    // Most lists are small, and the room for the largest is not asked for each time.
    let mut room = vec![0_u8; 4 + 32 * ENTRY];
    let found = match rustix::fs::getxattr(&path, name, &mut room[..]) {
        Err(Errno::RANGE) => {
            room.resize(LARGEST, 0);
            rustix::fs::getxattr(&path, name, &mut room[..])
        }
        found => found,
    };
    match found {
        Ok(len) => decode(room.get(..len).unwrap_or_default()).map(Some),
        Err(Errno::NODATA) => Ok(None),
        // Larger than any list that the contract has: nobody is judged without it.
        Err(Errno::RANGE) => Err(VfsError::Io),
        Err(error) => Err(errno::vfs(error)),
    }
}

/// The kernel's `struct posix_acl_xattr_header` and its entries, little-endian.
fn encode(acl: &PosixAcl) -> Vec<u8> {
    let mut bytes = VERSION.to_le_bytes().to_vec();
    for (who, permission) in acl.entries() {
        let (tag, id): (u16, u32) = match who {
            AclWho::Owner => (0x01, NO_ID),
            AclWho::User(id) => (0x02, id),
            AclWho::Group => (0x04, NO_ID),
            AclWho::NamedGroup(id) => (0x08, id),
            AclWho::Mask => (0x10, NO_ID),
            AclWho::Other => (0x20, NO_ID),
        };
        bytes.extend(tag.to_le_bytes());
        bytes.extend((permission as u16).to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

fn decode(bytes: &[u8]) -> VfsResult<PosixAcl> {
    let (version, entries) = bytes.split_first_chunk().ok_or(VfsError::Io)?;
    if u32::from_le_bytes(*version) != VERSION {
        return Err(VfsError::Io);
    }
    let (entries, []) = entries.as_chunks::<ENTRY>() else {
        return Err(VfsError::Io);
    };
    let entries = entries.iter().map(|&[t0, t1, p0, p1, id @ ..]| {
        let id = u32::from_le_bytes(id);
        let who = match u16::from_le_bytes([t0, t1]) {
            0x01 => AclWho::Owner,
            0x02 => AclWho::User(id),
            0x04 => AclWho::Group,
            0x08 => AclWho::NamedGroup(id),
            0x10 => AclWho::Mask,
            0x20 => AclWho::Other,
            _ => return Err(VfsError::Io),
        };
        Ok((who, u32::from(u16::from_le_bytes([p0, p1]))))
    });
    let entries: Vec<_> = entries.collect::<VfsResult<_>>()?;
    PosixAcl::new(entries).map_err(|_| VfsError::Io)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> PosixAcl {
        PosixAcl::new([
            (AclWho::Owner, 7),
            (AclWho::User(1000), 6),
            (AclWho::Group, 5),
            (AclWho::NamedGroup(65_534), 4),
            (AclWho::Mask, 7),
            (AclWho::Other, 1),
        ])
        .unwrap()
    }

    #[test]
    fn the_kernels_format_is_read_and_written() {
        let bytes = encode(&list());
        assert_eq!(
            bytes[..20],
            [
                2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 6, 0, 0xe8, 3, 0, 0
            ]
        );
        assert_eq!(decode(&bytes), Ok(list()));
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        let good = encode(&list());
        for cut in 0..good.len() {
            assert_eq!(decode(&good[..cut]).map(drop), Err(VfsError::Io), "{cut}");
        }
        let mut other = good.clone();
        other[0] = 3;
        assert!(decode(&other).is_err());
        let mut strange = good;
        strange[4] = 0x40;
        assert!(decode(&strange).is_err());
    }
}
