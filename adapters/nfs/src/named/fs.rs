//! The file system of named attributes.

use std::sync::Arc;

use bytes::Bytes;
use dittofs_sdk::vfs::{
    Access, Attr, Capabilities, CreateHow, Created, Cred, DirChange, File, FileSystem, FsInfo,
    FsStat, Granted, Handle, Listed, Listing, Made, Name, NewNode, Node, Op, OpenAccess,
    ReadDirLimit, SetAttr, SetXattr, VfsError, VfsResult, XATTR_MAX,
};

use super::file::NamedFile;
use super::handle::{NameId, Place};
use super::store::{
    self, NAMES, Store, attribute_attr, checked_size, dir_attr, gone, is_entry, plain, xattr_name,
};

/// The named attributes of all objects of a file system.
pub struct NamedAttributes(Store);

impl NamedAttributes {
    /// Those of `fs`, if it has extended attributes.
    pub fn of(fs: &Arc<dyn FileSystem>) -> Option<Arc<dyn FileSystem>> {
        let has = fs.info().capabilities.contains(Capabilities::XATTR);
        has.then(|| Arc::new(Self(Store(Arc::clone(fs)))) as Arc<dyn FileSystem>)
    }

    fn later<T, F>(&self, run: impl FnOnce(Store) -> F) -> Op<T>
    where
        F: Future<Output = VfsResult<T>> + Send + 'static,
    {
        Op::later(run(self.0.clone()))
    }
}

fn owned(name: Name<'_>) -> Bytes {
    Bytes::copy_from_slice(name.as_bytes())
}

impl Store {
    async fn attr_at(&self, handle: &Handle) -> VfsResult<Attr> {
        let place = Place::of(handle)?;
        let of = self.object(place.object()).await?;
        match place {
            Place::Dir(_) => Ok(dir_attr(place, &of)),
            Place::Attribute(object, id) => {
                let name = self.name(&object, id).await?;
                let size = self.value(&object, &name).await.map_err(gone)?.len();
                Ok(attribute_attr(place, &of, size as u64))
            }
        }
    }

    async fn lookup(&self, cred: &Cred, dir: &Handle, name: &[u8]) -> VfsResult<Node> {
        let object = Place::of(dir)?.dir()?;
        let of = self.object(&object).await?;
        self.require(cred, &object, OpenAccess::Read).await?;
        self.node(&object, &of, name).await
    }

    async fn access_at(&self, cred: &Cred, handle: &Handle, wanted: Access) -> VfsResult<Granted> {
        let place = Place::of(handle)?;
        let both = Access::READ | Access::MODIFY;
        let granted = self.0.access(cred, place.object(), both).await?.access;
        let mut all = Access::default();
        if granted.contains(Access::READ) {
            all = all | Access::READ | Access::SEARCH;
        }
        if granted.contains(Access::MODIFY) {
            all = all | Access::MODIFY | Access::EXTEND | Access::DELETE;
        }
        Ok(Granted {
            access: all & wanted,
            attr: self.attr_at(handle).await?,
        })
    }

    async fn list(
        &self,
        cred: &Cred,
        dir: &Handle,
        mut after: u64,
        limit: ReadDirLimit,
    ) -> VfsResult<Listing> {
        if limit.entries == 0 {
            return Err(VfsError::TooSmall);
        }
        let object = Place::of(dir)?.dir()?;
        let of = self.object(&object).await?;
        self.require(cred, &object, OpenAccess::Read).await?;
        let mut listed = Listed::default();
        loop {
            let most = limit.entries.min(NAMES);
            let found = self.0.list_xattrs(&object, after, most).await?;
            if found.entries.is_empty() && !found.eof {
                return Err(VfsError::Io);
            }
            for entry in found.entries {
                after = entry.cookie;
                if is_entry(&entry.name) {
                    let node = if limit.attrs {
                        self.listed(&object, &of, &entry.name).await?
                    } else {
                        None
                    };
                    let number =
                        Place::Attribute(object, NameId::of(&entry.name)).number(of.fileid);
                    listed.push(&entry.name, entry.cookie, number, node.as_ref());
                }
            }
            // A page of names that are not shown is no page.
            if found.eof || !listed.is_empty() {
                return Ok(listed.end(found.eof));
            }
        }
    }

