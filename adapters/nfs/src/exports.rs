//! The exported file systems as one tree, and the file handles into it.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-7>
//!
//! This is the one gate: an [`Object`] exists only after the client's address was found among the
//! share's clients and the caller's identity was squashed as the share says. Every way to
//! a current file handle ends here.

use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use dittofs_sdk::vfs::{Cred, Handle, Time, VfsResult};
use dittofs_sdk::{Share, Shares, Squash};
use uuid::Uuid;

use crate::named::{self, NamedAttributes};
use crate::near::{Near, Spread};
use crate::rpc::{Auth, Call};
use crate::status::Status;
use crate::types::{FH_MAX, FileHandle};

/// One snapshot of what is exported: the pseudo file system, with a junction per share.
pub struct Exports {
    shares: HashMap<Uuid, Junction, ahash::RandomState>,
    nodes: BTreeMap<u64, PseudoNode>,
    made: SystemTime,
}

/// Where a share hangs in the pseudo file system.
struct Junction {
    share: Arc<Share>,
    near: Spread<Share>,
    tree: Tree,
    /// The pseudo directory that holds it.
    parent: u64,
    /// Its number there.
    id: u64,
}

/// The two trees of a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tree {
    /// Its files.
    Files,
    /// Their named attributes: a [`Share`] of its own in all but its place in the namespace.
    NamedAttributes,
}

/// The id of the other tree of a share: of a UUID version that nothing makes, so that it is no
/// other share's.
fn other_tree(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128() ^ 1 << 79)
}

/// A directory of the pseudo file system: a part of a share's name.
#[derive(Debug)]
struct PseudoNode {
    parent: u64,
    children: BTreeMap<String, Child>,
}

/// An entry of a pseudo directory. Its number is also its cookie: it comes from the path, so that
/// it stays when other shares come and go.
#[derive(Debug, Clone, Copy)]
enum Child {
    Pseudo { id: u64 },
    Share { id: u64, share: Uuid },
}

impl Child {
    fn id(self) -> u64 {
        match self {
            Self::Pseudo { id } | Self::Share { id, .. } => id,
        }
    }
}

/// Number of the pseudo file system's root directory.
const PSEUDO_ROOT: u64 = 1;

/// First byte of every file handle: the format.
const FORMAT: u8 = 1;
const PSEUDO: u8 = 0;
const SHARE: u8 = 1;

/// What a file handle names, after the gate.
#[derive(Clone)]
pub enum Object {
    /// A directory of the pseudo file system.
    Pseudo(PseudoDir),
    /// An object in a share.
    Share(ShareObject),
}

/// A directory of the pseudo file system.
#[derive(Clone)]
pub struct PseudoDir {
    exports: Arc<Exports>,
    /// Its number, also its fileid.
    pub id: u64,
}

/// An object in a share, and as whom it is used.
#[derive(Clone)]
pub struct ShareObject {
    /// The share.
    pub share: Near<Share>,
    /// Which of the share's trees it is in.
    pub tree: Tree,
    /// The object.
    pub handle: Handle,
    /// The caller after squashing.
    pub cred: Cred,
}

/// One entry of a pseudo directory.
pub struct PseudoEntry {
    /// Its name.
    pub name: String,
    /// Where to resume after it.
    pub cookie: u64,
    /// What it leads to.
    pub object: Object,
}

impl Exports {
    /// The tree over these shares.
    pub fn new(shares: &Shares) -> Self {
        let root = PseudoNode {
            parent: PSEUDO_ROOT,
            children: BTreeMap::new(),
        };
        let mut exports = Self {
            shares: HashMap::default(),
            nodes: BTreeMap::from([(PSEUDO_ROOT, root)]),
            made: SystemTime::now(),
        };
        for share in shares.iter() {
            exports.add(share);
        }
        exports
    }

