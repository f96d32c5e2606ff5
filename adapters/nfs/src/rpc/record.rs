//! Record marking: messages out of a byte stream.
//! <https://www.rfc-editor.org/rfc/rfc5531#section-11>

use bytes::{Buf, Bytes, BytesMut};

/// The high bit of a fragment's header marks the last fragment of a record.
const LAST: u32 = 1 << 31;

/// Cuts a byte stream into records of bounded size.
#[derive(Debug)]
pub struct Records {
    /// Received and not yet taken apart.
    input: BytesMut,
    /// The fragments, so far, of a record in several.
    partial: BytesMut,
    max: usize,
}

/// A record is larger than the server takes; the stream can't be followed any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("record larger than {max} bytes")]
pub struct Oversized {
    /// The limit in bytes.
    pub max: usize,
}

impl Records {
    /// Records of at most `max` bytes.
    pub fn new(max: usize) -> Self {
        Self {
            input: BytesMut::new(),
            partial: BytesMut::new(),
            max,
        }
    }

    /// Takes records of at most `max` bytes from now on.
    pub fn limit(&mut self, max: usize) {
        self.max = max;
    }

    /// Where received bytes are appended. Room is made for what the current fragment still
    /// lacks, but never more than `step` bytes ahead of what has arrived.
    pub fn input(&mut self, step: usize) -> &mut BytesMut {
        let missing = self
            .fragment()
            .map_or(0, |(len, _)| (4 + len).saturating_sub(self.input.len()));
        let wanted = missing.clamp(4096, step.max(4096));
        if self.input.capacity() - self.input.len() < wanted.min(4096) {
            self.input.reserve(wanted);
        }
        &mut self.input
    }

    /// The next complete record.
    pub fn take(&mut self) -> Result<Option<Bytes>, Oversized> {
        while let Some((len, last)) = self.fragment() {
            if self.partial.len() + len > self.max {
                return Err(Oversized { max: self.max });
            }
            if self.input.len() < 4 + len {
                return Ok(None);
            }
            self.input.advance(4);
            let fragment = self.input.split_to(len);
            if self.partial.is_empty() && last {
                return Ok(Some(fragment.freeze()));
            }
            self.partial.extend_from_slice(&fragment);
            if last {
                return Ok(Some(self.partial.split().freeze()));
            }
        }
        Ok(None)
    }

    /// Whether [`take`](Self::take) has something to say without further input.
    pub fn has_next(&self) -> bool {
        self.fragment().is_some_and(|(len, _)| {
            self.input.len() >= 4 + len || self.partial.len() + len > self.max
        })
    }

    /// Whether the current fragment is larger than what has arrived of it.
    pub fn wants_more(&self) -> bool {
        self.fragment()
            .is_some_and(|(len, _)| self.input.len() < 4 + len)
    }

    /// Whether the stream stands between two records.
    pub fn is_between(&self) -> bool {
        self.input.is_empty() && self.partial.is_empty()
    }

    /// Gives memory back while nothing is under way.
    pub fn release(&mut self) {
        if self.is_between() {
            self.input = BytesMut::new();
            self.partial = BytesMut::new();
        }
    }

    fn fragment(&self) -> Option<(usize, bool)> {
        let header = u32::from_be_bytes(*self.input.first_chunk()?);
        Some(((header & !LAST) as usize, header & LAST != 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(records: &mut Records, bytes: &[u8]) {
        records.input(1 << 20).extend_from_slice(bytes);
    }

    #[test]
    fn a_record_may_come_in_any_pieces() {
        let stream = [
            &[0x80, 0, 0, 3][..],
            b"abc",
            &[0, 0, 0, 2],
            b"de",
            &[0x80, 0, 0, 1],
            b"f",
        ]
        .concat();
        for cut in 0..=stream.len() {
            let mut records = Records::new(100);
            let mut seen = Vec::new();
            for piece in [&stream[..cut], &stream[cut..]] {
                feed(&mut records, piece);
                while let Some(record) = records.take().unwrap() {
                    seen.push(record);
                }
            }
            assert_eq!(seen, [&b"abc"[..], b"def"], "cut at {cut}");
            assert!(records.is_between());
        }
    }

    #[test]
    fn an_oversized_record_is_refused_at_its_header() {
        let mut records = Records::new(10);
        feed(&mut records, &[0x80, 0, 0, 11]);
        assert_eq!(records.take(), Err(Oversized { max: 10 }));
        let mut records = Records::new(10);
        feed(&mut records, &[0, 0, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 0, 5]);
        assert_eq!(
            records.take(),
            Err(Oversized { max: 10 }),
            "fragments count together"
        );
    }

    #[test]
    fn a_header_alone_reserves_no_more_than_a_step() {
        let mut records = Records::new(1 << 30);
        feed(&mut records, &[0xbf, 0xff, 0xff, 0xff]);
        let room = records.input(65536).capacity();
        assert!(room <= 2 * 65536, "{room}");
    }
}
