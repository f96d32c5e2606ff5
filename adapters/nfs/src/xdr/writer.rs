//! Encoding.

use bytes::Bytes;
use dittofs_sdk::vfs::Buffer;

/// Appends XDR to a reply. Positions count from the start of the reply.
#[derive(Debug, Default)]
pub struct Writer {
    buffer: Buffer,
}

/// A type with an XDR definition that can be written.
pub trait Encode {
    /// Appends the value.
    fn encode(&self, writer: &mut Writer);
}

impl Writer {
    /// Appends to `buffer`.
    pub fn new(buffer: Buffer) -> Self {
        Self { buffer }
    }

    /// What was written.
    pub fn into_buffer(self) -> Buffer {
        self.buffer
    }

    /// Gives the buffer away, to have data read into it; put it back with
    /// [`restore`](Self::restore).
    pub fn take_buffer(&mut self) -> Buffer {
        std::mem::take(&mut self.buffer)
    }

    /// Takes the buffer back.
    pub fn restore(&mut self, buffer: Buffer) {
        self.buffer = buffer;
    }

    /// Bytes written.
    #[inline]
    pub fn position(&self) -> usize {
        self.buffer.len()
    }

    /// What was written, so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.buffer
    }

    /// Appends one value.
    #[inline]
    pub fn write<T: Encode + ?Sized>(&mut self, value: &T) {
        value.encode(self);
    }

    /// Appends bytes as they are, without length or padding.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Variable-length opaque data.
    pub fn opaque(&mut self, bytes: &[u8]) {
        self.write(&(bytes.len() as u32));
        self.raw(bytes);
        self.pad(bytes.len());
    }

    /// Fills up what follows `len` bytes of opaque data to a multiple of four.
    pub fn pad(&mut self, len: usize) {
        const ZEROS: [u8; 3] = [0; 3];
        let count = len.next_multiple_of(4) - len;
        self.raw(ZEROS.get(..count).unwrap_or_default());
    }

    /// Forgets everything after `position`.
    pub fn truncate(&mut self, position: usize) {
        self.buffer.truncate(position);
    }

    /// Overwrites the four bytes at `position`, which must have been written.
    pub fn patch_u32(&mut self, position: usize, value: u32) {
        if let Some(place) = self.buffer.get_mut(position..position.saturating_add(4)) {
            place.copy_from_slice(&value.to_be_bytes());
        }
    }
}

impl Encode for u32 {
    #[inline]
    fn encode(&self, writer: &mut Writer) {
        writer.raw(&self.to_be_bytes());
    }
}

impl Encode for i32 {
    #[inline]
    fn encode(&self, writer: &mut Writer) {
        writer.raw(&self.to_be_bytes());
    }
}

impl Encode for u64 {
    #[inline]
    fn encode(&self, writer: &mut Writer) {
        writer.raw(&self.to_be_bytes());
    }
}

impl Encode for i64 {
    #[inline]
    fn encode(&self, writer: &mut Writer) {
        writer.raw(&self.to_be_bytes());
    }
}

impl Encode for bool {
    fn encode(&self, writer: &mut Writer) {
        writer.write(&u32::from(*self));
    }
}

/// Variable-length opaque data.
impl Encode for Bytes {
    fn encode(&self, writer: &mut Writer) {
        writer.opaque(self);
    }
}

/// Variable-length opaque data.
impl Encode for str {
    fn encode(&self, writer: &mut Writer) {
        writer.opaque(self.as_bytes());
    }
}

/// Nothing: the body of a void result.
impl Encode for () {
    fn encode(&self, _: &mut Writer) {}
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, writer: &mut Writer) {
        writer.write(&self.is_some());
        if let Some(value) = self {
            writer.write(value);
        }
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, writer: &mut Writer) {
        self.as_slice().encode(writer);
    }
}

impl<T: Encode> Encode for [T] {
    fn encode(&self, writer: &mut Writer) {
        writer.write(&(self.len() as u32));
        for value in self {
            writer.write(value);
        }
    }
}

impl<T: Encode + ?Sized> Encode for &T {
    fn encode(&self, writer: &mut Writer) {
        (*self).encode(writer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opaque_is_padded_to_four() {
        for len in 0..9_usize {
            let mut w = Writer::default();
            w.opaque(&vec![7; len]);
            assert_eq!(w.position(), 4 + len.next_multiple_of(4));
        }
    }

    #[test]
    fn a_patch_replaces_in_place() {
        let mut w = Writer::default();
        w.write(&1_u32);
        w.write(&2_u32);
        w.patch_u32(0, 9);
        assert_eq!(w.as_slice(), [0, 0, 0, 9, 0, 0, 0, 2]);
    }
}
