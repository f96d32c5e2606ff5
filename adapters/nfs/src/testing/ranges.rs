//! The operations of 4.2 on ranges of files, with the arguments that most tests give them.

use bytes::Bytes;

use super::{Client41, Compound, Reply};
use crate::types::StateId;
use crate::xdr::Writer;

/// The block of files in memory.
pub(crate) const BLOCK: u64 = 64 * 1024;

/// A segment of what READ_PLUS answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Data(u64, Bytes),
    /// Offset and length.
    Hole(u64, u64),
}

impl Compound<'_> {
    pub(crate) fn allocate(self, stateid: StateId, offset: u64, length: u64) -> Self {
        self.op(59, |w| range(w, stateid, offset, length))
    }

    pub(crate) fn deallocate(self, stateid: StateId, offset: u64, length: u64) -> Self {
        self.op(62, |w| range(w, stateid, offset, length))
    }

    pub(crate) fn read_plus(self, stateid: StateId, offset: u64, count: u32) -> Self {
        self.op(68, |w| {
            w.write(&stateid);
            w.write(&offset);
            w.write(&count);
        })
    }

    /// SEEK of data (0) or of a hole (1).
    pub(crate) fn seek(self, stateid: StateId, offset: u64, what: u32) -> Self {
        self.op(69, |w| {
            w.write(&stateid);
            w.write(&offset);
            w.write(&what);
        })
    }

    /// CLONE of the saved file: from, to, and count.
    pub(crate) fn clone_range(self, from: StateId, to: StateId, range: [u64; 3]) -> Self {
        self.op(71, |w| {
            w.write(&from);
            w.write(&to);
            for number in range {
                w.write(&number);
            }
        })
    }
}

fn range(w: &mut Writer, stateid: StateId, offset: u64, length: u64) {
    w.write(&stateid);
    w.write(&offset);
    w.write(&length);
}

impl<'h> Client41<'h> {
    /// A file of three blocks: data, a hole, data.
    pub(crate) async fn holey(&self, name: &str) -> StateId {
        let data = vec![7; 3 * BLOCK as usize];
        let stateid = self.written(name, &data).await;
        let punch = self.file(name).deallocate(stateid, BLOCK, BLOCK);
        punch.run().await.ok();
        stateid
    }

    /// CLONE from one file of the share to another.
    pub(crate) fn clone_file(
        &self,
        (source, from): (&str, StateId),
        (target, to): (&str, StateId),
        range: [u64; 3],
    ) -> Compound<'h> {
        let at = self.file(source).op(32, |_| ()).putrootfh();
        let at = at.lookup("export").lookup(target);
        at.clone_range(from, to, range)
    }
}

impl Reply {
    /// The result of READ_PLUS, which has to be the next one, after `before` others.
    pub(crate) fn segments(&mut self, before: usize) -> (bool, Vec<Segment>) {
        self.ok();
        let eof = self.skip(before).ok_body();
        let count: u32 = self.body();
        let segments = (0..count).map(|_| match self.body::<u32>() {
            0 => Segment::Data(self.body(), self.body()),
            _ => Segment::Hole(self.body(), self.body()),
        });
        (eof, segments.collect())
    }
}
