//! The bytes of a regular file, stored by blocks so that holes cost nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use dittofs_sdk::vfs::{Buffer, VfsError, VfsResult};

use crate::quota::{Charge, Quota};

/// Bytes that one block covers.
const BLOCK: u64 = 64 * 1024;
/// The smallest block in memory, so that small files stay small.
const SMALLEST: usize = 4096;

/// The most that one read answers; longer ones are short.
const MAX_READ: u32 = 16 << 20;

/// The largest file: what a signed 64-bit offset can address.
pub(crate) const MAX_SIZE: u64 = i64::MAX as u64;

/// Sparse content. A block may be shorter than [`BLOCK`]; what is missing reads as zeros.
#[derive(Debug)]
pub(crate) struct Data {
    size: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
    charge: Charge,
}

impl Data {
    pub(crate) fn new(quota: &Arc<Quota>) -> VfsResult<Self> {
        Ok(Self {
            size: 0,
            blocks: BTreeMap::new(),
            charge: Charge::take(quota, 0)?,
        })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of memory in use.
    pub(crate) fn used(&self) -> u64 {
        self.charge.amount()
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
            let block = self.blocks.get(&index).map_or(&[][..], Vec::as_slice);
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
            self.cut(size);
        }
        self.size = size;
        Ok(())
    }

    fn write_block(&mut self, at: u64, piece: &[u8]) -> VfsResult<()> {
        let from = (at % BLOCK) as usize;
        let to = from + piece.len();
        let index = at / BLOCK;
        let stored = self.blocks.get(&index).map_or(0, Vec::len);
        if stored < to {
            let wanted = to.next_power_of_two().max(SMALLEST);
            self.charge.grow((wanted - stored) as u64)?;
            let block = self.blocks.entry(index).or_default();
            block.reserve_exact(wanted - stored);
            block.resize(wanted, 0);
        }
        let place = self
            .blocks
            .get_mut(&index)
            .and_then(|block| block.get_mut(from..to));
        place.ok_or(VfsError::Io)?.copy_from_slice(piece);
        Ok(())
    }

    fn cut(&mut self, size: u64) {
        let gone = self.blocks.split_off(&size.div_ceil(BLOCK));
        self.charge
            .shrink(gone.values().map(|block| block.len() as u64).sum());
        let tail = self.blocks.get_mut(&(size / BLOCK));
        if let Some(tail) = tail.and_then(|block| block.get_mut((size % BLOCK) as usize..)) {
            tail.fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(limit: u64) -> Data {
        Data::new(&Quota::new(limit)).unwrap()
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
