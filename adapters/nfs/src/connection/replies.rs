//! The replies of a batch, and how they leave.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::time::Duration;

use bytes::BytesMut;
use dittofs_sdk::vfs::Buffer;
use tokio::net::TcpStream;

use crate::buffers;

/// Replies up to this size are copied into one piece of memory: that costs less than a piece of its own
/// does in the system call.
const SMALL: usize = 16 * 1024;
/// What a reply usually needs.
const USUAL: usize = 512;
/// Most pieces of one write.
const PIECES: usize = 32;
/// Most bytes of one write while others wait.
pub(super) const SHARED: usize = 256 * 1024;
/// How long a peer may take none of its replies before it is cut off.
const WRITE_TIMEOUT: Duration = Duration::from_mins(1);

/// What is to be written: small replies copied together, large ones where their data were read to.
#[derive(Default)]
pub(super) struct Replies {
    small: BytesMut,
    /// Each with the number of bytes of `small` that go before it.
    large: VecDeque<(usize, Buffer)>,
    /// Bytes of `small` that are written.
    small_written: usize,
    /// Bytes of the first of `large` that are written.
    large_written: usize,
    /// Bytes in `large`.
    large_len: usize,
    spare: Option<Buffer>,
}

impl Replies {
    /// Bytes of the batch.
    pub(super) fn len(&self) -> usize {
        self.small.len() + self.large_len
    }

    /// Memory for the next reply.
    pub(super) fn spare(&mut self) -> Buffer {
        self.spare
            .take()
            .unwrap_or_else(|| Buffer::with_capacity(USUAL))
    }

    /// Where records that are not replies are appended, with their marks.
    pub(super) fn small(&mut self) -> &mut BytesMut {
        if self.small.capacity() == 0 {
            self.small = buffers::bytes();
        }
        &mut self.small
    }

    /// Appends a reply whose first four bytes are room for the record mark (RFC 5531 §11).
    pub(super) fn push(&mut self, mut reply: Buffer) {
        const LAST: u32 = 1 << 31;
        let mark = reply.len().saturating_sub(4) as u32 | LAST;
        if let Some(place) = reply.first_chunk_mut() {
            *place = mark.to_be_bytes();
        }
        if reply.len() > SMALL {
            self.large_len += reply.len();
            self.large.push_back((self.small.len(), reply));
            return;
        }
        self.small().extend_from_slice(&reply);
        if reply.capacity() <= SMALL {
            reply.clear();
            self.spare = Some(reply);
        }
    }

