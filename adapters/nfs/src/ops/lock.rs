//! LOCK: locks a range of bytes.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.10>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-16.10>

use super::courtesy::{Obstacle, past_silent};
use super::io;
use super::open::OwnerArg;
use super::owner40::{self, Answer, Entered, Refused, Running};
use super::reclaim;
use crate::compound::{Cx, OpError, Operation};
use crate::exports::FileKey;
use crate::state::files::{
    Conflict, LockError, LockKind, LockRequest, Numbered, Owner, Range, Role, Step, Turn, Waits,
};
use crate::status::Status;
use crate::types::{ClientId, Minor, OPAQUE_MAX, StateId};
use crate::xdr::{BadXdr, Decode, Encode, Reader, Writer, xdr_struct};

xdr_struct! {
    /// LOCK4args
    #[derive(Debug)]
    pub struct Args {
        /// For what.
        pub kind: KindArg,
        /// Whether the lock was held before the server's restart.
        pub reclaim: bool,
        /// First byte.
        pub offset: u64,
        /// Number of bytes; all ones for all that follow.
        pub length: u64,
        /// Who locks.
        pub locker: Locker,
    } => decode
}

/// nfs_lock_type4. The kinds that wait (READW_LT, WRITEW_LT) are answered at once: the client asks
/// again, as it must be ready to (RFC 8881 §18.10.3), and keeps its place meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindArg {
    /// For what.
    pub kind: LockKind,
    /// Whether the client will ask again.
    pub blocking: bool,
}

/// locker4
#[derive(Debug)]
pub enum Locker {
    /// open_to_lock_owner4: an owner without locks of this file.
    First {
        /// Number in the open owner's sequence (4.0).
        open_seqid: u32,
        /// The open that the locks are to belong to.
        open: StateId,
        /// Number in the lock owner's sequence (4.0).
        lock_seqid: u32,
        /// The lock owner.
        owner: OwnerArg,
    },
    /// exist_lock_owner4: an owner with locks of this file.
    More {
        /// Its locks.
        stateid: StateId,
        /// Number in its sequence (4.0).
        seqid: u32,
    },
}

/// LOCK4denied: the lock that stands in the way.
#[derive(Debug)]
pub struct Denied(pub Conflict);

impl Operation for Args {
    type Ok = Answer<StateId>;
    type Err = Refused;

    async fn run(self, cx: &mut Cx) -> Result<Answer<StateId>, Refused> {
        let (stateid, seqid) = match &self.locker {
            Locker::First {
                open, open_seqid, ..
            } => (open, open_seqid),
            Locker::More { stateid, seqid } => (stateid, seqid),
        };
        let stateid = io::actual(cx, *stateid)?;
        let step = Step {
            op: Numbered::Lock,
            seqid: *seqid,
        };
        match owner40::enter_by(cx, &stateid, step).await? {
            Entered::Replay(cached) => owner40::replay(cached),
            Entered::Run(running) => {
                let result = self.lock(cx, &stateid).await;
                let status = result.as_ref().map_or_else(OpError::status, |_| Status::Ok);
                cx.server.metrics.locks.asked(status);
                if let Ok(stateid) = &result {
                    cx.current_stateid = Some(*stateid);
                }
                running.finish(result, None)
            }
        }
    }

    fn reply_room(&self) -> usize {
        // LOCK4denied with the longest owner is larger than a stateid.
        8 + 8 + 4 + 8 + 4 + OPAQUE_MAX
    }
}

impl Args {
    /// A client that can be called is told when it may have the lock.
    fn waits(&self, cx: &Cx) -> Result<Waits, Status> {
        let client = cx.session_client().filter(|_| self.kind.blocking);
        let told = client.is_some_and(|client| cx.server.callbacks.reaches(client));
        Ok(Waits {
            blocking: self.kind.blocking,
            now: cx.now,
            lease: cx.settings.lease(),
            tell: told.then_some(cx.object()?.file_handle()),
        })
    }

