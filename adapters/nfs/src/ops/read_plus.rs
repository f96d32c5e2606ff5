//! READ_PLUS: data and holes of a file.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-15.10>
//!
//! A hole is told as far as it was asked about: what lies beyond may not be the client's to know
//! (§15.10.3 on locked ranges). Stored zeros are a hole too. Data come into the reply as READ has them.

use std::sync::Arc;

use dittofs_sdk::vfs::{Content, File, OpenAccess};

use super::read::read_into;
use super::{io, regular};
use crate::compound::{Cx, Operation};
use crate::delegations::Reason;
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

/// Whether the end was reached, and the number of segments.
const HEAD: usize = 4 + 4;
/// A hole; data have four bytes less before them, and three at most after them.
const SEGMENT: usize = 4 + 8 + 8;
/// The most segments of one reply.
const MAX_SEGMENTS: u32 = 64;

xdr_struct! {
    /// READ_PLUS4args
    #[derive(Debug)]
    pub struct Args {
        /// The open, lock or delegation under which to read.
        pub stateid: StateId,
        /// First byte.
        pub offset: u64,
        /// Most bytes.
        pub count: u32,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    fn reply_room(&self) -> usize {
        HEAD + MAX_SEGMENTS as usize * (SEGMENT + 3) + self.count as usize
    }

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        let file = io::file_for(cx, self.stateid, OpenAccess::Read, Reason::ReadWrite)
            .await
            .map_err(|status| super::not_a_file(cx, status))?;
        if cx.reply_room() < HEAD + SEGMENT {
            return Err(cx.too_big());
        }
        let count = self.count.min(cx.settings.max_read_size);
        let end = self.offset.saturating_add(count.into());
        let head = cx.reply.position();
        cx.reply.write(&false);
        cx.reply.write(&0_u32);
        let (mut at, mut segments, mut eof) = (self.offset, 0, None);
        while at < end && segments < MAX_SEGMENTS && cx.reply_room() > SEGMENT {
            let segment = segment(cx, &file, at, end).await?;
            eof = segment.eof;
            at += segment.len;
            segments += u32::from(segment.len > 0);
            if !segment.whole {
                break;
            }
        }
        let eof = match eof {
            Some(eof) => eof,
            None => regular::extent(&file, at, at).await?.is_none(),
        };
        cx.reply.patch_u32(head, u32::from(eof));
        cx.reply.patch_u32(head + 4, segments);
        Ok(())
    }
}

/// A segment of the reply.
struct Segment {
    /// Bytes of the file.
    len: u64,
    /// Whether the next one may begin where it ends.
    whole: bool,
    /// Whether the file ends with it, if that is known.
    eof: Option<bool>,
}

/// Appends what is at `at`, no further than `end`.
async fn segment(cx: &mut Cx, file: &Arc<dyn File>, at: u64, end: u64) -> Result<Segment, Status> {
    let Some(extent) = regular::extent(file, at, end).await? else {
        return Ok(Segment {
            len: 0,
            whole: false,
            eof: Some(true),
        });
    };
    let len = extent.end.min(end) - at;
    match extent.content {
        Content::Data => data(cx, file, at, len).await,
        Content::Hole => {
            hole(cx, at, len);
            Ok(Segment {
                len,
                whole: true,
                eof: None,
            })
        }
    }
}

fn hole(cx: &mut Cx, at: u64, len: u64) {
    cx.reply.write(&1_u32);
    cx.reply.write(&at);
    cx.reply.write(&len);
}

async fn data(cx: &mut Cx, file: &Arc<dyn File>, at: u64, len: u64) -> Result<Segment, Status> {
    let room = cx.reply_room().saturating_sub(SEGMENT) as u64;
    // Both are less than what may be read at once.
    let count = len.min(room).min(cx.settings.max_read_size.into()) as u32;
    let head = cx.reply.position();
    cx.reply.write(&0_u32);
    cx.reply.write(&at);
    cx.reply.write(&0_u32);
    let start = cx.reply.position();
    let eof = read_into(cx, file, at, count).await?;
    let got = cx.reply.position().saturating_sub(start);
    let bytes = cx.reply.as_slice().get(start..).unwrap_or_default();
    if bytes.iter().all(|byte| *byte == 0) {
        cx.reply.truncate(head);
        if got > 0 {
            hole(cx, at, got as u64);
        }
    } else {
        cx.reply.patch_u32(start - 4, got as u32);
        cx.reply.pad(got);
        cx.server.metrics.bytes_read.add(got as u64);
    }
    Ok(Segment {
        len: got as u64,
        whole: got as u64 == len,
        eof: Some(eof),
    })
}
