//! COPY: copies a range of the saved file into the current one.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-15.2>
//!
//! Bytes are copied in their order, and up to `copy_threshold` of them before the answer; so either
//! requirement of a client can be met. More are copied in the background, if the client lets them and can be told
//! of the end; if not, the count in the answer says how far it is. What is copied is stable after COMMIT.

mod args;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use dittofs_sdk::vfs::{Attr, OpenAccess};

use super::io::{self, Usable};
use super::regular;
use super::write::Stable;
use crate::compound::{Cx, Operation};
use crate::copies::{self, Side, Transfer, Warrant};
use crate::delegations::{self, Reason};
use crate::exports::ShareObject;
use crate::metrics::CopyEnd;
use crate::state::copies::{Order, Place};
use crate::state::files::Touch;
use crate::status::Status;
use crate::types::{StateId, Verifier};
use crate::xdr::xdr_struct;

pub use args::{Args, Location};

/// Its number.
pub const NUMBER: u32 = 60;

xdr_struct! {
    /// COPY4resok
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Ok {
        /// What the copy in the background is called, if there is one.
        pub stateid: Option<StateId>,
        /// Bytes copied; none yet in the background.
        pub count: u64,
        /// How safe they are.
        pub committed: Stable,
        /// Changes when unstable data may have been lost.
        pub verifier: Verifier,
        /// Whether the bytes are copied in their order.
        pub consecutive: bool,
        /// Whether the answer is the end of it.
        pub synchronous: bool,
    } => encode
}

/// Two regular files, and as whom they are used.
struct Pair {
    source: (ShareObject, Attr),
    target: (ShareObject, Attr),
}

/// The files, open for this use.
struct Opened {
    source: Usable,
    target: Usable,
    source_warrant: Warrant,
    target_warrant: Warrant,
}

impl Operation for Args {
    type Ok = Ok;
    type Err = Status;

    async fn run(self, cx: &mut Cx) -> Result<Ok, Status> {
        if !self.servers.is_empty() {
            // Files are copied from no other server; the client may still copy by itself (RFC 7862 §11.1.2.1).
            return Err(Status::OffloadDenied);
        }
        let pair = pair(cx).await?;
        let opened = open(cx, &self, &pair).await?;
        let total = total(&self, &pair, opened.source.attr().await?.size)?;
        if !self.synchronous
            && total > cx.settings.copy_threshold
            && let Some(ok) = in_background(cx, &self, &pair, &opened, total).await?
        {
            return Ok(ok);
        }
        let copy = copy(&self, &pair, &opened, total);
        let count = at_once(cx, copy, total).await?;
        Ok(Ok {
            stateid: None,
            count,
            synchronous: true,
            ..Ok::begun(cx)
        })
    }
}

impl Ok {
    fn begun(cx: &Cx) -> Self {
        Self {
            stateid: None,
            count: 0,
            committed: Stable::Unstable,
            verifier: cx.server.identity.write_verifier,
            consecutive: true,
            synchronous: false,
        }
    }
}

/// The saved and the current file: two of them, and regular ones.
async fn pair(cx: &Cx) -> Result<Pair, Status> {
    let pair = Pair {
        source: regular::file(cx.saved_object()?).await?,
        target: regular::file(cx.object()?).await?,
    };
    pair.target.0.writable()?;
    if pair.source.0.key() == pair.target.0.key() {
        return Err(Status::Inval);
    }
    Ok(pair)
}

/// The open files that READ and WRITE would use.
async fn open(cx: &mut Cx, args: &Args, pair: &Pair) -> Result<Opened, Status> {
    // The saved file's current stateid is the saved one.
    let source = match args.source {
        StateId::CURRENT => cx.saved_stateid.ok_or(Status::BadStateid)?,
        other => other,
    };
    let target = io::actual(cx, args.target)?;
    let (read, write) = (OpenAccess::Read, OpenAccess::Write);
    let reason = Reason::ReadWrite;
    Ok(Opened {
        source: io::file_of(cx, &pair.source.0, source, read, reason).await?,
        target: io::file_of(cx, &pair.target.0, target, write, reason).await?,
        source_warrant: warrant(cx, source, read)?,
        target_warrant: warrant(cx, target, write)?,
    })
}

