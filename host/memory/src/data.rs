//! The bytes of a regular file, stored by blocks so that holes cost nothing.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::sync::Arc;

use dittofs_sdk::vfs::{Buffer, VfsError, VfsResult};

use crate::quota::{Charge, Quota};

/// Bytes that one block covers.
pub(crate) const BLOCK: u64 = 64 * 1024;
/// The smallest block in memory, so that small files stay small.
const SMALLEST: usize = 4096;

/// The most that one read answers; longer ones are short.
const MAX_READ: u32 = 16 << 20;

/// The largest file: what a signed 64-bit offset can address.
pub(crate) const MAX_SIZE: u64 = i64::MAX as u64;

/// Sparse content. A block may be shorter than [`BLOCK`]; what is missing reads as zeros, and so
/// does what it has beyond the size.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) size: u64,
    pub(crate) blocks: Blocks,
}

/// The blocks that there are, by number.
#[derive(Debug)]
pub(crate) struct Blocks {
    stored: BTreeMap<u64, Arc<Block>>,
    used: u64,
    quota: Arc<Quota>,
}

/// Stored bytes, which several files may have in common.
#[derive(Debug)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    charge: Charge,
}

impl Block {
    fn new(len: usize, quota: &Arc<Quota>) -> VfsResult<Self> {
        Ok(Self {
            charge: Charge::take(quota, len as u64)?,
            bytes: vec![0; len],
        })
    }

    fn copy(&self, quota: &Arc<Quota>) -> VfsResult<Self> {
        Ok(Self {
            charge: Charge::take(quota, self.bytes.len() as u64)?,
            bytes: self.bytes.clone(),
        })
    }

    fn grow(&mut self, len: usize) -> VfsResult<()> {
        let more = len.saturating_sub(self.bytes.len());
        if more > 0 {
            self.charge.grow(more as u64)?;
            self.bytes.reserve_exact(more);
            self.bytes.resize(len, 0);
        }
        Ok(())
    }
}

impl Blocks {
    pub(crate) fn get(&self, index: u64) -> Option<&Arc<Block>> {
        self.stored.get(&index)
    }

    /// Those of `range`, in order.
    pub(crate) fn within(&self, range: Range<u64>) -> impl Iterator<Item = (u64, &Arc<Block>)> {
        self.stored
            .range(range)
            .map(|(index, block)| (*index, block))
    }

    /// The bytes of a block, at least `len` of them, which no other file shares then.
    pub(crate) fn own(&mut self, index: u64, len: usize) -> VfsResult<&mut [u8]> {
        let stored = self.get(index).map_or(0, |block| block.bytes.len());
        let wanted = if stored < len {
            len.next_power_of_two().max(SMALLEST)
        } else {
            stored
        };
        let block = match self.stored.entry(index) {
            Entry::Vacant(place) => place.insert(Arc::new(Block::new(wanted, &self.quota)?)),
            Entry::Occupied(place) => place.into_mut(),
        };
        if Arc::get_mut(block).is_none() {
            *block = Arc::new(block.copy(&self.quota)?);
        }
        let block = Arc::get_mut(block).ok_or(VfsError::Io)?;
        block.grow(wanted)?;
        self.used += (wanted - stored) as u64;
        Ok(&mut block.bytes)
    }

    /// Has zeros in `[from, to)` of a block.
    pub(crate) fn clear(&mut self, index: u64, from: usize, to: usize) -> VfsResult<()> {
        let stored = self.get(index).map_or(0, |block| block.bytes.len());
        if from < stored
            && let Some(bytes) = self.own(index, stored)?.get_mut(from..to.min(stored))
        {
            bytes.fill(0);
        }
        Ok(())
    }

    pub(crate) fn put(&mut self, index: u64, block: Arc<Block>) {
        self.remove(index);
        self.used += block.bytes.len() as u64;
        self.stored.insert(index, block);
    }

    pub(crate) fn remove(&mut self, index: u64) {
        if let Some(block) = self.stored.remove(&index) {
            self.used -= block.bytes.len() as u64;
        }
    }

    /// What is left of the quota, in bytes.
    pub(crate) fn room(&self) -> u64 {
        self.quota.free()
    }

    fn cut(&mut self, first: u64) {
        let gone = self.stored.split_off(&first);
        self.used -= gone
            .values()
            .map(|block| block.bytes.len() as u64)
            .sum::<u64>();
    }
}

