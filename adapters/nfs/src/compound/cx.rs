//! What an operation sees and changes while its COMPOUND runs.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::Guard;
use dittofs_sdk::vfs::{Attr, Handle};

use crate::exports::{Object, ShareObject};
use crate::metrics::Stopwatch;
use crate::near::Near;
use crate::rpc::Call;
use crate::server::Server;
use crate::settings::Settings;
use crate::state::{Client, InSession};
use crate::status::Status;
use crate::types::{ClientId, Minor, StateId};
use crate::xdr::{Decode, Encode, Writer};

/// One operation: its arguments, and what it does. The file under `ops/` that holds it has
/// the wire types, the code and the tests, and cites its section.
pub trait Operation: Decode + Send {
    /// Body of a successful result.
    type Ok: Encode + Send;
    /// Refusal; [`Status`] unless the RFC gives the refusal a body.
    type Err: OpError + From<Status> + Send;

    /// An upper bound of the encoded size of the result body, in bytes. Checked against the room
    /// that the session leaves before anything is changed (RFC 8881 §2.10.6.4).
    fn reply_room(&self) -> usize {
        128
    }

    /// Does it.
    fn run(self, cx: &mut Cx) -> impl Future<Output = Result<Self::Ok, Self::Err>> + Send;
}

/// Bytes of the largest result of an operation that is refused without having run: number, status,
/// and the empty bitmap of SETATTR. Every operation leaves that much for the one after it, so
/// that a refusal always fits.
pub const REFUSAL_MAX: usize = 12;

/// A refusal, with the body that a few operations add to the status.
pub trait OpError {
    /// The status; never [`Status::Ok`].
    fn status(&self) -> Status;
    /// Appends the body that follows the status.
    fn encode_body(&self, writer: &mut Writer) {
        let _ = writer;
    }
}

impl OpError for Status {
    fn status(&self) -> Status {
        *self
    }
}

/// What the minor version, and SEQUENCE, make of a COMPOUND.
pub enum Mode {
    /// 4.0: state belongs to owners with sequence numbers.
    V40,
    /// 4.1 or later, without a session.
    Lone(Minor),
    /// 4.1 or later, after SEQUENCE.
    Session(InSession),
}

/// The context of one running COMPOUND.
pub struct Cx {
    /// The server.
    pub server: Near<Server>,
    /// The settings in force when the COMPOUND started; all of it uses them.
    pub settings: Guard<Arc<Settings>>,
    /// Who calls, over which connection.
    pub call: Call,
    /// The minor version's part.
    pub mode: Mode,
    /// The time at which the COMPOUND started; all of its lease and state decisions use it.
    pub now: Instant,
    /// The current file handle, resolved and checked against the export's rules.
    pub current: Option<Object>,
    /// Its attributes, if an operation has read them anyhow and those after it have only looked
    /// ([`Flags::LOOKS`](crate::table::Flags::LOOKS)), for a GETATTR. Nothing holds others off while a COMPOUND runs, and no reply has told of what it
    /// has read before it ends: what was so at any time since it began is as right as what is so now. Not
    /// if a client might change files without telling by then: what it has told since, it may have done before.
    pub seen: Option<Attr>,
    /// The saved file handle.
    pub saved: Option<Object>,
    /// The current stateid (RFC 8881 §16.2.3.1.2); 4.0 has none.
    pub current_stateid: Option<StateId>,
    /// Saved and restored with the file handle.
    pub saved_stateid: Option<StateId>,
    /// Where results are encoded.
    pub reply: Writer,
    /// How many bytes the whole COMPOUND result may have.
    pub reply_limit: usize,
    /// Measures the operations.
    pub stopwatch: Stopwatch,
    /// Whether the operation that runs is the last of its COMPOUND.
    pub is_last: bool,
    /// The 4.0 client that an operation of this COMPOUND has shown to be the caller.
    pub shown: Option<ClientId>,
}

impl Cx {
    /// The minor version.
    pub fn minor(&self) -> Minor {
        match &self.mode {
            Mode::V40 => Minor::V40,
            Mode::Lone(minor) => *minor,
            Mode::Session(session) => session.session.minor,
        }
    }

    /// The session that SEQUENCE established.
    pub fn session(&self) -> Result<&InSession, Status> {
        match &self.mode {
            Mode::Session(session) => Ok(session),
            Mode::V40 | Mode::Lone(_) => Err(Status::OpNotInSession),
        }
    }

