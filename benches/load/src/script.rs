//! What one slot sends again and again: requests that are encoded once, and how they differ from time to time.

use std::sync::Arc;

use anyhow::{Result, ensure};

use crate::check::Check;
use crate::message::{STAMP_AT, XID_AT, put};
use crate::pattern::Pattern;

/// One request.
pub struct Step {
    /// Up to the data of a WRITE, or all of it.
    pub head: Vec<u8>,
    /// The data of a WRITE without their first bytes, which are the last of `head`.
    pub tail: Option<Arc<[u8]>>,
    /// What follows them.
    pub foot: Vec<u8>,
    /// Where SEQUENCE has its number.
    pub number_at: Option<usize>,
    /// Where OPEN or CLOSE of 4.0 has its owner's number.
    pub owner_number_at: Option<usize>,
    /// What else differs.
    pub vary: Vary,
    /// How its reply is checked.
    pub check: Check,
    /// Whether this completes an operation of the workload.
    pub completes: bool,
}

/// What differs from time to time.
#[derive(Debug, Clone)]
pub enum Vary {
    /// Nothing.
    Nothing,
    /// The four digits at the end of a name of one of so many entries.
    Digits {
        /// Where they are.
        at: usize,
        /// How many names there are.
        names: u32,
    },
    /// The offset of a READ.
    Offset {
        /// Where it is.
        at: usize,
        /// What is read.
        blocks: Blocks,
    },
    /// Offset and number of a WRITE; the block's head ends the step's head.
    Write {
        /// Where the offset is.
        at: usize,
        /// What is written.
        blocks: Blocks,
        /// Added to the number of each write, so that it names the slot, too.
        slot: u64,
    },
}

/// Some blocks of a file, taken in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks {
    /// Index of the first.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// Bytes of each.
    pub size: u64,
}

impl Blocks {
    /// Offset of the block whose turn it is.
    pub fn offset(&self, turn: u64) -> u64 {
        (self.first + turn % self.count) * self.size
    }

    /// Each block that had a turn among the first `turns`, with its last one.
    pub fn last_turns(&self, turns: u64) -> impl Iterator<Item = (u64, u64)> + use<> {
        let blocks = *self;
        (turns.saturating_sub(blocks.count)..turns).map(move |turn| (blocks.offset(turn), turn))
    }
}

/// The number that a write carries.
pub fn write_number(slot: u64, turn: u64) -> u64 {
    slot << 48 | turn
}

/// One slot and its place in its script.
pub struct Slot {
    steps: Vec<Step>,
    turns: Vec<u64>,
    at: usize,
    /// Of the call that is under way.
    xid: u32,
    number: u32,
    owner_number: u32,
    /// The step that is under way goes on with what its last reply began: the next page of a listing.
    goes_on: bool,
    /// When the operation that is under way began, in nanoseconds of the run.
    pub began: u64,
}

impl Slot {
    /// Begins with step `at`; `number` and `owner_number` are those of the last call.
    pub fn new(steps: Vec<Step>, at: usize, index: u32, owner_number: u32) -> Self {
        Self {
            turns: vec![0; steps.len()],
            steps,
            at,
            xid: index,
            number: 0,
            owner_number,
            goes_on: false,
            began: 0,
        }
    }

    /// Makes the step whose turn it is ready to be sent. Whether it begins an operation.
    pub fn prepare(&mut self) -> bool {
        let (Some(step), Some(turn)) = (self.steps.get_mut(self.at), self.turns.get(self.at))
        else {
            return true;
        };
        // The low bits say which slot it is.
        self.xid = self.xid.wrapping_add(1 << SLOT_BITS);
        self.number = self.number.wrapping_add(1);
        put(&mut step.head, XID_AT, &self.xid.to_be_bytes());
        if let Some(at) = step.number_at {
            put(&mut step.head, at, &self.number.to_be_bytes());
        }
        if let Some(at) = step.owner_number_at {
            self.owner_number += 1;
            put(&mut step.head, at, &self.owner_number.to_be_bytes());
        }
        step.vary(*turn);
        self.begins()
    }

