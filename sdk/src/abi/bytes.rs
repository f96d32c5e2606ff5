//! `Bytes` across the border without a copy.

use std::slice;

use abi_stable::StableAbi;
use bytes::Bytes;

use super::guard::quiet_drop;

/// A run of bytes and what keeps it alive on the side that made it.
#[repr(C)]
#[derive(StableAbi)]
pub(super) struct WireBytes {
    data: *const u8,
    len: usize,
    owner: *mut (),
    release: extern "C" fn(*mut ()),
}

// SAFETY: the owner is a boxed `Bytes`, which is `Send` and `Sync`, and only `release` touches it.
unsafe impl Send for WireBytes {}
// SAFETY: as above; shared access only reads the bytes, which never change.
unsafe impl Sync for WireBytes {}

impl From<Bytes> for WireBytes {
    fn from(bytes: Bytes) -> Self {
        // The bytes themselves do not move with the box, which only holds a handle to them.
        let owner = Box::new(bytes);
        Self {
            data: owner.as_ptr(),
            len: owner.len(),
            owner: Box::into_raw(owner).cast(),
            release,
        }
    }
}

extern "C" fn release(owner: *mut ()) {
    // SAFETY: `owner` is the box that `from` leaked, and `drop` hands it over once.
    quiet_drop(unsafe { Box::from_raw(owner.cast::<Bytes>()) });
}

impl Drop for WireBytes {
    fn drop(&mut self) {
        (self.release)(self.owner);
    }
}

impl AsRef<[u8]> for WireBytes {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the owner keeps `len` bytes at `data` alive and unchanged until released;
        // a `Bytes` never has a null pointer.
        unsafe { slice::from_raw_parts(self.data, self.len) }
    }
}

impl From<WireBytes> for Bytes {
    fn from(wire: WireBytes) -> Self {
        if wire.len == 0 {
            return Self::new();
        }
        Self::from_owner(wire)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn bytes_cross_without_a_copy_and_are_freed_by_their_maker() {
        struct Owner {
            data: Vec<u8>,
            _alive: Arc<()>,
        }
        impl AsRef<[u8]> for Owner {
            fn as_ref(&self) -> &[u8] {
                &self.data
            }
        }
        let alive = Arc::new(());
        let original = Bytes::from_owner(Owner {
            data: b"data".to_vec(),
            _alive: alive.clone(),
        });
        let address = original.as_ptr();

        let crossed = Bytes::from(WireBytes::from(original));
        assert_eq!(crossed, b"data"[..]);
        assert_eq!(crossed.as_ptr(), address);
        assert_eq!(Arc::strong_count(&alive), 2);
        drop(crossed);
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[test]
    fn empty_bytes_cross() {
        assert!(Bytes::from(WireBytes::from(Bytes::new())).is_empty());
    }
}
