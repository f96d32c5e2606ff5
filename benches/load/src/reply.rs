//! A reply as bytes: RFC 5531 §9, RFC 8881 §16.2.

use anyhow::{Context, Result, bail, ensure};

/// Where the results begin in a reply without its record mark: after the RPC header, status, empty tag and count.
pub const RESULTS_AT: usize = 36;
/// Number, status and result of SEQUENCE.
pub const SEQUENCE_LENGTH: usize = 44;

/// What is left to read of a reply, or of anything else in XDR.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    bytes: &'a [u8],
}

impl<'a> Reply<'a> {
    /// At the first of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Behind the header of an accepted COMPOUND that went well, which had `operations`.
    pub fn accepted(bytes: &'a [u8], operations: u32) -> Result<Self> {
        let mut reply = Self::new(bytes);
        reply.fixed(4)?;
        for (what, expected) in [
            ("kind of message", 1),
            ("acceptance", 0),
            ("verifier", 0),
            ("verifier's length", 0),
            ("state of acceptance", 0),
        ] {
            let word = reply.word()?;
            ensure!(word == expected, "{what} {word}, not {expected}");
        }
        let (status, tag, results) = (reply.word()?, reply.word()?, reply.word()?);
        ensure!(tag == 0, "a tag that was not sent");
        if status != 0 || results != operations {
            bail!("status {status} after {results} of {operations} operations");
        }
        Ok(reply)
    }

    /// The next word.
    pub fn word(&mut self) -> Result<u32> {
        let (word, rest) = self.bytes.split_first_chunk().context("a short reply")?;
        self.bytes = rest;
        Ok(u32::from_be_bytes(*word))
    }

    /// The next two words.
    pub fn long(&mut self) -> Result<u64> {
        let (long, rest) = self.bytes.split_first_chunk().context("a short reply")?;
        self.bytes = rest;
        Ok(u64::from_be_bytes(*long))
    }

    /// The next bytes, without padding.
    pub fn fixed(&mut self, length: usize) -> Result<&'a [u8]> {
        let (fixed, rest) = self
            .bytes
            .split_at_checked(length)
            .context("a short reply")?;
        self.bytes = rest;
        Ok(fixed)
    }

    /// The next bytes, with their length before and their padding behind.
    pub fn opaque(&mut self) -> Result<&'a [u8]> {
        let length = self.word()? as usize;
        let opaque = self.fixed(length)?;
        self.fixed(length.next_multiple_of(4) - length)?;
        Ok(opaque)
    }

    /// Passes over number and status of the next result, which must be that of `operation`.
    pub fn result(&mut self, operation: u32) -> Result<()> {
        let found = self.word()?;
        ensure!(
            found == operation,
            "a result of {found}, not of {operation}"
        );
        self.word().map(drop)
    }

    /// Whether all was read.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn an_accepted_reply_is_read_up_to_its_results() {
        let bytes = reply(&[7, 1, 0, 0, 0, 0, 0, 0, 1, 24, 0]);
        let mut rest = Reply::accepted(&bytes, 1).unwrap();
        rest.result(24).unwrap();
        assert!(rest.is_empty());
    }

    #[test]
    fn a_failed_operation_is_not_accepted() {
        let bytes = reply(&[7, 1, 0, 0, 0, 0, 10_001, 0, 1]);
        assert!(Reply::accepted(&bytes, 1).is_err());
    }

    #[test]
    fn a_missing_result_is_not_accepted() {
        let bytes = reply(&[7, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert!(Reply::accepted(&bytes, 2).is_err());
    }

    #[test]
    fn padding_is_passed_over() {
        let mut bytes = Reply::new(b"\0\0\0\x01a\0\0\0\0\0\0\x05");
        assert_eq!(bytes.opaque().unwrap(), b"a");
        assert_eq!(bytes.word().unwrap(), 5);
    }
}
