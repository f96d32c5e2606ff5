//! The kernel's errors in the words of the contract.

use dittofs_sdk::vfs::VfsError;
use rustix::io::Errno;

/// The one mapping. What has no entry is a failure of the device or of this backend.
pub(super) fn vfs(errno: Errno) -> VfsError {
    match errno {
        Errno::NOENT => VfsError::NotFound,
        Errno::ACCESS => VfsError::AccessDenied,
        Errno::PERM => VfsError::NotPermitted,
        Errno::EXIST => VfsError::Exists,
        Errno::NOTDIR => VfsError::NotDir,
        Errno::ISDIR => VfsError::IsDir,
        Errno::LOOP => VfsError::IsSymlink,
        Errno::NXIO | Errno::NODEV => VfsError::WrongType,
        Errno::NOTEMPTY => VfsError::NotEmpty,
        Errno::INVAL => VfsError::Invalid,
        Errno::NAMETOOLONG => VfsError::NameTooLong,
        Errno::ILSEQ => VfsError::BadName,
        Errno::NOSPC => VfsError::NoSpace,
        Errno::DQUOT => VfsError::QuotaExceeded,
        Errno::ROFS => VfsError::ReadOnly,
        Errno::FBIG | Errno::OVERFLOW => VfsError::FileTooBig,
        Errno::MLINK => VfsError::TooManyLinks,
        Errno::XDEV => VfsError::CrossDevice,
        Errno::STALE => VfsError::Stale,
        Errno::OPNOTSUPP | Errno::NOSYS => VfsError::NotSupported,
        Errno::NODATA => VfsError::NoXattr,
        Errno::TOOBIG => VfsError::XattrTooBig,
        Errno::BUSY | Errno::TXTBSY => VfsError::Busy,
        Errno::AGAIN | Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR => {
            VfsError::TryLater
        }
        _ => VfsError::Io,
    }
}
