//! What a reply must say.

use anyhow::{Context, Result, ensure};

use crate::client::opened;
use crate::pattern::Pattern;
use crate::reply::Reply;
use crate::script::Found;

/// How a reply is checked. `operations` counts SEQUENCE, too.
pub enum Check {
    /// By its length without mark: the echo's.
    Length(usize),
    /// Accepted, and all operations went well.
    Status(Shape),
    /// READ: a block of the pattern.
    Read(Shape, Pattern),
    /// WRITE: so many bytes, at least this stable.
    Write(Shape, u32, u32),
    /// OPEN, and GETFH behind it.
    Open(Shape, Close),
    /// READDIR of so many entries, in pages.
    Readdir(Shape, Listing),
}

/// What a reply consists of.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Whether SEQUENCE is the first.
    pub session: bool,
    /// Number of operations.
    pub operations: u32,
}

/// Which step closes the file, and where it has stateid and, if that is new each time, handle.
#[derive(Debug, Clone, Copy)]
pub struct Close {
    /// Index of the step.
    pub step: usize,
    /// Place of the stateid.
    pub state_at: usize,
    /// Place and length of the handle.
    pub handle_at: Option<(usize, usize)>,
}

/// A directory as far as it is listed.
#[derive(Debug, Clone, Copy)]
pub struct Listing {
    /// Where the request has cookie and verifier.
    pub cookie_at: usize,
    /// Entries that there are.
    pub entries: usize,
    /// Entries seen on the pages until now.
    pub seen: usize,
}

/// What follows from a reply.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The step is to be sent again.
    pub again: bool,
    /// What is to be put where in this step.
    pub place: Option<(usize, [u8; 16])>,
    /// What is to be put into another step.
    pub into: Option<(usize, Found)>,
}

impl Check {
    /// Checks a record without its mark; `offset` is that of its READ, `number` that of its SEQUENCE.
    pub fn run(&mut self, record: &[u8], offset: u64, number: u32) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        match self {
            Self::Length(length) => {
                ensure!(record.len() == *length, "a reply of {} bytes", record.len());
            }
            Self::Status(shape) => drop(shape.results(record, number)?),
            Self::Read(shape, pattern) => {
                let mut results = shape.results(record, number)?;
                results.result(25)?;
                // Whether this is the end of the file.
                results.word()?;
                pattern.check(results.opaque()?, offset)?;
            }
            Self::Write(shape, length, stable) => {
                let mut results = shape.results(record, number)?;
                results.result(38)?;
                let (count, committed) = (results.word()?, results.word()?);
                ensure!(count == *length, "WRITE of {count} bytes, not {length}");
                ensure!(committed >= *stable, "WRITE less stable than asked");
            }
            Self::Open(shape, close) => {
                let mut results = shape.results(record, number)?;
                let (state, confirm) = opened(&mut results)?;
                ensure!(!confirm, "an owner that is known must be confirmed");
                results.result(10)?;
                let found = Found {
                    state_at: close.state_at,
                    state,
                    handle_at: close.handle_at,
                    handle: match close.handle_at {
                        Some(_) => results.opaque()?.to_vec(),
                        None => Vec::new(),
                    },
                };
                outcome.into = Some((close.step, found));
            }
            Self::Readdir(shape, listing) => {
                let mut results = shape.results(record, number)?;
                results.result(26)?;
                outcome = listing.page(&mut results)?;
            }
        }
        Ok(outcome)
    }
}

impl Shape {
    /// Behind the results of SEQUENCE and PUTFH.
    fn results(self, record: &[u8], number: u32) -> Result<Reply<'_>> {
        let mut reply = Reply::accepted(record, self.operations)?;
        if self.session {
            reply.result(53)?;
            reply.fixed(16)?;
            let found = reply.word()?;
            ensure!(found == number, "SEQUENCE {found}, not {number}");
            reply.fixed(16)?;
        }
        reply.result(22)?;
        Ok(reply)
    }
}

impl Listing {
    fn page(&mut self, results: &mut Reply<'_>) -> Result<Outcome> {
        let verifier = results.long()?;
        let mut cookie = None;
        while results.word()? != 0 {
            cookie = Some(results.long()?);
            results.opaque()?;
            for _ in 0..results.word()? {
                results.word()?;
            }
            results.opaque()?;
            self.seen += 1;
        }
        let ended = results.word()? != 0;
        if ended {
            ensure!(
                self.seen == self.entries,
                "a listing of {} entries, not {}",
                self.seen,
                self.entries
            );
            self.seen = 0;
        }
        let place = if ended {
            [0; 16]
        } else {
            let cookie = cookie.context("an empty page that is not the last")?;
            (u128::from(cookie) << 64 | u128::from(verifier)).to_be_bytes()
        };
        Ok(Outcome {
            again: !ended,
            place: Some((self.cookie_at, place)),
            into: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> Listing {
        Listing {
            cookie_at: 100,
            entries: 2,
            seen: 0,
        }
    }

    /// A page with one entry, "a", with cookie 9 and verifier 4.
    fn page(ended: u32) -> Vec<u8> {
        let words = [
            0,
            4,
            1,
            0,
            9,
            1,
            u32::from_be_bytes(*b"a\0\0\0"),
            1,
            2,
            4,
            7,
            0,
            ended,
        ];
        words
            .iter()
            .flat_map(|word: &u32| word.to_be_bytes())
            .collect()
    }

    #[test]
    fn a_listing_goes_on_behind_the_last_entry_and_begins_anew_at_its_end() {
        let mut listing = listing();
        let outcome = listing.page(&mut Reply::new(&page(0))).unwrap();
        assert!(outcome.again);
        let place = (9_u128 << 64 | 4).to_be_bytes();
        assert_eq!(outcome.place, Some((100, place)));
        let outcome = listing.page(&mut Reply::new(&page(1))).unwrap();
        assert!(!outcome.again);
        assert_eq!(outcome.place, Some((100, [0; 16])));
        assert_eq!(listing.seen, 0);
    }

    #[test]
    fn a_listing_that_lacks_an_entry_is_found() {
        assert!(listing().page(&mut Reply::new(&page(1))).is_err());
    }

    #[test]
    fn an_echo_of_another_length_is_found() {
        assert!(Check::Length(8).run(&[0; 8], 0, 0).is_ok());
        assert!(Check::Length(8).run(&[0; 12], 0, 0).is_err());
    }
}
