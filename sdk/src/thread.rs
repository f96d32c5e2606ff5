//! Threads that an adapter makes itself.

use std::io;
use std::thread::{Builder, JoinHandle};

use crate::log;

/// Starts a thread that belongs to the instance on whose thread it is started: what it logs, and its
/// panic, reach that instance's host. The adapter ends its threads when it stops; none may
/// outlive it.
pub fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let link = log::inherited();
    Builder::new().name(name).spawn(move || {
        log::adopt_thread(&link);
        body();
    })
}
