//! The border itself: the only place that names `abi_stable`.
//!
//! What crosses is a `repr(C)` value whose layout is frozen ([`value`], [`bytes`], [`op`]), a table of
//! functions that may only grow at its end ([`fs`], [`host`], [`module`]), or a future. The other
//! side may be of another minor version, so that a number which stands for a variant may be
//! unknown here: it becomes an error, never a Rust enum. Nothing unwinds across
//! ([`guard`]).
#![allow(unsafe_code)]
// `#[sabi_trait]` puts impls into a constant of its own.
#![allow(non_local_definitions)]

mod buffer;
mod bytes;
mod control;
mod elf;
pub mod export;
mod fs;
mod guard;
mod host;
pub(crate) mod load;
mod module;
mod note;
mod op;
mod shell;
mod value;

pub(crate) use abi_stable::std_types::RVec;

/// Bytes that either side may grow and free.
pub(crate) type ByteVec = RVec<u8>;
