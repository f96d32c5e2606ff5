//! The same host, of the next minor version of the SDK.
#![allow(dead_code, clippy::duplicate_mod)] // The same source with other types is the point.

pub(crate) use dittofs_sdk_next as sdk;

#[path = "host.rs"]
pub(crate) mod host;
