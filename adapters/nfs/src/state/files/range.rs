//! Byte-range locks of one file: who holds which bytes.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-9.1>, with POSIX's rules for one
//! owner's ranges: a later lock replaces an earlier one where they overlap.

use std::collections::{BTreeMap, HashMap};

use super::stateid::Id;
use crate::status::Status;

/// A range of bytes, never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    first: u64,
    /// Last byte; `u64::MAX` stands for the end of the file, wherever it may move.
    last: u64,
}

/// What a lock keeps others from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    /// From write locks.
    Read,
    /// From any locks.
    Write,
}

/// One range that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) range: Range,
    pub(super) kind: LockKind,
}

/// All locks of one file. An owner's ranges are disjoint, sorted by their first byte, and
/// neighbours differ in kind.
#[derive(Debug, Default)]
pub(super) struct Locks {
    owners: HashMap<Id, BTreeMap<u64, Held>>,
}

impl Range {
    /// The range as the wire has it: a length of all ones means to the end of the file; an empty
    /// one, or one beyond 64 bits, is NFS4ERR_INVAL (RFC 8881 §18.10.3).
    pub fn new(offset: u64, length: u64) -> Result<Self, Status> {
        let last = match length {
            0 => return Err(Status::Inval),
            u64::MAX => u64::MAX,
            _ => offset.checked_add(length - 1).ok_or(Status::Inval)?,
        };
        Ok(Self {
            first: offset,
            last,
        })
    }

    /// First byte.
    pub fn offset(self) -> u64 {
        self.first
    }

    /// Length as the wire has it.
    pub fn length(self) -> u64 {
        if self.last == u64::MAX {
            u64::MAX
        } else {
            self.last - self.first + 1
        }
    }

    fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl Held {
    /// Whether two owners can't hold both.
    pub(super) fn stands_against(self, other: Self) -> bool {
        self.kind.conflicts(other.kind) && self.range.overlaps(other.range)
    }
}

impl LockKind {
    fn conflicts(self, other: Self) -> bool {
        self == Self::Write || other == Self::Write
    }
}

impl Locks {
    /// The locks of anyone but `owner` that stand against `wanted`, one of each who has some.
    pub(super) fn conflicts(
        &self,
        owner: Option<Id>,
        wanted: Held,
    ) -> impl Iterator<Item = (Id, Held)> {
        self.owners
            .iter()
            .filter(move |(id, _)| Some(**id) != owner)
            .filter_map(move |(id, ranges)| {
                overlapping(ranges, wanted.range)
                    .find(|held| held.kind.conflicts(wanted.kind))
                    .map(|held| (*id, held))
            })
    }

    /// Gives `owner` the range, replacing what it held there.
    pub(super) fn lock(&mut self, owner: Id, wanted: Held) {
        let ranges = self.owners.entry(owner).or_default();
        cut(ranges, wanted.range);
        insert_merged(ranges, wanted);
    }

    /// Takes the range away from `owner`.
    pub(super) fn unlock(&mut self, owner: Id, range: Range) {
        if let Some(ranges) = self.owners.get_mut(&owner) {
            cut(ranges, range);
            if ranges.is_empty() {
                self.owners.remove(&owner);
            }
        }
    }

    /// Number of ranges that `owner` holds.
    pub(super) fn count(&self, owner: Id) -> usize {
        self.owners.get(&owner).map_or(0, BTreeMap::len)
    }