    /// Writes everything; false when the peer does not take it. If others `share` the thread, they have their
    /// turn between pieces of what is large.
    pub(super) async fn write_to(&mut self, stream: &TcpStream, share: bool) -> bool {
        let most = if share { SHARED } else { usize::MAX };
        while self.len() > 0 {
            let written = if self.large.is_empty() {
                stream.try_write(self.rest_of_small(self.small.len()))
            } else {
                stream.try_write_vectored(&self.pieces(most))
            };
            match written {
                Ok(count) => {
                    self.advance(count);
                    if share && self.len() > 0 {
                        tokio::task::yield_now().await;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let writable = poll_fn(|cx| stream.poll_write_ready(cx));
                    let waited = tokio::time::timeout(WRITE_TIMEOUT, writable).await;
                    if !matches!(waited, Ok(Ok(()))) {
                        return false;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// What is to be written of the small replies, up to the position `end`.
    fn rest_of_small(&self, end: usize) -> &[u8] {
        let rest = self.small.get(self.small_written..end);
        rest.unwrap_or_default()
    }

    /// What is left to write, in order; the first pieces of it, if they are many, and of those no more
    /// than `most` bytes.
    fn pieces(&self, mut most: usize) -> Vec<IoSlice<'_>> {
        let mut pieces = Vec::with_capacity(PIECES.min(2 * self.large.len() + 1));
        let (mut from, mut skip) = (self.small_written, self.large_written);
        for (at, reply) in self.large.iter().take(PIECES / 2 - 1) {
            pieces.push(self.small.get(from..*at).unwrap_or_default());
            pieces.push(reply.get(skip..).unwrap_or_default());
            (from, skip) = (*at, 0);
        }
        if self.large.len() < PIECES / 2 {
            pieces.push(self.small.get(from..).unwrap_or_default());
        }
        let cut = pieces.into_iter().map(|piece| {
            let piece = piece.get(..most).unwrap_or(piece);
            most -= piece.len();
            IoSlice::new(piece)
        });
        cut.collect()
    }

    /// So many bytes more are written.
    fn advance(&mut self, mut count: usize) {
        while let Some((at, reply)) = self.large.front() {
            let before = count.min(at - self.small_written);
            self.small_written += before;
            count -= before;
            let left = reply.len() - self.large_written;
            if self.small_written < *at || count < left {
                self.large_written += count;
                return;
            }
            count -= left;
            self.large_written = 0;
            if let Some((_, reply)) = self.large.pop_front() {
                buffers::give_back_reply(reply);
            }
        }
        self.small_written += count;
        if self.small_written >= self.small.len() {
            self.small.clear();
            buffers::give_back_bytes(std::mem::take(&mut self.small));
            (self.small_written, self.large_len) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(len: usize, fill: u8) -> Buffer {
        let mut reply = Buffer::default();
        reply.extend_from_slice(&[0; 4]);
        reply.extend_from_slice(&vec![fill; len]);
        reply
    }

    /// What is written if the peer takes `step` bytes at a time, of at most twice as many.
    fn written(replies: &mut Replies, step: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while replies.len() > 0 {
            let pieces = replies.pieces(step.saturating_mul(2));
            let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.to_vec()).collect();
            assert!(all.len() <= step.saturating_mul(2));
            let count = all.len().min(step);
            out.extend_from_slice(&all[..count]);
            replies.advance(count);
        }
        out
    }

    #[test]
    fn replies_leave_whole_and_in_order_however_they_are_taken() {
        let sizes = [10, 20_000, 300_000, 30, 40, 17_000, 5];
        let mut expected = Vec::new();
        for (fill, len) in sizes.into_iter().enumerate() {
            expected.extend_from_slice(&(len as u32 | 1 << 31).to_be_bytes());
            expected.resize(expected.len() + len, fill as u8);
        }
        let mut replies = Replies::default();
        for step in [999, 16_384, 20_003, 1 << 20] {
            for (fill, len) in sizes.into_iter().enumerate() {
                replies.push(reply(len, fill as u8));
            }
            assert_eq!(replies.len(), expected.len());
            assert!(written(&mut replies, step) == expected, "step {step}");
        }
    }

    #[test]
    fn a_byte_at_a_time_is_enough() {
        let mut replies = Replies::default();
        replies.push(reply(3, 1));
        replies.large.push_back((replies.small.len(), reply(2, 2)));
        replies.large_len += 6;
        replies.push(reply(1, 3));
        let out = written(&mut replies, 1);
        assert_eq!(
            out,
            b"\x80\0\0\x03\x01\x01\x01\0\0\0\0\x02\x02\x80\0\0\x01\x03"
        );
    }

    #[test]
    fn more_large_replies_than_one_write_takes_leave_in_several() {
        let mut replies = Replies::default();
        for fill in 0..100 {
            replies.push(reply(20_000, fill));
            replies.push(reply(1, fill));
        }
        let out = written(&mut replies, usize::MAX);
        assert_eq!(out.len(), 100 * (20_004 + 5));
        for (fill, pair) in out.chunks(20_004 + 5).enumerate() {
            assert!(
                pair[4..20_004]
                    .iter()
                    .all(|byte| usize::from(*byte) == fill)
            );
            assert_eq!(usize::from(pair[20_008]), fill);
        }
    }
}
