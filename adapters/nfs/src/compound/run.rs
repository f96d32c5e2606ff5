//! The one loop that executes operations.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-16.2.3>

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use dittofs_sdk::vfs::Buffer;

use super::{Cx, Mode, Plan, Request};
use crate::delegations;
use crate::errors;
use crate::metrics::Outcome;
use crate::ops::sequence;
use crate::rpc::Call;
use crate::server::Server;
use crate::state::answers::{self, RequestId};
use crate::state::{Begun, SlotGuard};
use crate::status::Status;
use crate::table::{Flags, OP_ILLEGAL, Op, Row};
use crate::turn::Turn;
use crate::types::{ClientId, Minor};
use crate::xdr::Writer;

/// Executes a COMPOUND and appends COMPOUND4res to `reply`.
///
/// What it holds while it runs is as small as can be: it is moved at least once, as a whole.
#[inline]
pub fn serve(
    server: &Arc<Server>,
    call: Call,
    request: Request,
    reply: Buffer,
) -> impl Future<Output = Buffer> + Send + use<> {
    let server = call.connection.server(server);
    let (settings, now) = (server.settings(), server.now());
    let Request {
        tag,
        minor,
        announced,
        ops,
    } = request;
    let minor = Minor::from_number(minor).filter(|minor| settings.accepts(*minor));
    let start = reply.len();
    let mut cx = Cx {
        stopwatch: server.metrics.operations.stopwatch(now),
        server,
        settings,
        call,
        mode: match minor {
            None | Some(Minor::V40) => Mode::V40,
            Some(minor) => Mode::Lone(minor),
        },
        now,
        current: None,
        seen: None,
        saved: None,
        current_stateid: None,
        saved_stateid: None,
        reply: Writer::new(reply),
        reply_limit: usize::MAX,
        is_last: false,
        shown: None,
    };
    let results = Results::begin(&mut cx, &tag);
    // What is moved into a block stays where it is; the arguments of a function would be there twice.
    async move {
        let work = match minor.map(|minor| Plan::new(minor, ops)) {
            None => {
                cx.server.metrics.minor_refused.inc();
                results.finish(&mut cx, Status::MinorVersMismatch, 0);
                None
            }
            Some(plan) => work(&mut cx, &results, plan, announced, start),
        };
        let Some(mut work) = work else {
            return cx.reply.into_buffer();
        };
        if cx.minor() == Minor::V40 {
            if work.ops.as_slice().iter().any(|op| op.has(Flags::ONCE)) {
                match Box::pin(once(&mut cx, start)).await {
                    None => return cx.reply.into_buffer(),
                    Some(keep) => work.keep = keep,
                }
            }
            cx.shown = giver_back(&cx, work.ops.as_slice());
        }
        let mut status = Status::Ok;
        while status == Status::Ok
            && let Some(op) = work.ops.next()
        {
            let begun = begin(&mut cx, &op, work.ops.as_slice());
            status = if let Some(status) = begun.refused {
                status
            } else {
                // Awaited where it is made: it is large.
                let status = pin!(op.run(&mut cx)).await;
                begun.told(&mut cx, status)
            };
            begun.end(&mut cx, status);
            work.count += 1;
        }
        results.finish(&mut cx, status, work.count);
        work.keep
            .keep(cx.reply.as_slice().get(start..).unwrap_or_default());
        cx.reply.into_buffer()
    }
}

/// What there is to run of a plan of which `announced` operations were said to come; nothing if it is answered already.
fn work(
    cx: &mut Cx,
    results: &Results,
    plan: Plan,
    announced: usize,
    start: usize,
) -> Option<Work> {
    match plan {
        Plan::Empty => {
            results.finish(cx, Status::Ok, 0);
            None
        }
        Plan::V40(_) if announced > cx.settings.max_compound_ops() => {
            results.finish(cx, Status::Resource, 0);
            None
        }
        Plan::V40(ops) => {
            cx.reply_limit = cx.settings.reply_limit();
            Some(Work::new(ops))
        }
        Plan::Lone(op) => {
            if op.row().is_some_and(|row| row.number == sequence::NUMBER) {
                cx.server.metrics.sequence.ended(Outcome::BadXdr);
            }
            cx.reply_limit = cx.settings.reply_limit();
            Some(Work::new(vec![op]))
        }
        Plan::Refused(op, status) => {
            refuse(cx, &op, status);
            results.finish(cx, status, 1);
            None
        }
        Plan::Sequenced(args, ops) => sequenced(cx, results, announced, &args, ops, start),
    }
}

