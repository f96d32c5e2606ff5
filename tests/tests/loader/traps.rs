//! Files that can't be loaded: each is refused in one line, and this process goes on.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use dittofs_sdk::host::Plugin;

use crate::libraries::{Copy, hello, refusal, replace};

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
