//! Entries of directories: find, make, create, remove, rename, link.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use dittofs_sdk::vfs::{
    Acl, Attr, CreateHow, Cred, DirChange, Kind, Made, Name, NewNode, Node, OpenAccess, SetAttr,
    VfsError, VfsResult, posix,
};
use rustix::fs::{AtFlags, Dev, FileType, Mode, OFlags, ResolveFlags, Statx};
use rustix::io::Errno;

use super::cache::Object;
use super::core::{Core, RESOLVE, c_name, find, mount, named, proc_path, stat};
use super::errno;
use super::file::open_flags;
use super::rights::By;
use super::{acl, exclusive, sys};

/// How often [`Core::create`] tries again when others create and remove the name meanwhile.
const RACES: u32 = 8;

/// What [`Core::create`] found or made.
pub(super) struct Found {
    pub(super) object: Arc<Object>,
    pub(super) attr: Attr,
    pub(super) fd: OwnedFd,
    pub(super) dir: DirChange,
    pub(super) created: bool,
}

/// What a new object is to have.
#[derive(Clone, Copy)]
pub(super) struct First<'a> {
    pub(super) attr: &'a SetAttr,
    /// Instead of one from its directory.
    pub(super) acl: Option<&'a Acl>,
}

/// What else matters to a new object.
struct Extra {
    /// Whether its setuid and setgid are to be set once more.
    special_bits: bool,
    /// Whether it is complete, and safe together with its entry.
    is_whole: bool,
}

/// What a new file is to be.
struct Wanted<'a> {
    how: CreateHow,
    first: First<'a>,
    access: OpenAccess,
}

impl Core {
    pub(super) fn lookup(
        &self,
        cred: &Cred,
        dir: &Object,
        name: &CStr,
        how: ResolveFlags,
    ) -> VfsResult<Node> {
        let (object, attr) = self.child(cred, dir, name, how)?;
        Ok(Node {
            handle: object.handle,
            attr,
        })
    }

    pub(super) fn parent(&self, cred: &Cred, dir: &Object) -> VfsResult<Node> {
        posix::require_dir(dir.kind)?;
        if dir.handle == self.root.handle {
            return Err(VfsError::NotFound);
        }
        self.judge(cred, dir, posix::EXEC)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let how = RESOLVE.difference(ResolveFlags::BENEATH);
        let open =
            || rustix::fs::openat2(dir, c"..", flags, Mode::empty(), how).map_err(errno::vfs);
        let fd = self.identity.act(cred, open)?;
        // A directory that was moved out of the share would lead on to what is not exported.
        if !self.is_within(&fd) {
            return Err(VfsError::Stale);
        }
        let stat = stat(fd.as_fd())?;
        let handle = self.handles.of(fd.as_fd(), c"", stat.stx_ino)?;
        let object = Object::new(fd, handle, &stat)?;
        let attr = self.attr_from(&stat)?;
        Ok(Node {
            handle: self.cache.keep(object).handle,
            attr,
        })
    }

    pub(super) fn make(
        &self,
        cred: &Cred,
        dir: &Object,
        name: Name<'_>,
        what: &NewNode,
        first: First<'_>,
    ) -> VfsResult<Made> {
        posix::require_dir(dir.kind)?;
        let path = c_name(name)?;
        let otherwise = if *what == NewNode::Dir { 0o700 } else { 0o600 };
        let mode = self.first_mode(dir, first, otherwise)?;
        self.judge_new(cred, dir, &path, first.attr)?;
        let is_whole = self.is_made_whole(dir)?;
        let ((object, attr), dir) = self.alter(dir, || {
            self.identity
                .act(cred, || make_node(dir, &path, what, mode))?;
            let flags = ResolveFlags::empty();
            let (object, attr) = self.child(cred, dir, &path, flags).or_else(|error| {
                // Without search permission the maker itself can't look at it.
                let found = self.identity.serve(|| find(dir, &path, flags));
                found
                    .and_then(|fd| self.adopt(fd, dir, name.as_bytes()))
                    .map_err(|_| error)
            })?;
            let special = object.kind == Kind::Dir && mode & (posix::SETUID | posix::SETGID) != 0;
            let extra = Extra {
                special_bits: special,
                is_whole,
            };
            let undo = if object.kind == Kind::Dir {
                AtFlags::REMOVEDIR
            } else {
                AtFlags::empty()
            };
            let attr = self
                .finish(cred, &object, first, attr, extra)
                .inspect_err(|_| {
                    // What can't get its attributes is not left behind.
                    let _ = self.identity.serve(|| unlink(dir, &path, undo));
                })?;
            Ok((object, attr))
        })?;
        Ok(Made {
            node: Node {
                handle: object.handle,
                attr,
            },
            dir,
        })
    }

