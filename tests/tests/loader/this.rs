//! A host of the SDK as it is.

pub(crate) use dittofs_sdk as sdk;

#[path = "host.rs"]
pub(crate) mod host;
