//! Entries of directories: find, list, make, remove, rename, link.

use std::sync::Arc;

use bytes::Bytes;
use dittofs_sdk::vfs::{
    Acl, Attr, CreateHow, Cred, DirChange, Handle, Kind, Listed, Listing, Made, Name, NewNode,
    Node, OpenAccess, PosixAcl, ReadDirLimit, SetAttr, VfsError, VfsResult, posix,
};

use crate::core::{Core, ROOT};
use crate::data::Data;
use crate::dir::Dir;
use crate::inode::{Acls, Body, Inode, State, resolve};
use crate::quota::{Charge, Quota};

/// Most names of one object.
pub(crate) const MAX_LINKS: u32 = 65_000;
/// Longest target of a symbolic link.
const MAX_TARGET: usize = 4095;
/// Most entries of one listing; longer ones are continued by the caller.
const MAX_LISTING: u32 = 65_536;

/// What [`Core::create`] found or made.
pub(crate) struct Found {
    pub(crate) inode: Arc<Inode>,
    pub(crate) dir: DirChange,
    pub(crate) created: bool,
}

/// What a new object is to have.
pub(crate) struct First<'a> {
    pub(crate) attr: &'a SetAttr,
    /// Instead of one from the directory.
    pub(crate) acl: Option<&'a Acl>,
}

impl<'a> First<'a> {
    pub(crate) fn plain(attr: &'a SetAttr) -> Self {
        Self { attr, acl: None }
    }
}

impl Core {
    pub(crate) fn lookup(&self, cred: &Cred, dir: &Handle, name: Name<'_>) -> VfsResult<Node> {
        let child = self
            .search(cred, &*self.find(dir)?, name)?
            .ok_or(VfsError::NotFound)?;
        self.node(&child)
    }

    pub(crate) fn parent(&self, cred: &Cred, dir: &Handle) -> VfsResult<Node> {
        let dir = self.find(dir)?;
        let parent = {
            let state = dir.state.read();
            let parent = state.dir()?.parent;
            posix::check(&state.rights(dir.ino), cred, posix::EXEC)?;
            parent
        };
        if dir.ino == ROOT {
            return Err(VfsError::NotFound);
        }
        self.node(&*self.inode(parent).ok_or(VfsError::Stale)?)
    }

    pub(crate) fn read_dir(
        &self,
        cred: &Cred,
        dir: &Handle,
        after: u64,
        limit: ReadDirLimit,
    ) -> VfsResult<Listing> {
        if limit.entries == 0 {
            return Err(VfsError::TooSmall);
        }
        let dir = self.find(dir)?;
        let (found, eof) = {
            let state = dir.state.read();
            let entries = state.dir()?;
            posix::check(&state.rights(dir.ino), cred, posix::READ)?;
            entries.list(after, limit.entries.min(MAX_LISTING) as usize)?
        };
        // Names are for all who may read; what they stand for is for those who may search.
        let attrs = limit.attrs && posix::permits(&dir.rights(), cred, posix::EXEC);
        let mut listed = Listed::with_room_for(found.len());
        for (cookie, entry) in found {
            let inode = self.inode(entry.ino).filter(|_| attrs);
            let node = inode.and_then(|inode| self.node(&inode).ok());
            listed.push(&entry.name, cookie, entry.ino, node.as_ref());
        }
        Ok(listed.end(eof))
    }

    pub(crate) fn make(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: Name<'_>,
        what: &NewNode,
        first: &First<'_>,
    ) -> VfsResult<Made> {
        let _tree = self.tree.lock();
        let dir = self.find(dir)?;
        if self.search(cred, &dir, name)?.is_some() {
            return Err(VfsError::Exists);
        }
        let body = match what {
            NewNode::Dir => Body::Dir(Dir::new(dir.ino, &self.bytes)?),
            NewNode::Symlink(target) => self.symlink(target)?,
            NewNode::Block(major, minor) => Body::Special(Kind::Block, (*major, *minor)),
            NewNode::Char(major, minor) => Body::Special(Kind::Char, (*major, *minor)),
            NewNode::Fifo => Body::Special(Kind::Fifo, (0, 0)),
            NewNode::Socket => Body::Special(Kind::Socket, (0, 0)),
        };
        let device = matches!(what, NewNode::Block(..) | NewNode::Char(..));
        if device && cred.uid != 0 {
            return Err(VfsError::NotPermitted);
        }
        let (inode, dir) = self.add_entry(cred, &dir, name, body, first)?;
        Ok(Made {
            node: self.node(&inode)?,
            dir,
        })
    }

