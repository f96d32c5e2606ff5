//! Open files of a view.

use std::sync::Arc;

use bytes::Bytes;
use dittofs_sdk::vfs::{Advice, Attr, Buffer, Extent, File, Op, ReadOk, Stability, Touch, Written};

use super::Seat;
use super::registry::Mark;

/// A file that was opened through a view.
pub(super) struct ViewFile {
    seat: Arc<Seat>,
    file: Mark,
    open: Arc<dyn File>,
}

impl ViewFile {
    pub(super) fn new(seat: Arc<Seat>, file: Mark, open: Arc<dyn File>) -> Self {
        Self { seat, file, open }
    }

    /// Changes this file by reading another one.
    fn filling_from<T: Send + 'static>(
        &self,
        source: &dyn File,
        fill: impl FnOnce() -> Op<T>,
    ) -> Op<T> {
        if let Some(source) = source.find::<Self>()
            && let Err(wait) = source.seat.place.announce(source.file, Touch::READ)
        {
            return Op::err(wait);
        }
        self.seat.changing(self.file, Touch::WRITE, fill)
    }
}

impl File for ViewFile {
    fn attr(&self) -> Op<Attr> {
        self.open.attr()
    }

    fn read(&self, offset: u64, count: u32, into: Buffer) -> Op<ReadOk> {
        match self.seat.place.announce(self.file, Touch::READ) {
            Ok(()) => self.open.read(offset, count, into),
            Err(wait) => Op::err(wait),
        }
    }

    fn write(&self, offset: u64, data: Bytes, how: Stability) -> Op<Written> {
        self.seat.changing(self.file, Touch::WRITE, || {
            self.open.write(offset, data, how)
        })
    }

    fn commit(&self, offset: u64, count: u64) -> Op<()> {
        self.open.commit(offset, count)
    }

    fn truncate(&self, size: u64) -> Op<Attr> {
        self.seat
            .changing(self.file, Touch::WRITE, || self.open.truncate(size))
    }

    fn extent(&self, offset: u64, until: u64) -> Op<Option<Extent>> {
        match self.seat.place.announce(self.file, Touch::READ) {
            Ok(()) => self.open.extent(offset, until),
            Err(wait) => Op::err(wait),
        }
    }

    fn allocate(&self, offset: u64, count: u64) -> Op<()> {
        self.seat.changing(self.file, Touch::WRITE, || {
            self.open.allocate(offset, count)
        })
    }

    fn deallocate(&self, offset: u64, count: u64) -> Op<()> {
        self.seat.changing(self.file, Touch::WRITE, || {
            self.open.deallocate(offset, count)
        })
    }

    fn clone_range(&self, source: &dyn File, from: u64, to: u64, count: u64) -> Op<()> {
        self.filling_from(source, || self.open.clone_range(source, from, to, count))
    }

    fn copy_range(&self, source: &dyn File, from: u64, to: u64, count: u64) -> Op<u64> {
        self.filling_from(source, || self.open.copy_range(source, from, to, count))
    }

    fn advise(&self, offset: u64, count: u64, advice: Advice) -> Op<()> {
        self.open.advise(offset, count, advice)
    }

    fn behind(&self) -> Option<&dyn File> {
        Some(&*self.open)
    }
}