    /// The bytes to send.
    pub fn parts(&self) -> [&[u8]; 3] {
        self.steps.get(self.at).map_or([&[]; 3], |step| {
            let tail = step.tail.as_deref().unwrap_or_default();
            [&step.head, tail, &step.foot]
        })
    }

    /// Takes the reply, a record without its mark. Whether that completes an operation.
    pub fn take(&mut self, record: &[u8]) -> Result<bool> {
        let (Some(step), Some(turn)) = (self.steps.get_mut(self.at), self.turns.get_mut(self.at))
        else {
            return Ok(true);
        };
        ensure!(
            record.first_chunk() == Some(&self.xid.to_be_bytes()),
            "a reply to another call"
        );
        let outcome = step
            .check
            .run(record, step.vary.offset(*turn), self.number)?;
        step.go_on(outcome.place.as_ref());
        self.goes_on = outcome.again;
        if outcome.again {
            return Ok(false);
        }
        *turn += 1;
        let completes = step.completes;
        if let Some((into, place)) = &outcome.into
            && let Some(later) = self.steps.get_mut(*into)
        {
            later.fill(place)?;
        }
        self.at = (self.at + 1) % self.steps.len();
        Ok(completes)
    }

    /// Whether the next step is the first of an operation.
    fn begins(&self) -> bool {
        let before = self.at.checked_sub(1).unwrap_or(self.steps.len() - 1);
        !self.goes_on && self.steps.get(before).is_none_or(|step| step.completes)
    }

    /// What must be in the file: blocks and, for each, offset and the number of its last write.
    pub fn written(&self) -> impl Iterator<Item = (u64, u64)> {
        self.steps
            .iter()
            .zip(&self.turns)
            .filter_map(|(step, turns)| match step.vary {
                Vary::Write { blocks, slot, .. } => Some((blocks, slot, *turns)),
                _ => None,
            })
            .flat_map(|(blocks, slot, turns)| {
                blocks
                    .last_turns(turns)
                    .map(move |(offset, turn)| (offset, write_number(slot, turn)))
            })
    }
}

/// Low bits of a transaction id that name the slot.
pub const SLOT_BITS: u32 = 12;

/// The slot that a transaction id names.
pub fn slot_of(xid: u32) -> usize {
    (xid & ((1 << SLOT_BITS) - 1)) as usize
}

impl Step {
    /// A request for the echo: `length` bytes with mark, to be answered with as many as `reply` says.
    pub fn echo(length: usize, reply: usize) -> Self {
        let mut head = crate::message::Message::new(1).finish(0);
        head.resize(length.max(head.len()), 0);
        let mark = (head.len() - 4) as u32 | 1 << 31;
        put(&mut head, 0, &mark.to_be_bytes());
        put(&mut head, STAMP_AT, &(reply as u32).to_be_bytes());
        Self {
            head,
            tail: None,
            foot: Vec::new(),
            number_at: None,
            owner_number_at: None,
            vary: Vary::Nothing,
            check: Check::Length(reply - 4),
            completes: true,
        }
    }

    fn vary(&mut self, turn: u64) {
        match &self.vary {
            Vary::Nothing => {}
            Vary::Digits { at, names } => {
                // A stride that is prime to the number of names visits all.
                let mut rest = (turn.wrapping_mul(61) % u64::from(*names)) as u32;
                for digit in (*at..at + 4).rev() {
                    put(&mut self.head, digit, &[b'0' + (rest % 10) as u8]);
                    rest /= 10;
                }
            }
            Vary::Offset { at, blocks } => {
                put(&mut self.head, *at, &blocks.offset(turn).to_be_bytes());
            }
            Vary::Write { at, blocks, slot } => {
                let offset = blocks.offset(turn);
                put(&mut self.head, *at, &offset.to_be_bytes());
                let head = Pattern::head(offset, write_number(*slot, turn));
                let at = self.head.len() - head.len();
                put(&mut self.head, at, &head);
            }
        }
    }

    /// Takes over where it goes on: READDIR's cookie.
    fn go_on(&mut self, place: Option<&(usize, [u8; 16])>) {
        if let Some((at, bytes)) = place {
            put(&mut self.head, *at, bytes);
        }
    }

