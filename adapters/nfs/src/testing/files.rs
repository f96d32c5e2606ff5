//! Operations on files, with the arguments that most tests give them.

use super::Compound;
use crate::types::{Bitmap, ClientId, StateId};

impl Compound<'_> {
    /// OPEN of `name` for reading and writing, created if need be. 4.1 ignores the client and the
    /// number.
    pub(crate) fn open_file(self, client: ClientId, seqid: u32, owner: &str, name: &str) -> Self {
        self.op(18, |w| {
            w.write(&seqid);
            w.write(&3_u32);
            w.write(&0_u32);
            w.write(&client);
            w.write(owner);
            // OPEN4_CREATE, UNCHECKED4, no attributes; CLAIM_NULL.
            w.write(&1_u32);
            w.write(&0_u32);
            w.write(&Bitmap::EMPTY);
            w.write("");
            w.write(&0_u32);
            w.write(name);
        })
    }

    pub(crate) fn open_confirm(self, stateid: StateId, seqid: u32) -> Self {
        self.op(20, |w| {
            w.write(&stateid);
            w.write(&seqid);
        })
    }

    pub(crate) fn close_file(self, seqid: u32, stateid: StateId) -> Self {
        self.op(4, |w| {
            w.write(&seqid);
            w.write(&stateid);
        })
    }

    /// LOCK of the first ten bytes for writing, by an owner without locks.
    pub(crate) fn lock_file(
        self,
        (open, open_seqid): (StateId, u32),
        client: ClientId,
        (owner, lock_seqid): (&str, u32),
    ) -> Self {
        self.op(12, |w| {
            w.write(&2_u32);
            w.write(&false);
            w.write(&0_u64);
            w.write(&10_u64);
            w.write(&true);
            w.write(&open_seqid);
            w.write(&open);
            w.write(&lock_seqid);
            w.write(&client);
            w.write(owner);
        })
    }

    pub(crate) fn write_file(self, stateid: StateId, data: &str) -> Self {
        self.op(38, |w| {
            w.write(&stateid);
            w.write(&0_u64);
            w.write(&2_u32);
            w.write(data);
        })
    }

    /// CREATE of a directory.
    pub(crate) fn create_dir(self, name: &str) -> Self {
        self.op(6, |w| {
            w.write(&2_u32);
            w.write(name);
            w.write(&Bitmap::EMPTY);
            w.write("");
        })
    }

    pub(crate) fn get_xattr(self, name: &[u8]) -> Self {
        self.op(72, |w| w.opaque(name))
    }

    /// SETXATTR: 0 for either, 1 to create, 2 to replace.
    pub(crate) fn set_xattr(self, how: u32, name: &[u8], value: &[u8]) -> Self {
        self.op(73, |w| {
            w.write(&how);
            w.opaque(name);
            w.opaque(value);
        })
    }

    pub(crate) fn list_xattrs(self, cookie: u64, max_count: u32) -> Self {
        self.op(74, |w| {
            w.write(&cookie);
            w.write(&max_count);
        })
    }

    pub(crate) fn remove_xattr(self, name: &[u8]) -> Self {
        self.op(75, |w| w.opaque(name))
    }

    /// GETATTR of the type alone.
    pub(crate) fn getattr(self) -> Self {
        self.with(9, &Bitmap::of(&[1]))
    }
}
