//! The adapter's own source, for tests of what only the whole of it can show.

use std::fs;
use std::path::{Path, PathBuf};

const TESTS: &str = "#[cfg(test)]\nmod tests {";

/// One file of the source.
pub(super) struct Source {
    /// Path from `src`, with slashes.
    pub(super) path: String,
    /// What is built into the adapter; empty in a file of tests.
    pub(super) code: String,
    /// The tests in it.
    pub(super) tests: String,
}

/// The root of the workspace.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All files of the adapter's source, by their paths.
pub(super) fn sources() -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    collect(&src, &src, &mut sources);
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

fn collect(src: &Path, directory: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(src, &path, sources);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(src).unwrap().to_str().unwrap().to_owned();
        let (code, tests) = if is_test(&path) {
            ("", text.as_str())
        } else {
            text.split_once(TESTS).unwrap_or((&text, ""))
        };
        sources.push(Source {
            code: code.to_owned(),
            tests: tests.to_owned(),
            path,
        });
    }
}

/// Whether a file has nothing but tests, or what they need.
fn is_test(path: &str) -> bool {
    path.starts_with("test")
        || path.contains("/tests/")
        || path.ends_with("tests.rs")
        || path.ends_with("fixture.rs")
}
