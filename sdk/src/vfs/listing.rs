//! What a directory holds.

use bytes::Bytes;

use super::{Attr, Handle, Node, VfsResult};
use crate::abi::{DirEntries, WireDirEntry};

/// Answer of [`FileSystem::read_dir`](super::FileSystem::read_dir): entries in the order in which
/// their cookies resume. Made by [`Listed`].
pub struct Listing {
    pub(crate) entries: DirEntries,
    /// All names, one after the other; as long as the entries say.
    pub(crate) names: Bytes,
    pub(crate) eof: bool,
}

impl Listing {
    /// The entries.
    pub fn iter(&self) -> impl Iterator<Item = DirEntry<'_>> {
        let mut names = &self.names[..];
        self.entries.iter().map(move |entry| {
            let (name, rest) = names.split_at_checked(entry.name_len()).unwrap_or_default();
            names = rest;
            DirEntry { entry, name }
        })
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Where to resume after the last entry.
    pub fn last_cookie(&self) -> Option<u64> {
        self.entries.last().map(|entry| entry.cookie)
    }

    /// Whether the last entry of the directory is among them (or there is none left).
    pub fn eof(&self) -> bool {
        self.eof
    }
}

/// One directory entry.
#[derive(Clone, Copy)]
pub struct DirEntry<'a> {
    entry: &'a WireDirEntry,
    name: &'a [u8],
}

impl<'a> DirEntry<'a> {
    /// Its name.
    #[inline]
    pub fn name(&self) -> &'a [u8] {
        self.name
    }

    /// Where to resume after it.
    #[inline]
    pub fn cookie(&self) -> u64 {
        self.entry.cookie
    }

    /// Its number, as in [`Attr::fileid`](super::Attr::fileid).
    #[inline]
    pub fn fileid(&self) -> u64 {
        self.entry.fileid
    }

    /// Its handle and attributes, if they were asked for, the caller may search the directory,
    /// and the entry did not vanish meanwhile. [`VfsError::Io`](super::VfsError::Io) if the
    /// backend says what is unknown here.
    pub fn node(&self) -> VfsResult<Option<Node>> {
        if !self.has_node() {
            return Ok(None);
        }
        Ok(Some(Node {
            handle: self.handle()?,
            attr: self.attr()?,
        }))
    }

    /// Whether it has a [`node`](Self::node).
    #[inline]
    pub fn has_node(&self) -> bool {
        self.entry.has_node()
    }

    /// The handle of its node.
    #[inline]
    pub fn handle(&self) -> VfsResult<Handle> {
        self.entry.handle()
    }

    /// The attributes of its node.
    #[inline]
    pub fn attr(&self) -> VfsResult<Attr> {
        self.entry.attr()
    }
}

/// Entries as they are found, to become a [`Listing`].
#[derive(Default)]
pub struct Listed {
    entries: DirEntries,
    names: Vec<u8>,
}

impl Listed {
    /// None yet, with room for as many.
    pub fn with_room_for(entries: usize) -> Self {
        Self {
            entries: DirEntries::with_capacity(entries),
            names: Vec::with_capacity(16 * entries),
        }
    }

    /// How many were found.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none was found.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds an entry; what it says is what [`DirEntry`] tells.
    #[inline]
    pub fn push(&mut self, name: &[u8], cookie: u64, fileid: u64, node: Option<&Node>) {
        let node = node.map(|node| (&node.handle, &node.attr));
        self.append(name, cookie, fileid, node);
    }

    /// As [`push`](Self::push), of a node whose handle and attributes lie apart.
    #[inline]
    pub fn push_node(
        &mut self,
        name: &[u8],
        cookie: u64,
        fileid: u64,
        handle: &Handle,
        attr: &Attr,
    ) {
        self.append(name, cookie, fileid, Some((handle, attr)));
    }

    #[inline]
    fn append(&mut self, name: &[u8], cookie: u64, fileid: u64, node: Option<(&Handle, &Attr)>) {
        let name_len = name.len() as u32;
        WireDirEntry::append(&mut self.entries, name_len, cookie, fileid, node);
        self.names.extend_from_slice(name);
    }

    /// These are all: of the directory, or of a part of it.
    pub fn end(self, eof: bool) -> Listing {
        Listing {
            entries: self.entries,
            names: self.names.into(),
            eof,
        }
    }
}