    pub(super) fn create(
        &self,
        cred: &Cred,
        dir: &Object,
        name: Name<'_>,
        how: CreateHow,
        first: First<'_>,
        access: OpenAccess,
    ) -> VfsResult<Found> {
        posix::require_dir(dir.kind)?;
        posix::check_create(how, first.attr)?;
        let path = c_name(name)?;
        let wanted = Wanted { how, first, access };
        for _ in 0..RACES {
            match self.create_new(cred, dir, &path, &wanted) {
                Err(VfsError::Exists) if how != CreateHow::Guarded => {}
                done => return done,
            }
            match self.open_existing(cred, dir, &path, how, access) {
                Err(VfsError::NotFound) => {}
                done => return done,
            }
        }
        Err(VfsError::TryLater)
    }

    pub(super) fn remove(&self, cred: &Cred, dir: &Object, name: Name<'_>) -> VfsResult<DirChange> {
        posix::require_dir(dir.kind)?;
        let path = c_name(name)?;
        let parting = self.descriptors.parting(self.id(dir));
        let (victim, attr) = self.child(cred, dir, &path, ResolveFlags::empty())?;
        self.identity
            .judge(|| posix::check_delete(&self.rights(dir)?, &attr, cred))?;
        let by = self.foresee_delete(cred, dir, &attr)?;
        self.descriptors.make_way_for_unnamed(self.id(&victim))?;
        let is_dir = victim.kind == Kind::Dir;
        let flags = if is_dir {
            AtFlags::REMOVEDIR
        } else {
            AtFlags::empty()
        };
        let _busy = self.changing(victim.fileid);
        let ((), change) = self.alter(dir, || {
            let _parting = parting;
            self.run(by, cred, || match unlink(dir, &path, flags) {
                // Some file systems say so of a directory with entries.
                Err(VfsError::Exists) if is_dir => Err(VfsError::NotEmpty),
                done => done,
            })?;
            self.lost_name(&victim)
        })?;
        Ok(change)
    }

    pub(super) fn rename(
        &self,
        cred: &Cred,
        from_dir: &Object,
        from: Name<'_>,
        to_dir: &Object,
        to: Name<'_>,
    ) -> VfsResult<(DirChange, DirChange)> {
        posix::require_dir(from_dir.kind)?;
        posix::require_dir(to_dir.kind)?;
        let (old, new) = (c_name(from)?, c_name(to)?);
        let dirs = (self.id(from_dir), self.id(to_dir));
        let partings = self.descriptors.partings(dirs.0, dirs.1);
        let (source, attr) = self.child(cred, from_dir, &old, ResolveFlags::empty())?;
        let target = match self.child(cred, to_dir, &new, ResolveFlags::empty()) {
            Err(VfsError::NotFound) => None,
            found => Some(found?),
        };
        self.identity.judge(|| {
            posix::check_delete(&self.rights(from_dir)?, &attr, cred)?;
            let into = self.rights(to_dir)?;
            match &target {
                Some((_, target)) => posix::check_delete(&into, target, cred)?,
                None => posix::check(&into, cred, posix::WRITE | posix::EXEC)?,
            }
            let moves_dir = attr.kind == Kind::Dir && from_dir.fileid != to_dir.fileid;
            if moves_dir {
                posix::check(&self.rights_with(&source, attr)?, cred, posix::WRITE)
            } else {
                Ok(())
            }
        })?;
        if let Some((target, _)) = &target
            && target.handle == source.handle
        {
            // Both names are of one object: nothing is done (POSIX rename).
            return Ok((self.unaltered(from_dir)?, self.unaltered(to_dir)?));
        }
        if let Some((target, _)) = &target {
            self.descriptors.make_way_for_unnamed(self.id(target))?;
        }
        let _busy = (
            self.changing(source.fileid),
            target
                .as_ref()
                .map(|(target, _)| self.changing(target.fileid)),
        );
        let rename = || {
            let _partings = partings;
            let rename = || rustix::fs::renameat(from_dir, &*old, to_dir, &*new);
            self.identity.act(cred, || rename().map_err(errno::vfs))?;
            self.seen(to_dir.fileid, to.as_bytes(), source.fileid);
            if let Some((target, _)) = &target {
                self.lost_name(target)?;
            }
            self.changed(source.fileid, source.as_fd())
        };
        if from_dir.handle == to_dir.handle {
            let ((), change) = self.alter(from_dir, rename)?;
            return Ok((change, change));
        }
        let (((), attached), detached) = self.alter(from_dir, || self.alter(to_dir, rename))?;
        Ok((detached, attached))
    }