/// The operations of a COMPOUND that are to be run.
struct Work {
    ops: std::vec::IntoIter<Op>,
    /// How many results there are.
    count: u32,
    keep: Keep,
}

/// Where the reply is kept.
enum Keep {
    Nowhere,
    /// For a 4.0 client that sends the request again.
    Answer(Turn<Option<Bytes>>),
    /// In the slot.
    Slot(SlotGuard),
}

impl Work {
    fn new(ops: Vec<Op>) -> Self {
        Self {
            ops: ops.into_iter(),
            count: 0,
            keep: Keep::Nowhere,
        }
    }
}

impl Keep {
    fn keep(self, reply: &[u8]) {
        match self {
            Self::Nowhere => {}
            Self::Answer(mut turn) => *turn = answers::kept(reply),
            Self::Slot(slot) => slot.finish(reply),
        }
    }
}

/// A 4.0 COMPOUND that must run once: nothing is to be done if it has run, and then the reply
/// is what it was.
async fn once(cx: &mut Cx, start: usize) -> Option<Keep> {
    let reply = cx.server.state.answers.of((&cx.call).into(), cx.now);
    let taken = reply.take().await;
    if let Some(bytes) = &*taken {
        cx.reply.truncate(start);
        cx.reply.raw(bytes);
        return None;
    }
    Some(Keep::Answer(taken))
}

/// Who gives an open or a delegation back at the end of a 4.0 COMPOUND. Linux asks for the file's attributes before
/// that, and must not be asked for them in turn: it has them no more.
/// `Cx::likely_client` only guesses, and knows nobody where several clients share a connection; a wrong answer here
/// would hold the delegation up until it is revoked.
fn giver_back(cx: &Cx, ops: &[Op]) -> Option<ClientId> {
    if !delegations::are_for_writing(cx) {
        return None;
    }
    let shown = ops.iter().find_map(|op| match op {
        Op::Close(close) => Some(&close.stateid),
        Op::DelegReturn(back) => Some(&back.stateid),
        Op::OpenDowngrade(downgrade) => Some(&downgrade.stateid),
        _ => None,
    });
    cx.server.state.files.client_by(shown?)
}

impl From<&Call> for RequestId {
    fn from(call: &Call) -> Self {
        Self {
            peer: call.peer,
            principal: (&call.auth).into(),
            xid: call.xid,
            digest: call.digest,
        }
    }
}

/// SEQUENCE decides whether the rest is run, replayed or refused (RFC 8881 §2.10.6).
fn sequenced(
    cx: &mut Cx,
    results: &Results,
    announced: usize,
    args: &sequence::Args,
    ops: std::vec::IntoIter<Op>,
    start: usize,
) -> Option<Work> {
    match sequence::begin(cx, announced, start, args) {
        Err(status) => {
            cx.server.metrics.sequence.ended(status.into());
            cx.reply.write(&sequence::NUMBER);
            cx.reply.write(&status);
            cx.record(sequence::NUMBER, status);
            results.finish(cx, status, 1);
            None
        }
        Ok(Begun::Replay(bytes)) => {
            cx.server.metrics.sequence.ended(Outcome::ReplayHit);
            cx.reply.truncate(start);
            cx.reply.raw(&bytes);
            None
        }
        // SEQUENCE itself succeeds; the operation after it carries the news
        // (RFC 8881 §2.10.6.1.3).
        Ok(Begun::Unkept(ok, news)) => {
            cx.server.metrics.sequence.ended(Outcome::RetryUncached);
            succeed(cx, &ok);
            let (status, count) = match ops.as_slice().first() {
                Some(next) => {
                    let status = next.refusal().unwrap_or(news);
                    refuse(cx, next, status);
                    (status, 2)
                }
                None => (Status::Ok, 1),
            };
            results.finish(cx, status, count);
            None
        }
        Ok(Begun::New(slot, session, ok)) => {
            cx.server.metrics.sequence.began();
            cx.reply_limit = start.saturating_add(session.reply_limit);
            cx.mode = Mode::Session(session);
            succeed(cx, &ok);
            Some(Work {
                ops,
                count: 1,
                keep: Keep::Slot(slot),
            })
        }
    }
}

