//! The one loop that executes operations.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-16.2.3>

use std::sync::Arc;

use dittofs_sdk::vfs::Buffer;

use super::{Cx, Mode, Plan, Request};
use crate::delegations;
use crate::errors;
use crate::metrics::Outcome;
use crate::ops::sequence;
use crate::rpc::Call;
use crate::server::Server;
use crate::state::Begun;
use crate::state::answers::{self, RequestId};
use crate::status::Status;
use crate::table::{Flags, OP_ILLEGAL, Op, Row};
use crate::types::{ClientId, Minor};
use crate::xdr::Writer;

/// Executes a COMPOUND and appends COMPOUND4res to `reply`.
pub async fn serve(server: Arc<Server>, call: Call, request: Request, reply: Buffer) -> Buffer {
    let settings = server.settings();
    let now = server.now();
    let Some(minor) = Minor::from_number(request.minor).filter(|minor| settings.accepts(*minor))
    else {
        server.metrics.minor_refused.inc();
        return finish_without_results(reply, &request, Status::MinorVersMismatch);
    };
    let start = reply.len();
    let tag = request.tag.clone();
    let mut cx = Cx {
        stopwatch: server.metrics.operations.stopwatch(now),
        server,
        settings: Arc::clone(&settings),
        call,
        mode: match minor {
            Minor::V40 => Mode::V40,
            Minor::V41 | Minor::V42 => Mode::Lone(minor),
        },
        now,
        current: None,
        saved: None,
        current_stateid: None,
        saved_stateid: None,
        reply: Writer::new(reply),
        reply_limit: usize::MAX,
        is_last: false,
        shown: None,
    };
    let results = Results::begin(&mut cx, &tag);
    match Plan::new(minor, request.ops) {
        Plan::Empty => results.finish(&mut cx, Status::Ok, 0),
        Plan::V40(ops) => {
            if request.announced > settings.max_compound_ops() {
                results.finish(&mut cx, Status::Resource, 0);
            } else {
                cx.reply_limit = settings.reply_limit();
                once(&mut cx, &results, ops, start).await;
            }
        }
        Plan::Lone(op) => {
            if op.row().is_some_and(|row| row.number == sequence::NUMBER) {
                cx.server.metrics.sequence.ended(Outcome::BadXdr);
            }
            cx.reply_limit = settings.reply_limit();
            let (status, count) = run_ops(&mut cx, vec![op], 0).await;
            results.finish(&mut cx, status, count);
        }
        Plan::Refused(op, status) => {
            refuse(&mut cx, &op, status);
            results.finish(&mut cx, status, 1);
        }
        Plan::Sequenced(args, ops) => {
            sequenced(&mut cx, &results, request.announced, args, ops, start).await;
        }
    }
    cx.reply.into_buffer()
}

