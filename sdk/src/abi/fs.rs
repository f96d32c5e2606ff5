//! File systems across the border, in either direction.

use std::sync::Arc;

use abi_stable::StableAbi;
use abi_stable::sabi_trait;
use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::{RBox, RSlice};
use bytes::Bytes;

use super::acl::WireAcl;
use super::bytes::WireBytes;
use super::file::FileObject;
use super::guard::{Quiet, guard};
use super::listing::WireListing;
use super::op::{Wire, WireOp, accept, answer, missing};
use super::value::{
    WireAttr, WireCreateHow, WireCred, WireDirChange, WireFsInfo, WireFsStat, WireGranted,
    WireHandle, WireMade, WireNewNode, WireNode, WireQuota, WireReadDirLimit, WireRenamed,
    WireSetAttr, WireXattrListing, handle, name, open_code, open_of, set_xattr_code, set_xattr_of,
    xattr_name,
};
use super::watch::{self, WatchObject, WatcherObject};
use crate::vfs::{
    Access, Acl, Attr, CreateHow, Created, Cred, DirChange, File, FileSystem, FsInfo, FsStat,
    Granted, Handle, Listing, Made, Name, NewNode, Node, Op, OpenAccess, Quota, ReadDirLimit,
    SetAttr, SetXattr, Touch, VfsError, VfsResult, Watch, Watcher, XattrListing, XattrName,
};

/// As [`FileSystem::access`] answers, of a side that is older than 1.3.
fn both(access: Op<Access>, attr: Op<Attr>) -> Op<Granted> {
    match (access, attr) {
        (Op::Ready(access), Op::Ready(attr)) => access
            .and_then(|access| attr.map(|attr| Granted { access, attr }))
            .into(),
        (access, attr) => Op::later(async move {
            Ok(Granted {
                access: access.await?,
                attr: attr.await?,
            })
        }),
    }
}

