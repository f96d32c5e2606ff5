//! Ranges of content: where they are stored, and given room, freed, shared and copied as such.

use std::ops::Range;
use std::sync::Arc;

use dittofs_sdk::vfs::{Buffer, Content, Extent, VfsError, VfsResult};

use crate::data::{BLOCK, Block, Data, MAX_SIZE};

/// The most bytes that one call copies, where they can't be shared.
const MAX_COPY: u64 = 4 << 20;

/// Bytes of a file, as another one takes them over.
pub(crate) enum Piece {
    /// Whole blocks by their number from the first, the last one perhaps cut off by the end.
    Shared {
        blocks: Vec<(u64, Arc<Block>)>,
        len: u64,
    },
    /// Zeros that were never stored.
    Hole(u64),
    Bytes(Buffer),
}

impl Data {
    pub(crate) fn extent(&self, offset: u64, until: u64) -> Option<Extent> {
        if offset >= self.size {
            return None;
        }
        let index = offset / BLOCK;
        let beyond = self.size.div_ceil(BLOCK);
        let mut stored = self.blocks.within(index..beyond).map(|(index, _)| index);
        let (content, end) = match stored.next() {
            Some(first) if first == index => {
                let enough = until.div_ceil(BLOCK).max(index + 1);
                let mut end = index + 1;
                while end < enough && stored.next() == Some(end) {
                    end += 1;
                }
                (Content::Data, end)
            }
            next => (Content::Hole, next.unwrap_or(beyond)),
        };
        let end = end.saturating_mul(BLOCK).min(self.size);
        Some(Extent { content, end })
    }

    /// Stores all of a range, of its own.
    pub(crate) fn allocate(&mut self, offset: u64, count: u64) -> VfsResult<()> {
        let end = end_of(offset, count)?;
        let all = offset / BLOCK..end.div_ceil(BLOCK);
        let there = self.blocks.within(all.clone()).count() as u64;
        // Asked before the first block is taken: there may be more than could ever be counted.
        if (all.end - all.start - there).saturating_sub(2) > self.blocks.room() / BLOCK {
            return Err(VfsError::NoSpace);
        }
        for index in all {
            let needed = (end - index * BLOCK).min(BLOCK);
            self.blocks.own(index, needed as usize)?;
        }
        self.size = self.size.max(end);
        Ok(())
    }

    /// Makes a hole of a range, as far as it is in the file.
    pub(crate) fn deallocate(&mut self, offset: u64, count: u64) -> VfsResult<()> {
        let end = end_of(offset, count)?;
        let stored: Vec<u64> = self
            .blocks
            .within(offset / BLOCK..end.div_ceil(BLOCK))
            .map(|(index, _)| index)
            .collect();
        let whole = |index: u64| {
            let start = index * BLOCK;
            start >= offset && (start.saturating_add(BLOCK)).min(self.size) <= end
        };
        let (whole, parts): (Vec<u64>, Vec<u64>) = stored.into_iter().partition(|i| whole(*i));
        for index in parts {
            let start = index * BLOCK;
            let from = offset.saturating_sub(start) as usize;
            let to = (end - start).min(BLOCK) as usize;
            self.blocks.clear(index, from, to)?;
        }
        for index in whole {
            self.blocks.remove(index);
        }
        Ok(())
    }

    /// What is shared when `count` bytes from `from` are cloned.
    pub(crate) fn to_clone(&self, from: u64, count: u64) -> VfsResult<Piece> {
        let len = match count {
            0 => self.size.checked_sub(from),
            count => Some(count),
        };
        let len = len.ok_or(VfsError::Invalid)?;
        let end = from.checked_add(len).ok_or(VfsError::Invalid)?;
        let odd = !len.is_multiple_of(BLOCK) && end != self.size;
        if !from.is_multiple_of(BLOCK) || end > self.size || odd {
            return Err(VfsError::Invalid);
        }
        Ok(self.shared(from, len))
    }

