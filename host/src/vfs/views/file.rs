//! Open files of a view.

use std::sync::Arc;

use bytes::Bytes;
use dittofs_sdk::vfs::{Attr, Buffer, File, Handle, Op, ReadOk, Stability, Touch, Written};

use super::Seat;

/// A file that was opened through a view.
pub(super) struct ViewFile {
    seat: Arc<Seat>,
    handle: Handle,
    open: Arc<dyn File>,
}

impl ViewFile {
    pub(super) fn new(seat: Arc<Seat>, handle: Handle, open: Arc<dyn File>) -> Self {
        Self { seat, handle, open }
    }
}

impl File for ViewFile {
    fn attr(&self) -> Op<Attr> {
        self.open.attr()
    }

    fn read(&self, offset: u64, count: u32, into: Buffer) -> Op<ReadOk> {
        match self.seat.place.announce(&self.handle, Touch::READ) {
            Ok(()) => self.open.read(offset, count, into),
            Err(wait) => Op::err(wait),
        }
    }

    fn write(&self, offset: u64, data: Bytes, how: Stability) -> Op<Written> {
        self.seat.changing(&self.handle, Touch::WRITE, || {
            self.open.write(offset, data, how)
        })
    }

    fn commit(&self, offset: u64, count: u64) -> Op<()> {
        self.open.commit(offset, count)
    }

    fn truncate(&self, size: u64) -> Op<Attr> {
        self.seat
            .changing(&self.handle, Touch::WRITE, || self.open.truncate(size))
    }
}
