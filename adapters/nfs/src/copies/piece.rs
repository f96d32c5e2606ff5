//! One piece of a copy: by the file system if it can, or read and written here.

use std::sync::Arc;

use bytes::Bytes;
use dittofs_sdk::vfs::{Buffer, File, Stability, VfsError, VfsResult};

/// Bytes that are read and written here at once.
const CHUNK: u64 = 1 << 20;

/// An open file, and where in it.
type At<'a> = (&'a Arc<dyn File>, u64);

/// How pieces are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Way {
    /// By the file system, which may share storage and leave holes.
    #[default]
    Within,
    /// Read and written here: the file system does not copy, or the files are on two.
    ByHand,
}

/// Copies as many of `count` bytes as take a moment; how many. None are left of the source if that is 0.
pub(super) async fn copy(way: &mut Way, from: At<'_>, to: At<'_>, count: u64) -> VfsResult<u64> {
    if *way == Way::Within {
        let ((source, from), (target, to)) = (from, to);
        match target.copy_range(&**source, from, to, count).await {
            Err(VfsError::NotSupported | VfsError::CrossDevice) => *way = Way::ByHand,
            copied => return copied,
        }
    }
    by_hand(from, to, count).await
}

async fn by_hand((source, from): At<'_>, (target, to): At<'_>, count: u64) -> VfsResult<u64> {
    let count = count.min(CHUNK) as u32;
    let room = Buffer::with_capacity(count as usize);
    let mut data = source.read(from, count, room).await?.buffer;
    data.truncate(count as usize);
    if data.is_empty() {
        return Ok(0);
    }
    let data = Bytes::from_owner(data);
    let written = target.write(to, data, Stability::Unstable).await?;
    Ok(written.count.into())
}