/// The functions of a file system. A function added later comes last and has a default.
#[sabi_trait]
pub(super) trait WireFs: Send + Sync {
    fn info(&self) -> WireFsInfo;
    fn root(&self) -> WireHandle;
    fn lookup(
        &self,
        cred: WireCred<'_>,
        dir: RSlice<'_, u8>,
        name: RSlice<'_, u8>,
    ) -> WireOp<WireNode>;
    fn parent(&self, cred: WireCred<'_>, dir: RSlice<'_, u8>) -> WireOp<WireNode>;
    fn attr(&self, object: RSlice<'_, u8>) -> WireOp<WireAttr>;
    fn set_attr(
        &self,
        cred: WireCred<'_>,
        object: RSlice<'_, u8>,
        changes: WireSetAttr,
    ) -> WireOp<WireAttr>;
    /// For those who do not know [`granted`](Self::granted).
    fn access(&self, cred: WireCred<'_>, object: RSlice<'_, u8>, wanted: u32) -> WireOp<u32>;
    fn read_link(&self, cred: WireCred<'_>, link: RSlice<'_, u8>) -> WireOp<WireBytes>;
    fn read_dir(
        &self,
        cred: WireCred<'_>,
        dir: RSlice<'_, u8>,
        after: u64,
        limit: WireReadDirLimit,
    ) -> WireOp<WireListing>;
    fn make(
        &self,
        cred: WireCred<'_>,
        dir: RSlice<'_, u8>,
        name: RSlice<'_, u8>,
        what: WireNewNode,
        attr: WireSetAttr,
    ) -> WireOp<WireMade>;
    fn open(&self, cred: WireCred<'_>, file: RSlice<'_, u8>, access: u32) -> WireOp<FileObject>;
    fn create(
        &self,
        cred: WireCred<'_>,
        dir: RSlice<'_, u8>,
        name: RSlice<'_, u8>,
        how: WireCreateHow,
        attr: WireSetAttr,
        access: u32,
    ) -> WireOp<WireCreated>;
    fn remove(
        &self,
        cred: WireCred<'_>,
        dir: RSlice<'_, u8>,
        name: RSlice<'_, u8>,
    ) -> WireOp<WireDirChange>;
    fn rename(
        &self,
        cred: WireCred<'_>,
        from_dir: RSlice<'_, u8>,
        from: RSlice<'_, u8>,
        to_dir: RSlice<'_, u8>,
        to: RSlice<'_, u8>,
    ) -> WireOp<WireRenamed>;
    fn link(
        &self,
        cred: WireCred<'_>,
        object: RSlice<'_, u8>,
        dir: RSlice<'_, u8>,
        name: RSlice<'_, u8>,
    ) -> WireOp<WireDirChange>;
    #[sabi(last_prefix_field)]
    fn stat_fs(&self) -> WireOp<WireFsStat>;
    fn xattr(
        &self,
        cred: WireCred<'_>,
        object: RSlice<'_, u8>,
        name: RSlice<'_, u8>,
    ) -> WireOp<WireBytes> {
        let _ = (cred, object, name);
        missing()
    }
    fn set_xattr(
        &self,
        cred: WireCred<'_>,
        object: RSlice<'_, u8>,
        name: RSlice<'_, u8>,
        value: WireBytes,
        how: u32,
    ) -> WireOp<WireDirChange> {
        let _ = (cred, object, name, value, how);
        missing()
    }
    fn list_xattrs(
        &self,
        object: RSlice<'_, u8>,
        after: u64,
        limit: u32,
    ) -> WireOp<WireXattrListing> {
        let _ = (object, after, limit);
        missing()
    }
    fn remove_xattr(
        &self,
        cred: WireCred<'_>,
        object: RSlice<'_, u8>,
        name: RSlice<'_, u8>,
    ) -> WireOp<WireDirChange> {
        let _ = (cred, object, name);
        missing()
    }
    fn watch(
        &self,
        file: RSlice<'_, u8>,
        interest: u32,
        watcher: WatcherObject,
    ) -> WireOp<WatchObject> {
        let _ = (file, interest, watcher);
        missing()
    }
    fn acl(&self, object: RSlice<'_, u8>) -> WireOp<WireAcl> {
        let _ = object;
        missing()
    }
    fn set_acl(
        &self,
        cred: WireCred<'_>,
        object: RSlice<'_, u8>,
        acl: WireAcl,
    ) -> WireOp<WireAttr> {
        let _ = (cred, object, acl);
        missing()
    }
    fn make_with_acl(
        &self,
        cred: WireCred<'_>,
        dir: RSlice<'_, u8>,
        name: RSlice<'_, u8>,
        what: WireNewNode,
        attr: WireSetAttr,
        acl: WireAcl,
    ) -> WireOp<WireMade> {
        let _ = (cred, dir, name, what, attr, acl);
        missing()
    }
    fn create_with_acl(
        &self,
        cred: WireCred<'_>,
        dir: RSlice<'_, u8>,
        name: RSlice<'_, u8>,
        how: WireCreateHow,
        attr: WireSetAttr,
        acl: WireAcl,
        access: u32,
    ) -> WireOp<WireCreated> {
        let _ = (cred, dir, name, how, attr, acl, access);
        missing()
    }
    fn quota(&self, object: RSlice<'_, u8>) -> WireOp<WireQuota> {
        let _ = object;
        missing()
    }
    fn granted(
        &self,
        cred: WireCred<'_>,
        object: RSlice<'_, u8>,
        wanted: u32,
    ) -> WireOp<WireGranted> {
        let _ = (cred, object, wanted);
        missing()
    }
}

pub(super) type FsObject = WireFs_TO<'static, RBox<()>>;

#[repr(C)]
#[derive(StableAbi)]
pub(super) struct WireCreated {
    node: WireNode,
    file: FileObject,
    dir: WireDirChange,
    created: u64,
}

impl Wire for Created {
    type Form = WireCreated;
    fn into_wire(self) -> WireCreated {
        WireCreated {
            node: self.node.into_wire(),
            file: self.file.into_wire(),
            dir: self.dir.into_wire(),
            created: u64::from(self.created),
        }
    }
    fn from_wire(wire: WireCreated) -> VfsResult<Self> {
        Ok(Self {
            node: Node::from_wire(wire.node)?,
            file: Wire::from_wire(wire.file)?,
            dir: DirChange::from_wire(wire.dir)?,
            created: wire.created != 0,
        })
    }
}

/// This side's file system, for the other side.
pub(super) fn lend(fs: Arc<dyn FileSystem>) -> FsObject {
    WireFs_TO::from_value(LocalFs(Quiet::new(fs)), TD_Opaque)
}

/// The other side's file system, on this side.
pub(super) fn borrow(object: FsObject) -> VfsResult<Arc<dyn FileSystem>> {
    let (info, root) = (object.info().into(), Handle::from_wire(object.root())?);
    Ok(Arc::new(ForeignFs { object, info, root }))
}

struct LocalFs(Quiet<Arc<dyn FileSystem>>);

impl WireFs for LocalFs {
    fn info(&self) -> WireFsInfo {
        guard(|| self.0.info().into(), |_| WireFsInfo::NOTHING)
    }