    /// Takes over what is cloned, all or nothing.
    pub(crate) fn put_clone(&mut self, to: u64, piece: Piece) -> VfsResult<()> {
        let end = end_of(to, piece.len())?;
        let odd = !piece.len().is_multiple_of(BLOCK) && end < self.size;
        if !to.is_multiple_of(BLOCK) || odd {
            return Err(VfsError::Invalid);
        }
        self.put(to, piece).map(drop)
    }

    /// Some of `count` bytes from `from`, to be copied to `to` of another file.
    pub(crate) fn to_copy(&self, from: u64, to: u64, count: u64) -> Piece {
        let count = count.min(self.size.saturating_sub(from));
        let aligned = from.is_multiple_of(BLOCK) && to.is_multiple_of(BLOCK);
        match self.extent(from, from.saturating_add(count)) {
            None => Piece::Hole(0),
            Some(_) if aligned && count >= BLOCK => self.shared(from, count - count % BLOCK),
            Some(extent) => {
                let count = count.min(extent.end - from);
                if extent.content == Content::Hole {
                    return Piece::Hole(count);
                }
                let mut bytes = Buffer::default();
                self.read(from, count.min(MAX_COPY) as u32, &mut bytes);
                Piece::Bytes(bytes)
            }
        }
    }

    /// Takes over what is copied, or what of it there is room for; the number of bytes.
    pub(crate) fn put(&mut self, to: u64, piece: Piece) -> VfsResult<u64> {
        let len = piece.len();
        let end = end_of(to, len)?;
        match piece {
            Piece::Bytes(bytes) => return self.write(to, &bytes).map(u64::from),
            Piece::Hole(_) => self.deallocate(to, len)?,
            Piece::Shared { blocks, .. } => {
                let first = to / BLOCK;
                self.remove_blocks(first..end.div_ceil(BLOCK));
                for (index, block) in blocks {
                    self.blocks.put(first + index, block);
                }
            }
        }
        self.size = self.size.max(end);
        Ok(len)
    }

    fn shared(&self, from: u64, len: u64) -> Piece {
        let first = from / BLOCK;
        let within = self.blocks.within(first..(from + len).div_ceil(BLOCK));
        let blocks = within.map(|(index, block)| (index - first, Arc::clone(block)));
        Piece::Shared {
            blocks: blocks.collect(),
            len,
        }
    }

    fn remove_blocks(&mut self, range: Range<u64>) {
        let gone: Vec<u64> = self.blocks.within(range).map(|(index, _)| index).collect();
        for index in gone {
            self.blocks.remove(index);
        }
    }
}

impl Piece {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Shared { len, .. } | Self::Hole(len) => *len,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }
}

/// Whether two ranges of one file have a byte in common.
pub(crate) fn overlap(from: u64, to: u64, count: u64) -> bool {
    from.abs_diff(to) < count
}