    /// As [`node`](Self::node), unless it vanished meanwhile.
    async fn listed(&self, object: &Handle, of: &Attr, name: &[u8]) -> VfsResult<Option<Node>> {
        match self.node(object, of, name).await {
            Err(VfsError::NotFound) => Ok(None),
            node => node.map(Some),
        }
    }

    async fn open(self, cred: Cred, file: Handle, access: OpenAccess) -> VfsResult<Arc<dyn File>> {
        match Place::of(&file)? {
            Place::Dir(_) => Err(VfsError::IsDir),
            Place::Attribute(object, id) => {
                let name = self.name(&object, id).await?;
                self.require(&cred, &object, access).await?;
                Ok(NamedFile::share(self, object, name, cred, access))
            }
        }
    }

    /// As whoever may write the object; the file system says so.
    async fn create(
        self,
        cred: Cred,
        dir: Handle,
        name: Bytes,
        how: CreateHow,
        size: u64,
        access: OpenAccess,
    ) -> VfsResult<Created> {
        let object = Place::of(&dir)?.dir()?;
        self.object(&object).await?;
        // There is nowhere to keep a verifier (RFC 8881 §18.16.3).
        if matches!(how, CreateHow::Exclusive(_)) {
            return Err(VfsError::Invalid);
        }
        let value = vec![0; checked_size(size)?];
        let made = {
            let _guard = store::lock(&object).await;
            let named = xattr_name(&name)?;
            let set = self
                .0
                .set_xattr(&cred, &object, named, value.into(), SetXattr::Create);
            set.await
        };
        let (dir, created) = match (made, how) {
            (Ok(change), _) => (change, true),
            (Err(VfsError::Exists), CreateHow::Unchecked) => {
                self.require(&cred, &object, access).await?;
                (unchanged(&self.object(&object).await?), false)
            }
            (Err(error), _) => return Err(plain(error)),
        };
        let of = self.object(&object).await?;
        let node = self.node(&object, &of, &name).await?;
        Ok(Created {
            node,
            file: NamedFile::share(self, object, name, cred, access),
            dir,
            created,
        })
    }

    async fn remove(&self, cred: &Cred, dir: &Handle, name: &[u8]) -> VfsResult<DirChange> {
        let object = Place::of(dir)?.dir()?;
        self.object(&object).await?;
        let _guard = store::lock(&object).await;
        let removed = self.0.remove_xattr(cred, &object, xattr_name(name)?);
        removed.await.map_err(plain)
    }

    /// Within one directory: sets the new name, then removes the old, so that a crash in between
    /// leaves the value under both.
    async fn rename(
        &self,
        cred: &Cred,
        from_dir: &Handle,
        from: &[u8],
        to_dir: &Handle,
        to: &[u8],
    ) -> VfsResult<DirChange> {
        let object = Place::of(from_dir)?.dir()?;
        if Place::of(to_dir)?.dir()? != object {
            return Err(VfsError::CrossDevice);
        }
        let before = self.object(&object).await?;
        let _guard = store::lock(&object).await;
        let value = self.value(&object, from).await?;
        if from == to {
            return Ok(unchanged(&before));
        }
        let (from, to) = (xattr_name(from)?, xattr_name(to)?);
        let set = self.0.set_xattr(cred, &object, to, value, SetXattr::Either);
        let set = set.await.map_err(plain)?;
        let removed = self.0.remove_xattr(cred, &object, from).await;
        Ok(DirChange {
            atomic: false,
            before: set.before,
            after: removed.map_err(plain)?.after,
        })
    }

    async fn set_size(&self, cred: Cred, handle: Handle, changes: SetAttr) -> VfsResult<Attr> {
        let size = changes.size.ok_or(VfsError::NotSupported)?;
        let only = SetAttr {
            size: Some(size),
            ..SetAttr::default()
        };
        if changes != only {
            return Err(VfsError::NotSupported);
        }
        let file = self.clone().open(cred, handle, OpenAccess::Write).await?;
        file.truncate(size).await
    }
}

/// An object that stays as it is.
fn unchanged(of: &Attr) -> DirChange {
    DirChange {
        atomic: false,
        before: of.change,
        after: of.change,
    }
}

