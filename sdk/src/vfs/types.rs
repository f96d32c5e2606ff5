//! Names, handles, credentials and the arguments and results of operations.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::{Attr, Buffer, File, Time};

/// An opaque persistent name of one object, at most [`Handle::MAX`] bytes.
///
/// A protocol adds the share's id and its own tags, so that 24 of the 128 bytes of an NFSv4
/// file handle (RFC 8881 §4.2.1) are kept free here.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Handle {
    len: u8,
    bytes: [u8; Self::MAX],
}

/// The bytes are too many for a [`Handle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a handle has at most {} bytes", Handle::MAX)]
pub struct HandleTooLong;

impl Handle {
    /// The largest number of bytes in a handle.
    pub const MAX: usize = 104;

    /// A handle of these bytes.
    pub fn new(from: &[u8]) -> Result<Self, HandleTooLong> {
        let mut bytes = [0; Self::MAX];
        bytes
            .get_mut(..from.len())
            .ok_or(HandleTooLong)?
            .copy_from_slice(from);
        Ok(Self {
            len: from.len() as u8,
            bytes,
        })
    }

    /// What [`into_parts`](Self::into_parts) gave.
    #[inline]
    pub(crate) fn from_parts(len: u8, bytes: [u8; Self::MAX]) -> Result<Self, HandleTooLong> {
        if usize::from(len) > Self::MAX {
            return Err(HandleTooLong);
        }
        Ok(Self { len, bytes })
    }

    /// How many bytes there are, and all that there could be.
    #[inline]
    pub(crate) fn into_parts(self) -> (u8, [u8; Self::MAX]) {
        (self.len, self.bytes)
    }

    /// The bytes, as the backend made them.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl PartialEq for Handle {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Handle {}

impl std::hash::Hash for Handle {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle(")?;
        for byte in self.as_bytes() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// Why bytes are no name of a directory entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No bytes at all.
    #[error("a name is not empty")]
    Empty,
    /// `.` or `..`.
    #[error("a name is neither . nor ..")]
    Dot,
    /// A `/` or a NUL.
    #[error("a name holds neither / nor NUL")]
    Forbidden,
    /// More than [`Name::MAX`] bytes.
    #[error("a name has at most {} bytes", Name::MAX)]
    TooLong,
}

/// The name of one directory entry: 1 to 255 bytes, no `/`, no NUL, neither `.` nor `..`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    /// The largest number of bytes in a name.
    pub const MAX: usize = 255;

    /// Checks that `bytes` can name an entry.
    pub fn new(bytes: &'a [u8]) -> Result<Self, NameError> {
        match bytes {
            b"" => Err(NameError::Empty),
            b"." | b".." => Err(NameError::Dot),
            _ if bytes.len() > Self::MAX => Err(NameError::TooLong),
            _ if bytes.contains(&b'/') || bytes.contains(&0) => Err(NameError::Forbidden),
            _ => Ok(Self(bytes)),
        }
    }

    /// The bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.0))
    }
}

/// On whose behalf an operation runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cred {
    /// User.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Further groups.
    pub groups: Arc<[u32]>,
}

impl Cred {
    /// The superuser.
    pub fn root() -> Self {
        Self {
            uid: 0,
            gid: 0,
            groups: Arc::from([]),
        }
    }

    /// A user with one group.
    pub fn user(uid: u32, gid: u32) -> Self {
        Self {
            uid,
            gid,
            groups: Arc::from([]),
        }
    }

    /// Whether the caller is in `gid`.
    pub fn in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }
}

/// Kinds of access, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct Access(pub u32);

impl Access {
    /// Read data of a file, or list a directory.
    pub const READ: Self = Self(1);
    /// Look up a name in a directory.
    pub const SEARCH: Self = Self(2);
    /// Change data of a file, or entries of a directory.
    pub const MODIFY: Self = Self(4);
    /// Append to a file, or add entries to a directory.
    pub const EXTEND: Self = Self(8);
    /// Delete an entry of a directory.
    pub const DELETE: Self = Self(16);
    /// Execute a file.
    pub const EXECUTE: Self = Self(32);

    /// Whether all of `other` is in this set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for Access {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::ops::BitAnd for Access {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpenAccess {
    /// For reading.
    Read = 1,
    /// For writing.
    Write = 2,
    /// For both.
    Both = 3,
}

impl OpenAccess {
    /// Whether reading is part of it.
    pub fn reads(self) -> bool {
        self != Self::Write
    }

    /// Whether writing is part of it.
    pub fn writes(self) -> bool {
        self != Self::Read
    }
}

/// What [`FileSystem::create`](super::FileSystem::create) does with a name that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateHow {
    /// Open what is there; it is left untouched, its attributes are not applied.
    Unchecked,
    /// Refuse with [`VfsError::Exists`](super::VfsError::Exists).
    Guarded,
    /// Open it if it was created with this same verifier (a retry), else refuse. The verifier
    /// is kept as durably as the file itself, until the file's times are first set.
    Exclusive([u8; 8]),
}

/// What [`FileSystem::make`](super::FileSystem::make) makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewNode {
    /// A directory.
    Dir,
    /// A symbolic link with this target.
    Symlink(Bytes),
    /// A block device: major, minor.
    Block(u32, u32),
    /// A character device: major, minor.
    Char(u32, u32),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// What a caller may do with an object, and the attributes that it has then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// The kinds of access.
    pub access: Access,
    /// The attributes.
    pub attr: Attr,
}

/// An object found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Its handle.
    pub handle: Handle,
    /// Its attributes.
    pub attr: Attr,
}

