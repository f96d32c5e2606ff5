//! Reading into the unused room of a [`Buffer`] without zeroing it first.

use std::mem::MaybeUninit;
use std::slice;

use crate::vfs::Buffer;

impl Buffer {
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
