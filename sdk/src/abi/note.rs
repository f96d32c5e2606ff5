//! The manifest of a library: an ELF note that is read without running its code.

use super::load::Manifest;
use crate::{Info, VERSION};

/// Name of the section.
pub(super) const SECTION: &[u8] = b".note.dittofs";
const OWNER: [u8; 8] = *b"DittoFS\0";
/// A note of another format gets another number.
const FORMAT: u32 = 1;
const TEXT: usize = 1024;

/// An ELF note: three words, the owner, and the description, which is the rest.
#[repr(C, align(4))]
#[derive(Debug)]
pub struct Note {
    owner_size: u32,
    description_size: u32,
    format: u32,
    owner: [u8; 8],
    sdk: [u32; 2],
    unwind: u32,
    /// Name, version and description, each ended by a NUL.
    text: [u8; TEXT],
}

impl Note {
    /// The note of an adapter.
    ///
    /// # Panics
    /// If the name has other characters than it may, or the texts are longer than 1021 bytes
    /// together. `export_adapter!` evaluates it when it is compiled.
    pub const fn new(info: Info, unwind: bool) -> Self {
        assert!(
            is_name(info.name),
            "an adapter's name is of lower-case letters, digits and '-'"
        );
        let text = [0; TEXT];
        let (text, end) = append(text, 0, info.name);
        let (text, end) = append(text, end, info.version);
        let (text, _) = append(text, end, info.description);
        Self {
            owner_size: OWNER.len() as u32,
            description_size: (3 * size_of::<u32>() + TEXT) as u32,
            format: FORMAT,
            owner: OWNER,
            sdk: [VERSION.0, VERSION.1],
            unwind: unwind as u32,
            text,
        }
    }
}

// Indices out of bounds and failed assertions in what follows are errors of the compilation.
#[allow(clippy::indexing_slicing)]
const fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !matches!(bytes[at], b'a'..=b'z' | b'0'..=b'9' | b'-') {
            return false;
        }
        at += 1;
    }
    !bytes.is_empty()
}

#[allow(clippy::indexing_slicing)]
const fn append(mut text: [u8; TEXT], start: usize, part: &str) -> ([u8; TEXT], usize) {
    let bytes = part.as_bytes();
    assert!(
        start + bytes.len() < TEXT,
        "name, version and description are too long together"
    );
    let mut at = 0;
    while at < bytes.len() {
        assert!(bytes[at] != 0, "name, version and description hold no NUL");
        text[start + at] = bytes[at];
        at += 1;
    }
    (text, start + at + 1)
}

/// The manifest in the content of the section, if it is a note of a known format.
pub(super) fn parse(section: &[u8]) -> Option<Manifest> {
    let (owner_size, rest) = word(section)?;
    let (description_size, rest) = word(rest)?;
    let (format, rest) = word(rest)?;
    let rest = rest.strip_prefix(&OWNER)?;
    if owner_size as usize != OWNER.len() || format != FORMAT {
        return None;
    }
    let description = rest.get(..description_size as usize)?;
    let (major, rest) = word(description)?;
    let (minor, rest) = word(rest)?;
    let (unwind, text) = word(rest)?;
    let mut parts = text
        .split(|&byte| byte == 0)
        .map(|part| String::from_utf8(part.to_vec()).ok());
    Some(Manifest {
        name: parts.next()??,
        version: parts.next()??,
        description: parts.next()??,
        sdk: (major, minor),
        panic: if unwind == 0 { "abort" } else { "unwind" }.to_owned(),
    })
}

fn word(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk()?;
    Some((u32::from_ne_bytes(*word), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: Info = Info {
        name: "some-1",
        version: "2.3",
        description: "does ünicode",
    };

    fn bytes(note: &Note) -> &[u8] {
        // SAFETY: a `Note` is words and bytes without padding.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(note).cast(), size_of::<Note>()) }
    }

    #[test]
    fn a_note_reads_back() {
        let note = Note::new(INFO, true);
        let manifest = parse(bytes(&note)).unwrap();
        assert_eq!(manifest.name, INFO.name);
        assert_eq!(manifest.version, INFO.version);
        assert_eq!(manifest.description, INFO.description);
        assert_eq!(manifest.sdk, VERSION);
        assert_eq!(manifest.panic, "unwind");
    }

    #[test]
    fn a_cut_or_foreign_note_is_none() {
        let note = Note::new(INFO, true);
        for cut in 0..size_of::<Note>() {
            assert_eq!(parse(&bytes(&note)[..cut]), None);
        }
        let foreign = Note { format: 2, ..note };
        assert_eq!(parse(bytes(&foreign)), None);
    }
}
