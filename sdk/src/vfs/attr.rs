//! Attributes of objects.

/// What kind of object a handle names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A regular file.
    File = 1,
    /// A directory.
    Dir = 2,
    /// A symbolic link.
    Symlink = 3,
    /// A block device.
    Block = 4,
    /// A character device.
    Char = 5,
    /// A named pipe.
    Fifo = 6,
    /// A socket.
    Socket = 7,
}

/// A point in time since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(C)]
pub struct Time {
    /// Seconds, negative before 1970.
    pub sec: i64,
    /// Nanoseconds, below 1,000,000,000.
    pub nsec: u32,
}

/// The attributes of one object at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attr {
    /// The kind of object.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky: `0o7777` at most.
    pub mode: u32,
    /// Number of names.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Major and minor number of a device, else zeros.
    pub rdev: (u32, u32),
    /// Size in bytes.
    pub size: u64,
    /// Bytes of storage in use.
    pub used: u64,
    /// Number of the object within its file system; never 0.
    pub fileid: u64,
    /// Grows with every change of data or metadata.
    pub change: u64,
    /// Last access.
    pub atime: Time,
    /// Last change of data.
    pub mtime: Time,
    /// Last change of metadata.
    pub ctime: Time,
    /// Creation, where the backend knows it.
    pub btime: Option<Time>,
}

/// A time to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetTime {
    /// The backend's clock now.
    Now,
    /// This time exactly.
    To(Time),
}

/// Attributes to set; `None` leaves one as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SetAttr {
    /// Permission bits with setuid, setgid and sticky.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Owning group.
    pub gid: Option<u32>,
    /// Size in bytes.
    pub size: Option<u64>,
    /// Last access.
    pub atime: Option<SetTime>,
    /// Last change of data.
    pub mtime: Option<SetTime>,
    /// Of a new object: permission bits that its mode loses, unless its directory has a default
    /// list for it ([`PosixAcls::default`](super::PosixAcls)). [`VfsError::Invalid`] for one that exists; only where
    /// there are [`Capabilities::POSIX_ACL`](super::Capabilities::POSIX_ACL).
    ///
    /// [`VfsError::Invalid`]: super::VfsError::Invalid
    pub umask: Option<u32>,
}

impl SetAttr {
    /// Whether nothing is to be set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
