//! Extended attributes: small named values of a file or directory that users give it.

use std::fmt;

use bytes::Bytes;

use super::NameError;

/// The name of an extended attribute in the namespace of users: 1 to 255 bytes, no NUL. A prefix
/// that a backend's store needs (`user.` in Linux) is the backend's to add and to hide.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct XattrName<'a>(&'a [u8]);

impl<'a> XattrName<'a> {
    /// The largest number of bytes in a name; with its prefix a backend may store less and answers
    /// [`VfsError::NameTooLong`](super::VfsError::NameTooLong).
    pub const MAX: usize = 255;

    /// Checks that `bytes` can name an extended attribute.
    pub fn new(bytes: &'a [u8]) -> Result<Self, NameError> {
        match bytes {
            b"" => Err(NameError::Empty),
            _ if bytes.len() > Self::MAX => Err(NameError::TooLong),
            _ if bytes.contains(&0) => Err(NameError::Forbidden),
            _ => Ok(Self(bytes)),
        }
    }

    /// The bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for XattrName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.0))
    }
}

/// What [`FileSystem::set_xattr`](super::FileSystem::set_xattr) does with a name that is taken or
/// free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SetXattr {
    /// Makes it, or replaces its value.
    Either = 0,
    /// Makes it; [`VfsError::Exists`](super::VfsError::Exists) if it is there.
    Create = 1,
    /// Replaces its value; [`VfsError::NoXattr`](super::VfsError::NoXattr) if it is not there.
    Replace = 2,
}

/// One extended attribute in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XattrEntry {
    /// Its name.
    pub name: Bytes,
    /// Where to resume after it: at least 3, and positive as a signed number.
    pub cookie: u64,
}

/// Answer of [`FileSystem::list_xattrs`](super::FileSystem::list_xattrs).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct XattrListing {
    /// The names, in the order of their cookies.
    pub entries: Vec<XattrEntry>,
    /// Whether the last name is among them, or there is none left.
    pub eof: bool,
}

impl XattrListing {
    /// Up to `limit` of all the `names` of an object, after the one with the cookie `after`: for
    /// backends whose store keeps no order. The cookie is a hash of the name, so that it stays
    /// when other attributes come and go.
    pub fn page(names: impl IntoIterator<Item = Bytes>, after: u64, limit: u32) -> Self {
        let mut all: Vec<(u64, Bytes)> = names
            .into_iter()
            .map(|name| (cookie(&name), name))
            .collect();
        all.sort_unstable();
        let mut last = 0;
        let unique = all.into_iter().map(|(hash, name)| {
            // Two names of one hash get cookies beside each other.
            last = hash.max(last + 1);
            XattrEntry { name, cookie: last }
        });
        let mut rest = unique.filter(|entry| entry.cookie > after);
        Self {
            entries: rest.by_ref().take(limit as usize).collect(),
            eof: rest.next().is_none(),
        }
    }
}

fn cookie(name: &[u8]) -> u64 {
    // FNV-1a; std's hashers promise no stable result.
    let hash = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // Not one of 0, 1 and 2, which mean something else in protocols, nor a negative number.
    (hash >> 2) | (1 << 61)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<Bytes> {
        (0..count)
            .map(|n| Bytes::from(format!("name-{n}")))
            .collect()
    }

    #[test]
    fn a_name_is_bytes_without_nul() {
        let long = [b'x'; 256];
        for (name, error) in [
            (&b""[..], NameError::Empty),
            (b"a\0b", NameError::Forbidden),
            (&long, NameError::TooLong),
        ] {
            assert_eq!(XattrName::new(name), Err(error));
        }
        for name in [&b"."[..], b"a/b", b"\xff", &long[1..]] {
            assert!(XattrName::new(name).is_ok());
        }
    }

    #[test]
    fn pages_together_have_every_name_once() {
        for step in [1, 7, 100] {
            let mut seen = Vec::new();
            let mut after = 0;
            loop {
                let page = XattrListing::page(names(50), after, step);
                assert!(page.entries.iter().all(|entry| entry.cookie > after.max(2)));
                assert!(page.entries.is_sorted_by(|a, b| a.cookie < b.cookie));
                after = page.entries.last().map_or(after, |entry| entry.cookie);
                seen.extend(page.entries.into_iter().map(|entry| entry.name));
                if page.eof {
                    break;
                }
            }
            seen.sort();
            let mut all = names(50);
            all.sort();
            assert_eq!(seen, all);
        }
    }

    #[test]
    fn no_names_are_the_end() {
        assert_eq!(
            XattrListing::page([], 0, 10),
            XattrListing {
                entries: Vec::new(),
                eof: true
            }
        );
    }
}
