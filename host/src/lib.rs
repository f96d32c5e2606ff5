//! The DittoFS host process: loads protocol adapters and supplies them settings, metrics, logs and file systems.

pub mod loader;
pub mod vfs;
