//! What fuzzers do with the server: one function a target, fed with arbitrary bytes.
//!
//! libFuzzer calls them from `fuzz/` (see its README); the tests here call them with the corpus
//! kept there, with mutations of it, and with bytes drawn by chance. A target panics when an
//! invariant does not hold.
//!
//! The grammar here is written from the RFCs and shares nothing with the server's own decoding, so
//! that what the server encodes is judged by something else than itself.
// As in tests: a panic is how a finding is reported.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    // A method is no closure for every lifetime.
    clippy::redundant_closure_for_method_calls
)]

mod attributes;
mod choices;
mod compound;
mod grammar;
mod record;
mod replies;
mod requests;
mod rpc_header;
mod state_machine;
#[cfg(test)]
mod tests;
mod world;

pub use attributes::attributes;
pub use compound::compound;
pub use record::record;
pub use rpc_header::rpc_header;
pub use state_machine::state_machine;

use std::time::Duration;

/// Runs to the end what a target does. Timers run ahead when nothing else is to be done, so that
/// what waits for nothing is found at once.
fn run<T>(what: impl Future<Output = T>) -> T {
    const HANGS: Duration = Duration::from_hours(24);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let done = runtime.block_on(async { tokio::time::timeout(HANGS, what).await });
    done.expect("it hangs")
}