/// What a stateid that is good stands for.
fn warrant(cx: &Cx, stateid: StateId, access: OpenAccess) -> Result<Warrant, Status> {
    Ok(match stateid {
        StateId::READ_BYPASS if !access.writes() => Warrant::Bypass,
        StateId::READ_BYPASS | StateId::ANONYMOUS => Warrant::Undenied,
        _ => Warrant::State(cx.session()?.client().id),
    })
}

/// How many bytes are to be copied of a source of this size.
fn total(args: &Args, pair: &Pair, size: u64) -> Result<u64, Status> {
    let rest = size.checked_sub(args.source_offset).ok_or(Status::Inval)?;
    let total = if args.count == 0 { rest } else { args.count };
    if total > rest {
        return Err(Status::Inval);
    }
    let largest = pair.target.0.share.fs.info().max_file_size;
    match args.target_offset.checked_add(total) {
        Some(end) if end <= largest => Ok(total),
        _ => Err(Status::Fbig),
    }
}

fn copy(args: &Args, pair: &Pair, opened: &Opened, total: u64) -> Transfer {
    let source = Side {
        key: pair.source.0.key(),
        file: Arc::clone(&opened.source),
        warrant: opened.source_warrant,
        offset: args.source_offset,
    };
    let target = Side {
        key: pair.target.0.key(),
        file: Arc::clone(&opened.target),
        warrant: opened.target_warrant,
        offset: args.target_offset,
    };
    Transfer::new(source, target, total)
}

/// Copies as much as is copied before the answer. What was copied before a failure counts
/// (RFC 7862 §15.2.3); the client finds the failure when it asks for the rest.
async fn at_once(cx: &Cx, mut copy: Transfer, total: u64) -> Result<u64, Status> {
    let most = total.min(cx.settings.copy_threshold);
    let (mut count, mut end) = (0, Ok(()));
    while count < most {
        match copy.step(&cx.server, most - count).await {
            Ok(0) => break,
            Ok(copied) => count += copied,
            Err(status) => {
                end = Err(status);
                break;
            }
        }
        // A file system that never waits must not keep others from being served.
        tokio::task::yield_now().await;
    }
    let counted = end.map_or(CopyEnd::Failed, |()| CopyEnd::Completed);
    cx.server.metrics.copies.at_once(counted);
    match end {
        Err(status) if count == 0 => Err(status),
        _ => Ok(count),
    }
}

/// Has the copy go on in the background; None if the client could not be told of its end, or there are enough.
async fn in_background(
    cx: &Cx,
    args: &Args,
    pair: &Pair,
    opened: &Opened,
    total: u64,
) -> Result<Option<Ok>, Status> {
    let session = cx.session()?;
    if !cx.server.callbacks.reaches(session.client()) {
        return Ok(None);
    }
    // Nobody gets a delegation of the target as long as the copy may write.
    let target = pair.target.0.key();
    let access = delegations::Access::new(cx, target, Touch::Change, Reason::ReadWrite);
    let hold = delegations::clear_for_long(cx, access).await?;
    let order = Order {
        client: session.client().id,
        user: pair.target.0.cred.uid,
        source: place(&pair.source),
        target: place(&pair.target),
        total,
    };
    let copies = &cx.server.state.copies;
    let Some(job) = copies.begin(order, cx.now, cx.settings.copy_bound()) else {
        return Ok(None);
    };
    let ok = Ok {
        stateid: Some(job.stateid),
        ..Ok::begun(cx)
    };
    let request = copies::Request {
        place: session.request,
        replied: cx.call.connection.link.line.after_reply(cx.call.xid),
    };
    let copy = copy(args, pair, opened, total);
    copies::begin(&cx.server, job, copy, hold, request);
    Ok(Some(ok))
}

fn place((object, attr): &(ShareObject, Attr)) -> Place {
    Place {
        key: object.key(),
        share: object.share.name.as_str().into(),
        fileid: attr.fileid,
    }
}
