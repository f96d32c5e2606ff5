//! The permission rules of POSIX as Linux applies them, for backends that decide themselves.
//!
//! Pure functions over [`Attr`] and [`Cred`]; user 0 is the superuser.

use super::{
    Access, Attr, CreateHow, Cred, Kind, OpenAccess, SetAttr, SetTime, VfsError, VfsResult,
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

/// Whether the permission bits of `attr` grant all of `want` ([`READ`], [`WRITE`], [`EXEC`]).
///
/// The first class that fits decides (owner, group, others). The superuser may all, except to
/// execute a file that nobody may execute.
pub fn permits(attr: &Attr, cred: &Cred, want: u32) -> bool {
    if cred.uid == 0 {
        return want & EXEC == 0 || attr.kind == Kind::Dir || attr.mode & ANY_EXEC != 0;
    }
    let class = if cred.uid == attr.uid {
        attr.mode >> 6
    } else if cred.in_group(attr.gid) {
        attr.mode >> 3
    } else {
        attr.mode
    };
    class & want == want
}

/// As [`permits`], as a result: [`VfsError::AccessDenied`].
pub fn check(attr: &Attr, cred: &Cred, want: u32) -> VfsResult<()> {
    if permits(attr, cred, want) {
        Ok(())
    } else {
        Err(VfsError::AccessDenied)
    }
}

/// The subset of `wanted` that the permission bits grant.
pub fn access(attr: &Attr, cred: &Cred, wanted: Access) -> Access {
    let needs: &[(Access, u32)] = match attr.kind {
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
        .filter(|(kind, bits)| wanted.contains(*kind) && permits(attr, cred, *bits))
        .fold(Access::default(), |granted, (kind, _)| granted | *kind)
}

/// Whether a regular file may be opened. A caller that may only execute may read too: a
/// client has to read a program in order to run it.
pub fn check_open(attr: &Attr, cred: &Cred, access: OpenAccess) -> VfsResult<()> {
    if access.writes() {
        check(attr, cred, WRITE)?;
    }
    if access.reads() && !permits(attr, cred, READ) {
        check(attr, cred, EXEC)?;
        if access.writes() {
            return Err(VfsError::AccessDenied);
        }
    }
    Ok(())
}

/// Whether `victim` may be removed from `dir`, or renamed away or over.
pub fn check_delete(dir: &Attr, victim: &Attr, cred: &Cred) -> VfsResult<()> {
    check(dir, cred, WRITE | EXEC)?;
    let owner = cred.uid == 0 || cred.uid == victim.uid || cred.uid == dir.uid;
    if dir.mode & STICKY != 0 && !owner {
        return Err(VfsError::NotPermitted);
    }
    Ok(())
}

/// Whether `changes` may be applied; the kind of object is not judged here.
pub fn check_set_attr(attr: &Attr, cred: &Cred, changes: &SetAttr) -> VfsResult<()> {
    let owner = cred.uid == 0 || cred.uid == attr.uid;
    if changes.size.is_some() {
        check(attr, cred, WRITE)?;
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
            SetTime::Now => check(attr, cred, WRITE)?,
        }
    }
    Ok(())
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
pub fn check_xattr(attr: &Attr, cred: &Cred, change: bool) -> VfsResult<()> {
    require_xattrs(attr.kind)?;
    if !change {
        return check(attr, cred, READ);
    }
    let owner = cred.uid == 0 || cred.uid == attr.uid;
    if attr.kind == Kind::Dir && attr.mode & STICKY != 0 && !owner {
        return Err(VfsError::NotPermitted);
    }
    check(attr, cred, WRITE)
}