    /// The client of the session; in 4.0 operations name their client instead.
    pub fn session_client(&self) -> Option<&Arc<Client>> {
        match &self.mode {
            Mode::Session(session) => Some(session.client()),
            Mode::V40 | Mode::Lone(_) => None,
        }
    }

    /// An operation has shown whom the COMPOUND comes from.
    pub fn show(&mut self, client: ClientId) {
        self.shown = Some(client);
        if let Mode::V40 = self.mode {
            self.call.connection.users.note(client);
        }
    }

    /// Whom the COMPOUND most likely comes from. Good for what only asks: to be wrong costs an answer
    /// its freshness, not anybody's data.
    pub fn likely_client(&self) -> Option<ClientId> {
        self.client().or_else(|| self.call.connection.users.only())
    }

    /// Whom the COMPOUND comes from, as far as that is known: most operations of 4.0 do not say.
    pub fn client(&self) -> Option<ClientId> {
        self.session_client().map(|client| client.id).or(self.shown)
    }

    /// The object of the current file handle.
    pub fn object(&self) -> Result<&Object, Status> {
        self.current.as_ref().ok_or(Status::Nofilehandle)
    }

    /// The object of the saved file handle. Its lack is NFS4ERR_NOFILEHANDLE for all but
    /// RESTOREFH.
    pub fn saved_object(&self) -> Result<&Object, Status> {
        self.saved.as_ref().ok_or(Status::Nofilehandle)
    }

    /// The current object if it lies in a share; `otherwise` for the pseudo file system.
    pub fn share_object(&self, otherwise: Status) -> Result<&ShareObject, Status> {
        match self.object()? {
            Object::Share(object) => Ok(object),
            Object::Pseudo(_) => Err(otherwise),
        }
    }

    /// The current object, to change something there: NFS4ERR_ROFS in the pseudo file system and
    /// in a share that is exported read-only.
    pub fn writable(&self) -> Result<&ShareObject, Status> {
        self.share_object(Status::Rofs)?.writable()
    }

    /// Makes `object` the current one; the current stateid does not survive that
    /// (RFC 8881 §16.2.3.1.2).
    pub fn set_current(&mut self, object: Object) {
        self.current = Some(object);
        self.seen = None;
        self.current_stateid = None;
    }

    /// Makes another object of the current one's share the current one.
    pub fn enter(&mut self, handle: Handle) -> Result<(), Status> {
        match &mut self.current {
            Some(Object::Share(object)) => object.handle = handle,
            _ => return Err(Status::Nofilehandle),
        }
        self.seen = None;
        self.current_stateid = None;
        Ok(())
    }

    /// Records the result of the operation of this number.
    pub fn record(&mut self, number: u32, status: Status) {
        #[cfg(any(test, feature = "fuzzing"))]
        self.expect_listed(number, status);
        let operations = &self.server.metrics.operations;
        operations.ended(&mut self.stopwatch, number, status);
    }

    /// What the operator blocks is not supported, be it listed or not.
    #[cfg(any(test, feature = "fuzzing"))]
    fn expect_listed(&self, number: u32, status: Status) {
        let row = crate::table::row(number);
        let blocked = row.is_some_and(|row| self.settings.blocks(row.name));
        assert!(
            crate::errors::allows(self.minor(), number, status)
                || blocked && status == Status::Notsupp,
            "{number} of {:?} must not answer {}",
            self.minor(),
            status.name(),
        );
    }

    /// Bytes that the result of this operation may still take.
    pub fn reply_room(&self) -> usize {
        let next = if self.is_last { 0 } else { REFUSAL_MAX };
        let taken = self.reply.position().saturating_add(next);
        self.reply_limit.saturating_sub(taken)
    }

    /// Whether this operation has written more than it might.
    pub fn overflows(&self) -> bool {
        let next = if self.is_last { 0 } else { REFUSAL_MAX };
        self.reply.position().saturating_add(next) > self.reply_limit
    }
}

/// Finishes the result that starts at `start`: status, then body. What the operation
/// itself appended (READ does) stands between them and stays only if it succeeded.
pub fn encode_result<T: Encode, E: OpError>(
    cx: &mut Cx,
    start: usize,
    result: Result<T, E>,
) -> Status {
    // The loop has left room for the status just before `start`.
    let status_at = start.saturating_sub(4);
    match result {
        Ok(body) => {
            cx.reply.write(&body);
            Status::Ok
        }
        Err(error) => {
            cx.reply.truncate(start);
            cx.reply.patch_u32(status_at, error.status() as u32);
            error.encode_body(&mut cx.reply);
            error.status()
        }
    }
}