    fn root(&self) -> WireHandle {
        guard(|| self.0.root().into_wire(), |_| WireHandle::INVALID)
    }

    fn lookup(
        &self,
        cred: WireCred<'_>,
        dir: RSlice<'_, u8>,
        at: RSlice<'_, u8>,
    ) -> WireOp<WireNode> {
        answer(|| {
            let (dir, at) = (handle(dir)?, name(at)?);
            Ok(cred.with(|cred| self.0.lookup(cred, &dir, at)))
        })
    }

    fn parent(&self, cred: WireCred<'_>, dir: RSlice<'_, u8>) -> WireOp<WireNode> {
        answer(|| {
            let dir = handle(dir)?;
            Ok(cred.with(|cred| self.0.parent(cred, &dir)))
        })
    }

    fn attr(&self, object: RSlice<'_, u8>) -> WireOp<WireAttr> {
        answer(|| Ok(self.0.attr(&handle(object)?)))
    }

    fn set_attr(
        &self,
        cred: WireCred<'_>,
        object: RSlice<'_, u8>,
        changes: WireSetAttr,
    ) -> WireOp<WireAttr> {
        answer(|| {
            let (object, changes) = (handle(object)?, changes.value()?);
            Ok(cred.with(|cred| self.0.set_attr(cred, &object, &changes)))
        })
    }

    fn access(&self, cred: WireCred<'_>, object: RSlice<'_, u8>, wanted: u32) -> WireOp<u32> {
        answer(|| {
            let object = handle(object)?;
            let granted = cred.with(|cred| self.0.access(cred, &object, Access(wanted)));
            Ok(match granted {
                Op::Ready(granted) => granted.map(|granted| granted.access).into(),
                Op::Later(granted) => Op::later(async { Ok(granted.await?.access) }),
            })
        })
    }

    fn granted(
        &self,
        cred: WireCred<'_>,
        object: RSlice<'_, u8>,
        wanted: u32,
    ) -> WireOp<WireGranted> {
        answer(|| {
            let object = handle(object)?;
            Ok(cred.with(|cred| self.0.access(cred, &object, Access(wanted))))
        })
    }

    fn read_link(&self, cred: WireCred<'_>, link: RSlice<'_, u8>) -> WireOp<WireBytes> {
        answer(|| {
            let link = handle(link)?;
            Ok(cred.with(|cred| self.0.read_link(cred, &link)))
        })
    }

    fn read_dir(
        &self,
        cred: WireCred<'_>,
        dir: RSlice<'_, u8>,
        after: u64,
        limit: WireReadDirLimit,
    ) -> WireOp<WireListing> {
        answer(|| {
            let dir = handle(dir)?;
            Ok(cred.with(|cred| self.0.read_dir(cred, &dir, after, limit.into())))
        })
    }

    fn make(
        &self,
        cred: WireCred<'_>,
        dir: RSlice<'_, u8>,
        at: RSlice<'_, u8>,
        what: WireNewNode,
        attr: WireSetAttr,
    ) -> WireOp<WireMade> {
        answer(|| {
            let (dir, at, what, attr) = (handle(dir)?, name(at)?, what.value()?, attr.value()?);
            Ok(cred.with(|cred| self.0.make(cred, &dir, at, &what, &attr)))
        })
    }

    fn open(&self, cred: WireCred<'_>, file: RSlice<'_, u8>, access: u32) -> WireOp<FileObject> {
        answer(|| {
            let (file, access) = (handle(file)?, open_of(access)?);
            Ok(cred.with(|cred| self.0.open(cred, &file, access)))
        })
    }

