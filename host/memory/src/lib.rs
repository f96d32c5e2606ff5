//! A file system in memory, for tests and scratch shares.
//!
//! It follows POSIX as Linux does, permissions included, and is bounded in bytes and in objects.
//! Nothing survives the process: "stable storage" is the memory itself, and after a restart
//! every old handle is stale. Every answer is ready at once.

mod core;
mod data;
mod dir;
mod file;
mod inode;
mod namespace;
mod quota;
mod range;
mod xattr;

use std::sync::Arc;

use bytes::Bytes;
use dittofs_sdk::vfs::{
    Access, Acl, Attr, Capabilities, CreateHow, Created, Cred, DirChange, File, FileSystem, FsInfo,
    FsStat, Granted, Handle, Listing, Made, Name, NewNode, Node, Op, OpenAccess, ReadDirLimit,
    SetAttr, SetXattr, Time, Touch, VfsError, VfsResult, Watch, Watcher, XattrListing, XattrName,
    posix,
};

use crate::core::{Core, ROOT};
use crate::file::MemoryFile;
use crate::inode::Body;
use crate::namespace::First;

/// Limits of a [`MemoryFs`], and who owns its root directory.
#[derive(Debug, Clone)]
pub struct Options {
    /// Most bytes of content, names, link targets and extended attributes.
    pub max_bytes: u64,
    /// Most objects.
    pub max_files: u64,
    /// Permission bits of the root directory.
    pub mode: u32,
    /// Owner of the root directory.
    pub uid: u32,
    /// Group of the root directory.
    pub gid: u32,
}

impl Default for Options {
    /// 1 GiB, a million objects, and a root directory of the superuser that all may read.
    fn default() -> Self {
        Self {
            max_bytes: 1 << 30,
            max_files: 1 << 20,
            mode: 0o755,
            uid: 0,
            gid: 0,
        }
    }
}

/// The file system.
#[derive(Debug)]
pub struct MemoryFs {
    core: Arc<Core>,
    root: Handle,
}

impl MemoryFs {
    /// An empty file system; [`VfsError::NoSpace`] if the limits leave no room for its root.
    pub fn new(options: &Options) -> VfsResult<Self> {
        let core = Arc::new(Core::new(options)?);
        let root = core.handle(ROOT)?;
        Ok(Self { core, root })
    }

    fn try_open(&self, cred: &Cred, file: &Handle, access: OpenAccess) -> VfsResult<Arc<dyn File>> {
        let inode = self.core.find(file)?;
        let rights = inode.rights();
        posix::require_file(rights.attr.kind)?;
        posix::check_open(&rights, cred, access)?;
        MemoryFile::open(&self.core, inode, access, cred)
    }

    fn try_create(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: Name<'_>,
        how: CreateHow,
        first: &First<'_>,
        access: OpenAccess,
    ) -> VfsResult<Created> {
        let found = self.core.create(cred, dir, name, how, first, access)?;
        let node = self.core.node(&found.inode)?;
        let file = MemoryFile::open(&self.core, found.inode, access, cred)?;
        Ok(Created {
            node,
            file,
            dir: found.dir,
            created: found.created,
        })
    }
}

impl FileSystem for MemoryFs {
    fn info(&self) -> FsInfo {
        FsInfo {
            capabilities: Capabilities::LINKS
                | Capabilities::SYMLINKS
                | Capabilities::SPECIAL_FILES
                | Capabilities::IDENTITY
                | Capabilities::XATTR
                | Capabilities::WATCH
                | Capabilities::POSIX_ACL
                | Capabilities::CHANGE_COUNTS
                | Capabilities::HOLES
                | Capabilities::ALLOCATE
                | Capabilities::DEALLOCATE
                | Capabilities::CLONE
                | Capabilities::COPY
                | Capabilities::ADVISE,
            max_name: Name::MAX as u32,
            max_links: namespace::MAX_LINKS,
            max_file_size: data::MAX_SIZE,
            time_delta: Time { sec: 0, nsec: 1 },
            case_insensitive: false,
            case_preserving: true,
            clone_block: data::BLOCK as u32,
        }
    }

    fn root(&self) -> Handle {
        self.root
    }

    fn lookup(&self, cred: &Cred, dir: &Handle, name: Name<'_>) -> Op<Node> {
        self.core.lookup(cred, dir, name).into()
    }

    fn parent(&self, cred: &Cred, dir: &Handle) -> Op<Node> {
        self.core.parent(cred, dir).into()
    }

    fn attr(&self, object: &Handle) -> Op<Attr> {
        self.core.find(object).map(|inode| inode.attr()).into()
    }