fn end_of(offset: u64, count: u64) -> VfsResult<u64> {
    let end = offset.checked_add(count).filter(|end| *end <= MAX_SIZE);
    end.ok_or(VfsError::FileTooBig)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Quota;

    fn data(limit: u64, content: &[u8]) -> Data {
        let mut data = Data::new(&Quota::new(limit));
        data.write(0, content).unwrap();
        data
    }

    fn bytes(data: &Data) -> Vec<u8> {
        let mut into = Buffer::default();
        data.read(0, u32::MAX, &mut into);
        into.to_vec()
    }

    #[test]
    fn a_clone_shares_its_storage_until_one_of_them_is_written() {
        let quota = Quota::new(4 * BLOCK);
        let mut first = Data::new(&quota);
        first.write(0, &vec![1; 2 * BLOCK as usize]).unwrap();
        let mut second = Data::new(&quota);
        second.put_clone(0, first.to_clone(0, 0).unwrap()).unwrap();
        assert_eq!(quota.free(), 2 * BLOCK);
        assert_eq!(bytes(&second), bytes(&first));
        second.write(5, b"x").unwrap();
        assert_eq!(quota.free(), BLOCK);
        assert_eq!((bytes(&first)[5], bytes(&second)[5]), (1, b'x'));
        drop(first);
        assert_eq!(quota.free(), 2 * BLOCK);
    }

    #[test]
    fn shared_bytes_cut_off_stay_in_the_other_file() {
        let first = data(1 << 20, &vec![1; 100_000]);
        let mut second = data(1 << 20, b"");
        second.put_clone(0, first.to_clone(0, 0).unwrap()).unwrap();
        second.set_size(70_000).unwrap();
        second.set_size(100_000).unwrap();
        assert!(bytes(&second)[70_000..].iter().all(|byte| *byte == 0));
        assert_eq!(bytes(&first), vec![1; 100_000]);
    }

    #[test]
    fn room_that_can_never_be_had_is_refused_at_once() {
        let mut data = data(1 << 20, b"");
        assert_eq!(data.allocate(0, MAX_SIZE), Err(VfsError::NoSpace));
        assert_eq!(data.allocate(1, MAX_SIZE), Err(VfsError::FileTooBig));
        assert_eq!(data.used(), 0);
    }

    #[test]
    fn allocated_room_is_there_when_all_else_is_taken() {
        let quota = Quota::new(4 * BLOCK);
        let mut data = Data::new(&quota);
        data.allocate(10, 2 * BLOCK).unwrap();
        assert_eq!(data.size(), 2 * BLOCK + 10);
        let mut other = Data::new(&quota);
        let rest = vec![7; 4 * BLOCK as usize];
        assert!(u64::from(other.write(0, &rest).unwrap()) < 2 * BLOCK);
        let all = vec![1; 2 * BLOCK as usize];
        assert_eq!(data.write(10, &all), Ok(all.len() as u32));
    }

    #[test]
    fn random_ranges_match_a_plain_vector() {
        let (mut data, mut model) = (data(1 << 30, b""), Vec::<u8>::new());
        let mut seed = 7_u64;
        let mut next = move |below: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for step in 0..1500_u32 {
            let (offset, len) = (next(600_000) as usize, next(200_000) as usize);
            let end = offset + len;
            let grown = |model: &mut Vec<u8>, end: usize| model.resize(model.len().max(end), 0);
            match next(4) {
                0 => {
                    data.write(offset as u64, &vec![step as u8 | 1; len])
                        .unwrap();
                    grown(&mut model, if len > 0 { end } else { 0 });
                    if len > 0 {
                        model[offset..end].fill(step as u8 | 1);
                    }
                }
                1 => {
                    data.deallocate(offset as u64, len as u64).unwrap();
                    let size = model.len();
                    model[offset.min(size)..end.min(size)].fill(0);
                }
                2 => {
                    data.allocate(offset as u64, len as u64).unwrap();
                    grown(&mut model, end);
                }
                _ => {
                    let from = next(600_000) & !(next(2) * (BLOCK - 1));
                    let to = offset as u64 & !(next(2) * (BLOCK - 1));
                    let piece = data.to_copy(from, to, len as u64);
                    let done = piece.len() as usize;
                    if overlap(from, to, done as u64) || done == 0 {
                        continue;
                    }
                    assert_eq!(data.put(to, piece).unwrap(), done as u64);
                    grown(&mut model, to as usize + done);
                    model.copy_within(from as usize..from as usize + done, to as usize);
                }
            }
            assert_eq!(data.size(), model.len() as u64);
        }
        assert_eq!(bytes(&data), model);
        let mut at = 0;
        while let Some(extent) = data.extent(at, u64::MAX) {
            if extent.content == Content::Hole {
                assert!(
                    model[at as usize..extent.end as usize]
                        .iter()
                        .all(|b| *b == 0)
                );
            }
            at = extent.end;
        }
        assert_eq!(at, data.size());
    }
}
