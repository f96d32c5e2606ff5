//! The table of inodes, and what every operation needs of it.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dittofs_sdk::vfs::{FsStat, Handle, Node, VfsError, VfsResult};
use parking_lot::{Mutex, RwLock};

use crate::Options;
use crate::dir::Dir;
use crate::inode::{Body, Inode, State};
use crate::quota::{Charge, Quota};

pub(crate) const ROOT: u64 = 1;
const SHARDS: u64 = 16;

/// The file system. Lock order: `tree`, then inodes, then a shard of the table.
#[derive(Debug)]
pub(crate) struct Core {
    /// Tells this instance's handles from those of an earlier one.
    instance: u64,
    shards: Vec<RwLock<HashMap<u64, Arc<Inode>>>>,
    next_ino: AtomicU64,
    /// Held while entries change; data and attributes do not need it.
    pub(crate) tree: Mutex<()>,
    pub(crate) bytes: Arc<Quota>,
    files: Arc<Quota>,
}

impl Core {
    pub(crate) fn new(options: &Options) -> VfsResult<Self> {
        let core = Self {
            instance: RandomState::new().build_hasher().finish(),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            next_ino: AtomicU64::new(ROOT),
            tree: Mutex::new(()),
            bytes: Quota::new(options.max_bytes),
            files: Quota::new(options.max_files),
        };
        let body = Body::Dir(Dir::new(ROOT, &core.bytes)?);
        core.add(State::new(
            options.mode & 0o7777,
            options.uid,
            options.gid,
            body,
        ))?;
        Ok(core)
    }

    /// The inode that a handle names.
    pub(crate) fn find(&self, handle: &Handle) -> VfsResult<Arc<Inode>> {
        let (instance, ino) = handle
            .as_bytes()
            .split_first_chunk()
            .ok_or(VfsError::BadHandle)?;
        let ino = u64::from_be_bytes(ino.try_into().map_err(|_| VfsError::BadHandle)?);
        if u64::from_be_bytes(*instance) != self.instance {
            return Err(VfsError::Stale);
        }
        self.inode(ino).ok_or(VfsError::Stale)
    }

    pub(crate) fn handle(&self, ino: u64) -> VfsResult<Handle> {
        let mut bytes = [0; 16];
        let (first, second) = bytes.split_at_mut(8);
        first.copy_from_slice(&self.instance.to_be_bytes());
        second.copy_from_slice(&ino.to_be_bytes());
        Handle::new(&bytes).map_err(|_| VfsError::Io)
    }

    pub(crate) fn node(&self, inode: &Inode) -> VfsResult<Node> {
        Ok(Node {
            handle: self.handle(inode.ino)?,
            attr: inode.attr(),
        })
    }

    pub(crate) fn inode(&self, ino: u64) -> Option<Arc<Inode>> {
        self.shard(ino)?.read().get(&ino).cloned()
    }

    /// Gives a new object its number; numbers are never used again.
    pub(crate) fn add(&self, state: State) -> VfsResult<Arc<Inode>> {
        let slot = Charge::take(&self.files, 1)?;
        let ino = self.next_ino.fetch_add(1, Ordering::Relaxed);
        let inode = Arc::new(Inode {
            ino,
            state: RwLock::new(state),
            _slot: slot,
        });
        self.shard(ino)
            .ok_or(VfsError::Io)?
            .write()
            .insert(ino, Arc::clone(&inode));
        Ok(inode)
    }

    /// Forgets an object that nothing leads to.
    pub(crate) fn forget(&self, ino: u64) {
        if let Some(shard) = self.shard(ino) {
            shard.write().remove(&ino);
        }
    }

    pub(crate) fn stat(&self) -> FsStat {
        FsStat {
            total_bytes: self.bytes.limit(),
            free_bytes: self.bytes.free(),
            avail_bytes: self.bytes.free(),
            total_files: self.files.limit(),
            free_files: self.files.free(),
            avail_files: self.files.free(),
        }
    }

    fn shard(&self, ino: u64) -> Option<&RwLock<HashMap<u64, Arc<Inode>>>> {
        self.shards.get((ino % SHARDS) as usize)
    }
}