    pub(super) fn link(
        &self,
        cred: &Cred,
        object: &Object,
        dir: &Object,
        name: Name<'_>,
    ) -> VfsResult<DirChange> {
        posix::require_dir(dir.kind)?;
        if object.kind == Kind::Dir {
            return Err(VfsError::IsDir);
        }
        let path = c_name(name)?;
        let want = posix::WRITE | posix::EXEC;
        self.judge(cred, dir, posix::EXEC)?;
        match self.child(cred, dir, &path, ResolveFlags::empty()) {
            Ok(_) => return Err(VfsError::Exists),
            Err(VfsError::NotFound) => {}
            Err(error) => return Err(error),
        }
        self.judge(cred, dir, want)?;
        self.identity.act(cred, || {
            sys::accessible(dir.as_fd(), want).map_err(errno::vfs)
        })?;
        let _busy = self.changing(object.fileid);
        let ((), change) = self.alter(dir, || {
            self.identity
                .serve(|| self.link_object(object, dir, &path))?;
            self.changed(object.fileid, object.as_fd())
        })?;
        // Some file systems log the new name and the count of names apart.
        self.settle(object)?;
        Ok(change)
    }

    /// The caller may: that was checked. Done as the server, because the rule of the machine's
    /// `protected_hardlinks` is for local programs, not for file servers.
    fn link_object(&self, object: &Object, dir: &Object, path: &CStr) -> VfsResult<()> {
        let done = if self.identity.is_caller() {
            rustix::fs::linkat(object, c"", dir, path, AtFlags::EMPTY_PATH)
        } else {
            let from = proc_path(object.as_fd());
            rustix::fs::linkat(rustix::fs::CWD, from, dir, path, AtFlags::SYMLINK_FOLLOW)
        };
        done.map_err(errno::vfs)
    }

    /// The object that `name` stands for; needs search permission.
    fn child(
        &self,
        cred: &Cred,
        dir: &Object,
        name: &CStr,
        how: ResolveFlags,
    ) -> VfsResult<(Arc<Object>, Attr)> {
        posix::require_dir(dir.kind)?;
        self.judge(cred, dir, posix::EXEC)?;
        let by = self.foresee(cred, dir, posix::EXEC)?;
        if let Some(known) = self.known_child((by, cred), dir, name)? {
            return Ok(known);
        }
        let fd = self.run(by, cred, || find(dir, name, how))?;
        self.adopt(fd, dir, name.to_bytes())
    }

