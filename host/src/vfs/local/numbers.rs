//! Tables by the numbers of objects, which every entry of a listing is looked up in.
//!
//! The hash is one multiplication. Numbers are given by the file system, but a caller may keep
//! those that suit it; which of them meet in one place depends on a factor that nobody knows.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

pub(super) type ByNumber<T> = HashMap<u64, T, Factor>;

#[derive(Clone)]
pub(super) struct Factor(u64);

impl Default for Factor {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0) | 1)
    }
}

impl BuildHasher for Factor {
    type Hasher = Product;
    fn build_hasher(&self) -> Product {
        Product {
            factor: self.0,
            hash: 0,
        }
    }
}

pub(super) struct Product {
    factor: u64,
    hash: u64,
}

impl Hasher for Product {
    fn finish(&self) -> u64 {
        self.hash
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        let product = u128::from(number ^ self.hash) * u128::from(self.factor);
        self.hash = (product >> 64) as u64 ^ product as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_row_are_spread_over_both_ends_of_a_hash() {
        let factor = Factor::default();
        let count = |part: fn(u64) -> u64| {
            let found = (0..4096_u64).map(|number| part(factor.hash_one(number)));
            found.collect::<std::collections::HashSet<_>>().len()
        };
        assert!(count(|hash| hash & 4095) > 1500);
        assert!(count(|hash| hash >> 57) > 100);
    }

    #[test]
    fn what_was_put_under_a_number_is_found_there() {
        let mut table = ByNumber::default();
        for number in (0..100).chain(u64::MAX - 100..=u64::MAX) {
            table.insert(number, number);
        }
        assert_eq!(table.len(), 201);
        assert!(
            table
                .iter()
                .all(|(at, number)| table.get(at) == Some(number))
        );
    }
}
