//! Copies within the server: from one open file into another, piece by piece, at once or in the background.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-4.4>
//!
//! What may still be copied is looked at before each piece: an open that is closed or taken away, and a client
//! that is gone, end a copy that goes on under it. Copies in the background take turns, a piece each.

mod background;
mod piece;
mod report;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use dittofs_sdk::vfs::{File, OpenAccess};
use tokio::sync::{Semaphore, watch};

use self::piece::Way;
use crate::exports::FileKey;
use crate::server::Server;
use crate::status::Status;
use crate::types::ClientId;

pub use background::{Request, begin};

/// Pieces of copies in the background that are copied at once.
const AT_ONCE: usize = 4;

/// What copies in the background share.
#[derive(Debug)]
pub struct Copier {
    /// Given in the order in which they are asked for, so that each copy gets its own.
    turns: Semaphore,
    /// Copies in the background that may write yet.
    running: watch::Sender<u32>,
}

impl Default for Copier {
    fn default() -> Self {
        Self {
            turns: Semaphore::new(AT_ONCE),
            running: watch::Sender::new(0),
        }
    }
}

impl Copier {
    /// Resolves when no copy is under way in the background.
    pub async fn none_running(&self) {
        // The sender lives in `self`.
        let _ = self.running.subscribe().wait_for(|&count| count == 0).await;
    }
}

/// One file of a copy.
pub struct Side {
    /// Which one.
    pub key: FileKey,
    /// The same, open.
    pub file: Arc<dyn File>,
    /// What lets it be used.
    pub warrant: Warrant,
    /// Where the next piece begins.
    pub offset: u64,
}

/// What lets a copy use a file, and may be taken away while it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warrant {
    /// That nobody denies it.
    Undenied,
    /// Nothing: it reads past what others deny.
    Bypass,
    /// An open or delegation of the client. Which one does not matter: those come and go as one takes
    /// the other's place.
    State(ClientId),
}

impl Side {
    /// Whether the file may still be used so.
    fn check(&self, server: &Server, access: OpenAccess) -> Result<(), Status> {
        let (files, key) = (&server.state.files, &self.key);
        match self.warrant {
            Warrant::Undenied if files.denies(key, access) => Err(Status::Locked),
            Warrant::State(client) if !files.lets(client, key, access) => Err(Status::BadStateid),
            Warrant::Undenied | Warrant::Bypass | Warrant::State(_) => Ok(()),
        }
    }
}

/// What is yet to be copied from where to where.
pub struct Transfer {
    source: Side,
    target: Side,
    left: u64,
    way: Way,
}

impl Transfer {
    /// A copy of this many bytes.
    pub fn new(source: Side, target: Side, total: u64) -> Self {
        Self {
            source,
            target,
            left: total,
            way: Way::default(),
        }
    }

    /// Copies the next piece, of at most `most` bytes, in the order of the source; its size. It is 0 when
    /// nothing is left, also of a source that was cut meanwhile.
    pub async fn step(&mut self, server: &Server, most: u64) -> Result<u64, Status> {
        let count = self.left.min(most);
        if count == 0 {
            return Ok(0);
        }
        self.source.check(server, OpenAccess::Read)?;
        self.target.check(server, OpenAccess::Write)?;
        let from = (&self.source.file, self.source.offset);
        let to = (&self.target.file, self.target.offset);
        let copied = piece::copy(&mut self.way, from, to, count).await?;
        // More than was asked for is a fault of the file system.
        self.left = self.left.checked_sub(copied).ok_or(Status::Io)?;
        self.source.offset = self.source.offset.saturating_add(copied);
        self.target.offset = self.target.offset.saturating_add(copied);
        server.metrics.copies.bytes.add(copied);
        Ok(copied)
    }
}
