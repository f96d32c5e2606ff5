//! Attributes: one row each, and what reads and sets them.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-5>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-5>
//!
//! `table` has the rows; [`Facts`] is what rows read; [`FAttr`] is what a client sends, and
//! [`Settable`] what became of it.

mod facts;
mod set;
mod table;

pub use facts::{
    Facts, FsFacts, encode_error, encode_number, facts, fs_facts, has_named_attributes,
    needs_number_only,
};
pub use set::{FAttr, Settable};
pub use table::{
    FILEHANDLE, FILEID, MODE, MODE_SET_MASKED, MOUNTED_ON_FILEID, RDATTR_ERROR, SIZE,
    exclusive_create, readable, settable, supported, write_only,
};

/// An upper bound of the encoded size of one object's attributes, all of them, in bytes: the
/// values of fixed size, a file handle, two owners and three bitmaps.
pub const ENCODED_MAX: usize = 768;
