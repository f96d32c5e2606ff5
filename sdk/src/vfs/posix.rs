//! The permission rules of POSIX as Linux applies them, for backends that decide themselves.
//!
//! Pure functions over [`Attr`], [`PosixAcl`] and [`Cred`]; user 0 is the superuser.

use std::sync::Arc;

use super::{
    Access, Acl, Attr, CreateHow, Cred, Kind, OpenAccess, PosixAcl, PosixAcls, SetAttr, SetTime,
    VfsError, VfsResult,
};

/// Permission to read.
pub const READ: u32 = 4;
/// Permission to write.
pub const WRITE: u32 = 2;
/// Permission to execute, or to search a directory.
pub const EXEC: u32 = 1;

/// Set user id on execution.
pub const SETUID: u32 = 0o4000;
/// Set group id on execution; on a directory, new entries take its group.
pub const SETGID: u32 = 0o2000;
/// On a directory, only owners remove entries.
pub const STICKY: u32 = 0o1000;

const GROUP_EXEC: u32 = 0o010;
const ANY_EXEC: u32 = 0o111;

/// An object as the rules see it.
pub trait Judged {
    /// Its attributes.
    fn attr(&self) -> &Attr;

    /// Its list, where that says more than its mode.
    fn acl(&self) -> Option<&PosixAcl>;
}

/// An object without a list.
impl Judged for Attr {
    fn attr(&self) -> &Attr {
        self
    }

    fn acl(&self) -> Option<&PosixAcl> {
        None
    }
}

/// An object that may have a list.
#[derive(Debug, Clone)]
pub struct Rights {
    /// Its attributes.
    pub attr: Attr,
    /// Its list, where that says more than its mode.
    pub acl: Option<Arc<PosixAcl>>,
}

impl Judged for Rights {
    fn attr(&self) -> &Attr {
        &self.attr
    }

    fn acl(&self) -> Option<&PosixAcl> {
        self.acl.as_deref()
    }
}

/// Whether `object` grants all of `want` ([`READ`], [`WRITE`], [`EXEC`]) to `cred`.
///
/// The first class that fits decides: owner, named user, groups, others. Of several groups one
/// must grant it all. The superuser may all, except to execute a file that nobody may execute.
pub fn permits(object: &impl Judged, cred: &Cred, want: u32) -> bool {
    let attr = object.attr();
    if cred.uid == 0 {
        return want & EXEC == 0 || attr.kind == Kind::Dir || attr.mode & ANY_EXEC != 0;
    }
    let grants = |permission: u32| permission & want == want;
    let in_group = cred.in_group(attr.gid);
    let Some(acl) = object.acl() else {
        return grants(if cred.uid == attr.uid {
            attr.mode >> 6
        } else if in_group {
            attr.mode >> 3
        } else {
            attr.mode
        });
    };
    if cred.uid == attr.uid {
        return grants(acl.owner());
    }
    if let Some(permission) = acl.user(cred.uid) {
        return grants(permission);
    }
    let mut groups = acl.groups(in_group, |gid| cred.in_group(gid)).peekable();
    if groups.peek().is_some() {
        return groups.any(grants);
    }
    grants(acl.other())
}

/// As [`permits`], as a result: [`VfsError::AccessDenied`].
pub fn check(object: &impl Judged, cred: &Cred, want: u32) -> VfsResult<()> {
    if permits(object, cred, want) {
        Ok(())
    } else {
        Err(VfsError::AccessDenied)
    }
}

/// The subset of `wanted` that `object` grants.
pub fn access(object: &impl Judged, cred: &Cred, wanted: Access) -> Access {
    access_by(object.attr().kind, wanted, |bits| {
        permits(object, cred, bits)
    })
}

/// The subset of `wanted` that an object of this kind grants, if it `permits` these bits.
pub fn access_by(kind: Kind, wanted: Access, permits: impl Fn(u32) -> bool) -> Access {
    let needs: &[(Access, u32)] = match kind {
        Kind::Dir => &[
            (Access::READ, READ),
            (Access::SEARCH, EXEC),
            (Access::MODIFY, WRITE | EXEC),
            (Access::EXTEND, WRITE | EXEC),
            (Access::DELETE, WRITE | EXEC),
        ],
        _ => &[
            (Access::READ, READ),
            (Access::MODIFY, WRITE),
            (Access::EXTEND, WRITE),
            (Access::EXECUTE, EXEC),
        ],
    };
    needs
        .iter()
        .filter(|(kind, bits)| wanted.contains(*kind) && permits(*bits))
        .fold(Access::default(), |granted, (kind, _)| granted | *kind)
}

/// Whether a regular file may be opened. A caller that may only execute may read too: a
/// client has to read a program in order to run it.
pub fn check_open(object: &impl Judged, cred: &Cred, access: OpenAccess) -> VfsResult<()> {
    let want = match access {
        OpenAccess::Read => READ,
        OpenAccess::Write => WRITE,
        OpenAccess::Both => READ | WRITE,
    };
    if access == OpenAccess::Read && permits(object, cred, EXEC) {
        return Ok(());
    }
    check(object, cred, want)
}

