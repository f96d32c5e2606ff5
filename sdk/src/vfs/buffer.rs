//! A growable byte buffer that crosses the adapter border without a copy.

use std::ops::{Deref, DerefMut};

use crate::abi::ByteVec;

/// Owned bytes that either side of the border may append to. A reply is built in one and goes
/// to the backend and back when file data are read into it.
#[derive(Default)]
pub struct Buffer(pub(crate) ByteVec);

impl Buffer {
    /// An empty buffer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(ByteVec::with_capacity(capacity))
    }

    /// Bytes it can hold without growing.
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Makes room for `additional` more bytes.
    pub fn reserve(&mut self, additional: usize) {
        self.0.reserve(additional);
    }

    /// Grows with zeros, or cuts, to `len` bytes.
    pub fn resize(&mut self, len: usize) {
        self.0.resize(len, 0);
    }

    /// Cuts to `len` bytes; no effect if it is shorter.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// Forgets the content, keeps the room.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Deref for Buffer {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl DerefMut for Buffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.as_mut_slice()
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} of {} bytes)", self.len(), self.capacity())
    }
}
