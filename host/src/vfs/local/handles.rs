//! Handles as clients see them: the kernel's own, tagged, and signed if there is a key.
//!
//! The kernel's handle names an inode and its generation, so that it survives renames and
//! restarts and is never used for another object. It knows nothing of directories: a forged one
//! could name any object of the same device. With a key, only handles that this backend gave
//! out are taken. Without one, a share that is not the root of a file system has the known
//! limit of knfsd's `no_subtree_check`: who can forge handles reaches the rest of that file
//! system, as far as permissions allow. An object that is moved out of the share behind the
//! server's back stays reachable by a handle given out before.

use std::os::fd::BorrowedFd;

use dittofs_sdk::vfs::{Handle, VfsError, VfsResult};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::errno;
use super::sys::{self, FileHandle};

const VERSION: u8 = 1;
/// Where the number is: after version and kind.
const FILEID: usize = 5;
const TAG: usize = 8;

/// Makes and reads handles.
pub(super) struct Handles {
    key: Option<[u8; 32]>,
    /// Whether the file system can only name objects, not open them by name.
    identity_only: bool,
}

/// What a handle says.
pub(super) struct Parts {
    pub(super) fileid: u64,
    pub(super) kernel: FileHandle,
}

/// As [`Parts`], where they are.
struct Said<'a> {
    fileid: u64,
    kind: i32,
    kernel: &'a [u8],
}

/// Bytes of the kernel's handles on ext4, XFS and tmpfs.
const SHORT: usize = 13;

/// What has to be kept of the handle of an open file, which knows its number: mostly that is little.
#[derive(Clone, PartialEq)]
pub(super) enum Kept {
    Short {
        kind: u8,
        len: u8,
        bytes: [u8; SHORT],
    },
    Long(Box<Handle>),
}

impl Handles {
    /// For the file system of `dir`, if it has handles at all.
    pub(super) fn probe(dir: BorrowedFd<'_>, key: Option<[u8; 32]>) -> Result<Self, Errno> {
        let identity_only = match sys::name_to_handle(dir, c"", false) {
            Ok(_) => false,
            Err(Errno::OPNOTSUPP) => sys::name_to_handle(dir, c"", true).map(|_| true)?,
            Err(error) => return Err(error),
        };
        Ok(Self { key, identity_only })
    }

    /// The handle of `name` in `dir`, or of `dir` itself if `name` is empty.
    pub(super) fn of(
        &self,
        dir: BorrowedFd<'_>,
        name: &std::ffi::CStr,
        fileid: u64,
    ) -> VfsResult<Handle> {
        let kernel = sys::name_to_handle(dir, name, self.identity_only).map_err(errno::vfs)?;
        self.make(fileid, kernel.kind(), kernel.bytes())
    }

    fn make(&self, fileid: u64, kind: i32, kernel: &[u8]) -> VfsResult<Handle> {
        let mut bytes = Vec::with_capacity(Handle::MAX);
        bytes.push(VERSION);
        bytes.extend(kind.to_be_bytes());
        bytes.extend(fileid.to_be_bytes());
        bytes.extend(kernel);
        if let Some(key) = &self.key {
            let tag = tag(key, &bytes);
            bytes.extend(tag);
        }
        Handle::new(&bytes).map_err(|_| VfsError::NotSupported)
    }

    /// What `handle` says, if this backend could have made it.
    pub(super) fn parse(&self, handle: &Handle) -> VfsResult<Parts> {
        self.read(handle.as_bytes()).ok_or(VfsError::BadHandle)
    }

    /// The number that a handle claims, whoever made it.
    pub(super) fn fileid_of(handle: &Handle) -> Option<u64> {
        let bytes = handle.as_bytes().get(FILEID..)?;
        bytes
            .first_chunk()
            .map(|number| u64::from_be_bytes(*number))
    }

    /// The kernel's part of a handle, whoever made it.
    pub(super) fn kernel_of(&self, handle: &Handle) -> Option<FileHandle> {
        let said = self.said_by(handle)?;
        FileHandle::new(said.kind, said.kernel)
    }

