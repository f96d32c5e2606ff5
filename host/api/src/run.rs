//! Where `dfsctl` finds a host on the same machine: the state directory and what is in it.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// In the state directory: the [`RunInfo`] of the host that runs there.
pub const RUN_FILE: &str = "run.json";

/// In the state directory, mode 0600: the administrator's token.
pub const TOKEN_FILE: &str = "admin-token";

/// Where the REST interface listens unless told otherwise.
pub const DEFAULT_API: &str = "127.0.0.1:8080";

/// Where Prometheus finds `/metrics` unless told otherwise.
pub const DEFAULT_METRICS: &str = "127.0.0.1:9090";

/// What a running host leaves in its state directory: [`RUN_FILE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// The address that the REST interface really has.
    pub api: SocketAddr,
    /// The address that `/metrics` really has; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SocketAddr>,
    /// The file with the administrator's token.
    pub token_file: PathBuf,
}

/// The state directory of host and `dfsctl` alike unless one is named: `/var/lib/dittofs` for
/// the superuser, else `dittofs` in `$XDG_STATE_HOME` or `~/.local/state`. `None` without a home.
pub fn default_state_dir() -> Option<PathBuf> {
    state_dir(
        rustix::process::geteuid().is_root(),
        dir("XDG_STATE_HOME"),
        dir("HOME"),
    )
}

/// A variable that names an absolute directory; others are to be ignored (XDG Base Directory).
fn dir(variable: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

fn state_dir(root: bool, state_home: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    if root {
        return Some(Path::new("/var/lib/dittofs").to_owned());
    }
    let state = state_home.or_else(|| home.map(|home| home.join(".local/state")))?;
    Some(state.join("dittofs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_superuser_keeps_state_in_var() {
        assert_eq!(
            state_dir(true, Some("/s".into()), None),
            Some("/var/lib/dittofs".into())
        );
    }

    #[test]
    fn others_keep_state_in_their_state_home() {
        assert_eq!(
            state_dir(false, Some("/s".into()), Some("/h".into())),
            Some("/s/dittofs".into())
        );
        assert_eq!(
            state_dir(false, None, Some("/h".into())),
            Some("/h/.local/state/dittofs".into())
        );
        assert_eq!(state_dir(false, None, None), None);
    }
}
