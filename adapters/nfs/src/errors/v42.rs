//! What the operations of 4.2 may answer beside success. Those that it shares with 4.1 answer as there.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-11.2>,
//! <https://www.rfc-editor.org/rfc/rfc8276#section-8.4.5>

use super::v41::{CHANGE, HANDLE, PLAIN, SESSION, STATEID};
use super::{Statuses, errors, of};

/// Number of the first row.
pub(super) const FIRST: u32 = 59;

/// GETDEVICELIST, which 4.2 must not have.
pub(super) const GETDEVICELIST: (u32, Statuses) = (48, of!(Notsupp));

// Not in the list of §11.2, but in the words on what is not offered:

/// "The server MUST return NFS4ERR_NOTSUPP" for what it does not have (§13).
const OFFERED: Statuses = of!(Notsupp);
/// "If the sa_offset is beyond the end of the file" (§15.11.3).
const SEEK: Statuses = of!(Nxio);
/// "If the server is unable to return a single xattr name" (RFC 8276 §8.4.3.3).
const LISTXATTRS: Statuses = of!(Toosmall);

errors! {
    59 ALLOCATE [SESSION PLAIN HANDLE STATEID CHANGE]
        Access Fbig Grace Inval Isdir Notsupp Openmode Symlink WrongType;
    60 COPY [SESSION PLAIN HANDLE STATEID CHANGE OFFERED]
        Access Fbig Grace Inval Isdir Locked OffloadDenied OffloadNoReqs Openmode PartnerNoAuth
        PartnerNotsupp PnfsIoHole PnfsNoLayout Symlink WrongType;
    61 COPY_NOTIFY [SESSION PLAIN HANDLE STATEID OFFERED]
        Access Grace Inval Io Isdir Locked Openmode PnfsIoHole PnfsNoLayout Symlink WrongType;
    62 DEALLOCATE [SESSION PLAIN HANDLE STATEID]
        Access Fbig Grace Inval Io Isdir Notsupp Openmode Rofs Symlink WrongType;
    63 IO_ADVISE [SESSION PLAIN HANDLE STATEID]
        Access Fbig Grace Inval Io Isdir Notsupp Symlink WrongType;
    64 LAYOUTERROR [SESSION PLAIN HANDLE STATEID]
        Grace Inval Isdir NoGrace Notsupp UnknownLayouttype WrongCred WrongType;
    65 LAYOUTSTATS [SESSION PLAIN HANDLE STATEID]
        Grace Inval Isdir NoGrace Notsupp UnknownLayouttype WrongCred WrongType;
    66 OFFLOAD_CANCEL [SESSION PLAIN]
        AdminRevoked BadStateid CompleteAlready Expired Grace Notsupp OldStateid;
    67 OFFLOAD_STATUS [SESSION PLAIN]
        AdminRevoked BadStateid CompleteAlready Expired Grace Notsupp OldStateid;
    68 READ_PLUS [SESSION PLAIN HANDLE STATEID]
        Access Grace Inval Io Isdir Locked Notsupp Openmode PartnerNoAuth PnfsIoHole PnfsNoLayout
        Symlink WrongType;
    69 SEEK [SESSION PLAIN HANDLE STATEID SEEK]
        Access Grace Inval Io Isdir Locked Notsupp Openmode PnfsIoHole PnfsNoLayout Symlink
        UnionNotsupp WrongType;
    70 WRITE_SAME [SESSION PLAIN HANDLE STATEID CHANGE]
        Access Fbig Grace Inval Isdir Locked Notsupp Openmode PnfsIoHole PnfsNoLayout Symlink
        WrongType;
    71 CLONE [SESSION PLAIN HANDLE STATEID CHANGE]
        Access Fbig Grace Inval Isdir Notsupp Openmode Symlink WrongType Xdev;
    72 GETXATTR [SESSION PLAIN HANDLE] Access Inval Io Nametoolong Notsupp Noxattr Perm WrongType;
    73 SETXATTR [SESSION PLAIN HANDLE CHANGE OFFERED]
        Access Badchar Exist Inval Nametoolong Noxattr Perm WrongType Xattr2big;
    74 LISTXATTRS [SESSION PLAIN HANDLE LISTXATTRS]
        Access Inval Io Nametoolong Notsupp Noxattr Perm WrongType;
    75 REMOVEXATTR [SESSION PLAIN HANDLE CHANGE OFFERED]
        Access Badchar Exist Inval Locked Nametoolong Noxattr OldStateid Openmode Perm WrongType;
}
