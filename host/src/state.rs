//! The state directory: used by one host at a time, readable by its owner alone.
//!
//! | Name | What |
//! |---|---|
//! | `lock` | locked while a host runs; holds its process id |
//! | `state.db` | the settings database, unless it is PostgreSQL |
//! | `adapters/` | copies of the loaded libraries, by content |
//! | `boot-id` | made anew at every start |
//! | `admin-token` | mode 0600: whoever reads it may administer |
//! | `handle-key` | mode 0600: signs the file handles of shared directories |
//! | `run.json` | where the running host listens |

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use dittofs_api::{RUN_FILE, RunInfo, TOKEN_FILE};
use uuid::Uuid;

/// Bytes of randomness in a secret.
const SECRET_BYTES: usize = 32;

/// Why the state directory can't be used: one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another host runs on it.
    #[error(
        "{}: another dittofs (pid {pid}) uses this state directory: stop it or give this one its own with --state-dir",
        dir.display()
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The other host's process id, as it wrote it.
        pid: String,
    },
    /// Something in it can't be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// A state directory that this process holds; given back when it is dropped.
pub struct StateDir {
    path: PathBuf,
    token: String,
    handle_key: [u8; SECRET_BYTES],
    boot_id: Uuid,
    _lock: File,
}

impl StateDir {
    /// Takes the directory, creating it if it is missing.
    pub fn take(path: &Path) -> Result<Self, StateError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| StateError::Io { path, error }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(at(path))?;
        let path = path.canonicalize().map_err(at(path))?;
        let lock = lock(&path)?;
        let token_path = path.join(TOKEN_FILE);
        let token = hex(&secret(&token_path).map_err(at(&token_path))?);
        let key_path = path.join("handle-key");
        let handle_key = secret(&key_path).map_err(at(&key_path))?;
        let boot_id = Uuid::new_v4();
        let boot_path = path.join("boot-id");
        replace(&boot_path, format!("{boot_id}\n").as_bytes()).map_err(at(&boot_path))?;
        Ok(Self {
            path,
            token,
            handle_key,
            boot_id,
            _lock: lock,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What an administrator's request carries.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Signs file handles; kept, or the handles that clients hold would be refused.
    pub fn handle_key(&self) -> [u8; SECRET_BYTES] {
        self.handle_key
    }

    /// Made anew at every start.
    pub fn boot_id(&self) -> Uuid {
        self.boot_id
    }

    /// The file with the token.
    pub fn token_file(&self) -> PathBuf {
        self.path.join(TOKEN_FILE)
    }

    /// Tells local clients where this host listens.
    pub fn announce(&self, run: &RunInfo) -> Result<(), StateError> {
        let path = self.path.join(RUN_FILE);
        serde_json::to_vec_pretty(run)
            .map_err(io::Error::from)
            .and_then(|text| replace(&path, &text))
            .map_err(|error| StateError::Io { path, error })
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        // Whoever finds a stale one sees that nobody listens there.
        let _ = fs::remove_file(self.path.join(RUN_FILE));
    }
}

fn lock(dir: &Path) -> Result<File, StateError> {
    let path = dir.join("lock");
    let failed = |error| StateError::Io {
        path: path.clone(),
        error,
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.take(20).read_to_string(&mut pid);
            return Err(StateError::InUse {
                dir: dir.to_owned(),
                pid: pid.trim().to_owned(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(failed)?;
    Ok(file)
}

/// The secret in the file, in hexadecimal, made if there is none.
fn secret(path: &Path) -> io::Result<[u8; SECRET_BYTES]> {
    match fs::read_to_string(path) {
        Ok(text) => {
            fs::set_permissions(path, Permissions::from_mode(0o600))?;
            parse_hex(text.trim()).ok_or_else(|| {
                let message = "is damaged: restore it, or remove it to have a new one made";
                io::Error::new(io::ErrorKind::InvalidData, message)
            })
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let mut random = [0; SECRET_BYTES];
            getrandom::fill(&mut random).map_err(io::Error::other)?;
            replace(path, format!("{}\n", hex(&random)).as_bytes())?;
            Ok(random)
        }
        Err(e) => Err(e),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn parse_hex(text: &str) -> Option<[u8; SECRET_BYTES]> {
    let mut bytes = [0; SECRET_BYTES];
    if text.len() != 2 * SECRET_BYTES {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Writes a file of mode 0600 that is either the old one or complete.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let _ = fs::remove_file(&temporary);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_host_is_refused_by_the_name_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateDir::take(dir.path()).unwrap();
        let error = StateDir::take(dir.path()).err().unwrap().to_string();
        assert!(
            error.contains(&format!("pid {}", std::process::id())),
            "{error}"
        );
        assert!(error.contains("--state-dir"), "{error}");
        drop(first);
        StateDir::take(dir.path()).unwrap();
    }

    #[test]
    fn the_token_is_private_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let first = StateDir::take(&path).unwrap();
        let (token, key) = (first.token().to_owned(), first.handle_key());
        let boot = first.boot_id();
        assert_eq!(token.len(), 64);
        assert_eq!(
            first.token_file().metadata().unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        drop(first);
        let second = StateDir::take(&path).unwrap();
        assert_eq!((second.token(), second.handle_key()), (token.as_str(), key));
        assert_ne!(second.boot_id(), boot);
    }

    #[test]
    fn a_damaged_secret_is_named_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("handle-key"), "short").unwrap();
        let error = StateDir::take(dir.path()).err().unwrap().to_string();
        assert!(error.contains("handle-key: is damaged"), "{error}");
        assert_eq!(
            fs::read_to_string(dir.path().join("handle-key")).unwrap(),
            "short"
        );
    }

    #[test]
    fn what_is_announced_is_withdrawn_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::take(dir.path()).unwrap();
        let run = RunInfo {
            pid: 1,
            version: "1".to_owned(),
            api: "127.0.0.1:1".parse().unwrap(),
            metrics: None,
            token_file: state.token_file(),
        };
        state.announce(&run).unwrap();
        let text = fs::read(dir.path().join(RUN_FILE)).unwrap();
        assert_eq!(serde_json::from_slice::<RunInfo>(&text).unwrap(), run);
        drop(state);
        assert!(!dir.path().join(RUN_FILE).exists());
    }
}
