//! The file-system contract: what every backend offers and every protocol uses.
//!
//! One trait, [`FileSystem`], stands between protocols and storage. Objects are named by opaque
//! persistent [`Handle`]s; every call that depends on permissions carries the caller's [`Cred`];
//! every answer is an [`Op`], ready at once where the backend could not have blocked.
//!
//! What is promised to protocols, and checked by the testkit on every backend:
//! - a handle stays valid over restart and rename, and is never reused for another object;
//! - `fileid` is never 0 and is unique within the file system;
//! - `change` grows with every change of data or metadata, also over restarts;
//! - names are byte strings; nothing is normalised;
//! - an acknowledged namespace or attribute change, and data acknowledged as
//!   [`Stability::File`] or after [`File::commit`], survive power loss.

mod acl;
mod attr;
mod buffer;
mod error;
mod extent;
mod listing;
mod op;
pub mod posix;
mod types;
mod watch;
mod xattr;

pub use acl::{Acl, AclError, AclWho, PosixAcl, PosixAcls};
pub use attr::{Attr, Kind, SetAttr, SetTime, Time};
pub use buffer::Buffer;
pub use error::{VfsError, VfsResult};
pub use extent::{Advice, Content, Extent};
pub use listing::{DirEntry, Listed, Listing};
pub use op::Op;
pub use types::{
    Access, Capabilities, CreateHow, Created, Cred, DirChange, FsInfo, FsStat, Granted, Handle,
    HandleTooLong, Made, Name, NameError, NewNode, Node, OpenAccess, Quota, ReadDirLimit, ReadOk,
    Stability, Written,
};
pub use watch::{Reaction, Touch, Watch, Watcher};
pub use xattr::{SetXattr, XattrEntry, XattrListing, XattrName};

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;