/// Runs a 4.0 COMPOUND, unless it is one that must run once and has run.
async fn once(cx: &mut Cx, results: &Results, ops: Vec<Op>, start: usize) {
    let mut turn = None;
    if ops.iter().any(|op| op.has(Flags::ONCE)) {
        let reply = cx.server.state.answers.of((&cx.call).into(), cx.now);
        let taken = reply.take().await;
        if let Some(bytes) = &*taken {
            cx.reply.truncate(start);
            cx.reply.raw(bytes);
            return;
        }
        turn = Some(taken);
    }
    cx.shown = giver_back(cx, &ops);
    let (status, count) = run_ops(cx, ops, 0).await;
    results.finish(cx, status, count);
    if let Some(mut turn) = turn {
        *turn = answers::kept(cx.reply.as_slice().get(start..).unwrap_or_default());
    }
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
async fn sequenced(
    cx: &mut Cx,
    results: &Results,
    announced: usize,
    args: sequence::Args,
    ops: Vec<Op>,
    start: usize,
) {
    let begun = sequence::begin(cx, announced, start, &args);
    let (slot, ok) = match begun {
        Err(status) => {
            cx.server.metrics.sequence.ended(status.into());
            refuse(cx, &Op::Sequence(args), status);
            results.finish(cx, status, 1);
            return;
        }
        Ok(Begun::Replay(bytes)) => {
            cx.server.metrics.sequence.ended(Outcome::ReplayHit);
            cx.reply.truncate(start);
            cx.reply.raw(&bytes);
            return;
        }
        // SEQUENCE itself succeeds; the operation after it carries the news
        // (RFC 8881 §2.10.6.1.3).
        Ok(Begun::Unkept(ok, news)) => {
            cx.server.metrics.sequence.ended(Outcome::RetryUncached);
            succeed(cx, &Op::Sequence(args), &ok);
            let (status, count) = match ops.first() {
                Some(next) => {
                    let status = next.refusal().unwrap_or(news);
                    refuse(cx, next, status);
                    (status, 2)
                }
                None => (Status::Ok, 1),
            };
            results.finish(cx, status, count);
            return;
        }
        Ok(Begun::New(slot, session, ok)) => {
            cx.server.metrics.sequence.began();
            cx.reply_limit = start.saturating_add(session.reply_limit);
            cx.mode = Mode::Session(session);
            (slot, ok)
        }
    };
    succeed(cx, &Op::Sequence(args), &ok);
    let (status, count) = run_ops(cx, ops, 1).await;
    results.finish(cx, status, count);
    slot.finish(cx.reply.as_slice().get(start..).unwrap_or_default());
}

/// Runs operations until one fails. Returns the last status and the number of results,
/// `before` included.
async fn run_ops(cx: &mut Cx, ops: Vec<Op>, before: u32) -> (Status, u32) {
    let mut count = before;
    let mut ops = ops.into_iter();
    while let Some(op) = ops.next() {
        count += 1;
        cx.is_last = ops.len() == 0;
        let number = op.result_number();
        let row = op.row();
        let start = cx.reply.position();
        let status = if let Some(status) = refusal(cx, &op, ops.as_slice().first()) {
            status
        } else {
            cx.reply.write(&number);
            cx.reply.write(&Status::Ok);
            #[cfg(any(test, feature = "fuzzing"))]
            let most = (start + FRAME).saturating_add(op.reply_room());
            let status = op.run(cx).await;
            #[cfg(any(test, feature = "fuzzing"))]
            assert!(cx.reply.position() <= most, "{row:?} said it needs less");
            // Only what changes nothing may find out this late; the others were refused.
            let told = if cx.overflows() {
                cx.too_big()
            } else {
                errors::fitting(cx.minor(), number, status)
            };
            if told != status {
                cx.reply.truncate(start);
            }
            told
        };
        cx.record(number, status);
        if status != Status::Ok {
            // A failed operation has encoded its own result, unless it was refused here.
            if cx.reply.position() == start {
                encode_refusal(cx, row, status);
            }
            return (status, count);
        }
    }
    (Status::Ok, count)
}

/// What is decided from the table alone, before the operation does anything.
fn refusal(cx: &Cx, op: &Op, next: Option<&Op>) -> Option<Status> {
    if op.has(Flags::NEEDS_FH) && cx.current.is_none() {
        return Some(Status::Nofilehandle);
    }
    if matches!(cx.mode, Mode::Session(_)) {
        if matches!(op, Op::Sequence(_)) {
            return Some(Status::SequencePos);
        }
        if op.has(Flags::ALWAYS_ALONE) {
            return Some(Status::NotOnlyOp);
        }
    }
    if op.row().is_some_and(|row| cx.settings.blocks(row.name)) {
        return Some(Status::Notsupp);
    }
    // Decided before any side effect (RFC 8881 §2.10.6.4).
    let least = if op.has(Flags::MODIFIES) {
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

fn succeed(cx: &mut Cx, op: &Op, body: &sequence::Ok) {
    cx.reply.write(&op.result_number());
    cx.reply.write(&Status::Ok);
    cx.reply.write(body);
    cx.record(op.result_number(), Status::Ok);
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

fn finish_without_results(reply: Buffer, request: &Request, status: Status) -> Buffer {
    let mut writer = Writer::new(reply);
    writer.write(&status);
    writer.opaque(&request.tag);
    writer.write(&0_u32);
    writer.into_buffer()
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
