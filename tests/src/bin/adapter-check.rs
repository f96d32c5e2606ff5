//! What `dittofs adapter-check FILE` runs, for tests of the loader alone.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let file = std::env::args_os().nth(2).unwrap_or_default();
    dittofs_host::loader::check_main(Path::new(&file))
}
