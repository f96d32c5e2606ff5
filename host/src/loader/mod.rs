//! From adapter directories to loaded libraries.
//!
//! A library that crashes when it is loaded would take the host with it, and one that is replaced
//! in place would too. So a file is never loaded from where it was found: it is copied into
//! the state directory under the name of its content ([`stage`]), that copy is loaded in a
//! child process first ([`check`]), and only then in this one.
//!
//! ```text
//! Found ──stage──▶ Staged ──check──▶ Checked ──load──▶ Plugin
//! ```

mod check;
mod discover;
mod stage;

use std::io;
use std::path::{Path, PathBuf};

use dittofs_sdk::host::{LoadError, Plugin};

pub use check::check_main;
pub use discover::Found;

/// Finds adapters and loads them.
#[derive(Debug, Clone)]
pub struct Loader {
    dirs: Vec<PathBuf>,
    staging: PathBuf,
    checker: PathBuf,
}

impl Loader {
    /// Looks in `dirs`, of which the first that has an adapter of some name wins, and keeps
    /// copies below `state_dir`. Fails if the path of this executable is unknown.
    pub fn new(dirs: Vec<PathBuf>, state_dir: &Path) -> io::Result<Self> {
        Ok(Self {
            dirs,
            staging: state_dir.join("adapters"),
            checker: std::env::current_exe()?,
        })
    }

    /// Checks with this executable instead of the running one. It must hand
    /// `adapter-check FILE` to [`check_main`].
    #[must_use]
    pub fn with_checker(mut self, checker: PathBuf) -> Self {
        self.checker = checker;
        self
    }

    /// Every adapter in the directories as it is now, and every file that looks like one and
    /// isn't. Runs none of their code. Blocks on the disk.
    pub fn discover(&self) -> Vec<Found> {
        discover::discover(&self.dirs)
    }

    /// Loads what was found. Blocks on the disk and on a child process; give it a thread
    /// that may. Content that this process has loaded before is not loaded twice.
    pub fn load(&self, found: &Found) -> Result<Plugin, LoadError> {
        // The file may be another one by now, and its copy will be ours whoever's it is.
        Plugin::manifest_of(&found.path)?;
        stage::stage(&found.path, &self.staging)?
            .check(&self.checker)?
            .load()
    }
}
