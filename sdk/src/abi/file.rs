//! Open files across the border, in either direction.

use std::sync::Arc;

use abi_stable::sabi_trait;
use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::{RBox, RVec};
use bytes::Bytes;

use super::bytes::WireBytes;
use super::guard::Quiet;
use super::op::{Wire, WireOp, accept, answer, missing};
use super::token::{self, Token};
use super::value::{
    WireAttr, WireExtent, WireReadOk, WireWritten, advice_code, advice_of, stability_code,
    stability_of,
};
use crate::vfs::{
    Advice, Attr, Buffer, Extent, File, Op, ReadOk, Stability, VfsError, VfsResult, Written,
};

/// The functions of an open file. A function added later comes last and has a default.
#[sabi_trait]
pub(super) trait WireFile: Send + Sync {
    fn attr(&self) -> WireOp<WireAttr>;
    fn read(&self, offset: u64, count: u32, into: RVec<u8>) -> WireOp<WireReadOk>;
    fn write(&self, offset: u64, data: WireBytes, how: u32) -> WireOp<WireWritten>;
    fn commit(&self, offset: u64, count: u64) -> WireOp<()>;
    #[sabi(last_prefix_field)]
    fn truncate(&self, size: u64) -> WireOp<WireAttr>;
    fn extent(&self, offset: u64, until: u64) -> WireOp<WireExtent> {
        let _ = (offset, until);
        missing()
    }
    fn allocate(&self, offset: u64, count: u64) -> WireOp<()> {
        let _ = (offset, count);
        missing()
    }
    fn deallocate(&self, offset: u64, count: u64) -> WireOp<()> {
        let _ = (offset, count);
        missing()
    }
    /// The source is given by its [`token`](WireFile::token).
    fn clone_range(&self, source: u64, from: u64, to: u64, count: u64) -> WireOp<()> {
        let _ = (source, from, to, count);
        missing()
    }
    /// The source is given by its [`token`](WireFile::token).
    fn copy_range(&self, source: u64, from: u64, to: u64, count: u64) -> WireOp<u64> {
        let _ = (source, from, to, count);
        missing()
    }
    fn advise(&self, offset: u64, count: u64, advice: u32) -> WireOp<()> {
        let _ = (offset, count, advice);
        missing()
    }
    /// What the other side names this file by, as long as it has it.
    fn token(&self) -> u64 {
        0
    }
}

pub(super) type FileObject = WireFile_TO<'static, RBox<()>>;

impl Wire for Arc<dyn File> {
    type Form = FileObject;
    fn into_wire(self) -> FileObject {
        WireFile_TO::from_value(LocalFile::new(self), TD_Opaque)
    }
    fn from_wire(object: FileObject) -> VfsResult<Self> {
        Ok(Arc::new(ForeignFile(object)))
    }
}

struct LocalFile {
    file: Quiet<Arc<dyn File>>,
    token: Token,
}

impl LocalFile {
    fn new(file: Arc<dyn File>) -> Self {
        Self {
            file: Quiet::new(file),
            token: Token::default(),
        }
    }
}

impl WireFile for LocalFile {
    fn attr(&self) -> WireOp<WireAttr> {
        answer(|| Ok(self.file.attr()))
    }

    fn read(&self, offset: u64, count: u32, into: RVec<u8>) -> WireOp<WireReadOk> {
        answer(|| Ok(self.file.read(offset, count, Buffer(into))))
    }

    fn write(&self, offset: u64, data: WireBytes, how: u32) -> WireOp<WireWritten> {
        answer(|| Ok(self.file.write(offset, data.into(), stability_of(how)?)))
    }

    fn commit(&self, offset: u64, count: u64) -> WireOp<()> {
        answer(|| Ok(self.file.commit(offset, count)))
    }

    fn truncate(&self, size: u64) -> WireOp<WireAttr> {
        answer(|| Ok(self.file.truncate(size)))
    }

    fn extent(&self, offset: u64, until: u64) -> WireOp<WireExtent> {
        answer(|| Ok(self.file.extent(offset, until)))
    }

    fn allocate(&self, offset: u64, count: u64) -> WireOp<()> {
        answer(|| Ok(self.file.allocate(offset, count)))
    }

    fn deallocate(&self, offset: u64, count: u64) -> WireOp<()> {
        answer(|| Ok(self.file.deallocate(offset, count)))
    }

    fn clone_range(&self, source: u64, from: u64, to: u64, count: u64) -> WireOp<()> {
        answer(|| {
            let source = token::file_of(source)?;
            Ok(self.file.clone_range(&*source, from, to, count))
        })
    }

    fn copy_range(&self, source: u64, from: u64, to: u64, count: u64) -> WireOp<u64> {
        answer(|| {
            let source = token::file_of(source)?;
            Ok(self.file.copy_range(&*source, from, to, count))
        })
    }

