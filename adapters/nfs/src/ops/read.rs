//! READ: data of the current file.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.22>
//!
//! The file system appends the data to the reply itself, between the flag and length, which are
//! patched, and the padding: nothing is copied.

use std::sync::Arc;

use dittofs_sdk::vfs::{Buffer, File, OpenAccess, ReadOk, VfsResult};

use super::io;
use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

/// Bytes before the data, and the most that pads them.
const FRAME: usize = 4 + 4 + 3;

xdr_struct! {
    /// READ4args
    #[derive(Debug)]
    pub struct Args {
        /// The open, lock or delegation under which to read.
        pub stateid: StateId,
        /// Where to start.
        pub offset: u64,
        /// How much to read, at most.
        pub count: u32,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    fn reply_room(&self) -> usize {
        FRAME + self.count as usize
    }

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        let file = io::file_for(cx, self.stateid, OpenAccess::Read)
            .await
            .map_err(|status| super::not_a_file(cx, status))?;
        let room = cx.reply_room().checked_sub(FRAME).ok_or(cx.too_big())?;
        let count = self
            .count
            .min(cx.server.settings().max_read_size)
            .min(u32::try_from(room).unwrap_or(u32::MAX));
        let head = cx.reply.position();
        cx.reply.write(&false);
        cx.reply.write(&0_u32);
        let start = cx.reply.position();
        let eof = read_into(cx, &file, self.offset, count).await?;
        let length = cx.reply.position().saturating_sub(start);
        cx.reply.patch_u32(head, u32::from(eof));
        cx.reply.patch_u32(start - 4, length as u32);
        cx.reply.pad(length);
        Ok(())
    }
}

/// Appends data to the reply. A buffer does not come back from a file system that fails, so
/// that what is in the reply already is kept aside; where that is more than is to be
/// read, copying the data is cheaper.
async fn read_into(
    cx: &mut Cx,
    file: &Arc<dyn File>,
    offset: u64,
    count: u32,
) -> Result<bool, Status> {
    let before = cx.reply.position();
    if before > count as usize {
        let read = file.read(offset, count, Buffer::default()).await;
        let ReadOk { buffer, eof } = checked(read, 0, count)?;
        cx.reply.raw(&buffer);
        return Ok(eof);
    }
    let kept = cx.reply.as_slice().to_vec();
    let mut buffer = cx.reply.take_buffer();
    buffer.reserve(FRAME + count as usize);
    let read = file.read(offset, count, buffer).await;
    match checked(read, before, count) {
        Ok(ReadOk { buffer, eof }) => {
            cx.reply.restore(buffer);
            Ok(eof)
        }
        Err(status) => {
            cx.reply.raw(&kept);
            Err(status)
        }
    }
}

/// Refuses a buffer that has lost something, or gained more than was asked for.
fn checked(read: VfsResult<ReadOk>, before: usize, count: u32) -> Result<ReadOk, Status> {
    let read = read?;
    match read.buffer.len().checked_sub(before) {
        Some(gained) if gained <= count as usize => Ok(read),
        _ => Err(Status::Io),
    }
}