    pub(crate) fn create(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: Name<'_>,
        how: CreateHow,
        first: &First<'_>,
        access: OpenAccess,
    ) -> VfsResult<Found> {
        posix::check_create(how, first.attr)?;
        let _tree = self.tree.lock();
        let dir = self.find(dir)?;
        let Some(inode) = self.search(cred, &dir, name)? else {
            let body = Body::File(Data::new(&self.bytes));
            let (inode, dir) = self.add_entry(cred, &dir, name, body, first)?;
            if let CreateHow::Exclusive(verifier) = how {
                inode.state.write().verifier = Some(verifier);
            }
            return Ok(Found {
                inode,
                dir,
                created: true,
            });
        };
        let retry = {
            let state = inode.state.read();
            match how {
                CreateHow::Unchecked => {
                    state.data()?;
                    posix::check_open(&state.rights(inode.ino), cred, access)?;
                    false
                }
                CreateHow::Exclusive(verifier) if state.verifier == Some(verifier) => true,
                CreateHow::Guarded | CreateHow::Exclusive(_) => return Err(VfsError::Exists),
            }
        };
        let change = dir.state.read().change();
        let dir = DirChange {
            atomic: true,
            before: change,
            after: change,
        };
        Ok(Found {
            inode,
            dir,
            created: retry,
        })
    }

    pub(crate) fn remove(&self, cred: &Cred, dir: &Handle, name: Name<'_>) -> VfsResult<DirChange> {
        let _tree = self.tree.lock();
        let dir = self.find(dir)?;
        let victim = self.search(cred, &dir, name)?.ok_or(VfsError::NotFound)?;
        posix::check_delete(&dir.rights(), &victim.attr(), cred)?;
        refuse_full_dir(&victim)?;
        let change = alter(&dir, |entries| {
            entries.remove(name.as_bytes());
            Ok(())
        })?;
        self.drop_name(&victim, &dir);
        Ok(change)
    }

    pub(crate) fn link(
        &self,
        cred: &Cred,
        object: &Handle,
        dir: &Handle,
        name: Name<'_>,
    ) -> VfsResult<DirChange> {
        let _tree = self.tree.lock();
        let (object, dir) = (self.find(object)?, self.find(dir)?);
        if self.search(cred, &dir, name)?.is_some() {
            return Err(VfsError::Exists);
        }
        posix::check(&dir.rights(), cred, posix::WRITE | posix::EXEC)?;
        let attr = object.attr();
        match attr {
            Attr {
                kind: Kind::Dir, ..
            } => return Err(VfsError::IsDir),
            Attr { nlink: 0, .. } => return Err(VfsError::NotFound),
            Attr {
                nlink: MAX_LINKS.., ..
            } => return Err(VfsError::TooManyLinks),
            _ => {}
        }
        let change = alter(&dir, |entries| entries.insert(name.as_bytes(), object.ino))?;
        let mut state = object.state.write();
        state.nlink += 1;
        state.changed();
        Ok(change)
    }

    pub(crate) fn rename(
        &self,
        cred: &Cred,
        from_dir: &Handle,
        from: Name<'_>,
        to_dir: &Handle,
        to: Name<'_>,
    ) -> VfsResult<(DirChange, DirChange)> {
        let _tree = self.tree.lock();
        let (from_dir, to_dir) = (self.find(from_dir)?, self.find(to_dir)?);
        let source = self
            .search(cred, &from_dir, from)?
            .ok_or(VfsError::NotFound)?;
        let target = self.search(cred, &to_dir, to)?;
        if self.is_within(&to_dir, source.ino) {
            return Err(VfsError::Invalid);
        }
        check_rename(cred, &from_dir, &source, &to_dir, target.as_deref())?;
        if target
            .as_ref()
            .is_some_and(|target| target.ino == source.ino)
        {
            return Ok((unchanged(&from_dir), unchanged(&to_dir)));
        }
        let attached = alter(&to_dir, |entries| entries.insert(to.as_bytes(), source.ino))?;
        let detached = alter(&from_dir, |entries| {
            entries.remove(from.as_bytes());
            Ok(())
        })?;
        if let Some(target) = &target {
            self.drop_name(target, &to_dir);
        }
        move_dir(&source, &from_dir, &to_dir)?;
        source.state.write().changed();
        if from_dir.ino == to_dir.ino {
            let both = DirChange {
                after: detached.after,
                ..attached
            };
            return Ok((both, both));
        }
        Ok((detached, attached))
    }