    fn add(&mut self, share: &Arc<Share>) {
        let mut at = PSEUDO_ROOT;
        let mut path = String::new();
        let mut parts = share
            .name
            .split('/')
            .filter(|part| !part.is_empty())
            .peekable();
        while let Some(part) = parts.next() {
            path.push('/');
            path.push_str(part);
            let id = pseudo_id(&path);
            let Some(node) = self.nodes.get_mut(&at) else {
                return;
            };
            if parts.peek().is_none() {
                let child = Child::Share {
                    id,
                    share: share.id,
                };
                node.children.insert(part.to_owned(), child);
                self.join(share, at, id);
                return;
            }
            let child = node
                .children
                .entry(part.to_owned())
                .or_insert(Child::Pseudo { id });
            // The host refuses a share below a share; should one come, the upper one wins.
            let Child::Pseudo { id } = *child else { return };
            self.nodes.entry(id).or_insert(PseudoNode {
                parent: at,
                children: BTreeMap::new(),
            });
            at = id;
        }
    }

    /// Hangs both trees of a share at the entry `id` of a pseudo directory.
    fn join(&mut self, share: &Arc<Share>, parent: u64, id: u64) {
        let junction = |share, tree| Junction {
            near: Spread::new(&share),
            share,
            tree,
            parent,
            id,
        };
        if let Some(fs) = NamedAttributes::of(&share.fs) {
            let attributes = Arc::new(Share {
                id: other_tree(share.id),
                fs,
                ..Share::clone(share)
            });
            self.shares
                .insert(attributes.id, junction(attributes, Tree::NamedAttributes));
        }
        self.shares
            .insert(share.id, junction(Arc::clone(share), Tree::Files));
    }

    /// The directory of an object's named attributes, used as the same caller; none where the
    /// file system has no such attributes.
    pub fn named_attributes(&self, object: &ShareObject) -> Option<ShareObject> {
        self.in_other_tree(object, Tree::Files, named::dir_of)
    }

    /// The object whose named attributes are in `dir`.
    pub fn named_attributes_owner(&self, dir: &ShareObject) -> Option<ShareObject> {
        self.in_other_tree(dir, Tree::NamedAttributes, named::owner_of)
    }

    fn in_other_tree(
        &self,
        object: &ShareObject,
        from: Tree,
        handle: impl FnOnce(&Handle) -> VfsResult<Handle>,
    ) -> Option<ShareObject> {
        let junction = self.shares.get(&other_tree(object.share.id))?;
        if object.tree != from || junction.tree == from {
            return None;
        }
        Some(ShareObject {
            share: Near::new(&junction.share),
            tree: junction.tree,
            handle: handle(&object.handle).ok()?,
            cred: object.cred.clone(),
        })
    }

    /// Whether a share of this id is exported.
    pub fn share(&self, id: Uuid) -> Option<&Arc<Share>> {
        self.shares.get(&id).map(|junction| &junction.share)
    }
}

/// Stable over restarts and other shares: the number of a pseudo directory comes from its path.
fn pseudo_id(path: &str) -> u64 {
    // FNV-1a; std's hashers promise no stable result.
    let hash = path.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // Neither 0 nor the root nor a reserved cookie; and positive as a signed number, which
    // directory offsets are in many clients.
    hash >> 2 | 1 << 62
}

/// The root of the pseudo file system.
pub fn root(exports: &Arc<Exports>) -> Object {
    Object::Pseudo(PseudoDir {
        exports: Arc::clone(exports),
        id: PSEUDO_ROOT,
    })
}

/// Finds what `handle` names and lets the caller pass, or not.
pub fn resolve(exports: &Arc<Exports>, call: &Call, handle: &[u8]) -> Result<Object, Status> {
    match handle {
        [FORMAT, PSEUDO, id @ ..] => {
            let id = u64::from_be_bytes(id.try_into().map_err(|_| Status::Badhandle)?);
            if !exports.nodes.contains_key(&id) {
                return Err(Status::Stale);
            }
            Ok(Object::Pseudo(PseudoDir {
                exports: Arc::clone(exports),
                id,
            }))
        }
        [FORMAT, SHARE, rest @ ..] => {
            let (id, inner) = rest.split_first_chunk::<16>().ok_or(Status::Badhandle)?;
            let id = Uuid::from_bytes(*id);
            let junction = exports.shares.get(&id).ok_or(Status::Stale)?;
            let handle = Handle::new(inner).map_err(|_| Status::Badhandle)?;
            admit(junction, call, handle)
                .map(Object::Share)
                .ok_or(Status::Stale)
        }
        _ => Err(Status::Badhandle),
    }
}

