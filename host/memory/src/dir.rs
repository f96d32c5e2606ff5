//! The entries of a directory, in the order of their cookies.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use dittofs_sdk::vfs::{VfsError, VfsResult};

use crate::quota::{Charge, Quota};

/// 1 and 2 stand for `.` and `..` in NFS (RFC 8881 §18.23.3), 0 for the start.
const FIRST_COOKIE: u64 = 3;
/// What an entry costs beside its name.
const ENTRY_COST: u64 = 64;

/// A name and the inode it stands for.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: Bytes,
    pub(crate) ino: u64,
}

/// Cookies only grow, so that a listing resumes whatever was removed or added.
#[derive(Debug)]
pub(crate) struct Dir {
    pub(crate) parent: u64,
    entries: BTreeMap<u64, Entry>,
    cookies: HashMap<Bytes, u64>,
    next_cookie: u64,
    charge: Charge,
}

impl Dir {
    pub(crate) fn new(parent: u64, quota: &Arc<Quota>) -> VfsResult<Self> {
        Ok(Self {
            parent,
            entries: BTreeMap::new(),
            cookies: HashMap::new(),
            next_cookie: FIRST_COOKIE,
            charge: Charge::take(quota, 0)?,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn used(&self) -> u64 {
        self.charge.amount()
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<u64> {
        let cookie = self.cookies.get(name)?;
        self.entries.get(cookie).map(|entry| entry.ino)
    }

    /// Adds `name`, or points it at another inode.
    pub(crate) fn insert(&mut self, name: &[u8], ino: u64) -> VfsResult<()> {
        if let Some(entry) = self.cookies.get(name).and_then(|c| self.entries.get_mut(c)) {
            entry.ino = ino;
            return Ok(());
        }
        self.charge.grow(ENTRY_COST + name.len() as u64)?;
        let name = Bytes::copy_from_slice(name);
        self.cookies.insert(name.clone(), self.next_cookie);
        self.entries.insert(self.next_cookie, Entry { name, ino });
        self.next_cookie += 1;
        Ok(())
    }

    pub(crate) fn remove(&mut self, name: &[u8]) {
        let Some(cookie) = self.cookies.remove(name) else {
            return;
        };
        self.entries.remove(&cookie);
        self.charge.shrink(ENTRY_COST + name.len() as u64);
    }

    /// Up to `limit` entries after `after`, and whether they are the last.
    pub(crate) fn list(&self, after: u64, limit: usize) -> VfsResult<(Vec<(u64, Entry)>, bool)> {
        if after != 0 && !(FIRST_COOKIE..self.next_cookie).contains(&after) {
            return Err(VfsError::BadCookie);
        }
        let mut rest = self.entries.range(after + 1..);
        let found = rest
            .by_ref()
            .take(limit)
            .map(|(c, e)| (*c, e.clone()))
            .collect();
        Ok((found, rest.next().is_none()))
    }
}
