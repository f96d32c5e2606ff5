//! pynfs's `--serverhelper`: a program that restarts the server, or changes a file of the share where no client sees it.
//!
//! The program is the runner itself, started again with the words that pynfs has for it. It hands them to the runner that
//! waits at a socket, and returns when that has done it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use parking_lot::Mutex;

use crate::Dittofs;

/// What changes behind the server's back is noticed a moment later, and pynfs looks at once.
const NOTICE: Duration = Duration::from_secs(2);

/// Where the words of helpers arrive; each is done on a thread that ends with the process.
pub struct Desk {
    server: Weak<Mutex<Dittofs>>,
    share: PathBuf,
}

impl Desk {
    /// Restarts `server` and changes files of `share`, exported as `/export`, for whoever writes to `socket`.
    pub fn open(server: &Arc<Mutex<Dittofs>>, share: PathBuf, socket: &Path) -> Result<()> {
        let listener = UnixListener::bind(socket)?;
        let server = Arc::downgrade(server);
        let desk = Self { server, share };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // Who hung up does not wait for the answer.
                let _ = desk.serve(stream);
            }
        });
        Ok(())
    }

    fn serve(&self, mut stream: UnixStream) -> Result<()> {
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line)?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match self.act(&words) {
            Ok(()) => {
                std::thread::sleep(NOTICE);
                String::new()
            }
            Err(error) => format!("{line}: {error:#}\n"),
        };
        Ok(stream.write_all(answer.as_bytes())?)
    }

    fn act(&self, words: &[&str]) -> Result<()> {
        match words {
            ["reboot"] => {
                let server = self.server.upgrade().context("no server any more")?;
                server.lock().crash_and_restart()
            }
            ["unlink", path] => Ok(std::fs::remove_file(self.file(path)?)?),
            ["rename", from, to] => Ok(std::fs::rename(self.file(from)?, self.file(to)?)?),
            ["link", from, to] => Ok(std::fs::hard_link(self.file(from)?, self.file(to)?)?),
            ["chmod", mode, path] => {
                let mode = u32::from_str_radix(mode, 8)?;
                let permissions = std::fs::Permissions::from_mode(mode);
                Ok(std::fs::set_permissions(self.file(path)?, permissions)?)
            }
            _ => bail!("nobody knows how"),
        }
    }

    /// What a client knows as `path`.
    fn file(&self, path: &str) -> Result<PathBuf> {
        let inside = Path::new(path)
            .strip_prefix("/export")
            .context("not in the share")?;
        Ok(self.share.join(inside))
    }
}

/// What the program that pynfs calls does: has `words` done by the runner at `socket`.
pub fn ask(socket: &Path, words: &[String]) -> Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    writeln!(stream, "{}", words.join(" "))?;
    stream.shutdown(Shutdown::Write)?;
    let mut complaint = String::new();
    stream.read_to_string(&mut complaint)?;
    ensure!(complaint.is_empty(), "{}", complaint.trim());
    Ok(())
}
