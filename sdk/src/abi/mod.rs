//! The border itself: the only place that names `abi_stable`.
//!
//! What crosses is a `repr(C)` value whose layout is frozen ([`value`], [`bytes`], [`op`]), a table of
//! functions that may only grow at its end ([`fs`], [`host`], [`module`]), or a future. The other
//! side may be of another minor version, so that a number which stands for a variant may be
//! unknown here: it becomes an error, never a Rust enum. Nothing unwinds across
//! ([`guard`]).
#![allow(unsafe_code)]
// What the macros of `abi_stable` expand to is not ours to style.
#![allow(
    non_local_definitions,
    clippy::cast_ptr_alignment,
    clippy::expl_impl_clone_on_copy,
    clippy::no_effect_underscore_binding,
    clippy::too_many_arguments,
    clippy::trivially_copy_pass_by_ref,
    clippy::used_underscore_binding
)]

mod acl;
mod buffer;
mod bytes;
mod control;
mod elf;
pub mod export;
mod file;
mod fs;
mod guard;
mod host;
mod listing;
pub(crate) mod load;
mod module;
mod note;
mod op;
mod shell;
mod token;
mod value;
mod watch;

use std::sync::Arc;

use crate::vfs::{FileSystem, VfsResult};

pub(crate) use abi_stable::std_types::RVec;
pub(crate) use listing::{DirEntries, WireDirEntry};

/// Bytes that either side may grow and free.
pub(crate) type ByteVec = RVec<u8>;

/// `fs` as an adapter sees it, without a library between: every call crosses the border.
pub fn across(fs: Arc<dyn FileSystem>) -> VfsResult<Arc<dyn FileSystem>> {
    fs::borrow(fs::lend(fs))
}
