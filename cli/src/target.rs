//! Which host is meant, and with which token.
//!
//! The token of this machine's state directory goes to this machine only: never to another
//! address that was named, nor to a port whose host is gone and that somebody else may hold.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::Path;

use dittofs_api::{RUN_FILE, RunInfo, TOKEN_FILE, default_state_dir};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::args::Global;
use crate::error::Error;

/// More than any file of a host that is read here.
const MAX_FILE: u64 = 64 << 10;

/// The host that is meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its address, `http://HOST:PORT`.
    pub(crate) server: String,
    /// What makes us its administrator.
    pub(crate) token: Option<String>,
}

impl Target {
    /// The host that the flags name, or the one that runs on this machine.
    pub(crate) fn find(global: &Global) -> Result<Self, Error> {
        let directory = global.state_dir.clone().or_else(default_state_dir);
        let Some(server) = &global.server else {
            let directory = directory.ok_or_else(|| {
                Error::Usage("no home directory: give --state-dir or --server".to_owned())
            })?;
            return local(&directory, global.token.clone());
        };
        let server = address(server)?;
        let token = global.token.clone().or_else(|| {
            let directory = directory.filter(|_| is_loopback(&server))?;
            token(&directory.join(TOKEN_FILE)).ok()
        });
        Ok(Self { server, token })
    }
}

/// The host that runs with this state directory.
fn local(directory: &Path, given: Option<String>) -> Result<Target, Error> {
    let no_host = |reason: String| Error::NoHost {
        directory: directory.to_owned(),
        reason,
    };
    let text = read(&directory.join(RUN_FILE)).map_err(|error| {
        let missing = error.kind() == io::ErrorKind::NotFound;
        no_host(if missing {
            format!("it has no {RUN_FILE}")
        } else {
            format!("{RUN_FILE}: {error}")
        })
    })?;
    let run: RunInfo =
        serde_json::from_str(&text).map_err(|error| no_host(format!("{RUN_FILE}: {error}")))?;
    if !alive(run.pid) {
        return Err(no_host(format!("process {} is gone", run.pid)));
    }
    let token = given.map_or_else(|| token(&run.token_file), Ok)?;
    Ok(Target {
        server: format!("http://{}", run.api),
        token: Some(token),
    })
}

fn token(file: &Path) -> Result<String, Error> {
    read(file)
        .map(|text| text.trim().to_owned())
        .map_err(|error| {
            let hint = "run dfsctl as the user that runs the host, or give --token";
            Error::Failed(format!(
                "cannot read the token in {}: {error}; {hint}",
                file.display()
            ))
        })
}

fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(MAX_FILE).read_to_string(&mut text)?;
    Ok(text)
}

fn alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // EPERM: it is there and belongs to somebody else.
    pid.is_some_and(|pid| matches!(test_kill_process(pid), Ok(()) | Err(Errno::PERM)))
}

/// The address as `http://HOST:PORT`, from that or from `HOST:PORT`.
fn address(given: &str) -> Result<String, Error> {
    let (scheme, rest) = given.split_once("://").unwrap_or(("http", given));
    let rest = rest.trim_end_matches('/');
    match scheme {
        "http" if !rest.is_empty() && !rest.contains(['/', '?', '#', '@', ' ']) => {
            Ok(format!("http://{rest}"))
        }
        "http" => Err(Error::Usage(format!(
            "--server {given}: must be http://HOST:PORT"
        ))),
        _ => Err(Error::Usage(format!(
            "--server {given}: the host speaks http, so it must be http://HOST:PORT"
        ))),
    }
}

fn is_loopback(server: &str) -> bool {
    let authority = server.strip_prefix("http://").unwrap_or(server);
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => authority.split(':').next(),
    };
    host.is_some_and(|host| {
        host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::args::Format;

    fn global(server: Option<&str>, directory: &Path) -> Global {
        Global {
            server: server.map(str::to_owned),
            token: None,
            state_dir: Some(directory.to_owned()),
            output: Format::Table,
            no_color: false,
            verbose: false,
        }
    }

    fn state(pid: u32) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let token_file: PathBuf = directory.path().join(TOKEN_FILE);
        fs::write(&token_file, "secret\n").unwrap();
        let api = "127.0.0.1:4711".parse().unwrap();
        let run = RunInfo {
            pid,
            version: "0".to_owned(),
            api,
            metrics: None,
            token_file,
        };
        fs::write(
            directory.path().join(RUN_FILE),
            serde_json::to_string(&run).unwrap(),
        )
        .unwrap();
        directory
    }

    #[test]
    fn a_host_on_this_machine_needs_no_login() {
        let state = state(std::process::id());
        let target = Target::find(&global(None, state.path())).unwrap();
        let token = Some("secret".to_owned());
        assert_eq!(
            target,
            Target {
                server: "http://127.0.0.1:4711".to_owned(),
                token
            }
        );
    }

    #[test]
    fn the_local_token_goes_to_no_other_machine() {
        let state = state(std::process::id());
        let token = |server| {
            Target::find(&global(Some(server), state.path()))
                .unwrap()
                .token
        };
        assert_eq!(token("http://127.0.0.2:1"), Some("secret".to_owned()));
        assert_eq!(token("[::1]:1"), Some("secret".to_owned()));
        for other in [
            "http://192.0.2.1:1",
            "example.org:1",
            "127.0.0.1.example.org:1",
            "localhost.example.org",
        ] {
            assert_eq!(token(other), None, "{other}");
        }
    }

    #[test]
    fn the_local_token_does_not_go_to_the_port_of_a_host_that_is_gone() {
        let state = state(i32::MAX as u32);
        let error = Target::find(&global(None, state.path()))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("is gone") && error.contains("dittofs serve"),
            "{error}"
        );
    }

    #[test]
    fn without_a_host_the_directory_is_named() {
        let empty = tempfile::tempdir().unwrap();
        let error = Target::find(&global(None, empty.path()))
            .unwrap_err()
            .to_string();
        let directory = empty.path().display().to_string();
        assert!(
            error.contains(&directory) && error.contains("dittofs serve"),
            "{error}"
        );
    }

    #[test]
    fn an_address_is_http_with_a_host_only() {
        assert_eq!(address("127.0.0.1:80").unwrap(), "http://127.0.0.1:80");
        assert_eq!(address("http://h:80/").unwrap(), "http://h:80");
        for bad in ["https://h", "http://", "http://h/x", "", "http://u@h"] {
            assert!(matches!(address(bad), Err(Error::Usage(_))), "{bad}");
        }
    }
}