    fn create(
        &self,
        cred: WireCred<'_>,
        dir: RSlice<'_, u8>,
        at: RSlice<'_, u8>,
        how: WireCreateHow,
        attr: WireSetAttr,
        access: u32,
    ) -> WireOp<WireCreated> {
        answer(|| {
            let (dir, at) = (handle(dir)?, name(at)?);
            let (how, attr, access) = (how.value()?, attr.value()?, open_of(access)?);
            Ok(cred.with(|cred| self.0.create(cred, &dir, at, how, &attr, access)))
        })
    }

    fn remove(
        &self,
        cred: WireCred<'_>,
        dir: RSlice<'_, u8>,
        at: RSlice<'_, u8>,
    ) -> WireOp<WireDirChange> {
        answer(|| {
            let (dir, at) = (handle(dir)?, name(at)?);
            Ok(cred.with(|cred| self.0.remove(cred, &dir, at)))
        })
    }

    fn rename(
        &self,
        cred: WireCred<'_>,
        from_dir: RSlice<'_, u8>,
        from: RSlice<'_, u8>,
        to_dir: RSlice<'_, u8>,
        to: RSlice<'_, u8>,
    ) -> WireOp<WireRenamed> {
        answer(|| {
            let (from_dir, from) = (handle(from_dir)?, name(from)?);
            let (to_dir, to) = (handle(to_dir)?, name(to)?);
            Ok(cred.with(|cred| self.0.rename(cred, &from_dir, from, &to_dir, to)))
        })
    }

    fn link(
        &self,
        cred: WireCred<'_>,
        object: RSlice<'_, u8>,
        dir: RSlice<'_, u8>,
        at: RSlice<'_, u8>,
    ) -> WireOp<WireDirChange> {
        answer(|| {
            let (object, dir, at) = (handle(object)?, handle(dir)?, name(at)?);
            Ok(cred.with(|cred| self.0.link(cred, &object, &dir, at)))
        })
    }

    fn stat_fs(&self) -> WireOp<WireFsStat> {
        answer(|| Ok(self.0.stat_fs()))
    }

    fn xattr(
        &self,
        cred: WireCred<'_>,
        object: RSlice<'_, u8>,
        name: RSlice<'_, u8>,
    ) -> WireOp<WireBytes> {
        answer(|| {
            let (object, name) = (handle(object)?, xattr_name(name)?);
            Ok(cred.with(|cred| self.0.xattr(cred, &object, name)))
        })
    }

    fn set_xattr(
        &self,
        cred: WireCred<'_>,
        object: RSlice<'_, u8>,
        name: RSlice<'_, u8>,
        value: WireBytes,
        how: u32,
    ) -> WireOp<WireDirChange> {
        answer(|| {
            let (object, name, how) = (handle(object)?, xattr_name(name)?, set_xattr_of(how)?);
            Ok(cred.with(|cred| self.0.set_xattr(cred, &object, name, value.into(), how)))
        })
    }

    fn list_xattrs(
        &self,
        object: RSlice<'_, u8>,
        after: u64,
        limit: u32,
    ) -> WireOp<WireXattrListing> {
        answer(|| Ok(self.0.list_xattrs(&handle(object)?, after, limit)))
    }

    fn remove_xattr(
        &self,
        cred: WireCred<'_>,
        object: RSlice<'_, u8>,
        name: RSlice<'_, u8>,
    ) -> WireOp<WireDirChange> {
        answer(|| {
            let (object, name) = (handle(object)?, xattr_name(name)?);
            Ok(cred.with(|cred| self.0.remove_xattr(cred, &object, name)))
        })
    }

    fn watch(
        &self,
        file: RSlice<'_, u8>,
        interest: u32,
        watcher: WatcherObject,
    ) -> WireOp<WatchObject> {
        answer(|| {
            let (file, watcher) = (handle(file)?, watch::borrow(watcher));
            Ok(self.0.watch(&file, Touch(interest), watcher))
        })
    }

    fn acl(&self, object: RSlice<'_, u8>) -> WireOp<WireAcl> {
        answer(|| Ok(self.0.acl(&handle(object)?)))
    }

    fn set_acl(
        &self,
        cred: WireCred<'_>,
        object: RSlice<'_, u8>,
        acl: WireAcl,
    ) -> WireOp<WireAttr> {
        answer(|| {
            let (object, acl) = (handle(object)?, Acl::from_wire(acl)?);
            Ok(cred.with(|cred| self.0.set_acl(cred, &object, &acl)))
        })
    }

