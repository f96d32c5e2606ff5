//! READ: data of the current file.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.22>
//!
//! The file system appends the data to the reply itself, between the flag and length, which are
//! patched, and the padding: nothing is copied.

use std::sync::Arc;

use dittofs_sdk::vfs::{Buffer, File, OpenAccess, ReadOk, VfsResult};

use super::io;
use crate::buffers;
use crate::compound::{Cx, Operation};
use crate::delegations::Reason;
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
        let file = io::file_for(cx, self.stateid, OpenAccess::Read, Reason::ReadWrite)
            .await
            .map_err(|status| super::not_a_file(cx, status))?;
        let room = cx.reply_room().checked_sub(FRAME).ok_or(cx.too_big())?;
        let count = self
            .count
            .min(cx.settings.max_read_size)
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
        cx.server.metrics.bytes_read.add(length as u64);
        Ok(())
    }
}

/// Appends data to the reply. A buffer does not come back from a file system that fails, so
/// that the data get one of their own, into which the reply moves; where that is more than is to be
/// read, it is the data that move.
pub(super) async fn read_into(
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
    let mut buffer = buffers::reply(before + FRAME + count as usize);
    buffer.extend_from_slice(cx.reply.as_slice());
    let read = file.read(offset, count, buffer).await;
    let ReadOk { buffer, eof } = checked(read, before, count)?;
    cx.reply.restore(buffer);
    Ok(eof)
}

/// Refuses a buffer that has lost something, or gained more than was asked for.
fn checked(read: VfsResult<ReadOk>, before: usize, count: u32) -> Result<ReadOk, Status> {
    let read = read?;
    match read.buffer.len().checked_sub(before) {
        Some(gained) if gained <= count as usize => Ok(read),
        _ => Err(Status::Io),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::fixture::Fixture;
    use crate::ops::write::{self, Stable};
    use crate::types::Minor;
    use bytes::Bytes;
    use dittofs_sdk::vfs::{Attr, Op, Stability, VfsError, Written};

    fn args(offset: u64, count: u32) -> Args {
        Args {
            stateid: StateId::ANONYMOUS,
            offset,
            count,
        }
    }

    /// What READ appended: flag, length, data and padding.
    async fn read(cx: &mut Cx, offset: u64, count: u32) -> Vec<u8> {
        let start = cx.reply.position();
        args(offset, count).run(cx).await.unwrap();
        cx.reply.as_slice()[start..].to_vec()
    }

    async fn hello() -> Cx {
        let fixture = Fixture::new();
        fixture.populate().await;
        let mut cx = fixture.at(Minor::V41, "export/file").await;
        write::Args {
            stateid: StateId::ANONYMOUS,
            offset: 0,
            stable: Stable::FileSync,
            data: Bytes::from_static(b"hello"),
        }
        .run(&mut cx)
        .await
        .unwrap();
        cx
    }

    #[tokio::test]
    async fn data_stand_between_their_length_and_padding() {
        let mut cx = hello().await;
        cx.reply.raw(b"before");
        assert_eq!(
            read(&mut cx, 0, 100).await,
            b"\0\0\0\x01\0\0\0\x05hello\0\0\0"
        );
        assert_eq!(read(&mut cx, 1, 2).await, b"\0\0\0\0\0\0\0\x02el\0\0");
        assert_eq!(read(&mut cx, 5, 1).await, b"\0\0\0\x01\0\0\0\0");
        assert_eq!(read(&mut cx, u64::MAX, 9).await, b"\0\0\0\x01\0\0\0\0");
        assert!(cx.reply.as_slice().starts_with(b"before"));
    }

    #[tokio::test]
    async fn the_room_for_the_reply_limits_what_is_read() {
        let mut cx = hello().await;
        cx.reply_limit = cx.reply.position() + FRAME + 3;
        cx.is_last = true;
        assert_eq!(read(&mut cx, 0, 5).await, b"\0\0\0\0\0\0\0\x03hel\0");
        assert!(cx.reply.position() <= cx.reply_limit);
        assert_eq!(args(0, 5).run(&mut cx).await, Err(Status::RepTooBig));
    }

    #[tokio::test]
    async fn only_a_file_has_data() {
        let fixture = Fixture::new();
        fixture.populate().await;
        for (path, v40, v41) in [
            ("", Status::Isdir, Status::Isdir),
            ("export/dir", Status::Isdir, Status::Isdir),
            ("export/symlink", Status::Symlink, Status::Symlink),
            ("export/fifo", Status::Inval, Status::WrongType),
        ] {
            for (minor, status) in [(Minor::V40, v40), (Minor::V41, v41)] {
                let mut cx = fixture.at(minor, path).await;
                assert_eq!(args(0, 1).run(&mut cx).await, Err(status), "{path}");
            }
        }
    }

    /// A file whose device fails, or whose file system answers with more than was asked for.
    struct Broken {
        too_much: bool,
    }

    impl File for Broken {
        fn attr(&self) -> Op<Attr> {
            Op::err(VfsError::Io)
        }
        fn read(&self, _: u64, count: u32, mut into: Buffer) -> Op<ReadOk> {
            if !self.too_much {
                return Op::err(VfsError::Io);
            }
            into.resize(into.len() + count as usize + 1);
            Op::ok(ReadOk {
                buffer: into,
                eof: false,
            })
        }
        fn write(&self, _: u64, _: Bytes, _: Stability) -> Op<Written> {
            Op::err(VfsError::Io)
        }
        fn commit(&self, _: u64, _: u64) -> Op<()> {
            Op::err(VfsError::Io)
        }
        fn truncate(&self, _: u64) -> Op<Attr> {
            Op::err(VfsError::Io)
        }
    }

    #[tokio::test]
    async fn a_read_that_fails_leaves_the_reply_as_it_was() {
        let fixture = Fixture::new();
        for too_much in [false, true] {
            let file: Arc<dyn File> = Arc::new(Broken { too_much });
            for before in [&b"few"[..], &[7; 100]] {
                let mut cx = fixture.cx(Minor::V41);
                cx.reply.raw(before);
                assert_eq!(read_into(&mut cx, &file, 0, 50).await, Err(Status::Io));
                assert_eq!(cx.reply.as_slice(), before);
            }
        }
    }
}
