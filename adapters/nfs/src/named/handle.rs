//! Handles and numbers of attributes and their directories.

use dittofs_sdk::vfs::{Handle, VfsError, VfsResult};
use sha2::{Digest, Sha256};

const DIR: u8 = 1;
const ATTRIBUTE: u8 = 2;

/// Stands for the name of an attribute, which would not fit into a handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NameId([u8; 16]);

impl NameId {
    /// Of `name`. It is part of handles, so that it stays the same for ever.
    pub(super) fn of(name: &[u8]) -> Self {
        Self(start_of(Sha256::digest(name).as_slice()))
    }
}

/// What a handle names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The directory of the object's attributes.
    Dir(Handle),
    /// One of them.
    Attribute(Handle, NameId),
}

impl Place {
    pub(super) fn of(handle: &Handle) -> VfsResult<Self> {
        let object = |bytes| Handle::new(bytes).map_err(|_| VfsError::BadHandle);
        match handle.as_bytes() {
            [DIR, object_bytes @ ..] => object(object_bytes).map(Self::Dir),
            [ATTRIBUTE, rest @ ..] => {
                let (id, object_bytes) = rest.split_first_chunk().ok_or(VfsError::BadHandle)?;
                Ok(Self::Attribute(object(object_bytes)?, NameId(*id)))
            }
            _ => Err(VfsError::BadHandle),
        }
    }

    /// Its handle; not supported where the object's own leaves no room.
    pub(super) fn handle(&self) -> VfsResult<Handle> {
        let bytes = match self {
            Self::Dir(object) => [&[DIR][..], object.as_bytes()].concat(),
            Self::Attribute(object, NameId(id)) => {
                [&[ATTRIBUTE][..], id, object.as_bytes()].concat()
            }
        };
        Handle::new(&bytes).map_err(|_| VfsError::NotSupported)
    }

    /// The object whose attribute or directory it is.
    pub(super) fn object(&self) -> &Handle {
        let (Self::Dir(object) | Self::Attribute(object, _)) = self;
        object
    }

    /// The directory here; what is none has no entries.
    pub(super) fn dir(&self) -> VfsResult<Handle> {
        match self {
            Self::Dir(object) => Ok(*object),
            Self::Attribute(..) => Err(VfsError::NotDir),
        }
    }

    /// Its number, made from that of its object. Numbers of objects do not reach the upper half
    /// of the range.
    pub(super) fn number(&self, object: u64) -> u64 {
        let id = match self {
            Self::Dir(_) => [0; 16],
            Self::Attribute(_, NameId(id)) => *id,
        };
        let digest = Sha256::new()
            .chain_update(object.to_be_bytes())
            .chain_update(id)
            .finalize();
        u64::from_be_bytes(start_of(digest.as_slice())) | 1 << 63
    }
}

fn start_of<const N: usize>(digest: &[u8]) -> [u8; N] {
    let mut start = [0; N];
    start
        .iter_mut()
        .zip(digest)
        .for_each(|(to, from)| *to = *from);
    start
}

/// The handle of the directory of an object's attributes.
pub fn dir_of(object: &Handle) -> VfsResult<Handle> {
    // There would be none of the attributes in it if only its own fitted.
    Place::Attribute(*object, NameId([0; 16])).handle()?;
    Place::Dir(*object).handle()
}

/// The object whose attribute, or directory of such, this is.
pub fn object_of(named: &Handle) -> VfsResult<Handle> {
    Ok(*Place::of(named)?.object())
}

/// The object whose attributes a directory has; an attribute is no directory.
pub fn owner_of(dir: &Handle) -> VfsResult<Handle> {
    Place::of(dir)?.dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(len: usize) -> Handle {
        Handle::new(&vec![7; len]).unwrap()
    }

    #[test]
    fn handles_lead_back_to_their_place() {
        for place in [
            Place::Dir(handle(30)),
            Place::Attribute(handle(30), NameId::of(b"name")),
            Place::Attribute(handle(0), NameId::of(b"")),
        ] {
            assert_eq!(Place::of(&place.handle().unwrap()), Ok(place));
        }
        for garbage in [&[][..], &[0], &[3, 1, 2], &[ATTRIBUTE, 1, 2]] {
            let garbage = Handle::new(garbage).unwrap();
            assert_eq!(Place::of(&garbage), Err(VfsError::BadHandle));
        }
    }

    #[test]
    fn an_object_whose_handle_leaves_no_room_has_no_attributes() {
        assert!(dir_of(&handle(Handle::MAX - 17)).is_ok());
        assert_eq!(
            dir_of(&handle(Handle::MAX - 16)),
            Err(VfsError::NotSupported)
        );
    }

    #[test]
    fn numbers_are_stable_and_differ() {
        let dir = Place::Dir(handle(9));
        let [a, b] = [b"a", b"b"].map(|name| Place::Attribute(handle(9), NameId::of(name)));
        let numbers = [dir.number(5), dir.number(6), a.number(5), b.number(5)];
        for (i, number) in numbers.iter().enumerate() {
            assert!(number >> 63 == 1 && !numbers[..i].contains(number));
        }
        // They are in clients' caches; a change of how they are made is one of the format.
        assert_eq!(dir.number(5), Place::Dir(handle(3)).number(5));
        assert_eq!(numbers[0], 9_969_414_751_695_096_214);
    }
}
