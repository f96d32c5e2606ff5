//! Callbacks: what the server asks of its clients.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-20>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-15>
//!
//! Who wants something of a client says so with a [`Call`] and gets an [`Answer`] or learns why there
//! is none; over which connection, in which minor version and as whom it is sent is decided here.

use crate::attr::FAttr;
use crate::state::Client;
use crate::status::Status;
use crate::types::{Bitmap, FileHandle, StateId};

/// What the server asks of a client.
#[derive(Debug, Clone)]
pub enum Call {
    /// CB_RECALL: give the delegation back.
    Recall {
        /// The delegation.
        stateid: StateId,
        /// Whether the file is about to be cut to size 0.
        truncate: bool,
        /// The file.
        file: FileHandle,
    },
    /// CB_GETATTR: what size and change counter the client has, who may write without telling.
    GetAttr {
        /// The file.
        file: FileHandle,
        /// The attributes.
        wanted: Bitmap,
    },
}

/// What a client answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// It did it, or will.
    Done,
    /// Attributes.
    Attrs(FAttr),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// There is no way to the client.
    NoPath,
    /// It did not answer in time.
    Timeout,
    /// It refused.
    Refused(Status),
}

/// The ways to the clients.
#[derive(Debug, Default)]
pub struct Callbacks {}

impl Callbacks {
    /// Whether the client could be called when that was last tried.
    pub fn reaches(&self, client: &Client) -> bool {
        let _ = client;
        false
    }

    #[allow(clippy::unused_async)]
    /// Asks the client, and waits for its answer at most as long as `callback_timeout` says.
    pub async fn call(&self, client: &Client, call: &Call) -> Result<Answer, Failure> {
        let _ = (client, call);
        Err(Failure::NoPath)
    }
}
