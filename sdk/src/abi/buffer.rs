//! Appending to a [`Buffer`]: without zeroing what is read into, and without a call for the few
//! bytes at a time that replies are made of.

use std::mem::MaybeUninit;
use std::{ptr, slice};

use crate::vfs::Buffer;

impl Buffer {
    /// Appends `bytes`.
    #[inline]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        let len = self.0.len();
        if self.0.capacity() - len < bytes.len() {
            self.0.reserve(bytes.len());
        }
        // SAFETY: there is room for as many bytes behind the first `len`, and nobody else's borrow
        // reaches into it.
        unsafe {
            let room = self.0.as_mut_ptr().add(len);
            ptr::copy_nonoverlapping(bytes.as_ptr(), room, bytes.len());
            self.0.set_len(len + bytes.len());
        }
    }

    /// Makes room for `additional` bytes, has `fill` write to the start of that room, and
    /// appends as many bytes as `fill` answers. At most `additional` are appended.
    ///
    /// # Safety
    /// `fill` must have initialised every byte that it counts, as read(2) does.
    pub unsafe fn append_with<E>(
        &mut self,
        additional: usize,
        fill: impl FnOnce(&mut [MaybeUninit<u8>]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        self.0.reserve(additional);
        let len = self.0.len();
        // SAFETY: `reserve` made the allocation at least `len + additional` bytes long, and
        // uninitialised bytes may be seen as `MaybeUninit`.
        let room = unsafe {
            slice::from_raw_parts_mut(
                self.0.as_mut_ptr().add(len).cast::<MaybeUninit<u8>>(),
                additional,
            )
        };
        let filled = fill(room)?.min(additional);
        // SAFETY: the caller vouches for `filled` bytes, which are within the allocation.
        unsafe { self.0.set_len(len + filled) };
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_filled_is_appended_and_an_error_appends_nothing() {
        let mut buffer = Buffer::default();
        buffer.extend_from_slice(b"ab");
        // SAFETY: the two bytes counted are written.
        let filled = unsafe {
            buffer.append_with(100, |room| {
                room[0].write(b'c');
                room[1].write(b'd');
                Ok::<_, ()>(2)
            })
        };
        assert_eq!(filled, Ok(2));
        // SAFETY: nothing is counted.
        let failed = unsafe { buffer.append_with(100, |_| Err::<usize, _>("no")) };
        assert_eq!(failed, Err("no"));
        assert_eq!(&buffer[..], b"abcd");
    }
}
