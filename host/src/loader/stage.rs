//! Copies of libraries, named by their content.
//!
//! The dynamic loader knows a library by its path: a replaced file at the same path would give
//! the old code, and writing over a loaded one would kill the process. A copy that is named
//! by its SHA-256 and never changed has neither trouble.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use dittofs_sdk::host::{LoadError, Plugin};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

/// A copy whose content does not change any more.
#[derive(Debug)]
pub(super) struct Staged {
    /// Where the adapter was found, for messages.
    pub(super) origin: PathBuf,
    /// The copy.
    pub(super) path: PathBuf,
}

/// A copy that a child process could load.
#[derive(Debug)]
pub(super) struct Checked(pub(super) Staged);

impl Checked {
    /// Loads it into this process, for good.
    pub(super) fn load(self) -> Result<Plugin, LoadError> {
        let plugin = Plugin::load(&self.0.path).map_err(|error| self.0.name_origin(&error))?;
        LOADED.lock().insert(self.0.path);
        Ok(plugin)
    }
}

/// What this process has loaded, and so need not be checked again.
static LOADED: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);

impl Staged {
    pub(super) fn is_loaded(&self) -> bool {
        LOADED.lock().contains(&self.path)
    }

    /// `error` with the file that the operator knows instead of the copy.
    pub(super) fn name_origin(&self, error: &LoadError) -> LoadError {
        let copy = self.path.display().to_string();
        LoadError(error.0.replace(&copy, &self.origin.display().to_string()))
    }
}

/// Copies `origin` into `staging` unless its content is there already.
pub(super) fn stage(origin: &Path, staging: &Path) -> Result<Staged, LoadError> {
    copy(origin, staging)
        .map(|path| Staged {
            origin: origin.to_owned(),
            path,
        })
        .map_err(|error| {
            LoadError(format!(
                "{}: can't be copied to {}: {error}; make room or correct the permissions",
                origin.display(),
                staging.display()
            ))
        })
}

fn copy(origin: &Path, staging: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(staging)?;
    let temporary = Temporary::new(staging);
    let digest = copy_and_hash(&mut File::open(origin)?, &temporary.0)?;
    let path = staging.join(format!("{digest}.so"));
    // What is there under this name was put there by the rename below, complete.
    if !path.exists() {
        fs::rename(&temporary.0, &path)?;
    }
    Ok(path)
}

fn copy_and_hash(from: &mut File, to: &Path) -> io::Result<String> {
    let mut file = File::create_new(to)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 1 << 18];
    loop {
        let read = from.read(&mut chunk)?;
        let Some(data) = chunk.get(..read).filter(|data| !data.is_empty()) else {
            break;
        };
        hasher.update(data);
        file.write_all(data)?;
    }
    file.set_permissions(Permissions::from_mode(0o500))?;
    // A crash must not leave a short file under the name of the whole content.
    file.sync_all()?;
    let mut name = String::new();
    for byte in hasher.finalize() {
        // Writing to a string does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    Ok(name)
}

/// A file that is gone when this is dropped, unless it was renamed.
struct Temporary(PathBuf);

impl Temporary {
    fn new(dir: &Path) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(dir.join(format!(".{}-{count}.tmp", process::id())))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_is_staged_once_and_other_content_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let origin = dir.path().join("libx_adapter.so");
        let staging = dir.path().join("adapters");

        fs::write(&origin, "one").unwrap();
        let first = stage(&origin, &staging).unwrap().path;
        assert_eq!(stage(&origin, &staging).unwrap().path, first);

        fs::write(&origin, "two").unwrap();
        let second = stage(&origin, &staging).unwrap().path;
        assert_ne!(first, second);
        assert_eq!(fs::read(first).unwrap(), b"one");
        assert_eq!(fs::read(second).unwrap(), b"two");
        assert_eq!(
            fs::read_dir(&staging).unwrap().count(),
            2,
            "no temporary file is left"
        );
    }

    #[test]
    fn a_missing_origin_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = stage(&dir.path().join("libgone_adapter.so"), dir.path()).unwrap_err();
        assert!(error.0.contains("libgone_adapter.so"), "{error}");
    }
}