    fn set_attr(&self, cred: &Cred, object: &Handle, changes: &SetAttr) -> Op<Attr> {
        self.core.set_attr(cred, object, changes).into()
    }

    fn access(&self, cred: &Cred, object: &Handle, wanted: Access) -> Op<Granted> {
        self.core
            .find(object)
            .map(|inode| {
                let rights = inode.rights();
                Granted {
                    access: posix::access(&rights, cred, wanted),
                    attr: rights.attr,
                }
            })
            .into()
    }

    fn read_link(&self, _cred: &Cred, link: &Handle) -> Op<Bytes> {
        self.core
            .find(link)
            .and_then(|inode| match &inode.state.read().body {
                Body::Symlink(target, _) => Ok(target.clone()),
                _ => Err(VfsError::WrongType),
            })
            .into()
    }

    fn read_dir(&self, cred: &Cred, dir: &Handle, after: u64, limit: ReadDirLimit) -> Op<Listing> {
        self.core.read_dir(cred, dir, after, limit).into()
    }

    fn make(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: Name<'_>,
        what: &NewNode,
        attr: &SetAttr,
    ) -> Op<Made> {
        self.core
            .make(cred, dir, name, what, &First::plain(attr))
            .into()
    }

    fn open(&self, cred: &Cred, file: &Handle, access: OpenAccess) -> Op<Arc<dyn File>> {
        self.try_open(cred, file, access).into()
    }

    fn create(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: Name<'_>,
        how: CreateHow,
        attr: &SetAttr,
        access: OpenAccess,
    ) -> Op<Created> {
        self.try_create(cred, dir, name, how, &First::plain(attr), access)
            .into()
    }

    fn remove(&self, cred: &Cred, dir: &Handle, name: Name<'_>) -> Op<DirChange> {
        self.core.remove(cred, dir, name).into()
    }

    fn rename(
        &self,
        cred: &Cred,
        from_dir: &Handle,
        from: Name<'_>,
        to_dir: &Handle,
        to: Name<'_>,
    ) -> Op<(DirChange, DirChange)> {
        self.core.rename(cred, from_dir, from, to_dir, to).into()
    }

    fn link(&self, cred: &Cred, object: &Handle, dir: &Handle, name: Name<'_>) -> Op<DirChange> {
        self.core.link(cred, object, dir, name).into()
    }

    fn stat_fs(&self) -> Op<FsStat> {
        Op::ok(self.core.stat())
    }

    fn xattr(&self, cred: &Cred, object: &Handle, name: XattrName<'_>) -> Op<Bytes> {
        self.core.xattr(cred, object, name).into()
    }

    fn set_xattr(
        &self,
        cred: &Cred,
        object: &Handle,
        name: XattrName<'_>,
        value: Bytes,
        how: SetXattr,
    ) -> Op<DirChange> {
        self.core.set_xattr(cred, object, name, &value, how).into()
    }

    fn list_xattrs(&self, object: &Handle, after: u64, limit: u32) -> Op<XattrListing> {
        self.core.list_xattrs(object, after, limit).into()
    }

    fn remove_xattr(&self, cred: &Cred, object: &Handle, name: XattrName<'_>) -> Op<DirChange> {
        self.core.remove_xattr(cred, object, name).into()
    }

    /// There are no others: the memory is reached through this value alone.
    fn watch(&self, file: &Handle, _: Touch, _: Arc<dyn Watcher>) -> Op<Box<dyn Watch>> {
        let found = self.core.find(file).map(|inode| inode.attr().kind);
        found
            .and_then(posix::require_file)
            .map(|()| Box::new(Alone) as Box<dyn Watch>)
            .into()
    }

    fn acl(&self, object: &Handle) -> Op<Acl> {
        self.core.acl(object).into()
    }

    fn set_acl(&self, cred: &Cred, object: &Handle, acl: &Acl) -> Op<Attr> {
        self.core.set_acl(cred, object, acl).into()
    }

    fn make_with_acl(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: Name<'_>,
        what: &NewNode,
        attr: &SetAttr,
        acl: &Acl,
    ) -> Op<Made> {
        let acl = Some(acl);
        self.core
            .make(cred, dir, name, what, &First { attr, acl })
            .into()
    }

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
        let acl = Some(acl);
        self.try_create(cred, dir, name, how, &First { attr, acl }, access)
            .into()
    }
}

/// The watch of a file that nobody else can touch.
struct Alone;

impl Watch for Alone {
    fn is_untouched(&self) -> bool {
        true
    }
}
