//! Blocks that say where they belong and which write they come from.
//!
//! A block begins with its offset in the file and the number of the write; the rest is the same in every block of
//! that size, so that it is compared where it is hot in the cache.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};

/// Bytes of a block that differ.
pub const HEAD: usize = 16;
/// Above this size only samples are compared.
const SMALL: usize = 64 << 10;
/// Bytes from one sample to the next; odd, so that no alignment hides anything.
const STRIDE: usize = 16_411;

/// Blocks of one size.
#[derive(Debug, Clone)]
pub struct Pattern {
    tail: Arc<[u8]>,
}

impl Pattern {
    /// Blocks of `size` bytes, a multiple of 8 above 16.
    pub fn new(size: usize) -> Self {
        let words = (0..size.saturating_sub(HEAD) / 8).flat_map(|index| mix(index as u64));
        Self {
            tail: words.collect(),
        }
    }

    /// Length of a block.
    pub fn size(&self) -> usize {
        HEAD + self.tail.len()
    }

    /// What follows the head.
    pub fn tail(&self) -> &Arc<[u8]> {
        &self.tail
    }

    /// The head of write `number` at `offset`.
    pub fn head(offset: u64, number: u64) -> [u8; HEAD] {
        (u128::from(offset) << 64 | u128::from(number)).to_be_bytes()
    }

    /// Checks a block that was read at `offset`, wholly or, if it is large, in samples; the number of its write.
    pub fn check(&self, block: &[u8], offset: u64) -> Result<u64> {
        self.check_by(block, offset, self.size() <= SMALL)
    }

    /// Checks all of it.
    pub fn check_wholly(&self, block: &[u8], offset: u64) -> Result<u64> {
        self.check_by(block, offset, true)
    }

    fn check_by(&self, block: &[u8], offset: u64, wholly: bool) -> Result<u64> {
        ensure!(
            block.len() == self.size(),
            "{} bytes, not {}",
            block.len(),
            self.size()
        );
        let (head, tail) = block.split_first_chunk::<HEAD>().context("no head")?;
        let head = u128::from_be_bytes(*head);
        let found = (head >> 64) as u64;
        ensure!(found == offset, "data of offset {found} at {offset}");
        let good = if wholly {
            tail == &*self.tail
        } else {
            let samples = tail.chunks(STRIDE).zip(self.tail.chunks(STRIDE));
            samples
                .map(|(found, right)| (found.first_chunk::<8>(), right.first_chunk::<8>()))
                .all(|(found, right)| found == right)
                && tail.last_chunk::<8>() == self.tail.last_chunk::<8>()
        };
        ensure!(good, "wrong data at offset {offset}");
        Ok(head as u64)
    }
}

/// The finalizer of splitmix64.
fn mix(index: u64) -> [u8; 8] {
    let mut word = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (word ^ (word >> 31)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(pattern: &Pattern, offset: u64, number: u64) -> Vec<u8> {
        [&Pattern::head(offset, number)[..], pattern.tail()].concat()
    }

    #[test]
    fn a_block_tells_its_write() {
        let pattern = Pattern::new(4096);
        assert_eq!(pattern.check(&block(&pattern, 8192, 3), 8192).unwrap(), 3);
    }

    #[test]
    fn one_wrong_byte_of_a_small_block_is_found() {
        let pattern = Pattern::new(4096);
        for at in [0, 7, 16, 2000, 4095] {
            let mut block = block(&pattern, 0, 1);
            block[at] ^= 1;
            assert!(pattern.check(&block, 0).is_err(), "{at}");
        }
    }

    #[test]
    fn a_hole_in_a_large_block_is_found_by_samples_and_a_wrong_byte_by_all() {
        let pattern = Pattern::new(1 << 20);
        let mut holed = block(&pattern, 0, 1);
        holed[512 << 10..544 << 10].fill(0);
        assert!(pattern.check(&holed, 0).is_err());
        let mut wrong = block(&pattern, 0, 1);
        wrong[777_777] ^= 1;
        assert!(pattern.check_wholly(&wrong, 0).is_err());
    }

    #[test]
    fn a_block_of_another_place_is_found() {
        let pattern = Pattern::new(4096);
        assert!(pattern.check(&block(&pattern, 4096, 1), 0).is_err());
    }
}
