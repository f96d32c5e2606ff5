//! What the author of a DittoFS adapter sees.
//!
//! An adapter is a dynamic library that speaks one protocol. It implements [`Adapter`], names
//! the type in [`export_adapter!`], and is given a [`Context`]: the exported file systems,
//! metrics, persisted key-value pairs, listeners and a shutdown signal. Its settings are one
//! struct; schema, defaults, documentation, validation and the flags of `dfsctl` all come
//! from it.
//!
//! # What holds at the border
//! - The SDK's version is the ABI's version. A host with SDK 1.y loads every adapter of SDK 1.x.
//! - Each adapter instance has a runtime of its own, made by the SDK; no handle of a tokio
//!   runtime crosses the border.
//! - A panic in either side becomes an error on the other; it never ends the process.
//! - A library is never unloaded; stopping an adapter drops its instance.

// The macros name this crate as authors do, also in its own tests.
#[allow(unused_extern_crates)]
extern crate self as dittofs_sdk;

mod abi;
mod adapter;
mod context;
pub mod host;
pub mod log;
pub mod metrics;
pub mod settings;
pub mod thread;
pub mod vfs;

pub use adapter::{Adapter, Applied, Error, FieldError, Health, Info, State};
pub use context::{Context, Kv, KvError, Share, Shares, Squash};

// An author depends on this crate alone.
pub use {bytes, schemars, serde, serde_json, tokio, tracing, uuid};

/// What [`export_adapter!`] expands to, and what the SDK's own tests need; not for direct use.
#[doc(hidden)]
pub mod private {
    pub use crate::abi::{across, export};
}

/// The version of the SDK, and so of the border between host and adapters: (major, minor).
///
/// It is the version of this crate.
pub const VERSION: (u32, u32) = (
    number(env!("CARGO_PKG_VERSION_MAJOR")),
    number(env!("CARGO_PKG_VERSION_MINOR")),
);

/// What the version of a package is made of: decimal digits.
const fn number(text: &str) -> u32 {
    match u32::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => 0,
    }
}