/// An operation whose turn it is.
struct Turned {
    number: u32,
    row: Option<&'static Row>,
    /// Where its result starts.
    start: usize,
    /// Why it is not run.
    refused: Option<Status>,
    #[cfg(any(test, feature = "fuzzing"))]
    most: usize,
}

/// Decides whether an operation is run, `rest` being those after it, and begins its result if so.
fn begin(cx: &mut Cx, op: &Op, rest: &[Op]) -> Turned {
    cx.is_last = rest.is_empty();
    let (row, flags) = (op.row(), op.flags());
    if !flags.contains(Flags::LOOKS) {
        cx.seen = None;
    }
    let begun = Turned {
        number: row.map_or(OP_ILLEGAL, |row| row.number),
        row,
        start: cx.reply.position(),
        refused: refusal(cx, op, (row, flags), rest.first()),
        #[cfg(any(test, feature = "fuzzing"))]
        most: (cx.reply.position() + FRAME).saturating_add(op.reply_room()),
    };
    if begun.refused.is_none() {
        cx.reply.write(&begun.number);
        cx.reply.write(&Status::Ok);
    }
    begun
}

impl Turned {
    /// What is told of an operation that has run, with this status.
    fn told(&self, cx: &mut Cx, status: Status) -> Status {
        #[cfg(any(test, feature = "fuzzing"))]
        assert!(
            cx.reply.position() <= self.most,
            "{:?} said it needs less",
            self.row
        );
        // Only what changes nothing may find out this late; the others were refused.
        let told = if cx.overflows() {
            cx.too_big()
        } else {
            errors::fitting(cx.minor(), self.number, status)
        };
        if told != status {
            cx.reply.truncate(self.start);
        }
        told
    }

    fn end(&self, cx: &mut Cx, status: Status) {
        cx.record(self.number, status);
        // A failed operation has encoded its own result, unless it was refused here.
        if status != Status::Ok && cx.reply.position() == self.start {
            encode_refusal(cx, self.row, status);
        }
    }
}

/// What is decided from the table alone, before the operation does anything.
fn refusal(
    cx: &Cx,
    op: &Op,
    (row, flags): (Option<&Row>, Flags),
    next: Option<&Op>,
) -> Option<Status> {
    if flags.contains(Flags::NEEDS_FH) && cx.current.is_none() {
        return Some(Status::Nofilehandle);
    }
    if matches!(cx.mode, Mode::Session(_)) {
        if matches!(op, Op::Sequence(_)) {
            return Some(Status::SequencePos);
        }
        if flags.contains(Flags::ALWAYS_ALONE) {
            return Some(Status::NotOnlyOp);
        }
    }
    if row.is_some_and(|row| cx.settings.blocks(row.name)) {
        return Some(Status::Notsupp);
    }
    // Decided before any side effect (RFC 8881 §2.10.6.4).
    let least = if flags.contains(Flags::MODIFIES) {
        most_room(op, next)
    } else {
        FRAME
    };
    (cx.reply_room() < least).then(|| cx.too_big())
}

/// Bytes of number and status in a result.
const FRAME: usize = 8;

/// Bytes of the largest result of an operation that changes something; and of the handle of what it
/// makes, if that is asked for next: it could not be had by repeating the operation.
fn most_room(op: &Op, next: Option<&Op>) -> usize {
    let own = op.reply_room().saturating_add(FRAME);
    match (op, next) {
        (Op::Open(_) | Op::Create(_) | Op::OpenAttr(_), Some(next @ Op::GetFh(_))) => {
            own.saturating_add(next.reply_room()).saturating_add(FRAME)
        }
        _ => own,
    }
}