    async fn lock(&self, cx: &Cx, stateid: &StateId) -> Result<StateId, Refused> {
        let request = LockRequest {
            range: Range::new(self.offset, self.length)?,
            kind: self.kind.kind,
            limit: cx.settings.lock_bound(),
            waits: self.waits(cx)?,
        };
        let key = cx.share_object(Status::BadStateid)?.key();
        if !self.reclaim {
            reclaim::may_get_new(cx)?;
        }
        match &self.locker {
            Locker::First {
                lock_seqid, owner, ..
            } => {
                let client = io::client_of(cx, owner.client)?;
                let owner = owner.owner(client, Role::Lock);
                let running = enter_as_locker(cx, &owner, *lock_seqid).await?;
                let files = &cx.server.state.files;
                let attempt = || files.lock_first(io::caller(cx), stateid, &key, &owner, request);
                let result = self.granted(cx, attempt, &key, &owner, request).await;
                running.note(&result, None);
                result
            }
            Locker::More { .. } => {
                let files = &cx.server.state.files;
                let owner = files.owner_of(io::caller(cx), stateid)?;
                let attempt = || files.lock_more(io::caller(cx), stateid, &key, request);
                self.granted(cx, attempt, &key, &owner, request).await
            }
        }
    }

    /// Takes the lock: a new one unless a client that is not silent stands against it, an old one as it
    /// was.
    async fn granted(
        &self,
        cx: &Cx,
        attempt: impl Fn() -> Result<StateId, LockError>,
        key: &FileKey,
        owner: &Owner,
        request: LockRequest,
    ) -> Result<StateId, Refused> {
        if self.reclaim {
            reclaim::may_reclaim(cx, owner.client)?;
            let locked = attempt().map_err(|error| match error {
                LockError::Denied(_) => reclaim::conflict(Status::Denied),
                LockError::Status(status) => status,
            });
            let status = locked.err().unwrap_or(Status::Ok);
            cx.server.metrics.grace.asked(status);
            return locked.map_err(Refused::from);
        }
        let obstacle = |error: &LockError| obstacle(cx, error, key, owner, request);
        let granted = past_silent(cx, attempt, obstacle).await;
        granted.map_err(Refused::from)
    }
}

/// What a lock was refused for.
fn obstacle(
    cx: &Cx,
    error: &LockError,
    key: &FileKey,
    owner: &Owner,
    request: LockRequest,
) -> Obstacle {
    let files = &cx.server.state.files;
    match error {
        LockError::Denied(conflict) => {
            let (client, lease) = (conflict.owner.client, cx.settings.lease());
            if cx.server.state.is_silent_id(client, cx.now, lease) {
                Obstacle::Rivals(files.lock_rivals(key, owner, request.range, request.kind))
            } else {
                Obstacle::Other
            }
        }
        LockError::Status(_) if files.ranges_exhausted(request.limit.all) => Obstacle::Full,
        LockError::Status(_) => Obstacle::Other,
    }
}

/// The lock owner's own sequence. One without locks begins anew with whatever number it gives; one
/// with locks of other files goes on. A repetition was recognised in the open owner's sequence.
async fn enter_as_locker(cx: &Cx, owner: &Owner, seqid: u32) -> Result<Running, Status> {
    if cx.minor() != Minor::V40 {
        return Ok(Running::Unnumbered);
    }
    let guard = owner40::lock(cx, owner).await?;
    let known = cx.server.state.files.has_owner(owner);
    let step = Step {
        op: Numbered::Lock,
        seqid,
    };
    if known && !matches!(guard.turn(step), Ok(Turn::Run)) {
        return Err(Status::BadSeqid);
    }
    Ok(Running::Numbered(guard, step))
}

impl From<LockError> for Refused {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Denied(conflict) => Self::with_body(Status::Denied, &Denied(conflict)),
            LockError::Status(status) => status.into(),
        }
    }
}

impl Decode for KindArg {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        let (kind, blocking) = match reader.read::<u32>()? {
            1 => (LockKind::Read, false),
            2 => (LockKind::Write, false),
            3 => (LockKind::Read, true),
            4 => (LockKind::Write, true),
            _ => return Err(BadXdr),
        };
        Ok(Self { kind, blocking })
    }
}

impl Decode for Locker {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        Ok(if reader.read()? {
            Self::First {
                open_seqid: reader.read()?,
                open: reader.read()?,
                lock_seqid: reader.read()?,
                owner: reader.read()?,
            }
        } else {
            Self::More {
                stateid: reader.read()?,
                seqid: reader.read()?,
            }
        })
    }
}

impl Encode for Denied {
    fn encode(&self, writer: &mut Writer) {
        let Self(Conflict { range, kind, owner }) = self;
        let ClientId(client) = owner.client;
        writer.write(&range.offset());
        writer.write(&range.length());
        writer.write(match kind {
            LockKind::Read => &1_u32,
            LockKind::Write => &2_u32,
        });
        writer.write(&client);
        writer.opaque(&owner.name);
    }
}
