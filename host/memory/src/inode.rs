//! One object: its attributes and its content.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use dittofs_sdk::vfs::{
    Attr, Kind, PosixAcl, PosixAcls, SetTime, Time, VfsError, VfsResult, posix,
};
use parking_lot::RwLock;

use crate::data::Data;
use crate::dir::Dir;
use crate::quota::{Charge, Quota};
use crate::xattr::Xattrs;

/// What an entry of an access control list costs.
const ACL_ENTRY_COST: u64 = 8;

/// An object. Whoever holds the tree lock may lock several inodes; others lock one at a time.
#[derive(Debug)]
pub(crate) struct Inode {
    pub(crate) ino: u64,
    pub(crate) state: RwLock<State>,
    pub(crate) _slot: Charge,
}

impl Inode {
    pub(crate) fn attr(&self) -> Attr {
        self.state.read().attr(self.ino)
    }

    /// What permissions are judged by.
    pub(crate) fn rights(&self) -> posix::Rights {
        self.state.read().rights(self.ino)
    }
}

/// What changes about an object.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) nlink: u32,
    /// Open files that keep the object after its last name.
    pub(crate) opens: u32,
    pub(crate) atime: Time,
    pub(crate) mtime: Time,
    ctime: Time,
    btime: Time,
    change: u64,
    /// What an exclusive create was told, until the times are set.
    pub(crate) verifier: Option<[u8; 8]>,
    pub(crate) xattrs: Xattrs,
    pub(crate) acls: Acls,
    pub(crate) body: Body,
}

/// Lists that say more than the mode; what they share with it, [`State::mode`] shows too.
#[derive(Debug, Default)]
pub(crate) struct Acls {
    access: Option<Arc<PosixAcl>>,
    default: Option<Arc<PosixAcl>>,
    _charge: Option<Charge>,
}

impl Acls {
    /// Keeps these lists, as far as they say more than a mode.
    pub(crate) fn new(
        access: Option<Arc<PosixAcl>>,
        default: Option<Arc<PosixAcl>>,
        quota: &Arc<Quota>,
    ) -> VfsResult<Self> {
        let access = access.filter(|acl| !acl.is_mode());
        let entries = access.iter().chain(&default);
        let cost = entries.map(|acl| acl.entries().count() as u64).sum::<u64>() * ACL_ENTRY_COST;
        let charge = match cost {
            0 => None,
            cost => Some(Charge::take(quota, cost)?),
        };
        Ok(Self {
            access,
            default,
            _charge: charge,
        })
    }

    pub(crate) fn for_entries(&self) -> Option<&Arc<PosixAcl>> {
        self.default.as_ref()
    }
}

/// The content, by kind of object.
#[derive(Debug)]
pub(crate) enum Body {
    File(Data),
    Dir(Dir),
    Symlink(
        Bytes,
        #[expect(dead_code, reason = "gives its bytes back when dropped")] Charge,
    ),
    Special(Kind, (u32, u32)),
}

impl State {
    pub(crate) fn new(mode: u32, uid: u32, gid: u32, body: Body) -> Self {
        let now = now();
        let nlink = if matches!(body, Body::Dir(_)) { 2 } else { 1 };
        Self {
            mode,
            uid,
            gid,
            nlink,
            opens: 0,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            change: 1,
            verifier: None,
            xattrs: Xattrs::default(),
            acls: Acls::default(),
            body,
        }
    }

    pub(crate) fn attr(&self, ino: u64) -> Attr {
        let (size, used) = match &self.body {
            Body::File(data) => (data.size(), data.used()),
            Body::Dir(dir) => (dir.used(), dir.used()),
            Body::Symlink(target, _) => (target.len() as u64, target.len() as u64),
            Body::Special(..) => (0, 0),
        };
        Attr {
            kind: self.kind(),
            mode: self.mode,
            nlink: self.nlink,
            uid: self.uid,
            gid: self.gid,
            rdev: if let Body::Special(_, rdev) = self.body {
                rdev
            } else {
                (0, 0)
            },
            size,
            used,
            fileid: ino,
            change: self.change,
            atime: self.atime,
            mtime: self.mtime,
            ctime: self.ctime,
            btime: Some(self.btime),
        }
    }

    pub(crate) fn rights(&self, ino: u64) -> posix::Rights {
        posix::Rights {
            attr: self.attr(ino),
            acl: self.acls.access.clone(),
        }
    }

    /// The lists, also where the mode says it all.
    pub(crate) fn posix_acls(&self) -> PosixAcls {
        let list = |acl: &Arc<PosixAcl>| PosixAcl::clone(acl);
        PosixAcls {
            access: self
                .acls
                .access
                .as_ref()
                .map_or_else(|| PosixAcl::of_mode(self.mode), list),
            default: self.acls.default.as_ref().map(list),
        }
    }

    /// Sets the mode, and what the list shares with it.
    pub(crate) fn set_mode(&mut self, mode: u32) {
        self.mode = mode;
        if let Some(acl) = &mut self.acls.access {
            *acl = Arc::new(PosixAcl::clone(acl).with_mode(mode));
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self.body {
            Body::File(_) => Kind::File,
            Body::Dir(_) => Kind::Dir,
            Body::Symlink(..) => Kind::Symlink,
            Body::Special(kind, _) => kind,
        }
    }

    pub(crate) fn change(&self) -> u64 {
        self.change
    }

    pub(crate) fn dir(&self) -> VfsResult<&Dir> {
        match &self.body {
            Body::Dir(dir) => Ok(dir),
            _ => Err(posix::require_dir(self.kind())
                .err()
                .unwrap_or(VfsError::Io)),
        }
    }

    pub(crate) fn dir_mut(&mut self) -> VfsResult<&mut Dir> {
        let kind = self.kind();
        match &mut self.body {
            Body::Dir(dir) => Ok(dir),
            _ => Err(posix::require_dir(kind).err().unwrap_or(VfsError::Io)),
        }
    }

    pub(crate) fn data(&self) -> VfsResult<&Data> {
        match &self.body {
            Body::File(data) => Ok(data),
            _ => Err(posix::require_file(self.kind())
                .err()
                .unwrap_or(VfsError::Io)),
        }
    }

    pub(crate) fn data_mut(&mut self) -> VfsResult<&mut Data> {
        let kind = self.kind();
        match &mut self.body {
            Body::File(data) => Ok(data),
            _ => Err(posix::require_file(kind).err().unwrap_or(VfsError::Io)),
        }
    }

    /// Notes a change of metadata.
    pub(crate) fn changed(&mut self) {
        self.change += 1;
        self.ctime = now();
    }

    /// Notes a change of data or entries.
    pub(crate) fn modified(&mut self) {
        self.changed();
        self.mtime = self.ctime;
    }

    /// Whether nothing leads to the object any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.nlink == 0 && self.opens == 0
    }
}

/// The time that `set` means.
pub(crate) fn resolve(set: SetTime) -> Time {
    match set {
        SetTime::Now => now(),
        SetTime::To(time) => time,
    }
}

pub(crate) fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Time {
        sec: since.as_secs() as i64,
        nsec: since.subsec_nanos(),
    }
}