impl Cx {
    /// The status of a reply that exceeds what the minor version or the session allows.
    pub fn too_big(&self) -> Status {
        match &self.mode {
            Mode::V40 => Status::Resource,
            Mode::Session(session) if session.limited_by_cache => Status::RepTooBigToCache,
            Mode::Lone(_) | Mode::Session(_) => Status::RepTooBig,
        }
    }
}

fn refuse(cx: &mut Cx, op: &Op, status: Status) {
    encode_refusal(cx, op.row(), status);
    cx.record(op.result_number(), status);
}

fn encode_refusal(cx: &mut Cx, row: Option<&Row>, status: Status) {
    cx.reply.write(&row.map_or(OP_ILLEGAL, |row| row.number));
    cx.reply.write(&status);
    if let Some(row) = row {
        row.encode_refusal_body(status, &mut cx.reply);
    }
}

fn succeed(cx: &mut Cx, body: &sequence::Ok) {
    cx.reply.write(&sequence::NUMBER);
    cx.reply.write(&Status::Ok);
    cx.reply.write(body);
    cx.record(sequence::NUMBER, Status::Ok);
}

/// The frame of COMPOUND4res around the results: status, tag, count.
struct Results {
    status_at: usize,
    count_at: usize,
}

impl Results {
    fn begin(cx: &mut Cx, tag: &[u8]) -> Self {
        let status_at = cx.reply.position();
        cx.reply.write(&Status::Ok);
        cx.reply.opaque(tag);
        let count_at = cx.reply.position();
        cx.reply.write(&0_u32);
        Self {
            status_at,
            count_at,
        }
    }

    fn finish(&self, cx: &mut Cx, status: Status, count: u32) {
        cx.reply.patch_u32(self.status_at, status as u32);
        cx.reply.patch_u32(self.count_at, count);
    }
}

#[cfg(test)]
mod tests {
    use crate::status::Status;
    use crate::testing::{Compound, Harness, Reply};
    use crate::types::Bitmap;

    fn create(h: &Harness) -> Compound<'_> {
        h.compound(0).putrootfh().lookup("export").op(6, |w| {
            w.write(&2_u32);
            w.write("dir");
            w.write(&Bitmap::EMPTY);
            w.write(&0_u32);
        })
    }

    #[tokio::test]
    async fn a_directory_that_is_asked_for_again_is_made_once() {
        let h = Harness::new();
        let create = create(&h).bytes();
        let first = h.serve_as(1, &create).await;
        Reply::new(first.clone()).ok();
        assert_eq!(h.serve_as(1, &create).await, first);
        for (other, xid) in [(&h, 2), (&h.as_user(2000), 1)] {
            let reply = Reply::new(other.serve_as(xid, &create).await);
            assert_eq!(reply.status, Status::Exist);
        }
    }

    #[tokio::test]
    async fn a_client_that_introduces_itself_again_gets_the_number_that_it_may_have_got() {
        let h = Harness::new();
        let introduce = h.compound(0).setclientid("a", 1).bytes();
        let first = h.serve_as(1, &introduce).await;
        assert_eq!(h.serve_as(1, &introduce).await, first);
        let mut reply = Reply::new(first);
        let confirm = h.compound(0);
        let confirm = confirm.setclientid_confirm(reply.ok_body(), reply.body());
        confirm.run().await.ok();
    }

    #[tokio::test]
    async fn a_question_that_is_asked_again_is_answered_anew() {
        let h = Harness::new();
        let lookup = h.compound(0).putrootfh().lookup("export").lookup("dir");
        let lookup = lookup.bytes();
        let missing = Reply::new(h.serve_as(1, &lookup).await);
        assert_eq!(missing.status, Status::Noent);
        create(&h).run().await.ok();
        Reply::new(h.serve_as(1, &lookup).await).ok();
    }

    #[tokio::test]
    async fn what_4_1_does_not_have_is_not_supported_wherever_it_stands() {
        let h = Harness::new();
        let client = h.client41("a").await;
        // Without SEQUENCE, and without a file handle.
        for compound in [h.compound(1), client.compound()] {
            // Nor does it matter whether its arguments can be read.
            let confirm = compound.with(20, &1_u32);
            assert_eq!(confirm.status().await, Status::Notsupp);
        }
    }
}
