//! The command line of a DittoFS host: typed words (`args`), what is to be done (`ready`), done
//! (`run`).
//!
//! Nothing here knows a protocol: adapters and their settings are what the host says they are.

mod args;
mod client;
mod error;
mod flags;
mod output;
mod ready;
mod run;
mod schema;
mod target;
mod text;

use std::process::ExitCode;

use error::Error;
use ready::Ready;

fn main() -> ExitCode {
    let done = args::parse(std::env::args_os())
        .map_err(Error::from)
        .and_then(Ready::new)
        .and_then(run::run);
    done.map_or_else(|error| error.report(), |()| ExitCode::SUCCESS)
}
