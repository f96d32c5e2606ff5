//! Memory for requests and replies that connections of one thread hand to each other.
//!
//! A connection has memory only while something is under way. What it gives back stays warm for the
//! next one: fresh memory for a megabyte costs more, in page faults, than the copy of a megabyte.

use std::cell::RefCell;

use bytes::BytesMut;
use dittofs_sdk::vfs::Buffer;

/// Bytes of requests that are read at once, unless one is larger.
pub const CHUNK: usize = 128 * 1024;
/// Smaller replies than this are not worth keeping.
const WORTH_KEEPING: usize = 64 * 1024;
/// What is larger goes back to the system.
const LARGEST: usize = 4 << 20;
/// How many of each a thread keeps.
const KEPT: usize = 4;

thread_local! {
    static SPARE: RefCell<Spare> = const { RefCell::new(Spare { bytes: Vec::new(), replies: Vec::new() }) };
}

struct Spare {
    bytes: Vec<BytesMut>,
    replies: Vec<Buffer>,
}

/// Empty, with or without room.
pub fn bytes() -> BytesMut {
    SPARE.with_borrow_mut(|spare| spare.bytes.pop().unwrap_or_default())
}

/// Takes back what is empty. If somebody still holds bytes that were split off, the memory is theirs.
pub fn give_back_bytes(mut bytes: BytesMut) {
    if bytes.is_empty() && bytes.try_reclaim(CHUNK) && bytes.capacity() <= LARGEST {
        SPARE.with_borrow_mut(|spare| keep(&mut spare.bytes, bytes));
    }
}

/// An empty buffer with room for `capacity` bytes.
pub fn reply(capacity: usize) -> Buffer {
    if capacity < WORTH_KEEPING {
        return Buffer::with_capacity(capacity);
    }
    let mut buffer = SPARE
        .with_borrow_mut(|spare| spare.replies.pop())
        .unwrap_or_default();
    buffer.reserve(capacity);
    buffer
}

/// Takes back what has been written.
pub fn give_back_reply(mut buffer: Buffer) {
    if (WORTH_KEEPING..=LARGEST).contains(&buffer.capacity()) {
        buffer.clear();
        SPARE.with_borrow_mut(|spare| keep(&mut spare.replies, buffer));
    }
}

fn keep<T>(kept: &mut Vec<T>, one: T) {
    if kept.len() < KEPT {
        kept.push(one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_empty_to_the_next_one() {
        let mut first = reply(1 << 20);
        first.extend_from_slice(b"something");
        let memory = first.as_ptr();
        give_back_reply(first);
        let second = reply(1 << 19);
        assert_eq!((second.len(), second.as_ptr()), (0, memory));

        let mut input = bytes();
        input.reserve(CHUNK);
        input.extend_from_slice(&[7; 100]);
        let memory = input.as_ptr();
        let request = input.split_to(100).freeze();
        drop(request);
        give_back_bytes(input);
        let again = bytes();
        assert_eq!((again.len(), again.as_ptr()), (0, memory));
    }

    #[test]
    fn memory_of_a_request_under_way_stays_its_own() {
        let mut input = BytesMut::with_capacity(CHUNK);
        input.extend_from_slice(&[7; 100]);
        let request = input.split_to(100).freeze();
        give_back_bytes(input);
        let mut other = bytes();
        other.extend_from_slice(&[8; 100]);
        assert_eq!(request, [7; 100][..]);
    }

    #[test]
    fn little_is_kept() {
        for _ in 0..3 * KEPT {
            give_back_reply(Buffer::with_capacity(1 << 20));
            give_back_reply(Buffer::with_capacity(2 * LARGEST));
        }
        let kept = SPARE.with_borrow(|spare| {
            let bytes = spare.replies.iter().map(Buffer::capacity);
            bytes.sum::<usize>()
        });
        assert!(kept <= KEPT * LARGEST, "{kept}");
        give_back_bytes(BytesMut::with_capacity(2 * LARGEST));
        assert!(bytes().capacity() <= LARGEST);
    }
}