    /// Takes over what an earlier step's reply said.
    fn fill(&mut self, found: &Found) -> Result<()> {
        put(&mut self.head, found.state_at, &found.state);
        if let Some((at, length)) = found.handle_at {
            ensure!(
                found.handle.len() == length,
                "handles of {length} and {} bytes; the load expects one length",
                found.handle.len()
            );
            put(&mut self.head, at, &found.handle);
        }
        Ok(())
    }
}

/// What OPEN said, and where CLOSE needs it.
#[derive(Debug)]
pub struct Found {
    /// Place of the stateid.
    pub state_at: usize,
    /// The stateid.
    pub state: [u8; 16],
    /// Place and length of the handle, if that is new each time.
    pub handle_at: Option<(usize, usize)>,
    /// The handle.
    pub handle: Vec<u8>,
}

impl Vary {
    fn offset(&self, turn: u64) -> u64 {
        match self {
            Self::Offset { blocks, .. } | Self::Write { blocks, .. } => blocks.offset(turn),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_take_turns_and_the_last_turn_of_each_is_known() {
        let blocks = Blocks {
            first: 2,
            count: 2,
            size: 10,
        };
        let offsets: Vec<_> = (0..3).map(|turn| blocks.offset(turn)).collect();
        assert_eq!(offsets, [20, 30, 20]);
        let last: Vec<_> = blocks.last_turns(3).collect();
        assert_eq!(last, [(30, 1), (20, 2)]);
        assert_eq!(blocks.last_turns(1).collect::<Vec<_>>(), [(20, 0)]);
    }

    #[test]
    fn each_call_of_a_slot_has_its_own_transaction_id_that_names_the_slot() {
        let mut slot = Slot::new(vec![Step::echo(120, 80)], 0, 5, 0);
        let mut xids = (0..3).map(|_| {
            slot.prepare();
            let [head, ..] = slot.parts();
            u32::from_be_bytes(head[XID_AT..XID_AT + 4].try_into().unwrap())
        });
        let (first, second) = (xids.next().unwrap(), xids.next().unwrap());
        assert_ne!(first, second);
        assert_eq!((slot_of(first), slot_of(second)), (5, 5));
    }

    /// A page of a listing in 4.0: one entry, "a", with cookie 9, and whether it is the last.
    fn page(xid: &[u8], last: u32) -> Vec<u8> {
        let words = [
            1,
            0,
            0,
            0,
            0,
            0,
            0,
            2,
            22,
            0,
            26,
            0,
            0,
            4,
            1,
            0,
            9,
            1,
            0x6100_0000,
            0,
            0,
            0,
            last,
        ];
        let words = words.iter().flat_map(|word: &u32| word.to_be_bytes());
        xid.iter().copied().chain(words).collect()
    }

    #[test]
    fn the_second_page_of_a_listing_begins_no_operation() {
        let mut step = Step::echo(160, 80);
        step.check = Check::Readdir(
            crate::check::Shape {
                session: false,
                operations: 2,
            },
            crate::check::Listing {
                cookie_at: 120,
                entries: 2,
                seen: 0,
            },
        );
        let mut slot = Slot::new(vec![step], 0, 0, 0);
        let mut turn = |begins, last| {
            assert_eq!(slot.prepare(), begins);
            let xid = slot.parts()[0][XID_AT..XID_AT + 4].to_vec();
            slot.take(&page(&xid, last)).unwrap()
        };
        assert!(!turn(true, 0));
        assert!(turn(false, 1));
        assert!(!turn(true, 0));
    }

    #[test]
    fn digits_visit_all_names() {
        let mut step = Step::echo(120, 80);
        step.vary = Vary::Digits {
            at: 100,
            names: 1000,
        };
        let seen: std::collections::HashSet<_> = (0..1000)
            .map(|turn| {
                step.vary(turn);
                step.head[100..104].to_vec()
            })
            .collect();
        assert_eq!(seen.len(), 1000);
        assert!(seen.contains(b"0999".as_slice()));
    }
}