    /// The object that `name` stands for, if any; needs search permission.
    fn search(&self, cred: &Cred, dir: &Inode, name: Name<'_>) -> VfsResult<Option<Arc<Inode>>> {
        let ino = {
            let state = dir.state.read();
            let entries = state.dir()?;
            posix::check(&state.rights(dir.ino), cred, posix::EXEC)?;
            entries.find(name.as_bytes())
        };
        Ok(ino.and_then(|ino| self.inode(ino)))
    }

    fn symlink(&self, target: &Bytes) -> VfsResult<Body> {
        match target.len() {
            0 => return Err(VfsError::Invalid),
            len if len > MAX_TARGET => return Err(VfsError::NameTooLong),
            _ if target.contains(&0) => return Err(VfsError::Invalid),
            _ => {}
        }
        // A copy, so that a short target does not keep the request it came in alive.
        let target = Bytes::copy_from_slice(target);
        let charge = Charge::take(&self.bytes, target.len() as u64)?;
        Ok(Body::Symlink(target, charge))
    }

    fn add_entry(
        &self,
        cred: &Cred,
        dir: &Inode,
        name: Name<'_>,
        body: Body,
        first: &First<'_>,
    ) -> VfsResult<(Arc<Inode>, DirChange)> {
        posix::check(&dir.rights(), cred, posix::WRITE | posix::EXEC)?;
        let parent = dir.attr();
        if parent.nlink >= MAX_LINKS && matches!(body, Body::Dir(_)) {
            return Err(VfsError::TooManyLinks);
        }
        let mut state = initial(cred, &parent, body, first.attr)?;
        let default = dir.state.read().acls.for_entries().cloned();
        protect(&mut state, default, first, &self.bytes)?;
        let inode = self.add(state)?;
        let is_dir = inode.attr().kind == Kind::Dir;
        let added = alter(dir, |entries| entries.insert(name.as_bytes(), inode.ino));
        match added {
            Ok(change) => {
                dir.state.write().nlink += u32::from(is_dir);
                Ok((inode, change))
            }
            Err(error) => {
                self.forget(inode.ino);
                Err(error)
            }
        }
    }

    /// Takes one name, or for a directory all that is left, from an object.
    fn drop_name(&self, victim: &Inode, dir: &Inode) {
        let (gone, was_dir) = {
            let mut state = victim.state.write();
            let is_dir = state.kind() == Kind::Dir;
            state.nlink = if is_dir {
                0
            } else {
                state.nlink.saturating_sub(1)
            };
            state.changed();
            (state.is_gone(), is_dir)
        };
        if was_dir {
            dir.state.write().nlink -= 1;
        }
        if gone {
            self.forget(victim.ino);
        }
    }

    /// Whether `dir` is the object `ino` or lies below it.
    fn is_within(&self, dir: &Inode, ino: u64) -> bool {
        let mut at = dir.ino;
        while at != ino && at != ROOT {
            let parent = self
                .inode(at)
                .and_then(|dir| Some(dir.state.read().dir().ok()?.parent));
            let Some(parent) = parent else { return false };
            at = parent;
        }
        at == ino
    }
}

/// The state of a new object, as POSIX has it inherit from its directory.
fn initial(cred: &Cred, dir: &Attr, body: Body, attr: &SetAttr) -> VfsResult<State> {
    let inherits = dir.mode & posix::SETGID != 0;
    let group = if inherits { dir.gid } else { cred.gid };
    let default = match body {
        Body::Dir(_) => 0o700,
        Body::Symlink(..) => 0o777,
        _ => 0o600,
    };
    let mut state = State::new(default, cred.uid, group, body);
    let asked = SetAttr {
        size: None,
        ..*attr
    };
    posix::check_set_attr(&state.attr(0), cred, &asked)?;
    state.uid = attr.uid.unwrap_or(state.uid);
    state.gid = attr.gid.unwrap_or(state.gid);
    match state.kind() {
        Kind::Symlink => {}
        kind => {
            let mode = attr.mode.unwrap_or(default);
            state.mode = posix::grantable_mode(mode, state.gid, cred);
            if kind == Kind::Dir && inherits {
                state.mode |= posix::SETGID;
            }
        }
    }
    if let (Some(size), Body::File(data)) = (attr.size, &mut state.body) {
        data.set_size(size)?;
    }
    state.atime = attr.atime.map_or(state.atime, resolve);
    state.mtime = attr.mtime.map_or(state.mtime, resolve);
    Ok(state)
}