    fn make_with_acl(
        &self,
        cred: WireCred<'_>,
        dir: RSlice<'_, u8>,
        at: RSlice<'_, u8>,
        what: WireNewNode,
        attr: WireSetAttr,
        acl: WireAcl,
    ) -> WireOp<WireMade> {
        answer(|| {
            let (dir, at, what, attr) = (handle(dir)?, name(at)?, what.value()?, attr.value()?);
            let acl = Acl::from_wire(acl)?;
            Ok(cred.with(|cred| self.0.make_with_acl(cred, &dir, at, &what, &attr, &acl)))
        })
    }

    fn create_with_acl(
        &self,
        cred: WireCred<'_>,
        dir: RSlice<'_, u8>,
        at: RSlice<'_, u8>,
        how: WireCreateHow,
        attr: WireSetAttr,
        acl: WireAcl,
        access: u32,
    ) -> WireOp<WireCreated> {
        answer(|| {
            let (dir, at, how) = (handle(dir)?, name(at)?, how.value()?);
            let (attr, acl, access) = (attr.value()?, Acl::from_wire(acl)?, open_of(access)?);
            Ok(cred.with(|cred| {
                self.0
                    .create_with_acl(cred, &dir, at, how, &attr, &acl, access)
            }))
        })
    }

    fn quota(&self, object: RSlice<'_, u8>) -> WireOp<WireQuota> {
        answer(|| Ok(self.0.quota(&handle(object)?)))
    }
}

struct ForeignFs {
    object: FsObject,
    info: FsInfo,
    root: Handle,
}

/// The bytes of a handle or name, as an argument.
fn arg(bytes: &[u8]) -> RSlice<'_, u8> {
    RSlice::from_slice(bytes)
}

impl FileSystem for ForeignFs {
    fn info(&self) -> FsInfo {
        self.info
    }

    fn root(&self) -> Handle {
        self.root
    }

    fn lookup(&self, cred: &Cred, dir: &Handle, name: Name<'_>) -> Op<Node> {
        let cred = WireCred::new(cred);
        accept(
            self.object
                .lookup(cred, arg(dir.as_bytes()), arg(name.as_bytes())),
        )
    }

    fn parent(&self, cred: &Cred, dir: &Handle) -> Op<Node> {
        accept(self.object.parent(WireCred::new(cred), arg(dir.as_bytes())))
    }

    fn attr(&self, object: &Handle) -> Op<Attr> {
        accept(self.object.attr(arg(object.as_bytes())))
    }

    fn set_attr(&self, cred: &Cred, object: &Handle, changes: &SetAttr) -> Op<Attr> {
        let (cred, changes) = (WireCred::new(cred), WireSetAttr::new(changes));
        accept(self.object.set_attr(cred, arg(object.as_bytes()), changes))
    }

    fn access(&self, cred: &Cred, object: &Handle, wanted: Access) -> Op<Granted> {
        let object = arg(object.as_bytes());
        let granted = self.object.granted(WireCred::new(cred), object, wanted.0);
        match accept(granted) {
            Op::Ready(Err(VfsError::NotSupported)) => {
                let access = self.object.access(WireCred::new(cred), object, wanted.0);
                both(accept(access), accept(self.object.attr(object)))
            }
            granted => granted,
        }
    }

    fn read_link(&self, cred: &Cred, link: &Handle) -> Op<Bytes> {
        accept(
            self.object
                .read_link(WireCred::new(cred), arg(link.as_bytes())),
        )
    }

    fn read_dir(&self, cred: &Cred, dir: &Handle, after: u64, limit: ReadDirLimit) -> Op<Listing> {
        let cred = WireCred::new(cred);
        accept(
            self.object
                .read_dir(cred, arg(dir.as_bytes()), after, limit.into()),
        )
    }

    fn make(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: Name<'_>,
        what: &NewNode,
        attr: &SetAttr,
    ) -> Op<Made> {
        accept(self.object.make(
            WireCred::new(cred),
            arg(dir.as_bytes()),
            arg(name.as_bytes()),
            WireNewNode::new(what),
            WireSetAttr::new(attr),
        ))
    }

