//! The command line of a DittoFS host.
fn main() {}
