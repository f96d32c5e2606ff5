//! Basic data types shared by operations.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-3>

use std::fmt;

use bytes::Bytes;
use dittofs_sdk::vfs::DirChange;

use crate::xdr::{BadXdr, Decode, Encode, Reader, Writer, xdr_struct};

/// Longest file handle (NFS4_FHSIZE).
pub const FH_MAX: usize = 128;

/// Longest opaque owner or client name (NFS4_OPAQUE_LIMIT).
pub const OPAQUE_MAX: usize = 1024;

/// Opaque bytes of a fixed length.
macro_rules! opaque_type {
    ($(#[$meta:meta])* $name:ident, $len:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub [u8; $len]);

        impl Decode for $name {
            fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
                reader.fixed().map(Self)
            }
        }

        impl Encode for $name {
            fn encode(&self, writer: &mut Writer) {
                writer.raw(&self.0);
            }
        }
    };
}

opaque_type!(
    /// verifier4
    Verifier, 8
);
opaque_type!(
    /// sessionid4
    SessionId, 16
);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// clientid4
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub u64);

impl Decode for ClientId {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        reader.read().map(Self)
    }
}

impl Encode for ClientId {
    fn encode(&self, writer: &mut Writer) {
        writer.write(&self.0);
    }
}

/// stateid4
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct StateId {
    /// Counts the changes of the state that `other` names.
    pub seqid: u32,
    /// Names the state.
    pub other: [u8; 12],
}

impl StateId {
    /// Reads and writes without any open (RFC 8881 §8.2.3).
    pub const ANONYMOUS: Self = Self {
        seqid: 0,
        other: [0; 12],
    };
    /// Reads without any open, past share reservations.
    pub const READ_BYPASS: Self = Self {
        seqid: u32::MAX,
        other: [0xff; 12],
    };
    /// The stateid that an earlier operation of this COMPOUND left.
    pub const CURRENT: Self = Self {
        seqid: 1,
        other: [0; 12],
    };
    /// Never valid.
    pub const INVALID: Self = Self {
        seqid: u32::MAX,
        other: [0; 12],
    };
}

impl Decode for StateId {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        Ok(Self {
            seqid: reader.read()?,
            other: reader.fixed()?,
        })
    }
}

impl Encode for StateId {
    fn encode(&self, writer: &mut Writer) {
        writer.write(&self.seqid);
        writer.raw(&self.other);
    }
}

/// nfs_fh4: opaque to clients; [`exports`](crate::exports) makes and reads it. Kept in place,
/// because a copy costs less than an allocation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FileHandle {
    len: u8,
    // Zeros beyond `len`.
    bytes: [u8; FH_MAX],
}

impl FileHandle {
    /// These parts, one after the other. The caller sees to it that they fit; what does not
    /// is cut.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut bytes = [0; FH_MAX];
        let mut rest = bytes.as_mut_slice();
        for part in parts {
            let fitting = part.len().min(rest.len());
            let (place, behind) = rest.split_at_mut(fitting);
            place.copy_from_slice(part.get(..fitting).unwrap_or_default());
            rest = behind;
        }
        let len = (FH_MAX - rest.len()) as u8;
        Self { len, bytes }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Debug for FileHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileHandle({:02x?})", self.as_bytes())
    }
}

#[cfg(test)]
impl Decode for FileHandle {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        let given: GivenHandle = reader.read()?;
        Ok(Self::of(&[given.as_bytes()]))
    }
}

impl Encode for FileHandle {
    fn encode(&self, writer: &mut Writer) {
        writer.opaque(self.as_bytes());
    }
}

/// nfs_fh4 as a client gives it, shared with its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenHandle(Bytes);

impl GivenHandle {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Decode for GivenHandle {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        reader.opaque(FH_MAX).map(Self)
    }
}

/// bitmap4: attributes 0 to 95, and whether there were bits beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Bitmap {
    bits: u128,
}

impl Bitmap {
    /// Most bytes that one takes on the wire when it is written here.
    pub const SIZE_MAX: usize = 4 + 4 * Self::WORDS;
    /// No attribute.
    pub const EMPTY: Self = Self { bits: 0 };
    /// Words that are kept; a longer bitmap sets [`has_unknown`](Self::has_unknown).
    const WORDS: usize = 3;
    const UNKNOWN: u128 = 1 << 127;

    /// These attributes.
    pub const fn of(attributes: &[u32]) -> Self {
        let mut bits = 0;
        let mut rest = attributes;
        while let [first, tail @ ..] = rest {
            bits |= 1 << *first;
            rest = tail;
        }
        Self { bits }
    }

    /// Whether attribute `number` is in it.
    pub const fn contains(self, number: u32) -> bool {
        number < 96 && self.bits & (1 << number) != 0
    }

