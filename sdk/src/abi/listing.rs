//! Listings at the border: their entries lie in memory as they cross, so that each is written
//! once where it is found and read once where it is told.

use abi_stable::StableAbi;
use abi_stable::std_types::{RNone, ROption, RSome, RVec};
use bytes::Bytes;

use super::bytes::WireBytes;
use super::op::Wire;
use super::value::WireNode;
use crate::vfs::{Attr, Handle, Listing, VfsError, VfsResult};

/// One entry of a listing; its name is the next `name_len` bytes of the listing's names.
#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct WireDirEntry {
    name_len: u32,
    pub(crate) cookie: u64,
    pub(crate) fileid: u64,
    node: ROption<WireNode>,
}

/// The entries of a listing.
pub(crate) type DirEntries = RVec<WireDirEntry>;

impl WireDirEntry {
    /// Appends one, made where it stays.
    #[inline]
    pub(crate) fn append(
        to: &mut DirEntries,
        name_len: u32,
        cookie: u64,
        fileid: u64,
        node: Option<(&Handle, &Attr)>,
    ) {
        if to.len() == to.capacity() {
            to.reserve(1);
        }
        let len = to.len();
        // SAFETY: there is room for one more behind the first `len`, and nobody else's borrow
        // reaches into it.
        unsafe {
            to.as_mut_ptr().add(len).write(Self {
                name_len,
                cookie,
                fileid,
                node: match node {
                    Some((handle, attr)) => RSome(WireNode {
                        handle: handle.into_wire(),
                        attr: attr.into_wire(),
                    }),
                    None => RNone,
                },
            });
            to.set_len(len + 1);
        }
    }

    #[inline]
    pub(crate) fn name_len(&self) -> usize {
        self.name_len as usize
    }

    #[inline]
    pub(crate) fn has_node(&self) -> bool {
        self.node.is_some()
    }

    #[inline]
    pub(crate) fn handle(&self) -> VfsResult<Handle> {
        match &self.node {
            RSome(node) => Handle::from_wire(node.handle),
            RNone => Err(VfsError::Io),
        }
    }

    #[inline]
    pub(crate) fn attr(&self) -> VfsResult<Attr> {
        match &self.node {
            RSome(node) => Attr::from_wire(node.attr),
            RNone => Err(VfsError::Io),
        }
    }
}

/// All names are in one run of bytes, so that a listing crosses with two allocations.
#[repr(C)]
#[derive(StableAbi)]
pub(super) struct WireListing {
    entries: DirEntries,
    names: WireBytes,
    eof: u64,
}

impl Wire for Listing {
    type Form = WireListing;
    fn into_wire(self) -> WireListing {
        WireListing {
            entries: self.entries,
            names: self.names.into(),
            eof: u64::from(self.eof),
        }
    }
    fn from_wire(wire: WireListing) -> VfsResult<Self> {
        let names = Bytes::from(wire.names);
        let lens = wire.entries.iter().map(WireDirEntry::name_len);
        if lens.sum::<usize>() != names.len() {
            return Err(VfsError::Io);
        }
        Ok(Self {
            entries: wire.entries,
            names,
            eof: wire.eof != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::Listed;

    fn wire() -> WireListing {
        let mut found = Listed::default();
        found.push(b"one", 3, 10, None);
        found.push(b"another", 4, 11, None);
        found.end(true).into_wire()
    }

    #[test]
    fn entries_cross_where_they_are() {
        let wire = wire();
        let at = wire.entries.as_ptr();
        let listing = Listing::from_wire(wire).unwrap();
        assert_eq!(listing.entries.as_ptr(), at);
        let told: Vec<_> = listing
            .iter()
            .map(|entry| (entry.name(), entry.cookie(), entry.fileid()))
            .collect();
        assert_eq!(told, [(&b"one"[..], 3, 10), (b"another", 4, 11)]);
        assert!(listing.eof());
    }

    #[test]
    fn names_that_are_not_as_long_as_the_entries_say_are_an_error() {
        for (at, len) in [(0, 4), (1, 0), (1, u32::MAX)] {
            let mut wire = wire();
            wire.entries[at].name_len = len;
            assert_eq!(Listing::from_wire(wire).err(), Some(VfsError::Io));
        }
    }
}
