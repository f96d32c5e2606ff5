//! What benchmarks of the NFS adapter share: a server in this process without a socket, the few
//! requests that they send, and a count of allocations.

pub mod allocations;
pub mod local;
mod rig;

pub use rig::{Rig, Template};