    /// With attribute `number`.
    #[must_use]
    pub const fn with(self, number: u32) -> Self {
        Self {
            bits: self.bits | (1 << (number & 127)),
        }
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            bits: self.bits & other.bits,
        }
    }

    /// What is in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            bits: self.bits | other.bits,
        }
    }

    /// What is here and not in `other`.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self {
            bits: self.bits & !other.bits,
        }
    }

    /// Whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// Whether a bit was set that no attribute of this server can have.
    pub const fn has_unknown(self) -> bool {
        self.bits & Self::UNKNOWN != 0
    }

    /// The attributes in ascending order.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        let mut rest = self.bits & !Self::UNKNOWN;
        std::iter::from_fn(move || {
            let number = rest.trailing_zeros();
            // Clears the lowest bit; nothing is left to clear at the end.
            rest &= rest.checked_sub(1)?;
            Some(number)
        })
    }
}

impl Decode for Bitmap {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        let words = reader.read::<u32>()? as usize;
        let mut bits = 0;
        for i in 0..words {
            let word: u32 = reader.read()?;
            if i < Self::WORDS {
                bits |= u128::from(word) << (32 * i);
            } else if word != 0 {
                bits |= Self::UNKNOWN;
            }
        }
        Ok(Self { bits })
    }
}

impl Encode for Bitmap {
    fn encode(&self, writer: &mut Writer) {
        let words = [
            self.bits as u32,
            (self.bits >> 32) as u32,
            (self.bits >> 64) as u32,
        ];
        let used = words
            .iter()
            .rposition(|&word| word != 0)
            .map_or(0, |last| last + 1);
        writer.write(words.get(..used).unwrap_or_default());
    }
}

xdr_struct! {
    /// change_info4
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct ChangeInfo {
        /// Whether nothing else can have changed the directory in between.
        pub atomic: bool,
        /// Change attribute before.
        pub before: u64,
        /// Change attribute after.
        pub after: u64,
    } => encode
}

impl ChangeInfo {
    /// Encoded size in bytes.
    pub const SIZE: usize = 20;
}

impl From<DirChange> for ChangeInfo {
    fn from(change: DirChange) -> Self {
        Self {
            atomic: change.atomic,
            before: change.before,
            after: change.after,
        }
    }
}

/// The minor versions that are built. What differs between them is in types that hold one
/// of these only where the wire format itself differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Minor {
    /// NFSv4.0, RFC 7530.
    V40 = 0,
    /// NFSv4.1, RFC 8881.
    V41 = 1,
    /// NFSv4.2, RFC 7862: what 4.1 is, and more operations and attributes.
    V42 = 2,
}

impl Minor {
    /// The highest that is built.
    pub const HIGHEST: Self = Self::V42;

    /// The minor version of this number, if it is built.
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::V40),
            1 => Some(Self::V41),
            2 => Some(Self::V42),
            _ => None,
        }
    }

    /// Whose records its clients are in.
    pub fn family(self) -> Family {
        match self {
            Self::V40 => Family::V40,
            Self::V41 | Self::V42 => Family::Sessions,
        }
    }
}

/// The minor versions that share records of clients. A client that goes from 4.1 to 4.2 introduces
/// itself by the same operation, and may do so by the same name; what it does in 4.0 has nothing
/// to do with that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Family {
    /// 4.0: clients come by SETCLIENTID.
    V40 = 0,
    /// 4.1 and later: clients come by EXCHANGE_ID and have sessions.
    Sessions = 1,
}

impl Family {
    /// The one of this number.
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::V40),
            1 => Some(Self::Sessions),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_bitmap_survives_the_wire_without_trailing_zero_words() {
        let bitmap = Bitmap::of(&[0, 33, 75]);
        let mut w = Writer::default();
        w.write(&bitmap);
        assert_eq!(w.position(), 16);
        let back: Bitmap = Reader::new(Bytes::copy_from_slice(w.as_slice()))
            .read()
            .unwrap();
        assert_eq!(back, bitmap);
        assert_eq!(back.iter().collect::<Vec<_>>(), [0, 33, 75]);

        let mut w = Writer::default();
        w.write(&Bitmap::of(&[1]));
        assert_eq!(w.position(), 8);
    }

    #[test]
    fn bits_beyond_the_known_words_are_remembered() {
        let mut w = Writer::default();
        w.write(&vec![0_u32, 0, 0, 1]);
        let back: Bitmap = Reader::new(Bytes::copy_from_slice(w.as_slice()))
            .read()
            .unwrap();
        assert!(back.has_unknown());
        assert_eq!(back.iter().count(), 0);
    }
}
