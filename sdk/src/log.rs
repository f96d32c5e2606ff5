//! Logging: what an adapter writes with `tracing` appears in the host's log.
