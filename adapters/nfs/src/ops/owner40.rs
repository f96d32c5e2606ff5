//! Operations of a 4.0 owner: one after another, and answered again when they are sent again.
//! <https://www.rfc-editor.org/rfc/rfc7530#section-9.1.7>
//!
//! In 4.1 sessions do this, and nothing here keeps anything.

use bytes::Bytes;

use crate::compound::{Cx, OpError};
use crate::exports::FileKey;
use crate::state::files::{Cached, Owner, OwnerSeq, Step, Turn};
use crate::status::Status;
use crate::turn;
use crate::types::{Minor, StateId};
use crate::xdr::{Encode, Writer};

use super::io;

/// The result of an operation that may be a repetition.
#[derive(Debug)]
pub enum Answer<T> {
    /// Done now.
    New(T),
    /// The encoded body of the first time.
    Again(Bytes),
}

impl<T: Encode> Encode for Answer<T> {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::New(body) => writer.write(body),
            Self::Again(body) => writer.raw(body),
        }
    }
}

/// A refusal, with its body encoded, so that it can be repeated.
#[derive(Debug)]
pub struct Refused {
    status: Status,
    body: Bytes,
}

impl Refused {
    /// A refusal with a body.
    pub fn with_body(status: Status, body: &impl Encode) -> Self {
        Self {
            status,
            body: encoded(body),
        }
    }
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Self {
            status,
            body: Bytes::new(),
        }
    }
}

impl OpError for Refused {
    fn status(&self) -> Status {
        self.status
    }

    fn encode_body(&self, writer: &mut Writer) {
        writer.raw(&self.body);
    }
}

/// The right to run an owner's next operation.
pub enum Running {
    /// 4.1: there is no owner's sequence.
    Unnumbered,
    /// 4.0: nobody else runs one of this owner's operations meanwhile.
    Numbered(turn::Turn<OwnerSeq>, Step),
}

/// What to do with an operation.
pub enum Entered {
    /// Run it, and [`finish`](Running::finish).
    Run(Running),
    /// It was run: answer this.
    Replay(Cached),
}

/// Waits for the owner's turn and judges the sequence number.
pub async fn enter(cx: &Cx, owner: &Owner, step: Step) -> Result<Entered, Status> {
    if cx.minor() != Minor::V40 {
        return Ok(Entered::Run(Running::Unnumbered));
    }
    let guard = lock(cx, owner).await?;
    // An owner that is not confirmed may begin anew (RFC 7530 §16.18.5); its OPEN sees to that.
    Ok(match guard.turn(step)? {
        Turn::Run => Entered::Run(Running::Numbered(guard, step)),
        Turn::Replay(cached) => Entered::Replay(cached),
    })
}

/// As [`enter`], for the owner of an open or lock.
pub async fn enter_by(cx: &Cx, stateid: &StateId, step: Step) -> Result<Entered, Status> {
    if cx.minor() != Minor::V40 {
        return Ok(Entered::Run(Running::Unnumbered));
    }
    let owner = cx.server.state.files.owner_of(io::caller(cx), stateid)?;
    io::renew_by(cx, owner.client)?;
    enter(cx, &owner, step).await
}

/// The owner's sequence, once nobody else runs an operation of it.
pub async fn lock(cx: &Cx, owner: &Owner) -> Result<turn::Turn<OwnerSeq>, Status> {
    let settings = &cx.settings;
    let files = &cx.server.state.files;
    let sequence = files.owners.sequence(
        owner,
        cx.now,
        settings.lease(),
        settings.max_opens_per_client as usize,
        |owner| files.has_owner(owner),
    )?;
    Ok(sequence.take().await)
}

impl Running {
    /// Keeps the result for a repetition, with the file that it made the current one.
    pub fn finish<T: Encode>(
        self,
        result: Result<T, Refused>,
        current: Option<FileKey>,
    ) -> Result<Answer<T>, Refused> {
        self.note(&result, current);
        result.map(Answer::New)
    }

    /// Keeps the result for a repetition.
    pub fn note<T: Encode>(self, result: &Result<T, Refused>, current: Option<FileKey>) {
        if let Self::Numbered(mut guard, step) = self {
            guard.finish(step, cached(result, current));
        }
    }
}

/// A result as it is kept.
fn cached<T: Encode>(result: &Result<T, Refused>, current: Option<FileKey>) -> Cached {
    match result {
        Ok(body) => Cached {
            status: Status::Ok,
            body: encoded(body),
            current,
        },
        Err(refused) => Cached {
            status: refused.status,
            body: refused.body.clone(),
            current: None,
        },
    }
}

/// The result that was kept.
pub fn replay<T>(cached: Cached) -> Result<Answer<T>, Refused> {
    match cached.status {
        Status::Ok => Ok(Answer::Again(cached.body)),
        status => Err(Refused {
            status,
            body: cached.body,
        }),
    }
}

fn encoded(body: &impl Encode) -> Bytes {
    let mut writer = Writer::default();
    writer.write(body);
    Bytes::copy_from_slice(writer.as_slice())
}