    fn open(&self, cred: &Cred, file: &Handle, access: OpenAccess) -> Op<Arc<dyn File>> {
        let cred = WireCred::new(cred);
        accept(
            self.object
                .open(cred, arg(file.as_bytes()), open_code(access)),
        )
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
        accept(self.object.create(
            WireCred::new(cred),
            arg(dir.as_bytes()),
            arg(name.as_bytes()),
            WireCreateHow::new(how),
            WireSetAttr::new(attr),
            open_code(access),
        ))
    }

    fn remove(&self, cred: &Cred, dir: &Handle, name: Name<'_>) -> Op<DirChange> {
        let cred = WireCred::new(cred);
        accept(
            self.object
                .remove(cred, arg(dir.as_bytes()), arg(name.as_bytes())),
        )
    }

    fn rename(
        &self,
        cred: &Cred,
        from_dir: &Handle,
        from: Name<'_>,
        to_dir: &Handle,
        to: Name<'_>,
    ) -> Op<(DirChange, DirChange)> {
        accept(self.object.rename(
            WireCred::new(cred),
            arg(from_dir.as_bytes()),
            arg(from.as_bytes()),
            arg(to_dir.as_bytes()),
            arg(to.as_bytes()),
        ))
    }

    fn link(&self, cred: &Cred, object: &Handle, dir: &Handle, name: Name<'_>) -> Op<DirChange> {
        let (cred, object) = (WireCred::new(cred), arg(object.as_bytes()));
        accept(
            self.object
                .link(cred, object, arg(dir.as_bytes()), arg(name.as_bytes())),
        )
    }

    fn stat_fs(&self) -> Op<FsStat> {
        accept(self.object.stat_fs())
    }

    fn xattr(&self, cred: &Cred, object: &Handle, name: XattrName<'_>) -> Op<Bytes> {
        let (cred, object) = (WireCred::new(cred), arg(object.as_bytes()));
        accept(self.object.xattr(cred, object, arg(name.as_bytes())))
    }

    fn set_xattr(
        &self,
        cred: &Cred,
        object: &Handle,
        name: XattrName<'_>,
        value: Bytes,
        how: SetXattr,
    ) -> Op<DirChange> {
        accept(self.object.set_xattr(
            WireCred::new(cred),
            arg(object.as_bytes()),
            arg(name.as_bytes()),
            value.into(),
            set_xattr_code(how),
        ))
    }

    fn list_xattrs(&self, object: &Handle, after: u64, limit: u32) -> Op<XattrListing> {
        accept(
            self.object
                .list_xattrs(arg(object.as_bytes()), after, limit),
        )
    }

    fn remove_xattr(&self, cred: &Cred, object: &Handle, name: XattrName<'_>) -> Op<DirChange> {
        let (cred, object) = (WireCred::new(cred), arg(object.as_bytes()));
        accept(self.object.remove_xattr(cred, object, arg(name.as_bytes())))
    }

    fn watch(
        &self,
        file: &Handle,
        interest: Touch,
        watcher: Arc<dyn Watcher>,
    ) -> Op<Box<dyn Watch>> {
        let watcher = watch::lend(watcher);
        accept(self.object.watch(arg(file.as_bytes()), interest.0, watcher))
    }

    fn acl(&self, object: &Handle) -> Op<Acl> {
        accept(self.object.acl(arg(object.as_bytes())))
    }

    fn set_acl(&self, cred: &Cred, object: &Handle, acl: &Acl) -> Op<Attr> {
        let (cred, acl) = (WireCred::new(cred), acl.clone().into_wire());
        accept(self.object.set_acl(cred, arg(object.as_bytes()), acl))
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
        accept(self.object.make_with_acl(
            WireCred::new(cred),
            arg(dir.as_bytes()),
            arg(name.as_bytes()),
            WireNewNode::new(what),
            WireSetAttr::new(attr),
            acl.clone().into_wire(),
        ))
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
        accept(self.object.create_with_acl(
            WireCred::new(cred),
            arg(dir.as_bytes()),
            arg(name.as_bytes()),
            WireCreateHow::new(how),
            WireSetAttr::new(attr),
            acl.clone().into_wire(),
            open_code(access),
        ))
    }

    fn quota(&self, object: &Handle) -> Op<Quota> {
        accept(self.object.quota(arg(object.as_bytes())))
    }
}