    fn advise(&self, offset: u64, count: u64, advice: u32) -> WireOp<()> {
        answer(|| Ok(self.file.advise(offset, count, advice_of(advice)?)))
    }

    fn token(&self) -> u64 {
        self.token.number(&self.file)
    }
}

struct ForeignFile(FileObject);

impl File for ForeignFile {
    fn attr(&self) -> Op<Attr> {
        accept(self.0.attr())
    }

    fn read(&self, offset: u64, count: u32, into: Buffer) -> Op<ReadOk> {
        accept(self.0.read(offset, count, into.0))
    }

    fn write(&self, offset: u64, data: Bytes, how: Stability) -> Op<Written> {
        accept(self.0.write(offset, data.into(), stability_code(how)))
    }

    fn commit(&self, offset: u64, count: u64) -> Op<()> {
        accept(self.0.commit(offset, count))
    }

    fn truncate(&self, size: u64) -> Op<Attr> {
        accept(self.0.truncate(size))
    }

    fn extent(&self, offset: u64, until: u64) -> Op<Option<Extent>> {
        accept(self.0.extent(offset, until))
    }

    fn allocate(&self, offset: u64, count: u64) -> Op<()> {
        accept(self.0.allocate(offset, count))
    }

    fn deallocate(&self, offset: u64, count: u64) -> Op<()> {
        accept(self.0.deallocate(offset, count))
    }

    fn clone_range(&self, source: &dyn File, from: u64, to: u64, count: u64) -> Op<()> {
        match source.find::<Self>() {
            Some(source) => accept(self.0.clone_range(source.0.token(), from, to, count)),
            None => Op::err(VfsError::CrossDevice),
        }
    }

    fn copy_range(&self, source: &dyn File, from: u64, to: u64, count: u64) -> Op<u64> {
        match source.find::<Self>() {
            Some(source) => accept(self.0.copy_range(source.0.token(), from, to, count)),
            None => Op::err(VfsError::CrossDevice),
        }
    }

    fn advise(&self, offset: u64, count: u64, advice: Advice) -> Op<()> {
        accept(self.0.advise(offset, count, advice_code(advice)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers late where it answers, and panics everywhere else.
    struct Moody;

    impl File for Moody {
        fn attr(&self) -> Op<Attr> {
            panic!("in the call");
        }
        fn read(&self, _: u64, _: u32, mut into: Buffer) -> Op<ReadOk> {
            into.extend_from_slice(b" and more");
            Op::ok(ReadOk {
                buffer: into,
                eof: true,
            })
        }
        fn write(&self, _: u64, data: Bytes, stability: Stability) -> Op<Written> {
            Op::later(async move {
                tokio::task::yield_now().await;
                Ok(Written {
                    count: data.as_ptr().addr() as u32,
                    stability,
                })
            })
        }
        fn commit(&self, _: u64, _: u64) -> Op<()> {
            Op::later(async { panic!("in the future") })
        }
        fn truncate(&self, _: u64) -> Op<Attr> {
            Op::err(VfsError::QuotaExceeded)
        }
    }

    impl Drop for Moody {
        fn drop(&mut self) {
            panic!("in the destructor");
        }
    }

    fn across() -> Arc<dyn File> {
        Wire::from_wire((Arc::new(Moody) as Arc<dyn File>).into_wire()).unwrap()
    }

    #[tokio::test]
    async fn a_backend_that_panics_is_an_input_output_error() {
        let file = across();
        assert!(matches!(file.attr(), Op::Ready(Err(VfsError::Io))));
        assert_eq!(file.commit(0, 0).await, Err(VfsError::Io));
        drop(file);
    }

    #[tokio::test]
    async fn ready_answers_stay_ready_and_late_ones_come() {
        let file = across();
        assert!(matches!(
            file.truncate(1),
            Op::Ready(Err(VfsError::QuotaExceeded))
        ));
        let data = Bytes::from(vec![1, 2, 3]);
        let address = data.as_ptr().addr() as u32;
        let late = file.write(0, data, Stability::Data);
        assert!(matches!(late, Op::Later(_)));
        let written = Written {
            count: address,
            stability: Stability::Data,
        };
        assert_eq!(late.await, Ok(written), "the same bytes, not a copy");
    }

    #[tokio::test]
    async fn a_buffer_goes_and_comes_back_without_a_copy() {
        let mut buffer = Buffer::with_capacity(64);
        buffer.extend_from_slice(b"before");
        let address = buffer.as_ptr();
        let read = across().read(0, 9, buffer).await.unwrap();
        assert_eq!(&read.buffer[..], b"before and more");
        assert_eq!(read.buffer.as_ptr(), address);
    }
}
