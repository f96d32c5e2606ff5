//! Decisions out of arbitrary bytes. When there are none left, every choice is the first.

/// Bytes not yet used.
pub(super) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn are_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// One of `count`.
    pub(super) fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    /// True for about `of_256` bytes of all.
    pub(super) fn rarely(&mut self, of_256: u8) -> bool {
        // Not for a zero, which stands for the end.
        self.byte() > 255 - of_256
    }

    pub(super) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    pub(super) fn u32(&mut self) -> u32 {
        match self.below(8) {
            0..=3 => u32::from(self.byte()) % 8,
            4 => u32::from(self.byte()),
            5 => 1 << (self.byte() % 32),
            6 => u32::MAX - u32::from(self.byte()) % 4,
            _ => u32::from_be_bytes(self.array()),
        }
    }

    pub(super) fn u64(&mut self) -> u64 {
        match self.below(8) {
            0..=3 => u64::from(self.byte()) % 32,
            4 => u64::from(self.byte()) << 10,
            5 => 1 << (self.byte() % 64),
            6 => u64::MAX - u64::from(self.byte()) % 4,
            _ => u64::from_be_bytes(self.array()),
        }
    }

    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    /// At most `most` bytes.
    pub(super) fn bytes(&mut self, most: usize) -> &'a [u8] {
        let count = self.below(most + 1).min(self.0.len());
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    /// All that are left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}