    /// As [`child`](Self::child), of an object in use, which is told by its number.
    fn known_child(
        &self,
        (by, cred): (By, &Cred),
        dir: &Object,
        name: &CStr,
    ) -> VfsResult<Option<(Arc<Object>, Attr)>> {
        // The kernel may have to read a directory that it has not walked before.
        if self.durable && !self.walked.holds(dir.fileid, name.to_bytes()) {
            return Ok(None);
        }
        let found = || match named(dir.as_fd(), name) {
            Err(Errno::NOENT) => Err(VfsError::NotFound),
            found => Ok(found.ok()),
        };
        let Some(stat) = self.run(by, cred, found)? else {
            return Ok(None);
        };
        let Some(object) = self.in_use(&stat) else {
            return Ok(None);
        };
        self.seen(dir.fileid, name.to_bytes(), object.fileid);
        let attr = self.attr_of(&object, &stat)?;
        Ok(Some((object, attr)))
    }

    /// The object that these attributes were found for by name, if it is in use, on the mount that
    /// is served, and numbers are as good as handles there.
    fn in_use(&self, stat: &Statx) -> Option<Arc<Object>> {
        if !self.generic || !self.is_ours(stat) || self.mount.is_none() {
            return None;
        }
        let object = self.cache.find(stat.stx_ino)?;
        (mount(stat) == self.mount && object.is(stat)).then_some(object)
    }

    fn create_new(
        &self,
        cred: &Cred,
        dir: &Object,
        path: &CStr,
        wanted: &Wanted<'_>,
    ) -> VfsResult<Found> {
        let Wanted { how, first, access } = *wanted;
        self.judge_new(cred, dir, path, first.attr)?;
        let mode = Mode::from_raw_mode(self.first_mode(dir, first, 0o600)?);
        let flags = open_flags(access) | OFlags::CREATE | OFlags::EXCL;
        let extra = Extra {
            special_bits: false,
            // The verifier is kept in a further step.
            is_whole: !matches!(how, CreateHow::Exclusive(_)) && self.is_made_whole(dir)?,
        };
        let ((fd, object, attr), dir) = self.alter(dir, || {
            let open = || rustix::fs::openat2(dir, path, flags, mode, RESOLVE).map_err(errno::vfs);
            let fd = self.identity.act(cred, open)?;
            let undo = |_: &VfsError| {
                let _ = self.identity.serve(|| unlink(dir, path, AtFlags::empty()));
            };
            if let CreateHow::Exclusive(verifier) = how {
                exclusive::remember(fd.as_fd(), verifier).inspect_err(undo)?;
            }
            let pin = self
                .identity
                .serve(|| find(dir, path, ResolveFlags::empty()));
            let (object, attr) = pin.and_then(|pin| self.adopt(pin, dir, path.to_bytes()))?;
            if stat(fd.as_fd())?.stx_ino != object.fileid {
                // Renamed away and replaced in this very moment.
                return Err(VfsError::TryLater);
            }
            let attr = self
                .finish(cred, &object, first, attr, extra)
                .inspect_err(undo)?;
            Ok((fd, object, attr))
        })?;
        Ok(Found {
            object,
            attr,
            fd,
            dir,
            created: true,
        })
    }

    fn open_existing(
        &self,
        cred: &Cred,
        dir: &Object,
        path: &CStr,
        how: CreateHow,
        access: OpenAccess,
    ) -> VfsResult<Found> {
        let dir_change = self.unaltered(dir)?;
        let (object, attr) = self.child(cred, dir, path, ResolveFlags::empty())?;
        let _busy = self.changing(object.fileid);
        let (fd, created) = match how {
            CreateHow::Exclusive(verifier) if exclusive::matches(&attr, verifier) => (
                self.identity
                    .serve(|| super::core::reopen(object.as_fd(), open_flags(access)))?,
                true,
            ),
            CreateHow::Exclusive(_) | CreateHow::Guarded => return Err(VfsError::Exists),
            CreateHow::Unchecked => (self.open_file(cred, &object, access)?, false),
        };
        Ok(Found {
            object,
            attr,
            fd,
            dir: dir_change,
            created,
        })
    }

    /// Whether what is made in `dir` is safe when `dir` is. A list that it inherits may come later.
    fn is_made_whole(&self, dir: &Object) -> VfsResult<bool> {
        if !self.durable {
            return Ok(true);
        }
        Ok(self.syncs.cover_new && !self.identity.serve(|| acl::has_default(dir.as_fd()))?)
    }