/// The gate: lets the caller into a share, as whom the share says.
fn admit(junction: &Junction, call: &Call, handle: Handle) -> Option<ShareObject> {
    let share = &junction.share;
    if !is_client(share, call.peer.ip()) {
        return None;
    }
    Some(ShareObject {
        share: junction.near.of(call.connection.id).clone(),
        tree: junction.tree,
        handle,
        cred: squash(share, &call.auth),
    })
}

fn is_client(share: &Share, address: IpAddr) -> bool {
    // A v4 client of a socket that serves both families comes as ::ffff:a.b.c.d.
    let address = address.to_canonical();
    share.clients.is_empty() || share.clients.iter().any(|net| net.contains(&address))
}

fn squash(share: &Share, auth: &Auth) -> Cred {
    let anonymous = || Cred::user(share.anonymous_uid, share.anonymous_gid);
    match (auth, share.squash) {
        (Auth::None, _) | (Auth::Sys(_), Squash::All) => anonymous(),
        (Auth::Sys(cred), Squash::None) => cred.clone(),
        (Auth::Sys(cred), Squash::Root) if cred.uid == 0 => anonymous(),
        (Auth::Sys(cred), Squash::Root) => {
            // Membership of group 0 is privilege too, in the primary place and in the others.
            let group = |gid: u32| if gid == 0 { share.anonymous_gid } else { gid };
            Cred {
                uid: cred.uid,
                gid: group(cred.gid),
                groups: cred.groups.iter().map(|&gid| group(gid)).collect(),
            }
        }
    }
}

impl Object {
    /// The file handle that names it.
    pub fn file_handle(&self) -> FileHandle {
        match self {
            Self::Pseudo(dir) => FileHandle::of(&[&[FORMAT, PSEUDO], &dir.id.to_be_bytes()]),
            Self::Share(object) => object.key().file_handle(),
        }
    }

    /// Whether both name the same object.
    pub fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pseudo(a), Self::Pseudo(b)) => a.id == b.id,
            (Self::Share(a), Self::Share(b)) => a.share.id == b.share.id && a.handle == b.handle,
            _ => false,
        }
    }
}

impl ShareObject {
    /// Another object of the same share, used as the same caller.
    #[must_use]
    pub fn sibling(&self, handle: Handle) -> Self {
        Self {
            share: self.share.clone(),
            tree: self.tree,
            handle,
            cred: self.cred.clone(),
        }
    }

    /// Whether it is a named attribute or a directory of such.
    pub fn is_named(&self) -> bool {
        self.tree == Tree::NamedAttributes
    }

    /// The id of its file system; that of an object and of its named attributes is one.
    pub fn file_system(&self) -> Uuid {
        match self.tree {
            Tree::Files => self.share.id,
            Tree::NamedAttributes => other_tree(self.share.id),
        }
    }

    /// Itself, unless the share is exported read-only.
    pub fn writable(&self) -> Result<&Self, Status> {
        if self.share.read_only {
            Err(Status::Rofs)
        } else {
            Ok(self)
        }
    }

    /// Whether it is the root directory of its share.
    pub fn is_share_root(&self) -> bool {
        self.handle == self.share.fs.root()
    }

    /// The key of the object whose named attribute this is, or whose directory of such.
    pub fn owner_key(&self) -> Option<FileKey> {
        if !self.is_named() {
            return None;
        }
        Some(FileKey {
            share: self.file_system(),
            handle: named::object_of(&self.handle).ok()?,
        })
    }