/// A file system that protocols export.
///
/// No method blocks the calling thread on a device: what may sleep is answered with
/// [`Op::Later`]. Permissions are decided here, under the caller's [`Cred`]; the
/// protocol's own rules (export options, share reservations) are decided before.
pub trait FileSystem: Send + Sync + 'static {
    /// Limits and capabilities; constant while the file system is in use.
    fn info(&self) -> FsInfo;

    /// The handle of the root directory.
    fn root(&self) -> Handle;

    /// Finds `name` in `dir`. Needs search permission on `dir`.
    fn lookup(&self, cred: &Cred, dir: &Handle, name: Name<'_>) -> Op<Node>;

    /// The directory that holds `dir`; [`VfsError::NotFound`] for the root.
    fn parent(&self, cred: &Cred, dir: &Handle) -> Op<Node>;

    /// The attributes of an object; no permission is needed.
    fn attr(&self, object: &Handle) -> Op<Attr>;

    /// Changes attributes, all or (on error) as few as possible, and returns the new ones.
    ///
    /// A size change needs write permission on the file; through an open file use
    /// [`File::truncate`]. A mode for a symbolic link is ignored.
    fn set_attr(&self, cred: &Cred, object: &Handle, changes: &SetAttr) -> Op<Attr>;

    /// The subset of `wanted` that `cred` is granted, with the object's attributes; no permission is needed.
    fn access(&self, cred: &Cred, object: &Handle, wanted: Access) -> Op<Granted>;

    /// The target of a symbolic link, byte for byte.
    fn read_link(&self, cred: &Cred, link: &Handle) -> Op<Bytes>;

    /// Entries of `dir` after the entry whose cookie is `after` (0 starts), in a stable order,
    /// without `.` and `..`. Cookies are never 0, 1 or 2 and survive changes of the directory;
    /// a cookie that can't be resumed is [`VfsError::BadCookie`].
    fn read_dir(&self, cred: &Cred, dir: &Handle, after: u64, limit: ReadDirLimit) -> Op<Listing>;

    /// Makes a directory, symbolic link or special file; [`VfsError::Exists`] if `name` is taken.
    fn make(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: Name<'_>,
        what: &NewNode,
        attr: &SetAttr,
    ) -> Op<Made>;

    /// Opens a regular file under the caller's permissions; who may only execute it may open it
    /// for reading too, because a client has to read a program in order to run it. The file stays readable and
    /// writable through the returned object until it is dropped, whatever happens to its
    /// names and mode in between.
    fn open(&self, cred: &Cred, file: &Handle, access: OpenAccess) -> Op<Arc<dyn File>>;

    /// Creates (or, as `how` allows, finds) and opens a regular file in one step. A file that
    /// this call created is opened whatever mode it was given. Times in `attr` are
    /// [`VfsError::Invalid`] with [`CreateHow::Exclusive`].
    fn create(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: Name<'_>,
        how: CreateHow,
        attr: &SetAttr,
        access: OpenAccess,
    ) -> Op<Created>;

    /// Removes the entry `name`, be it a file or an empty directory. Data of an open file stay
    /// until its last [`File`] is dropped.
    fn remove(&self, cred: &Cred, dir: &Handle, name: Name<'_>) -> Op<DirChange>;

    /// Renames, replacing what POSIX rename(2) would replace. Answers with the changes of
    /// the source and of the target directory.
    fn rename(
        &self,
        cred: &Cred,
        from_dir: &Handle,
        from: Name<'_>,
        to_dir: &Handle,
        to: Name<'_>,
    ) -> Op<(DirChange, DirChange)>;

    /// Gives `object` a further name.
    fn link(&self, cred: &Cred, object: &Handle, dir: &Handle, name: Name<'_>) -> Op<DirChange>;

    /// Space and inodes, in bytes and counts.
    fn stat_fs(&self) -> Op<FsStat>;

    /// The value of an extended attribute; [`VfsError::NoXattr`] if there is none of this name.
    /// Needs read permission on the object.
    ///
    /// Files and directories have extended attributes where the file system has
    /// [`Capabilities::XATTR`]; all else is [`VfsError::NotSupported`].
    fn xattr(&self, cred: &Cred, object: &Handle, name: XattrName<'_>) -> Op<Bytes> {
        let _ = (cred, object, name);
        Op::err(VfsError::NotSupported)
    }

    /// Sets an extended attribute, whole, to a value of at most [`XATTR_MAX`] bytes (more is
    /// [`VfsError::XattrTooBig`]), as durably as other attributes. It moves the object's change
    /// counter and time of metadata change. Needs write permission on the object.
    fn set_xattr(
        &self,
        cred: &Cred,
        object: &Handle,
        name: XattrName<'_>,
        value: Bytes,
        how: SetXattr,
    ) -> Op<DirChange> {
        let _ = (cred, object, name, value, how);
        Op::err(VfsError::NotSupported)
    }

    /// Up to `limit` names of extended attributes after the one whose cookie is `after` (0
    /// starts). Cookies survive the coming and going of other attributes. No permission is
    /// needed.
    fn list_xattrs(&self, object: &Handle, after: u64, limit: u32) -> Op<XattrListing> {
        let _ = (object, after, limit);
        Op::err(VfsError::NotSupported)
    }

    /// Removes an extended attribute; [`VfsError::NoXattr`] if it is not there. Otherwise as
    /// [`set_xattr`](Self::set_xattr).
    fn remove_xattr(&self, cred: &Cred, object: &Handle, name: XattrName<'_>) -> Op<DirChange> {
        let _ = (cred, object, name);
        Op::err(VfsError::NotSupported)
    }

    /// Has `watcher` told when others do any of `interest` to a regular file. The watch is in
    /// force before this answers: of what is done after that, nothing is missed. Without
    /// [`Capabilities::WATCH`] only others of this host are seen, or nobody at all
    /// ([`VfsError::NotSupported`]). [`VfsError::TryLater`] if too many files are watched.
    fn watch(
        &self,
        file: &Handle,
        interest: Touch,
        watcher: Arc<dyn Watcher>,
    ) -> Op<Box<dyn Watch>> {
        let _ = (file, interest, watcher);
        Op::err(VfsError::NotSupported)
    }

    /// The access control list of an object; no permission is needed. An object without one
    /// has what its mode says ([`PosixAcls::of_mode`]).
    fn acl(&self, object: &Handle) -> Op<Acl> {
        let _ = object;
        Op::err(VfsError::NotSupported)
    }

    /// Replaces the whole list of an object, and the permission bits of its mode with it. Only
    /// owners may. A default list for what is no directory is [`VfsError::Invalid`]; symbolic
    /// links have no list ([`VfsError::NotSupported`]).
    fn set_acl(&self, cred: &Cred, object: &Handle, acl: &Acl) -> Op<Attr> {
        let _ = (cred, object, acl);
        Op::err(VfsError::NotSupported)
    }

    /// As [`make`](Self::make), of an object that has this list from the beginning, and none
    /// from its directory. The special bits of a mode in `attr` stand, the others give way.
    fn make_with_acl(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: Name<'_>,
        what: &NewNode,
        attr: &SetAttr,
        acl: &Acl,
    ) -> Op<Made> {
        let _ = (cred, dir, name, what, attr, acl);
        Op::err(VfsError::NotSupported)
    }

    /// As [`create`](Self::create), in the way of [`make_with_acl`](Self::make_with_acl) if the
    /// file is new.
    #[allow(clippy::too_many_arguments)]
    fn create_with_acl(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: Name<'_>,
        how: CreateHow,
        attr: &SetAttr,
        acl: &Acl,
        access: OpenAccess,
    ) -> Op<Created> {
        let _ = (cred, dir, name, how, attr, acl, access);
        Op::err(VfsError::NotSupported)
    }

    /// What may still be allocated to an object: the narrowest of the limits that it shares
    /// with others. [`Capabilities::QUOTA`] says that there are such limits beside the space of
    /// the file system.
    fn quota(&self, object: &Handle) -> Op<Quota> {
        let _ = object;
        Op::err(VfsError::NotSupported)
    }
}

/// The most bytes in the value of an extended attribute. A file system may hold less and answers
/// [`VfsError::NoSpace`].
pub const XATTR_MAX: usize = 64 * 1024;

/// An open regular file; dropping it closes it.
///
/// What comes after [`truncate`](File::truncate) is there where [`Capabilities`] say so, and
/// [`VfsError::NotSupported`] elsewhere. What changes a file needs it open for writing, and a
/// source open for reading ([`VfsError::AccessDenied`]); a range beyond the largest file is
/// [`VfsError::FileTooBig`].
pub trait File: Any + Send + Sync {
    /// The file's attributes now.
    fn attr(&self) -> Op<Attr>;

    /// Appends up to `count` bytes from `offset` to `into`, which travels to the backend and
    /// back. Its earlier content is untouched.
    fn read(&self, offset: u64, count: u32, into: Buffer) -> Op<ReadOk>;

    /// Writes all of `data` at `offset`, or as much as fits, at least as stable as `how`.
    fn write(&self, offset: u64, data: Bytes, how: Stability) -> Op<Written>;

    /// Makes what was written in `[offset, offset + count)` stable; a count of 0 means to the end.
    fn commit(&self, offset: u64, count: u64) -> Op<()>;

    /// Sets the size through this open file, which must be open for writing.
    fn truncate(&self, size: u64) -> Op<Attr>;

    /// What is at `offset`, and how far it goes: to other content or the end of the file, unless
    /// that is beyond `until`, where nobody has to look. None at and beyond the end of the file.
    /// [`Capabilities::HOLES`].
    fn extent(&self, offset: u64, until: u64) -> Op<Option<Extent>> {
        let _ = (offset, until);
        Op::err(VfsError::NotSupported)
    }

    /// Has room for all of `[offset, offset + count)`, so that writing there does not fail for
    /// want of space; a file that ends before grows. The content stays, and what was none
    /// reads as zeros. Stable when answered. [`Capabilities::ALLOCATE`].
    fn allocate(&self, offset: u64, count: u64) -> Op<()> {
        let _ = (offset, count);
        Op::err(VfsError::NotSupported)
    }

    /// Has `[offset, offset + count)` read as zeros and gives its room back as far as that goes; the
    /// size stays. Stable when answered. [`Capabilities::DEALLOCATE`].
    fn deallocate(&self, offset: u64, count: u64) -> Op<()> {
        let _ = (offset, count);
        Op::err(VfsError::NotSupported)
    }

    /// Puts `count` bytes from `from` of `source` to `to` of this file, all or none, by having both share
    /// the storage; a count of 0 means to the end of `source`. Offsets are multiples of
    /// [`FsInfo::clone_block`], and so is the count, unless it reaches just to the end of
    /// `source` and not short of the end of this file; anything else, a range beyond that end, or one that overlaps itself is [`VfsError::Invalid`]. A
    /// source of another file system is [`VfsError::CrossDevice`]. Stable when answered. [`Capabilities::CLONE`].
    fn clone_range(&self, source: &dyn File, from: u64, to: u64, count: u64) -> Op<()> {
        let _ = (source, from, to, count);
        Op::err(VfsError::NotSupported)
    }

    /// Copies up to `count` bytes from `from` of `source` to `to` of this file within the file
    /// system, sharing storage or leaving holes where that is possible, and answers with their number: as
    /// many as take a moment, and 0 only at the end of `source`. Ranges of one file that overlap, as far as it
    /// goes, are
    /// [`VfsError::Invalid`]; a source of another file system may be [`VfsError::CrossDevice`].
    /// As unstable as an unstable write. [`Capabilities::COPY`].
    fn copy_range(&self, source: &dyn File, from: u64, to: u64, count: u64) -> Op<u64> {
        let _ = (source, from, to, count);
        Op::err(VfsError::NotSupported)
    }

    /// Takes note of how `[offset, offset + count)` will be used; a count of 0 means to the end.
    /// [`Capabilities::ADVISE`].
    fn advise(&self, offset: u64, count: u64, advice: Advice) -> Op<()> {
        let _ = (offset, count, advice);
        Op::err(VfsError::NotSupported)
    }

    /// The file of another implementation that this one stands before, if it does: so that it is
    /// found behind this one when this one is given as a source.
    fn behind(&self) -> Option<&dyn File> {
        None
    }
}

impl dyn File {
    /// This file, or the nearest one [behind](File::behind) it, as a `T`: how a backend knows its own
    /// files again when they are given as a source.
    pub fn find<T: File>(&self) -> Option<&T> {
        match (self as &dyn Any).downcast_ref() {
            None => self.behind()?.find(),
            found => found,
        }
    }
}
