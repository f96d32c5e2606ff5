//! Rounds against servers that run beside each other: ours, NFS-Ganesha and an echo.

pub mod cpus;
pub mod fairness;
pub mod results;
pub mod round;
pub mod scale;
pub mod server;
pub mod table;
