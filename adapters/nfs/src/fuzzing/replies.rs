//! COMPOUND4res, read to its end by the grammar.

use bytes::Bytes;

use super::grammar;
use super::world::Known;
use crate::xdr::{BadXdr, Reader};

/// What a reply says.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) status: u32,
    pub(super) tag: Bytes,
    /// Operations and statuses.
    pub(super) results: Vec<(u32, u32)>,
}

const ILLEGAL: u32 = 10044;
const OPEN: u32 = 18;

/// What delegations are counted under, beside operations.
#[cfg(test)]
pub(super) const DELEGATION: u32 = 1 << 16;

#[cfg(test)]
thread_local! {
    /// How often there was which result, so that a test sees what is reached.
    pub(super) static TALLY: std::cell::RefCell<std::collections::BTreeMap<(u32, u32), u32>> =
        const { std::cell::RefCell::new(std::collections::BTreeMap::new()) };
}

/// Reads a whole reply, and learns from it. It panics if that is not what the RFC allows.
pub(super) fn read(reply: &Bytes, known: &mut Known) -> Seen {
    try_read(reply, known).unwrap_or_else(|BadXdr| panic!("no COMPOUND4res: {reply:02x?}"))
}

fn try_read(reply: &Bytes, known: &mut Known) -> Result<Seen, BadXdr> {
    let mut reader = Reader::new(reply.clone());
    let status = reader.read()?;
    let tag = reader.opaque(usize::MAX)?;
    let count: u32 = reader.read()?;
    let mut results = Vec::new();
    for _ in 0..count {
        let (number, status) = (reader.read()?, reader.read()?);
        results.push((number, status));
        #[cfg(test)]
        TALLY.with_borrow_mut(|tally| *tally.entry((number, status)).or_default() += 1);
        known.ended(number, status);
        result(&mut reader, known, number, status)?;
    }
    known.all_ended();
    reader.finish()?;
    if let Some(((_, last), before)) = results.split_last() {
        assert_eq!(*last, status, "the last result's status is that of all");
        let early = before.iter().any(|(_, status)| *status != 0);
        assert!(!early, "it went on after a failure: {results:?}");
    }
    Ok(Seen {
        status,
        tag,
        results,
    })
}

fn result(reader: &mut Reader, known: &mut Known, number: u32, status: u32) -> Result<(), BadXdr> {
    if number == OPEN {
        known.leave();
    }
    if number == ILLEGAL {
        assert_ne!(status, 0, "nothing illegal succeeds");
        return Ok(());
    }
    let rule = grammar::of(number).unwrap_or_else(|| panic!("a result of operation {number}"));
    match rule.refusal {
        _ if status == 0 => parts(rule.ok, reader, known),
        Some((of, body)) if of == 0 || of == status => parts(body, reader, known),
        _ => Ok(()),
    }
}

fn parts(letters: &str, reader: &mut Reader, known: &mut Known) -> Result<(), BadXdr> {
    letters
        .chars()
        .try_for_each(|letter| part(letter, reader, known))
}

fn part(letter: char, reader: &mut Reader, known: &mut Known) -> Result<(), BadXdr> {
    match letter {
        'b' => reader.read::<bool>().map(drop)?,
        'u' => reader.read::<u32>().map(drop)?,
        'U' => reader.read::<u64>().map(drop)?,
        'o' | 'd' | 'n' => reader.opaque(usize::MAX).map(drop)?,
        's' => known.learn_stateid(reader.fixed()?),
        'h' => known.learn_handle(&reader.opaque(128)?),
        'c' => known.learn_client(reader.read()?),
        'S' => known.learn_session(reader.fixed()?),
        'v' => known.learn_verifier(reader.fixed()?),
        'm' => bitmap(reader)?,
        'a' => {
            bitmap(reader)?;
            reader.opaque(usize::MAX).map(drop)?;
        }
        'N' => {
            parts("uuuuuu", reader, known)?;
            reader.array::<u32>(1).map(drop)?;
        }
        'I' => many(reader, |reader| parts("ooUu", reader, known))?,
        'C' => parts("bUU", reader, known)?,
        'D' => delegation(reader, known)?,
        'F' => many(reader, flavor)?,
        'E' => entries(reader, known)?,
        'B' => reader.array::<u32>(usize::MAX).map(drop)?,
        'G' => match reader.read::<u32>()? {
            0 => parts("vsmmm", reader, known)?,
            _ => part('b', reader, known)?,
        },
        // SP4_NONE is all that is offered.
        'X' => assert_eq!(reader.read::<u32>()?, 0),
        'Z' => {
            if reader.read()? {
                part('U', reader, known)?;
            }
        }
        'Y' => match reader.read::<u32>()? {
            0 => {}
            1 => part('s', reader, known)?,
            _ => return Err(BadXdr),
        },
        'V' => many(reader, content)?,
        'J' => many(reader, |reader| reader.opaque(usize::MAX).map(drop))?,
        other => panic!("no letter of results: {other}"),
    }
    Ok(())
}

fn many(
    reader: &mut Reader,
    mut one: impl FnMut(&mut Reader) -> Result<(), BadXdr>,
) -> Result<(), BadXdr> {
    let count: u32 = reader.read()?;
    (0..count).try_for_each(|_| one(reader))
}

/// At most three words, and none for nothing at the end.
fn bitmap(reader: &mut Reader) -> Result<(), BadXdr> {
    let words = reader.array::<u32>(3)?;
    assert_ne!(words.last(), Some(&0), "a bitmap with words for nothing");
    Ok(())
}

/// secinfo4
fn flavor(reader: &mut Reader) -> Result<(), BadXdr> {
    if reader.read::<u32>()? == 6 {
        reader.opaque(usize::MAX)?;
        reader.read::<u32>()?;
        reader.read::<u32>()?;
    }
    Ok(())
}

/// read_plus_content
fn content(reader: &mut Reader) -> Result<(), BadXdr> {
    let (what, _at): (u32, u64) = (reader.read()?, reader.read()?);
    match what {
        0 => reader.opaque(usize::MAX).map(drop),
        1 => reader.read::<u64>().map(drop),
        _ => Err(BadXdr),
    }
}

/// open_delegation4
fn delegation(reader: &mut Reader, known: &mut Known) -> Result<(), BadXdr> {
    const ACE: &str = "uuuo";
    let kind: u32 = reader.read()?;
    #[cfg(test)]
    TALLY.with_borrow_mut(|tally| *tally.entry((DELEGATION + kind, 0)).or_default() += 1);
    match kind {
        0 => Ok(()),
        1 => {
            parts("sb", reader, known)?;
            parts(ACE, reader, known)
        }
        2 => {
            parts("sb", reader, known)?;
            match reader.read::<u32>()? {
                1 => part('U', reader, known)?,
                2 => parts("uu", reader, known)?,
                _ => return Err(BadXdr),
            }
            parts(ACE, reader, known)
        }
        3 => match reader.read::<u32>()? {
            // Contention and a lack of resources: whether the server will tell of their end.
            1 | 2 => part('b', reader, known),
            _ => Ok(()),
        },
        _ => Err(BadXdr),
    }
}

/// dirlist4
fn entries(reader: &mut Reader, known: &mut Known) -> Result<(), BadXdr> {
    while reader.read()? {
        parts("Una", reader, known)?;
    }
    part('b', reader, known)
}
