//! Access control lists on the wire, and what they are in a file system.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-6>
//!
//! `wire` has the entries, `to_posix` and `of_posix` the two directions of the mapping. What a
//! POSIX list can't say is refused, never weakened (RFC 8881 §6.2.1); what it can only say more
//! strictly is taken so.
//!
//! Where a file system keeps no lists an object has the one that its mode says, and a list that
//! a mode can say is a way to set the mode. So the attributes are true everywhere.

mod of_posix;
#[cfg(test)]
mod tests;
mod to_posix;
mod wire;

pub use of_posix::Aces;
pub use wire::{Ace, Allow, SUPPORTED, Who, read_acl, read_dacl, write_acl, write_dacl};

use std::sync::Arc;

use dittofs_sdk::vfs::{Kind, PosixAcl, PosixAcls};

use crate::status::Status;

/// A list that a client wants set, whatever the object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclToSet(Arc<[Ace]>);

impl AclToSet {
    /// The POSIX lists that grant nothing this list does not grant to an object of this kind.
    /// The owner is `owner`, or not known yet.
    pub fn to_posix(&self, kind: Kind, owner: Option<u32>) -> Result<PosixAcls, Status> {
        match kind {
            Kind::Symlink => Err(Status::Attrnotsupp),
            kind => to_posix::posix(&self.0, kind == Kind::Dir, owner),
        }
    }
}

/// Most entries of one list on the wire: two for each of a POSIX list, which a directory has
/// two of.
const MAX_ACES: usize = 2 * 2 * (PosixAcl::MAX_NAMED + 3);

/// Most bytes of one list on the wire, the flags of a dacl included.
pub const ENCODED_MAX: usize = 4 + 4 + MAX_ACES * wire::ACE_MAX;