impl FileSystem for NamedAttributes {
    fn info(&self) -> FsInfo {
        FsInfo {
            capabilities: Capabilities(0),
            max_file_size: XATTR_MAX as u64,
            clone_block: 0,
            ..self.0.0.info()
        }
    }

    /// A handle of nothing: there are only directories that objects lead to.
    fn root(&self) -> Handle {
        Handle::new(&[]).unwrap_or_else(|_| self.0.0.root())
    }

    fn lookup(&self, cred: &Cred, dir: &Handle, name: Name<'_>) -> Op<Node> {
        let (cred, dir, name) = (cred.clone(), *dir, owned(name));
        self.later(|store| async move { store.lookup(&cred, &dir, &name).await })
    }

    /// Above a directory of attributes is what they belong to, which is of another file system.
    fn parent(&self, _cred: &Cred, dir: &Handle) -> Op<Node> {
        let place = Place::of(dir).and_then(|place| place.dir());
        Op::Ready(place.and(Err(VfsError::NotFound)))
    }

    fn attr(&self, object: &Handle) -> Op<Attr> {
        let object = *object;
        self.later(|store| async move { store.attr_at(&object).await })
    }

    fn set_attr(&self, cred: &Cred, object: &Handle, changes: &SetAttr) -> Op<Attr> {
        let (cred, object, changes) = (cred.clone(), *object, *changes);
        self.later(|store| async move { store.set_size(cred, object, changes).await })
    }

    fn access(&self, cred: &Cred, object: &Handle, wanted: Access) -> Op<Granted> {
        let (cred, object) = (cred.clone(), *object);
        self.later(|store| async move { store.access_at(&cred, &object, wanted).await })
    }

    fn read_link(&self, _cred: &Cred, _link: &Handle) -> Op<Bytes> {
        Op::err(VfsError::WrongType)
    }

    fn read_dir(&self, cred: &Cred, dir: &Handle, after: u64, limit: ReadDirLimit) -> Op<Listing> {
        let (cred, dir) = (cred.clone(), *dir);
        self.later(|store| async move { store.list(&cred, &dir, after, limit).await })
    }

    /// Neither directories nor anything else that is no file (RFC 8881 §18.4.3).
    fn make(
        &self,
        _cred: &Cred,
        dir: &Handle,
        _name: Name<'_>,
        _what: &NewNode,
        _attr: &SetAttr,
    ) -> Op<Made> {
        let place = Place::of(dir).and_then(|place| place.dir());
        Op::Ready(place.and(Err(VfsError::WrongType)))
    }

    fn open(&self, cred: &Cred, file: &Handle, access: OpenAccess) -> Op<Arc<dyn File>> {
        let (cred, file) = (cred.clone(), *file);
        self.later(|store| store.open(cred, file, access))
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
        let (cred, dir, name) = (cred.clone(), *dir, owned(name));
        let size = attr.size.unwrap_or(0);
        self.later(|store| store.create(cred, dir, name, how, size, access))
    }

    fn remove(&self, cred: &Cred, dir: &Handle, name: Name<'_>) -> Op<DirChange> {
        let (cred, dir, name) = (cred.clone(), *dir, owned(name));
        self.later(|store| async move { store.remove(&cred, &dir, &name).await })
    }

    fn rename(
        &self,
        cred: &Cred,
        from_dir: &Handle,
        from: Name<'_>,
        to_dir: &Handle,
        to: Name<'_>,
    ) -> Op<(DirChange, DirChange)> {
        let (cred, from_dir, to_dir) = (cred.clone(), *from_dir, *to_dir);
        let (from, to) = (owned(from), owned(to));
        self.later(|store| async move {
            let change = store.rename(&cred, &from_dir, &from, &to_dir, &to).await?;
            Ok((change, change))
        })
    }

    /// An attribute has one name (RFC 8881 §18.9.3).
    fn link(&self, _cred: &Cred, object: &Handle, dir: &Handle, _name: Name<'_>) -> Op<DirChange> {
        let same = Place::of(object).and_then(|from| Ok(from.object() == &Place::of(dir)?.dir()?));
        Op::Ready(same.and_then(|same| {
            Err(if same {
                VfsError::NotSupported
            } else {
                VfsError::CrossDevice
            })
        }))
    }

    fn stat_fs(&self) -> Op<FsStat> {
        self.0.0.stat_fs()
    }
}