impl Data {
    pub(crate) fn new(quota: &Arc<Quota>) -> Self {
        Self {
            size: 0,
            blocks: Blocks {
                stored: BTreeMap::new(),
                used: 0,
                quota: Arc::clone(quota),
            },
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of memory in use, those shared with other files included.
    pub(crate) fn used(&self) -> u64 {
        self.blocks.used
    }

    /// Appends up to `count` bytes from `offset`; true at the end of the file.
    pub(crate) fn read(&self, offset: u64, count: u32, into: &mut Buffer) -> bool {
        let end = offset
            .saturating_add(u64::from(count.min(MAX_READ)))
            .min(self.size);
        let mut at = offset;
        into.reserve(end.saturating_sub(offset) as usize);
        while at < end {
            let (index, from) = (at / BLOCK, (at % BLOCK) as usize);
            let len = (BLOCK - at % BLOCK).min(end - at) as usize;
            let block = self.blocks.get(index).map_or(&[][..], |b| &b.bytes);
            let stored = block
                .get(from..block.len().min(from + len))
                .unwrap_or_default();
            into.extend_from_slice(stored);
            into.resize(into.len() + len - stored.len());
            at += len as u64;
        }
        end >= self.size
    }

    /// Writes `data`, or as much as fits into the quota; the number of bytes written.
    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) -> VfsResult<u32> {
        let end = offset
            .checked_add(data.len() as u64)
            .ok_or(VfsError::FileTooBig)?;
        if end > MAX_SIZE {
            return Err(VfsError::FileTooBig);
        }
        if data.is_empty() {
            return Ok(0);
        }
        let mut rest = data;
        let mut at = offset;
        while !rest.is_empty() {
            let len = ((BLOCK - at % BLOCK) as usize).min(rest.len());
            let (piece, after) = rest.split_at(len);
            match self.write_block(at, piece) {
                Ok(()) => {}
                Err(error) if at == offset => return Err(error),
                Err(_) => break,
            }
            at += len as u64;
            rest = after;
        }
        self.size = self.size.max(at);
        Ok((at - offset) as u32)
    }

    /// Cuts, or grows by a hole.
    pub(crate) fn set_size(&mut self, size: u64) -> VfsResult<()> {
        if size > MAX_SIZE {
            return Err(VfsError::FileTooBig);
        }
        if size < self.size {
            self.cut(size)?;
        }
        self.size = size;
        Ok(())
    }

    fn write_block(&mut self, at: u64, piece: &[u8]) -> VfsResult<()> {
        let from = (at % BLOCK) as usize;
        let to = from + piece.len();
        let place = self.blocks.own(at / BLOCK, to)?.get_mut(from..to);
        place.ok_or(VfsError::Io)?.copy_from_slice(piece);
        Ok(())
    }

    fn cut(&mut self, size: u64) -> VfsResult<()> {
        if !size.is_multiple_of(BLOCK) {
            let from = (size % BLOCK) as usize;
            self.blocks.clear(size / BLOCK, from, BLOCK as usize)?;
        }
        self.blocks.cut(size.div_ceil(BLOCK));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(limit: u64) -> Data {
        Data::new(&Quota::new(limit))
    }

    fn read(data: &Data, offset: u64, count: u32) -> (Vec<u8>, bool) {
        let mut into = Buffer::default();
        let eof = data.read(offset, count, &mut into);
        (into.to_vec(), eof)
    }

    #[test]
    fn holes_read_as_zeros_and_cost_nothing() {
        let mut data = data(1 << 20);
        data.set_size(1 << 40).unwrap();
        data.write((1 << 40) - 3, b"end").unwrap();
        assert_eq!(read(&data, (1 << 40) - 5, 100), (b"\0\0end".to_vec(), true));
        assert!(data.used() <= BLOCK);
    }

    #[test]
    fn bytes_cut_off_do_not_come_back() {
        let mut data = data(1 << 20);
        data.write(0, &vec![7; 100_000]).unwrap();
        data.set_size(70_000).unwrap();
        data.set_size(80_000).unwrap();
        let (bytes, eof) = read(&data, 69_999, 20_000);
        assert!(eof);
        assert_eq!(bytes.len(), 10_001);
        assert_eq!(bytes.iter().filter(|b| **b != 0).count(), 1);
    }

    #[test]
    fn a_write_across_the_quota_is_short_and_the_next_is_refused() {
        let mut data = data(2 * BLOCK);
        assert_eq!(
            data.write(0, &vec![1; 3 * BLOCK as usize]).unwrap(),
            2 * BLOCK as u32
        );
        assert_eq!(data.write(2 * BLOCK, b"x"), Err(VfsError::NoSpace));
        data.set_size(0).unwrap();
        assert_eq!(data.used(), 0);
    }

    #[test]
    fn random_operations_match_a_plain_vector() {
        let (mut data, mut model) = (data(1 << 30), Vec::new());
        let mut seed = 1_u64;
        let mut next = move |below: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for step in 0..2000_u32 {
            let (offset, len) = (next(300_000), next(50_000) as usize);
            if next(5) == 0 {
                data.set_size(offset).unwrap();
                model.resize(offset as usize, 0);
            } else {
                let bytes = vec![step as u8 | 1; len];
                data.write(offset, &bytes).unwrap();
                let end = offset as usize + len;
                if len > 0 && model.len() < end {
                    model.resize(end, 0);
                }
                if len > 0 {
                    model[offset as usize..end].copy_from_slice(&bytes);
                }
            }
            assert_eq!(data.size(), model.len() as u64);
        }
        assert_eq!(read(&data, 0, u32::MAX).0, model);
    }
}
