//! The one neutral error of file systems. Each protocol maps it to its own codes in one place.

/// What a [`FileSystem`](super::FileSystem) answers with.
pub type VfsResult<T> = Result<T, VfsError>;

/// Why a file-system operation was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum VfsError {
    /// No such entry (ENOENT).
    #[error("no such file or directory")]
    NotFound,
    /// Permission bits or ACL refuse (EACCES).
    #[error("permission denied")]
    AccessDenied,
    /// Only the owner or the superuser may (EPERM).
    #[error("operation not permitted")]
    NotPermitted,
    /// The name is taken (EEXIST).
    #[error("file exists")]
    Exists,
    /// A directory was needed (ENOTDIR).
    #[error("not a directory")]
    NotDir,
    /// A directory was given where none may be (EISDIR).
    #[error("is a directory")]
    IsDir,
    /// A symbolic link was given where none may be (ELOOP).
    #[error("is a symbolic link")]
    IsSymlink,
    /// The object is of another type than the operation needs (EINVAL, ENXIO).
    #[error("wrong type of object")]
    WrongType,
    /// The directory has entries (ENOTEMPTY).
    #[error("directory not empty")]
    NotEmpty,
    /// An argument makes no sense (EINVAL).
    #[error("invalid argument")]
    Invalid,
    /// The name or target is too long (ENAMETOOLONG).
    #[error("name too long")]
    NameTooLong,
    /// The file system can't store this name (EILSEQ and the like).
    #[error("name not acceptable to the file system")]
    BadName,
    /// The device is full (ENOSPC).
    #[error("no space left")]
    NoSpace,
    /// A quota is used up (EDQUOT).
    #[error("quota exceeded")]
    QuotaExceeded,
    /// The file system is read-only (EROFS).
    #[error("read-only file system")]
    ReadOnly,
    /// Beyond the largest file size (EFBIG).
    #[error("file too large")]
    FileTooBig,
    /// The object has its largest number of names (EMLINK).
    #[error("too many links")]
    TooManyLinks,
    /// Source and target are on different file systems (EXDEV).
    #[error("crosses file systems")]
    CrossDevice,
    /// The object that the handle named is gone (ESTALE).
    #[error("stale handle")]
    Stale,
    /// The handle was never one of this file system.
    #[error("malformed handle")]
    BadHandle,
    /// The directory can't be resumed at this cookie.
    #[error("bad directory cookie")]
    BadCookie,
    /// Not even one entry fits the limit.
    #[error("limit too small")]
    TooSmall,
    /// The file system does not do this (EOPNOTSUPP).
    #[error("not supported by the file system")]
    NotSupported,
    /// The object is in use in a way that forbids this (EBUSY, ETXTBSY).
    #[error("object busy")]
    Busy,
    /// A limit or a lock is in the way now; the same call may succeed later (EAGAIN, EMFILE).
    #[error("try again later")]
    TryLater,
    /// The object has no extended attribute of this name (ENODATA).
    #[error("no such extended attribute")]
    NoXattr,
    /// The value of an extended attribute is too big (E2BIG).
    #[error("extended attribute too big")]
    XattrTooBig,
    /// The device failed, or the backend broke its contract (EIO).
    #[error("input/output error")]
    Io,
}
