//! Decoding.

use bytes::Bytes;

/// The bytes do not follow the XDR definition (NFS4ERR_BADXDR, RPC GARBAGE_ARGS).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed XDR")]
pub struct BadXdr;

/// Reads XDR from one record.
#[derive(Debug, Clone)]
pub struct Reader {
    rest: Bytes,
}

/// A type with an XDR definition that can be read.
pub trait Decode: Sized {
    /// Reads one value.
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr>;
}

impl Reader {
    /// Reads from the start of `record`.
    pub fn new(record: Bytes) -> Self {
        Self { rest: record }
    }

    /// Bytes not yet read.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Reads one value of the type that is asked for.
    #[inline]
    pub fn read<T: Decode>(&mut self) -> Result<T, BadXdr> {
        T::decode(self)
    }

    /// Fixed-length opaque data; `N` is a multiple of four everywhere in NFS.
    #[inline]
    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], BadXdr> {
        let bytes = *self.rest.first_chunk::<N>().ok_or(BadXdr)?;
        self.skip(N.next_multiple_of(4))?;
        Ok(bytes)
    }

    /// Variable-length opaque data of at most `max` bytes, shared with the record.
    pub fn opaque(&mut self, max: usize) -> Result<Bytes, BadXdr> {
        let len = self.read::<u32>()? as usize;
        let padded = len.checked_next_multiple_of(4).ok_or(BadXdr)?;
        if len > max || padded > self.rest.len() {
            return Err(BadXdr);
        }
        let bytes = self.rest.slice(..len);
        self.skip(padded)?;
        Ok(bytes)
    }

    /// Variable-length opaque data of at most `max` bytes, looked at in place.
    pub fn with_opaque<T>(
        &mut self,
        max: usize,
        look: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, BadXdr> {
        let len = self.read::<u32>()? as usize;
        if len > max {
            return Err(BadXdr);
        }
        let seen = look(self.rest.get(..len).ok_or(BadXdr)?);
        self.skip(len.next_multiple_of(4))?;
        Ok(seen)
    }

    /// A variable-length array of at most `max` elements.
    pub fn array<T: Decode>(&mut self, max: usize) -> Result<Vec<T>, BadXdr> {
        let len = self.read::<u32>()? as usize;
        // Every element takes at least four bytes, which bounds what is reserved.
        if len > max || len > self.rest.len() / 4 {
            return Err(BadXdr);
        }
        (0..len).map(|_| self.read()).collect()
    }

    /// An optional value (`*` in XDR).
    pub fn option<T: Decode>(&mut self) -> Result<Option<T>, BadXdr> {
        self.read::<bool>()?.then(|| self.read()).transpose()
    }

    /// What was not read, shared with the record.
    pub fn into_rest(self) -> Bytes {
        self.rest
    }

    /// Fails unless everything was read.
    pub fn finish(self) -> Result<(), BadXdr> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(BadXdr)
        }
    }

    #[inline]
    fn skip(&mut self, count: usize) -> Result<(), BadXdr> {
        if count > self.rest.len() {
            return Err(BadXdr);
        }
        bytes::Buf::advance(&mut self.rest, count);
        Ok(())
    }
}

impl Decode for u32 {
    #[inline]
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        reader.fixed().map(u32::from_be_bytes)
    }
}

impl Decode for i32 {
    #[inline]
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        reader.fixed().map(i32::from_be_bytes)
    }
}

impl Decode for u64 {
    #[inline]
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        reader.fixed().map(u64::from_be_bytes)
    }
}

impl Decode for i64 {
    #[inline]
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        reader.fixed().map(i64::from_be_bytes)
    }
}

impl Decode for bool {
    #[inline]
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        match reader.read::<u32>()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(BadXdr),
        }
    }
}

/// Opaque data or a string, bounded by the record alone.
impl Decode for Bytes {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        reader.opaque(usize::MAX)
    }
}

impl Decode for () {
    #[inline]
    fn decode(_: &mut Reader) -> Result<Self, BadXdr> {
        Ok(())
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        reader.read().map(Self::new)
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        reader.option()
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        reader.array(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &'static [u8]) -> Reader {
        Reader::new(Bytes::from_static(bytes))
    }

    #[test]
    fn opaque_is_padded_and_bounded() {
        let mut r = reader(b"\0\0\0\x05hello\0\0\0\0\0\0\x01");
        assert_eq!(r.opaque(5), Ok(Bytes::from_static(b"hello")));
        assert_eq!(r.read::<bool>(), Ok(true));
        assert_eq!(r.finish(), Ok(()));
        assert_eq!(reader(b"\0\0\0\x05hello\0\0\0").opaque(4), Err(BadXdr));
        assert_eq!(
            reader(b"\0\0\0\x05hello").opaque(9),
            Err(BadXdr),
            "padding is missing"
        );
    }

    #[test]
    fn a_length_beyond_the_record_reserves_nothing() {
        assert_eq!(
            reader(b"\xff\xff\xff\xff").array::<u32>(usize::MAX),
            Err(BadXdr)
        );
        assert_eq!(reader(b"\xff\xff\xff\xff").opaque(usize::MAX), Err(BadXdr));
    }

    #[test]
    fn a_bool_is_zero_or_one() {
        assert_eq!(reader(b"\0\0\0\x02").read::<bool>(), Err(BadXdr));
    }
}