    /// The attributes that could not be given at creation, made to last.
    fn finish(
        &self,
        cred: &Cred,
        object: &Object,
        first: First<'_>,
        made: Attr,
        Extra {
            special_bits,
            is_whole,
        }: Extra,
    ) -> VfsResult<Attr> {
        let _changing = self.changes.changing(object.fileid);
        let attr = first.attr;
        let owner = attr.uid.or(attr.gid).is_some();
        // A change of owner takes setuid and setgid away again. The other bits are those that
        // the object was made with: its directory may have limited them.
        let mode = match attr.mode {
            Some(mode) if (owner || special_bits) && object.kind != Kind::Symlink => {
                Some(mode & !0o777 | made.mode & 0o777)
            }
            _ => None,
        };
        let rest = SetAttr {
            mode,
            size: None,
            umask: None,
            ..*attr
        };
        if let (Some(size), Kind::File) = (attr.size, object.kind) {
            self.resize_new(object, size)?;
        }
        if !rest.is_empty() {
            self.identity
                .act(cred, || self.apply(cred, object, &rest))?;
        }
        if let Some(list) = first.acl {
            self.identity.act(cred, || acl::protect(object, list))?;
        }
        let as_made = rest.is_empty() && attr.size.is_none() && first.acl.is_none();
        if as_made && is_whole {
            return Ok(made);
        }
        self.settle(object)?;
        self.attr(object)
    }

    /// Where we decide: may `cred` add an entry, and give it these attributes?
    fn judge_new(&self, cred: &Cred, dir: &Object, path: &CStr, attr: &SetAttr) -> VfsResult<()> {
        self.identity.judge(|| {
            let parent = self.rights(dir)?;
            posix::check(&parent, cred, posix::EXEC)?;
            if find(dir, path, ResolveFlags::empty()).is_ok() {
                return Err(VfsError::Exists);
            }
            posix::check(&parent, cred, posix::WRITE)?;
            let own = Attr {
                uid: cred.uid,
                gid: cred.gid,
                ..parent.attr
            };
            posix::check_set_attr(
                &own,
                cred,
                &SetAttr {
                    size: None,
                    ..*attr
                },
            )
        })
    }

    /// Whether an object still lies within the exported directory.
    fn is_within(&self, fd: &OwnedFd) -> bool {
        let path = |fd: std::os::fd::BorrowedFd<'_>| {
            rustix::fs::readlink(proc_path(fd), Vec::new()).map(std::ffi::CString::into_bytes)
        };
        let (Ok(root), Ok(path)) = (path(self.root.as_fd()), path(fd.as_fd())) else {
            return false;
        };
        match path.strip_prefix(&*root) {
            Some(rest) => rest.is_empty() || rest.starts_with(b"/") || root == b"/",
            None => false,
        }
    }
}

fn unlink(dir: &Object, path: &CStr, flags: AtFlags) -> VfsResult<()> {
    rustix::fs::unlinkat(dir, path, flags).map_err(errno::vfs)
}

fn make_node(dir: &Object, path: &CStr, what: &NewNode, mode: u32) -> VfsResult<()> {
    let mode = Mode::from_raw_mode(mode & 0o7777);
    let node = |kind, major, minor| {
        let device: Dev = rustix::fs::makedev(major, minor);
        rustix::fs::mknodat(dir, path, kind, mode, device)
    };
    let done = match what {
        NewNode::Dir => rustix::fs::mkdirat(dir, path, mode),
        NewNode::Symlink(target) if target.is_empty() || target.contains(&0) => Err(Errno::INVAL),
        NewNode::Symlink(target) => rustix::fs::symlinkat(&target[..], dir, path),
        NewNode::Block(major, minor) => node(FileType::BlockDevice, *major, *minor),
        NewNode::Char(major, minor) => node(FileType::CharacterDevice, *major, *minor),
        NewNode::Fifo => node(FileType::Fifo, 0, 0),
        NewNode::Socket => node(FileType::Socket, 0, 0),
    };
    done.map_err(errno::vfs)
}
