//! Files that can't be loaded: each is refused in one line, and this process goes on.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use dittofs_sdk::host::Plugin;

use crate::libraries::{Copy, hello, miss_a_symbol, refusal, replace};

#[test]
fn a_missing_file_is_refused() {
    assert!(refusal(Path::new("/nonexistent/libx_adapter.so")).contains("no such file"));
}

#[test]
fn a_text_file_is_refused() {
    let copy = Copy::new(|content| *content = b"#!/bin/sh\necho no library\n".to_vec());
    assert!(copy.refusal().contains("not an ELF library"));
    let empty = Copy::new(Vec::clear);
    assert!(empty.refusal().contains("not an ELF library"));
}

#[test]
fn a_file_that_is_cut_short_is_refused_wherever_it_is_cut() {
    let len = fs::read(hello()).unwrap().len();
    let mut cuts = vec![5, 63, 64, 200, 4096, len - 1];
    cuts.extend((1..20).map(|part| len / 20 * part));
    for cut in cuts {
        let line = Copy::new(|content| content.truncate(cut)).refusal();
        assert!(line.contains("cut short"), "{cut}: {line}");
    }
}

#[test]
fn a_library_with_an_undefined_symbol_is_refused_when_loaded_and_not_when_called() {
    let line = Copy::new(|content| miss_a_symbol(content)).refusal();
    assert!(
        line.contains("can't be linked") && line.contains("epoll_createX"),
        "{line}"
    );
}

#[test]
fn a_library_that_is_no_adapter_is_refused() {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let libc = maps
        .split_whitespace()
        .find(|word| word.contains("/libc.so"))
        .unwrap();
    assert!(refusal(Path::new(libc)).contains("not a DittoFS adapter"));
}

#[test]
fn a_manifest_without_an_adapter_is_refused() {
    let line = Copy::new(|content| {
        let (symbol, other) = (b"_1as_0lib_1header_0root", b"_2as_0lib_1header_0root");
        replace(content, symbol, other);
    })
    .refusal();
    assert!(line.contains("no usable adapter"), "{line}");
}

#[test]
fn another_major_version_is_refused_with_both_versions_and_what_to_do() {
    let copy = Copy::new(|content| replace(content, &sdk(1, 3), &sdk(2, 7)));
    assert_eq!(Plugin::manifest_of(&copy.path).unwrap().sdk, (2, 7));
    let line = copy.refusal();
    for part in [
        "SDK 2.7",
        "this host has SDK 1.3",
        "rebuild the adapter with SDK 1.x",
    ] {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn a_library_whose_panics_end_the_process_is_refused() {
    let unwind = [&sdk(1, 3)[..], &1_u32.to_ne_bytes()].concat();
    let abort = [&sdk(1, 3)[..], &0_u32.to_ne_bytes()].concat();
    let line = Copy::new(|content| replace(content, &unwind, &abort)).refusal();
    assert!(line.contains("panic = \"unwind\""), "{line}");
}

#[test]
fn a_library_that_others_may_write_to_is_refused() {
    let copy = Copy::new(|_| ());
    fs::set_permissions(&copy.path, Permissions::from_mode(0o757)).unwrap();
    assert!(copy.refusal().contains("chmod o-w"));
}

#[test]
fn a_library_that_somebody_else_owns_is_refused() {
    let copy = Copy::new(|_| ());
    // Only the superuser can give files away; others are refused here by the same rule when
    // they load a stranger's file, which a test can't make for them.
    if std::os::unix::fs::chown(&copy.path, Some(12345), None).is_ok() {
        assert!(copy.refusal().contains("owned by user 12345"));
    }
}

/// How the manifest says with which SDK a library was built.
pub(crate) fn sdk(major: u32, minor: u32) -> Vec<u8> {
    [b"DittoFS\0", &major.to_ne_bytes()[..], &minor.to_ne_bytes()].concat()
}