    /// What a handle says, whoever made it.
    fn said_by<'a>(&self, handle: &'a Handle) -> Option<Said<'a>> {
        let bytes = handle.as_bytes();
        match self.key {
            None => unsigned(bytes),
            Some(_) => unsigned(bytes.split_last_chunk::<TAG>()?.0),
        }
    }

    /// Keeps a handle that this backend made.
    pub(super) fn keep(&self, handle: &Handle) -> Kept {
        let short = || {
            let Said { kind, kernel, .. } = self.said_by(handle)?;
            let mut bytes = [0; SHORT];
            bytes.get_mut(..kernel.len())?.copy_from_slice(kernel);
            Some(Kept::Short {
                kind: u8::try_from(kind).ok()?,
                len: kernel.len() as u8,
                bytes,
            })
        };
        short().unwrap_or_else(|| Kept::Long(Box::new(*handle)))
    }

    /// The handle that was kept, of the object `fileid`.
    pub(super) fn kept(&self, fileid: u64, kept: &Kept) -> VfsResult<Handle> {
        match kept {
            Kept::Short { kind, len, bytes } => {
                self.make(fileid, i32::from(*kind), used(bytes, *len))
            }
            Kept::Long(handle) => Ok(**handle),
        }
    }

    /// The kernel's part of a handle that was kept.
    pub(super) fn kernel_of_kept(&self, kept: &Kept) -> Option<FileHandle> {
        match kept {
            Kept::Short { kind, len, bytes } => {
                FileHandle::new(i32::from(*kind), used(bytes, *len))
            }
            Kept::Long(handle) => self.kernel_of(handle),
        }
    }

    fn read(&self, bytes: &[u8]) -> Option<Parts> {
        let signed = match &self.key {
            None => bytes,
            Some(key) => {
                let (signed, given) = bytes.split_last_chunk::<TAG>()?;
                // Every byte is looked at, so that time does not tell how many were right.
                let expected = tag(key, signed);
                let differ = given.iter().zip(expected).fold(0, |d, (a, b)| d | (a ^ b));
                (differ == 0).then_some(signed)?
            }
        };
        let said = unsigned(signed)?;
        Some(Parts {
            fileid: said.fileid,
            kernel: FileHandle::new(said.kind, said.kernel)?,
        })
    }
}

fn used(bytes: &[u8; SHORT], len: u8) -> &[u8] {
    bytes.get(..usize::from(len)).unwrap_or_default()
}

fn unsigned(bytes: &[u8]) -> Option<Said<'_>> {
    let (version, rest) = bytes.split_first()?;
    let (kind, rest) = rest.split_first_chunk()?;
    let (fileid, kernel) = rest.split_first_chunk()?;
    if *version != VERSION {
        return None;
    }
    Some(Said {
        fileid: u64::from_be_bytes(*fileid),
        kind: i32::from_be_bytes(*kind),
        kernel,
    })
}

fn tag(key: &[u8; 32], bytes: &[u8]) -> [u8; TAG] {
    let digest = Sha256::new()
        .chain_update(key)
        .chain_update(bytes)
        .finalize();
    let mut tag = [0; TAG];
    tag.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    tag
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_signed_handle_is_taken_back_and_an_altered_one_is_not() {
        let dir = tempfile::tempfile().unwrap();
        let handles = Handles::probe(dir.as_fd(), Some([7; 32])).unwrap();
        let handle = handles.of(dir.as_fd(), c"", 42).unwrap();
        assert_eq!(handles.parse(&handle).map(|parts| parts.fileid), Ok(42));
        for at in 0..handle.as_bytes().len() {
            let mut bytes = handle.as_bytes().to_vec();
            bytes[at] ^= 1;
            let forged = Handle::new(&bytes).unwrap();
            assert_eq!(handles.parse(&forged).err(), Some(VfsError::BadHandle));
        }
        let other = Handles::probe(dir.as_fd(), Some([8; 32])).unwrap();
        assert_eq!(other.parse(&handle).err(), Some(VfsError::BadHandle));
    }

    #[test]
    fn what_was_kept_of_a_handle_is_all_of_it() {
        let dir = tempfile::tempfile().unwrap();
        for key in [None, Some([1; 32])] {
            let handles = Handles::probe(dir.as_fd(), key).unwrap();
            let kinds = [1, i32::from(u8::MAX), i32::from(u8::MAX) + 1];
            let lengths = [0, SHORT, SHORT + 1, 80];
            for (kind, len) in kinds
                .into_iter()
                .flat_map(|kind| lengths.map(|len| (kind, len)))
            {
                let handle = handles.make(42, kind, &vec![9; len]).unwrap();
                let kept = handles.keep(&handle);
                let is_long = kind > u8::MAX.into() || len > SHORT;
                assert_eq!(matches!(kept, Kept::Long(_)), is_long);
                assert_eq!(handles.kept(42, &kept), Ok(handle));
                let kernel = handles.kernel_of_kept(&kept).unwrap();
                assert_eq!((kernel.kind(), kernel.bytes().len()), (kind, len));
            }
        }
    }

    #[test]
    fn garbage_is_no_handle() {
        let dir = tempfile::tempfile().unwrap();
        for key in [None, Some([1; 32])] {
            let handles = Handles::probe(dir.as_fd(), key).unwrap();
            for len in 0..13 {
                let garbage = Handle::new(&vec![VERSION; len]).unwrap();
                assert_eq!(handles.parse(&garbage).err(), Some(VfsError::BadHandle));
            }
        }
    }
}
