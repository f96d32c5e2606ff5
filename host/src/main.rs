//! The DittoFS host process; see the library of the same crate.

fn main() -> std::process::ExitCode {
    dittofs_host::serve::main()
}