    /// Names the object among all shares: the key of its opens and locks.
    pub fn key(&self) -> FileKey {
        FileKey {
            share: self.share.id,
            handle: self.handle,
        }
    }
}

/// Names a file among all shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileKey {
    /// The share, or that of the named attributes of its files.
    pub share: Uuid,
    /// The file in it.
    pub handle: Handle,
}

impl FileKey {
    /// The file handle that names it.
    pub fn file_handle(&self) -> FileHandle {
        const { assert!(2 + 16 + Handle::MAX <= FH_MAX) };
        FileHandle::of(&[
            &[FORMAT, SHARE],
            self.share.as_bytes(),
            self.handle.as_bytes(),
        ])
    }
}

impl Hash for FileKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Handles of different shares may collide; equality tells them apart.
        self.handle.hash(state);
    }
}

impl PseudoDir {
    /// The entry `name`, if the caller may see it.
    pub fn lookup(&self, call: &Call, name: &[u8]) -> Result<Object, Status> {
        let name = std::str::from_utf8(name).map_err(|_| Status::Noent)?;
        let node = self.node()?;
        node.children
            .get(name)
            .and_then(|child| self.enter(call, child))
            .ok_or(Status::Noent)
    }

    /// The directory above; NFS4ERR_NOENT for the root (RFC 8881 §18.14.3).
    pub fn parent(&self) -> Result<Object, Status> {
        if self.id == PSEUDO_ROOT {
            return Err(Status::Noent);
        }
        let id = self.node()?.parent;
        Ok(Object::Pseudo(Self {
            exports: Arc::clone(&self.exports),
            id,
        }))
    }

    /// Entries that the caller may see, after the one with cookie `after`, in the order of their
    /// cookies.
    pub fn entries(&self, call: &Call, after: u64) -> Result<Vec<PseudoEntry>, Status> {
        let mut entries: Vec<_> = self
            .node()?
            .children
            .iter()
            .filter(|(_, child)| child.id() > after)
            .filter_map(|(name, child)| {
                Some(PseudoEntry {
                    name: name.clone(),
                    cookie: child.id(),
                    object: self.enter(call, child)?,
                })
            })
            .collect();
        entries.sort_unstable_by_key(|entry| entry.cookie);
        Ok(entries)
    }

    /// The pseudo directory that holds the junction to `share`, and the junction's number there.
    pub fn of_junction(exports: &Arc<Exports>, share: &Share) -> Option<(Self, u64)> {
        let junction = exports.shares.get(&share.id)?;
        let parent = Self {
            exports: Arc::clone(exports),
            id: junction.parent,
        };
        Some((parent, junction.id))
    }

    /// Its names: its own, `.`, and `..` of each directory in it, as POSIX counts.
    pub fn links(&self) -> u32 {
        let children = self.node().map_or(0, |node| node.children.len());
        u32::try_from(children).map_or(u32::MAX, |count| count.saturating_add(2))
    }

    /// When it last changed: it changes only when shares do, and then all at once.
    pub fn changed(&self) -> Time {
        let since = self
            .exports
            .made
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Time {
            sec: since.as_secs() as i64,
            nsec: since.subsec_nanos(),
        }
    }

    /// Grows whenever shares change.
    pub fn change(&self) -> u64 {
        let Time { sec, nsec } = self.changed();
        (sec as u64)
            .wrapping_mul(1_000_000_000)
            .wrapping_add(u64::from(nsec))
    }

    fn node(&self) -> Result<&PseudoNode, Status> {
        self.exports.nodes.get(&self.id).ok_or(Status::Stale)
    }

    fn enter(&self, call: &Call, child: &Child) -> Option<Object> {
        match child {
            Child::Pseudo { id } => Some(Object::Pseudo(Self {
                exports: Arc::clone(&self.exports),
                id: *id,
            })),
            Child::Share { share, .. } => {
                let junction = self.exports.shares.get(share)?;
                admit(junction, call, junction.share.fs.root()).map(Object::Share)
            }
        }
    }
}
