//! Where the libraries are that cargo built for these tests, and damaged copies of them.

use std::fs;
use std::path::{Path, PathBuf};

use dittofs_sdk::host::Plugin;
use tempfile::TempDir;

/// A library of this workspace. This package depends on it, so that cargo has built it.
pub(crate) fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().join(format!("lib{name}.so"));
    assert!(path.exists(), "cargo did not build {}", path.display());
    path
}

pub(crate) fn hello() -> PathBuf {
    built("dittofs_adapter_hello")
}

pub(crate) fn probe() -> Plugin {
    Plugin::load(&built("dittofs_test_probe")).unwrap()
}

/// A changed copy of the hello adapter, in a directory of its own.
pub(crate) struct Copy {
    pub(crate) path: PathBuf,
    _dir: TempDir,
}

impl Copy {
    pub(crate) fn new(change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut content = fs::read(hello()).unwrap();
        change(&mut content);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("libcopy_adapter.so");
        fs::write(&path, content).unwrap();
        Self { path, _dir: dir }
    }

    /// Loads it, which must fail in one line that names the file.
    pub(crate) fn refusal(&self) -> String {
        refusal(&self.path)
    }
}

pub(crate) fn refusal(path: &Path) -> String {
    let line = match Plugin::load(path) {
        Ok(_) => panic!("{} was loaded", path.display()),
        Err(error) => error.to_string(),
    };
    assert_eq!(line.lines().count(), 1, "one line: {line}");
    assert!(
        line.starts_with(&format!("{}: ", path.display())),
        "names the file: {line}"
    );
    line
}

/// Puts `new` over `old`, of the same length, wherever that is.
pub(crate) fn replace(content: &mut [u8], old: &[u8], new: &[u8]) {
    assert_eq!(old.len(), new.len());
    let places: Vec<usize> = (0..content.len() - old.len())
        .filter(|&at| content[at..].starts_with(old))
        .collect();
    assert!(!places.is_empty(), "{old:?} is not there");
    for at in places {
        content[at..at + old.len()].copy_from_slice(new);
    }
}

/// Makes a function that the library needs one that nobody has.
pub(crate) fn miss_a_symbol(content: &mut [u8]) {
    replace(content, b"\0epoll_create1\0", b"\0epoll_createX\0");
}
