//! One piece of a copy: by the file system if it can, or read and written here.

use std::sync::Arc;

use bytes::Bytes;
use dittofs_sdk::vfs::{Buffer, Content, File, Stability, VfsError, VfsResult};

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
    let until = from.saturating_add(count);
    match source.extent(from, until).await {
        Ok(None) => return Ok(0),
        Ok(Some(hole)) if hole.content == Content::Hole && hole.end > from => {
            let count = hole.end.min(until) - from;
            match leave_out((target, to), count).await {
                Err(VfsError::NotSupported) => {}
                left => return left.map(|()| count),
            }
        }
        // Data, or a file system that does not tell.
        Ok(Some(_)) | Err(VfsError::NotSupported) => {}
        Err(error) => return Err(error),
    }
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

/// Makes a hole of `[to, to + count)`, which the file reaches to afterwards. It grows by its last byte: to set
/// its size would cut off what others have written behind it by then.
async fn leave_out((target, to): At<'_>, count: u64) -> VfsResult<()> {
    let end = to.checked_add(count).ok_or(VfsError::FileTooBig)?;
    let size = target.attr().await?.size;
    if to < size {
        target.deallocate(to, end.min(size) - to).await?;
    }
    if end > size {
        let last = Bytes::from_static(&[0]);
        target.write(end - 1, last, Stability::Unstable).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dittofs_memfs::{MemoryFs, Options};
    use dittofs_sdk::vfs::{CreateHow, Cred, FileSystem, Name, OpenAccess, SetAttr};

    use super::*;

    const MIB: u64 = 1 << 20;

    async fn file() -> Arc<dyn File> {
        let fs = MemoryFs::new(&Options::default()).unwrap();
        let (cred, name) = (Cred::root(), Name::new(b"f").unwrap());
        let attr = SetAttr {
            mode: Some(0o644),
            ..SetAttr::default()
        };
        let how = CreateHow::Unchecked;
        let made = fs.create(&cred, &fs.root(), name, how, &attr, OpenAccess::Both);
        made.await.unwrap().file
    }

    async fn write(file: &Arc<dyn File>, offset: u64, data: &'static [u8]) {
        let data = Bytes::from_static(data);
        file.write(offset, data, Stability::Unstable).await.unwrap();
    }

    #[tokio::test]
    async fn holes_stay_holes_between_file_systems() {
        let (source, target) = (file().await, file().await);
        write(&source, 64 * MIB, b"island").await;
        write(&source, 200 * MIB - 1, &[0]).await;
        source.deallocate(199 * MIB, MIB).await.unwrap();
        // What was there before gives way, what is behind stays.
        write(&target, 0, &[7; 5000]).await;
        let (mut way, mut done) = (Way::default(), 0);
        loop {
            let left = 200 * MIB - done;
            match copy(&mut way, (&source, done), (&target, done), left).await {
                Ok(0) => break,
                copied => done += copied.unwrap(),
            }
        }
        assert_eq!((way, done), (Way::ByHand, 200 * MIB));
        let attr = target.attr().await.unwrap();
        assert_eq!(attr.size, 200 * MIB);
        assert!(attr.used < 2 * MIB, "{}", attr.used);
        for (offset, expected) in [
            (0, &[0; 6][..]),
            (64 * MIB, b"island"),
            (200 * MIB - 6, &[0; 6]),
        ] {
            let read = target.read(offset, 6, Buffer::default()).await.unwrap();
            assert_eq!(&read.buffer[..], expected, "at {offset}");
        }
    }
}
