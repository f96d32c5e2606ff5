//! Named attributes: the extended attributes of a share's objects as a tree of files.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-5.3>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-5.3>
//!
//! [`NamedAttributes`] is a file system over another one: for each of its files and directories it
//! has a directory, and in that a file for each extended attribute. Operations use it as they use
//! any file system and know of named attributes only where the RFC has a rule of its own. The
//! exports keep it beside its share, under an id of its own, so that file handles, opens, locks and
//! share reservations of the two never meet.
//!
//! An attribute is found by its object's handle and a digest of its name: a handle is valid as
//! long as there is an attribute of that name, so that a renamed one has another handle, and one
//! that is removed is stale even to who has it open. The directory is there whether or not
//! anything is in it; nothing is stored for it. Times, owner and permissions are
//! those of the object. Only the size of an attribute can be set.
//!
//! Names that no directory entry could have (with a `/`, or `.` and `..`) are not listed.

mod file;
mod fs;
mod handle;
mod store;
#[cfg(test)]
mod tests;

pub use fs::NamedAttributes;
pub use handle::{dir_of, object_of, owner_of};
pub use store::{any, lock};