/// Whether `victim` may be removed from `dir`, or renamed away or over.
pub fn check_delete(dir: &impl Judged, victim: &Attr, cred: &Cred) -> VfsResult<()> {
    check(dir, cred, WRITE | EXEC)?;
    let dir = dir.attr();
    let owner = cred.uid == 0 || cred.uid == victim.uid || cred.uid == dir.uid;
    if dir.mode & STICKY != 0 && !owner {
        return Err(VfsError::NotPermitted);
    }
    Ok(())
}

/// Whether `changes` may be applied; the kind of object is not judged here.
pub fn check_set_attr(object: &impl Judged, cred: &Cred, changes: &SetAttr) -> VfsResult<()> {
    let attr = object.attr();
    let owner = is_owner(attr, cred);
    if changes.size.is_some() {
        check(object, cred, WRITE)?;
    }
    if changes
        .uid
        .is_some_and(|uid| cred.uid != 0 && (uid != attr.uid || !owner))
    {
        return Err(VfsError::NotPermitted);
    }
    let foreign_group = |gid: u32| gid != attr.gid && !cred.in_group(gid);
    if changes
        .gid
        .is_some_and(|gid| cred.uid != 0 && (!owner || foreign_group(gid)))
    {
        return Err(VfsError::NotPermitted);
    }
    if changes.mode.is_some() && !owner {
        return Err(VfsError::NotPermitted);
    }
    for time in [changes.atime, changes.mtime].into_iter().flatten() {
        match time {
            SetTime::To(time) if time.nsec >= 1_000_000_000 => return Err(VfsError::Invalid),
            _ if owner => {}
            SetTime::To(_) => return Err(VfsError::NotPermitted),
            SetTime::Now => check(object, cred, WRITE)?,
        }
    }
    Ok(())
}

/// Whether `cred` may change what only owners change.
pub fn is_owner(attr: &Attr, cred: &Cred) -> bool {
    cred.uid == 0 || cred.uid == attr.uid
}

/// The POSIX lists of `acl`, if an object of this kind can have them.
pub fn check_acl(kind: Kind, acl: &Acl) -> VfsResult<&PosixAcls> {
    let Acl::Posix(acls) = acl;
    match kind {
        Kind::Symlink => Err(VfsError::NotSupported),
        Kind::Dir => Ok(acls),
        _ if acls.default.is_some() => Err(VfsError::Invalid),
        _ => Ok(acls),
    }
}

/// Refuses times for an exclusive create: they are where backends keep the verifier.
pub fn check_create(how: CreateHow, attr: &SetAttr) -> VfsResult<()> {
    match how {
        CreateHow::Exclusive(_) if attr.atime.or(attr.mtime).is_some() => Err(VfsError::Invalid),
        _ => Ok(()),
    }
}

/// `mode` as `cred` may set it on an object of group `gid`: without setgid for strangers.
pub fn grantable_mode(mode: u32, gid: u32, cred: &Cred) -> u32 {
    let mode = mode & 0o7777;
    if cred.uid == 0 || cred.in_group(gid) {
        mode
    } else {
        mode & !SETGID
    }
}

/// `mode` of a non-directory after its owner changed, or after someone other than the
/// superuser wrote to it: setuid goes, and setgid where it means execution.
pub fn mode_without_privilege(mode: u32) -> u32 {
    let kept = mode & !SETUID;
    if kept & GROUP_EXEC != 0 {
        kept & !SETGID
    } else {
        kept
    }
}

/// Refuses what is no directory.
pub fn require_dir(kind: Kind) -> VfsResult<()> {
    match kind {
        Kind::Dir => Ok(()),
        Kind::Symlink => Err(VfsError::IsSymlink),
        _ => Err(VfsError::NotDir),
    }
}

/// Refuses what is no regular file.
pub fn require_file(kind: Kind) -> VfsResult<()> {
    match kind {
        Kind::File => Ok(()),
        Kind::Dir => Err(VfsError::IsDir),
        Kind::Symlink => Err(VfsError::IsSymlink),
        _ => Err(VfsError::WrongType),
    }
}

/// Refuses what has no extended attributes for users: all but files and directories.
pub fn require_xattrs(kind: Kind) -> VfsResult<()> {
    match kind {
        Kind::File | Kind::Dir => Ok(()),
        _ => Err(VfsError::NotSupported),
    }
}

/// Whether extended attributes may be read, or set and removed (`change`).
pub fn check_xattr(object: &impl Judged, cred: &Cred, change: bool) -> VfsResult<()> {
    let attr = object.attr();
    require_xattrs(attr.kind)?;
    if !change {
        return check(object, cred, READ);
    }
    if attr.kind == Kind::Dir && attr.mode & STICKY != 0 && !is_owner(attr, cred) {
        return Err(VfsError::NotPermitted);
    }
    check(object, cred, WRITE)
}
