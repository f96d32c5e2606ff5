//! Watching a file for what others do to it.
//!
//! A protocol that lets its clients rely on a file (a delegation, a lease, an oplock) has to
//! know when somebody else uses it: another protocol, another share of the same directory, or a
//! program on the server's machine. Others are all but those who come through the very
//! [`FileSystem`](super::FileSystem) value that the watch was put with: what comes through that,
//! the protocol knows itself.

/// What others do to a file, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct Touch(pub u32);

impl Touch {
    /// Its data are read, or it is opened for reading.
    pub const READ: Self = Self(1);
    /// Its data or size are changed, or it is opened for writing.
    pub const WRITE: Self = Self(2);
    /// Its attributes are set, or it gets or loses a name.
    pub const META: Self = Self(4);
    /// What outdates whatever was read from it.
    pub const CHANGE: Self = Self(2 | 4);
    /// Everything.
    pub const ANY: Self = Self(1 | 2 | 4);

    /// Whether all of `other` is in this set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nothing is in this set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl std::ops::BitOr for Touch {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::ops::BitAnd for Touch {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// What becomes of an access that a [`Watcher`] was told of before it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reaction {
    /// It is done.
    Proceed = 0,
    /// It is refused with [`VfsError::TryLater`](super::VfsError::TryLater) until the watch
    /// ends, for as long as the host finds reasonable.
    Delay = 1,
}

/// Whoever is told of others' accesses.
pub trait Watcher: Send + Sync + 'static {
    /// Others do this to the file, or may have done it. Called on any thread, also while
    /// [`watch`](super::FileSystem::watch) is under way, and perhaps more than once: it must
    /// neither block nor call the file system, but have a task do so. What was done by a program
    /// on the server's machine is done already; the answer changes nothing then.
    fn touched(&self, touch: Touch) -> Reaction;
}

/// A watch in force; dropping it ends it. A watcher may still be told for a moment of what came
/// before the end.
pub trait Watch: Send + Sync + 'static {
    /// Whether nobody was told of anything since it came into force.
    fn is_untouched(&self) -> bool;
}
