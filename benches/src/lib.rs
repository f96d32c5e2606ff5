//! Benchmarks of DittoFS.