/// The change counter of a directory around a change of its entries, or of any object around a
/// change of its extended attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirChange {
    /// Whether nothing else can have changed the object between the two readings.
    pub atomic: bool,
    /// Before.
    pub before: u64,
    /// After.
    pub after: u64,
}

/// Answer of [`FileSystem::make`](super::FileSystem::make).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// The new object.
    pub node: Node,
    /// The change of its directory.
    pub dir: DirChange,
}

/// Answer of [`FileSystem::create`](super::FileSystem::create).
#[derive(Clone)]
pub struct Created {
    /// The file.
    pub node: Node,
    /// The file, open.
    pub file: Arc<dyn File>,
    /// The change of its directory; before and after are equal if nothing was created.
    pub dir: DirChange,
    /// Whether this call, or the call that it retries, created the file.
    pub created: bool,
}

/// How much [`FileSystem::read_dir`](super::FileSystem::read_dir) may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadDirLimit {
    /// Number of entries, at least 1.
    pub entries: u32,
    /// Whether handles and attributes are wanted.
    pub attrs: bool,
}

/// Answer of [`File::read`](super::File::read).
#[derive(Debug)]
pub struct ReadOk {
    /// The caller's buffer, with what was read appended.
    pub buffer: Buffer,
    /// Whether the end of the file was reached.
    pub eof: bool,
}

/// How safe written data must be before the write is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stability {
    /// In memory; [`File::commit`](super::File::commit) makes it stable.
    Unstable = 0,
    /// Data, and what is needed to read them, on stable storage.
    Data = 1,
    /// Data and all metadata on stable storage.
    File = 2,
}

/// Answer of [`File::write`](super::File::write).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Bytes written.
    pub count: u32,
    /// How safe they are.
    pub stability: Stability,
}

/// What a file system can do beyond the contract, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// Hard links.
    pub const LINKS: Self = Self(1);
    /// Symbolic links.
    pub const SYMLINKS: Self = Self(1 << 1);
    /// Devices, pipes and sockets.
    pub const SPECIAL_FILES: Self = Self(1 << 2);
    /// Acts under the caller's identity; without it everything is done as the server's user.
    pub const IDENTITY: Self = Self(1 << 3);
    /// Extended attributes of files and directories.
    pub const XATTR: Self = Self(1 << 4);
    /// Access control lists of the POSIX model, kept, enforced and inherited.
    pub const POSIX_ACL: Self = Self(1 << 5);
    /// Limits of users or groups, which [`FileSystem::quota`](super::FileSystem::quota) tells.
    pub const QUOTA: Self = Self(1 << 6);
    /// The change counter is a count: it goes on whatever the clock does.
    pub const CHANGE_COUNTS: Self = Self(1 << 7);
    /// [`watch`](super::FileSystem::watch) tells of all others, programs on the server's
    /// machine included.
    pub const WATCH: Self = Self(1 << 8);
    /// The change counter is the time of the last change, in nanoseconds.
    pub const CHANGE_IS_CTIME: Self = Self(1 << 9);
    /// Files tell where their holes are ([`File::extent`]).
    pub const HOLES: Self = Self(1 << 10);
    /// Room is allocated before it is written to ([`File::allocate`]).
    pub const ALLOCATE: Self = Self(1 << 11);
    /// Room is given back within a file ([`File::deallocate`]).
    pub const DEALLOCATE: Self = Self(1 << 12);
    /// Files share storage ([`File::clone_range`]).
    pub const CLONE: Self = Self(1 << 13);
    /// Data are copied by the file system ([`File::copy_range`]).
    pub const COPY: Self = Self(1 << 14);
    /// It takes advice ([`File::advise`]).
    pub const ADVISE: Self = Self(1 << 15);

    /// Whether all of `other` is in this set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for Capabilities {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Limits and capabilities of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct FsInfo {
    /// What it can do beyond the contract.
    pub capabilities: Capabilities,
    /// Longest name in bytes, at most [`Name::MAX`].
    pub max_name: u32,
    /// Most names of one object.
    pub max_links: u32,
    /// Largest file in bytes.
    pub max_file_size: u64,
    /// Granularity of times.
    pub time_delta: Time,
    /// Whether names that differ only in case name one entry.
    pub case_insensitive: bool,
    /// Whether the case of names is kept.
    pub case_preserving: bool,
    /// What offsets of [`File::clone_range`] are multiples of; 0 without [`Capabilities::CLONE`].
    pub clone_block: u32,
}

/// Space and inodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct FsStat {
    /// Size in bytes.
    pub total_bytes: u64,
    /// Free bytes.
    pub free_bytes: u64,
    /// Free bytes that an ordinary user may use.
    pub avail_bytes: u64,
    /// Number of inodes.
    pub total_files: u64,
    /// Free inodes.
    pub free_files: u64,
    /// Free inodes that an ordinary user may use.
    pub avail_files: u64,
}

/// What may still be allocated to an object and to those that share its limit, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Quota {
    /// Until allocations are refused.
    pub avail_hard: u64,
    /// Until a user should be warned.
    pub avail_soft: u64,
    /// In use.
    pub used: u64,
}

impl Quota {
    /// The one that refuses first.
    #[must_use]
    pub fn narrower(self, other: Self) -> Self {
        if (other.avail_hard, other.avail_soft) < (self.avail_hard, self.avail_soft) {
            other
        } else {
            self
        }
    }
}

impl From<FsStat> for Quota {
    /// The limit that all objects of a file system share is its space.
    fn from(stat: FsStat) -> Self {
        Self {
            avail_hard: stat.avail_bytes,
            avail_soft: stat.avail_bytes,
            used: stat.total_bytes.saturating_sub(stat.free_bytes),
        }
    }
}
