//! Operations of one COMPOUND, written and read by hand.

use anyhow::{Context, Result, ensure};

/// What a COMPOUND does, one after the other.
#[derive(Debug, Clone, Default)]
pub struct Operations {
    count: u32,
    bytes: Vec<u8>,
}

impl Operations {
    /// One more operation; its arguments follow.
    #[must_use]
    pub fn op(mut self, number: u32) -> Self {
        self.count += 1;
        self.words(&[number])
    }

    /// Words of the last operation's arguments.
    #[must_use]
    pub fn words(mut self, words: &[u32]) -> Self {
        for word in words {
            self.bytes.extend(word.to_be_bytes());
        }
        self
    }

    /// A string, or other bytes, of the last operation's arguments.
    #[must_use]
    pub fn opaque(mut self, bytes: &[u8]) -> Self {
        self = self.words(&[bytes.len() as u32]);
        self.bytes.extend(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What is left to read of a reply.
#[derive(Debug)]
pub struct Results {
    bytes: Vec<u8>,
    at: usize,
}

impl Results {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next word.
    pub fn word(&mut self) -> Result<u32> {
        let word = self.take(4)?.try_into()?;
        Ok(u32::from_be_bytes(word))
    }

    /// The next two words as one number.
    pub fn long(&mut self) -> Result<u64> {
        let word = self.take(8)?.try_into()?;
        Ok(u64::from_be_bytes(word))
    }

    /// The next string.
    pub fn opaque(&mut self) -> Result<Vec<u8>> {
        let length = self.word()? as usize;
        let bytes = self.take(length)?.to_vec();
        self.take(length.next_multiple_of(4) - length)?;
        Ok(bytes)
    }

    /// Passes over the head of the next operation's result, which must be this one's.
    pub fn result(&mut self, number: u32) -> Result<u32> {
        let found = self.word()?;
        ensure!(found == number, "a result of {found}, not of {number}");
        self.word()
    }

    fn take(&mut self, length: usize) -> Result<&[u8]> {
        let end = self.at.saturating_add(length);
        let taken = self.bytes.get(self.at..end).context("a short reply")?;
        self.at = end;
        Ok(taken)
    }
}
