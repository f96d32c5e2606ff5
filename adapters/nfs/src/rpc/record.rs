//! Record marking: messages out of a byte stream.
//! <https://www.rfc-editor.org/rfc/rfc5531#section-11>

use bytes::buf::Limit;
use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::buffers::{self, CHUNK};

/// The high bit of a fragment's header marks the last fragment of a record.
const LAST: u32 = 1 << 31;
/// Bytes that are reserved ahead of what has arrived.
const AHEAD: usize = 1 << 20;

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

    /// Where received bytes are appended: room for what the current fragment still lacks, or else for
    /// [`CHUNK`]; never more than [`AHEAD`] bytes ahead of what has arrived. A large
    /// fragment is read to its end and no further, so that the next one begins at the start of
    /// the memory.
    pub fn input(&mut self) -> Limit<&mut BytesMut> {
        let (len, missing) = self.fragment().map_or((0, 0), |(len, _)| {
            (len, (4 + len).saturating_sub(self.input.len()))
        });
        if self.input.capacity() == 0 {
            self.input = buffers::bytes();
        }
        let room = self.input.capacity() - self.input.len();
        let least = if missing == 0 {
            CHUNK / 4
        } else {
            missing.min(CHUNK / 4)
        };
        if room < least {
            self.input.reserve(missing.clamp(CHUNK, AHEAD));
        }
        let room = self.input.capacity() - self.input.len();
        let most = if len > CHUNK { missing } else { CHUNK };
        (&mut self.input).limit(most.min(room))
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
        if self.is_between() && self.input.capacity() > 0 {
            buffers::give_back_bytes(std::mem::take(&mut self.input));
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
        for piece in bytes.chunks(CHUNK) {
            records.input().put_slice(piece);
        }
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
        let _ = records.input();
        let room = records.input.capacity();
        assert!(room <= 2 * AHEAD, "{room}");
    }

    #[test]
    fn large_records_one_after_another_stay_in_the_same_memory() {
        const DATA: usize = 1 << 20;
        let mut records = Records::new(2 * DATA);
        let stream: Vec<u8> = [&(DATA as u32 | LAST).to_be_bytes()[..], &vec![7; DATA]].concat();
        let mut places = Vec::new();
        for _ in 0..6 {
            let mut rest = &stream[..];
            while !rest.is_empty() {
                let mut room = records.input();
                let count = rest.len().min(room.remaining_mut());
                room.put_slice(&rest[..count]);
                rest = &rest[count..];
            }
            let record = records.take().unwrap().unwrap();
            assert!(record.iter().all(|byte| *byte == 7) && record.len() == DATA);
            places.push(record.as_ptr());
            drop(record);
            records.release();
        }
        places.dedup();
        assert!(places.len() <= 2, "{places:?}");
    }
}
