//! Attributes: one row each, and what reads and sets them.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-5>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-5>
//!
//! `table` has the rows; [`acl`] is about access control lists; [`Facts`] is what rows read; [`FAttr`] is what a client sends, and
//! [`Settable`] what became of it.

pub mod acl;
mod facts;
mod first;
mod set;
mod table;

use crate::types::Bitmap;

pub use facts::{
    Facts, Form, FsFacts, Further, encode_error, encode_number, facts, facts_of_seen, fs_facts,
    further, needs_more, needs_number_only,
};
pub use first::{First, only_mode};
pub use set::{FAttr, Settable};

pub use table::{
    ACL, CHANGE, DACL, FILEHANDLE, FILEID, MODE, MODE_SET_MASKED, MOUNTED_ON_FILEID, RDATTR_ERROR,
    SIZE, TIME_METADATA, TIME_MODIFY, exclusive_create, readable, settable, supported, write_only,
};

/// An upper bound of the encoded size of these attributes of one object, in bytes: the values of
/// fixed size, a file handle, two owners and three bitmaps; and where they are wanted, lists and
/// the path of the share.
pub const fn encoded_max(wanted: Bitmap) -> usize {
    let mut most = 768;
    if wanted.contains(ACL) {
        most += acl::ENCODED_MAX;
    }
    if wanted.contains(DACL) {
        most += acl::ENCODED_MAX;
    }
    if wanted.contains(table::FS_LOCATIONS) {
        most += PATH_MAX;
    }
    most
}

/// Bytes of a share's path, each of whose parts may take as much again.
const PATH_MAX: usize = 4 * 4096;
