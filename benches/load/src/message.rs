//! One call of COMPOUND as bytes: RFC 5531 §9, §11; RFC 8881 §16.2.

/// Where the transaction id is in a call, its record mark included.
pub const XID_AT: usize = 4;
/// Where AUTH_SYS has its stamp, which a server ignores; the echo finds there how long its reply shall be.
pub const STAMP_AT: usize = 36;

const COUNT_AT: usize = 76;
const LAST_FRAGMENT: u32 = 1 << 31;

/// A call that is being written.
#[derive(Debug, Clone)]
pub struct Message {
    bytes: Vec<u8>,
    operations: u32,
}

impl Message {
    /// A COMPOUND without operations, of user 0, in this minor version.
    pub fn new(minor: u32) -> Self {
        let mut message = Self {
            bytes: Vec::with_capacity(256),
            operations: 0,
        };
        // Mark, xid, CALL, RPC version, program, version, COMPOUND.
        message.words(&[0, 0, 0, 2, 100_003, 4, 1]);
        // AUTH_SYS: length, stamp, machine "load", user, group, no more groups. Then AUTH_NONE.
        message.words(&[1, 24, 0, 4, u32::from_be_bytes(*b"load"), 0, 0, 0, 0, 0]);
        // An empty tag, the minor version, the number of operations.
        message.words(&[0, minor, 0]);
        message
    }

    /// One more operation; its arguments follow.
    pub fn op(&mut self, number: u32) -> &mut Self {
        self.operations += 1;
        self.word(number)
    }

    /// One word.
    pub fn word(&mut self, word: u32) -> &mut Self {
        self.bytes.extend(word.to_be_bytes());
        self
    }

    /// Several words.
    pub fn words(&mut self, words: &[u32]) -> &mut Self {
        for word in words {
            self.word(*word);
        }
        self
    }

    /// Two words.
    pub fn long(&mut self, long: u64) -> &mut Self {
        self.bytes.extend(long.to_be_bytes());
        self
    }

    /// Bytes of a length that the other side knows.
    pub fn fixed(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend(bytes);
        self
    }

    /// Length, bytes, padding.
    pub fn opaque(&mut self, bytes: &[u8]) -> &mut Self {
        self.word(bytes.len() as u32);
        self.bytes.extend(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    /// Where the next byte will be.
    pub fn here(&self) -> usize {
        self.bytes.len()
    }

    /// Number of operations until now.
    pub fn operations(&self) -> u32 {
        self.operations
    }

    /// The record, which `tail` more bytes will follow.
    pub fn finish(mut self, tail: usize) -> Vec<u8> {
        let length = (self.bytes.len() - 4 + tail) as u32;
        put(&mut self.bytes, 0, &(length | LAST_FRAGMENT).to_be_bytes());
        put(&mut self.bytes, COUNT_AT, &self.operations.to_be_bytes());
        self.bytes
    }
}

/// Overwrites what is at a place that was noted while writing.
pub fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_knows_its_length_and_number_of_operations() {
        let mut message = Message::new(1);
        message.op(24).op(15).opaque(b"export");
        let bytes = message.finish(0);
        let length = bytes.len() as u32 - 4;
        assert_eq!(bytes[..4], (length | LAST_FRAGMENT).to_be_bytes());
        assert_eq!(bytes[COUNT_AT..COUNT_AT + 4], 2_u32.to_be_bytes());
        assert_eq!(bytes.len(), COUNT_AT + 4 + 4 + 4 + 4 + 8);
    }

    #[test]
    fn the_stamp_is_where_the_echo_looks_for_it() {
        let mut bytes = Message::new(1).finish(0);
        put(&mut bytes, STAMP_AT, b"here");
        // The machine's name follows the stamp.
        assert_eq!(bytes[STAMP_AT + 4..STAMP_AT + 12], *b"\0\0\0\x04load");
    }
}