    /// Takes everything away from `owner`.
    pub(super) fn clear(&mut self, owner: Id) {
        self.owners.remove(&owner);
    }
}

fn overlapping(ranges: &BTreeMap<u64, Held>, range: Range) -> impl Iterator<Item = Held> {
    // The ranges are disjoint: at most one that begins before this one reaches into it.
    let before = ranges.range(..range.first).next_back();
    before
        .into_iter()
        .chain(ranges.range(range.first..=range.last))
        .map(|(_, held)| *held)
        .filter(move |held| held.range.overlaps(range))
}

/// Removes `range` from what is held; what sticks out on either side stays.
fn cut(ranges: &mut BTreeMap<u64, Held>, range: Range) {
    let touched: Vec<Held> = overlapping(ranges, range).collect();
    for held in touched {
        ranges.remove(&held.range.first);
        if held.range.first < range.first {
            let left = Range {
                first: held.range.first,
                last: range.first - 1,
            };
            ranges.insert(
                left.first,
                Held {
                    range: left,
                    ..held
                },
            );
        }
        if held.range.last > range.last {
            let right = Range {
                first: range.last + 1,
                last: held.range.last,
            };
            ranges.insert(
                right.first,
                Held {
                    range: right,
                    ..held
                },
            );
        }
    }
}

/// Inserts a range where nothing is held, joined with neighbours of its kind.
fn insert_merged(ranges: &mut BTreeMap<u64, Held>, mut held: Held) {
    let left = ranges
        .range(..held.range.first)
        .next_back()
        .map(|(_, l)| *l);
    if let Some(left) = left
        && left.kind == held.kind
        && left.range.last.checked_add(1) == Some(held.range.first)
    {
        ranges.remove(&left.range.first);
        held.range.first = left.range.first;
    }
    if let Some(next) = held.range.last.checked_add(1)
        && let Some(right) = ranges.get(&next).copied()
        && right.kind == held.kind
    {
        ranges.remove(&next);
        held.range.last = right.range.last;
    }
    ranges.insert(held.range.first, held);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BYTES: u64 = 24;

    fn range(first: u64, last: u64) -> Range {
        Range { first, last }
    }

    #[test]
    fn an_empty_or_overflowing_range_is_invalid_and_all_ones_reach_the_end() {
        assert_eq!(Range::new(5, 0), Err(Status::Inval));
        assert_eq!(Range::new(u64::MAX, 2), Err(Status::Inval));
        assert_eq!(Range::new(u64::MAX, 1), Ok(range(u64::MAX, u64::MAX)));
        assert_eq!(Range::new(7, u64::MAX), Ok(range(7, u64::MAX)));
        assert_eq!(range(7, u64::MAX).length(), u64::MAX);
        assert_eq!(range(7, 8).length(), 2);
    }

    /// One byte, one owner, what it holds there.
    #[derive(Default)]
    struct Model([[Option<LockKind>; BYTES as usize]; 3]);

    impl Model {
        fn conflicts(&self, owner: usize, wanted: Held) -> bool {
            (0..3).filter(|&other| other != owner).any(|other| {
                (wanted.range.first..=wanted.range.last).any(|byte| {
                    self.0[other][byte as usize].is_some_and(|kind| kind.conflicts(wanted.kind))
                })
            })
        }

        fn set(&mut self, owner: usize, range: Range, kind: Option<LockKind>) {
            for byte in range.first..=range.last {
                self.0[owner][byte as usize] = kind;
            }
        }
    }

    proptest! {
        #[test]
        fn locks_behave_as_if_every_byte_were_locked_alone(
            steps in prop::collection::vec((0..3_usize, 0..BYTES, 0..BYTES, 0..3_u8), 1..60)
        ) {
            let mut model = Model::default();
            let mut locks = Locks::default();
            for (owner, a, b, what) in steps {
                let range = range(a.min(b), a.max(b));
                let id = Id(owner as u64);
                let kind = match what {
                    0 => None,
                    1 => Some(LockKind::Read),
                    _ => Some(LockKind::Write),
                };
                if let Some(kind) = kind {
                    let wanted = Held { range, kind };
                    let conflict = locks.conflicts(Some(id), wanted).next();
                    prop_assert_eq!(conflict.is_some(), model.conflicts(owner, wanted));
                    if let Some((other, held)) = conflict {
                        prop_assert!(held.range.overlaps(range));
                        prop_assert_ne!(other, id);
                        continue;
                    }
                    locks.lock(id, wanted);
                } else {
                    locks.unlock(id, range);
                }
                model.set(owner, range, kind);
                for (owner, bytes) in model.0.iter().enumerate() {
                    // Neighbours of one kind are one range.
                    let runs = bytes
                        .chunk_by(|x, y| x == y)
                        .filter(|run| run[0].is_some())
                        .count();
                    prop_assert_eq!(locks.count(Id(owner as u64)), runs);
                }
            }
        }
    }
}