/// Gives a new object its list: the one asked for, or what its directory has for it.
fn protect(
    state: &mut State,
    default: Option<Arc<PosixAcl>>,
    first: &First<'_>,
    quota: &Arc<Quota>,
) -> VfsResult<()> {
    let kind = state.kind();
    let umask = first.attr.umask.unwrap_or(0) & 0o777;
    let (access, default) = match (first.acl, default) {
        (Some(acl), _) => {
            let acls = posix::check_acl(kind, acl)?;
            (acls.access.clone(), acls.default.clone().map(Arc::new))
        }
        (None, _) if kind == Kind::Symlink => return Ok(()),
        (None, Some(default)) => (
            default.inherited(state.mode),
            Some(default).filter(|_| kind == Kind::Dir),
        ),
        (None, None) => {
            state.mode &= !umask;
            return Ok(());
        }
    };
    state.mode = state.mode & !0o777 | access.mode();
    state.acls = Acls::new(Some(Arc::new(access)), default, quota)?;
    Ok(())
}

/// Changes the entries of a directory and notes that.
fn alter(dir: &Inode, change: impl FnOnce(&mut Dir) -> VfsResult<()>) -> VfsResult<DirChange> {
    let mut state = dir.state.write();
    let before = state.change();
    change(state.dir_mut()?)?;
    state.modified();
    Ok(DirChange {
        atomic: true,
        before,
        after: state.change(),
    })
}

fn unchanged(dir: &Inode) -> DirChange {
    let change = dir.state.read().change();
    DirChange {
        atomic: true,
        before: change,
        after: change,
    }
}

fn refuse_full_dir(victim: &Inode) -> VfsResult<()> {
    match victim.state.read().dir() {
        Ok(entries) if !entries.is_empty() => Err(VfsError::NotEmpty),
        _ => Ok(()),
    }
}

fn check_rename(
    cred: &Cred,
    from_dir: &Inode,
    source: &Inode,
    to_dir: &Inode,
    target: Option<&Inode>,
) -> VfsResult<()> {
    let attr = source.attr();
    let into = to_dir.rights();
    let is_dir = attr.kind == Kind::Dir;
    posix::check_delete(&from_dir.rights(), &attr, cred)?;
    let moves_dir = is_dir && from_dir.ino != to_dir.ino;
    let Some(target) = target else {
        posix::check(&into, cred, posix::WRITE | posix::EXEC)?;
        if moves_dir && into.attr.nlink >= MAX_LINKS {
            return Err(VfsError::TooManyLinks);
        }
        return check_reparent(moves_dir, source, cred);
    };
    let over = target.attr();
    posix::check_delete(&into, &over, cred)?;
    match (is_dir, over.kind == Kind::Dir) {
        (true, false) => return Err(VfsError::NotDir),
        (false, true) => return Err(VfsError::IsDir),
        _ => {}
    }
    if source.ino == target.ino {
        return Ok(());
    }
    refuse_full_dir(target)?;
    check_reparent(moves_dir, source, cred)
}

/// A directory that gets another parent is itself written: its `..` changes.
fn check_reparent(moves_dir: bool, source: &Inode, cred: &Cred) -> VfsResult<()> {
    if moves_dir {
        posix::check(&source.rights(), cred, posix::WRITE)
    } else {
        Ok(())
    }
}

fn move_dir(source: &Inode, from_dir: &Inode, to_dir: &Inode) -> VfsResult<()> {
    if from_dir.ino == to_dir.ino || source.attr().kind != Kind::Dir {
        return Ok(());
    }
    source.state.write().dir_mut()?.parent = to_dir.ino;
    from_dir.state.write().nlink -= 1;
    to_dir.state.write().nlink += 1;
    Ok(())
}
