//! Byte-range locks of one file: who holds which bytes.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-9.1>, with POSIX's rules for one
//! owner's ranges: a later lock replaces an earlier one where they overlap.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

use super::intervals::Intervals;
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

/// All locks of one file. An owner's ranges are disjoint, and neighbours differ in kind.
#[derive(Debug, Default)]
pub(super) struct Locks {
    /// By owner and first byte.
    ranges: BTreeMap<(Id, u64), Held>,
    /// How many ranges each owner has.
    counts: HashMap<Id, usize, ahash::RandomState>,
    /// The same ranges, by what they cover.
    read: Intervals,
    write: Intervals,
    /// Owners that have nothing any more, and whose ranges are still to be taken out.
    gone: HashSet<Id, ahash::RandomState>,
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

    /// Last byte.
    pub(super) fn last(self) -> u64 {
        self.last
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
    /// A lock of anyone but `owner` that stands against `wanted`.
    pub(super) fn conflict(&self, owner: Option<Id>, wanted: Held) -> Option<(Id, Held)> {
        let found = self.against(owner, wanted, &mut |id, held| {
            ControlFlow::Break((id, held))
        });
        found.break_value()
    }

    /// Shows the locks of anyone but `owner` that stand against `wanted`, until `look` breaks off.
    pub(super) fn against<B>(
        &self,
        owner: Option<Id>,
        wanted: Held,
        look: &mut impl FnMut(Id, Held) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        for kind in [LockKind::Write, LockKind::Read] {
            if kind.conflicts(wanted.kind) {
                self.of_kind(kind)
                    .overlapping(wanted.range, owner, &mut |id, range| {
                        if self.gone.contains(&id) {
                            return ControlFlow::Continue(());
                        }
                        look(id, Held { range, kind })
                    })?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Gives `owner` the range, replacing what it held there.
    pub(super) fn lock(&mut self, owner: Id, wanted: Held) {
        self.cut(owner, wanted.range, usize::MAX);
        self.insert_merged(owner, wanted);
    }

    /// Takes the range away from `owner`, up to `most` of the ranges held in it: from the first on, and
    /// what is left of it is returned.
    pub(super) fn unlock(&mut self, owner: Id, range: Range, most: usize) -> Option<Range> {
        self.cut(owner, range, most)
    }

    /// Number of ranges that `owner` holds.
    pub(super) fn count(&self, owner: Id) -> usize {
        self.counts.get(&owner).copied().unwrap_or_default()
    }

    /// Takes everything away from `owner`, who is not to come back. What is left of that is to be
    /// [swept](Self::sweep).
    pub(super) fn clear(&mut self, owner: Id) {
        if self.counts.remove(&owner).is_some() {
            self.gone.insert(owner);
        }
    }

    /// Takes out up to `most` ranges of owners that are gone. Whether more are left.
    pub(super) fn sweep(&mut self, most: usize) -> bool {
        let mut left = most;
        while let Some(&owner) = self.gone.iter().next() {
            while let Some(held) = self.first(owner) {
                if left == 0 {
                    return true;
                }
                left -= 1;
                self.ranges.remove(&(owner, held.range.first));
                self.of_kind_mut(held.kind).remove(owner, held.range);
            }
            self.gone.remove(&owner);
        }
        false
    }

    /// Whether nothing is held, and nothing is to be swept.
    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    fn first(&self, owner: Id) -> Option<Held> {
        let mut own = self.ranges.range((owner, 0)..=(owner, u64::MAX));
        own.next().map(|(_, held)| *held)
    }

    /// Removes `range` from what `owner` holds; what sticks out on either side stays. What of it is
    /// left after `most` steps is returned.
    fn cut(&mut self, owner: Id, mut range: Range, most: usize) -> Option<Range> {
        for _ in 0..most {
            let held = self.reaching_into(owner, range)?;
            self.remove(owner, held);
            if held.range.first < range.first {
                let first = held.range.first;
                let last = range.first - 1;
                let range = Range { first, last };
                self.insert(owner, Held { range, ..held });
            }
            if held.range.last >= range.last {
                if held.range.last > range.last {
                    let first = range.last + 1;
                    let last = held.range.last;
                    let range = Range { first, last };
                    self.insert(owner, Held { range, ..held });
                }
                return None;
            }
            range.first = held.range.last + 1;
        }
        Some(range)
    }

    /// The first range of `owner` that overlaps this one.
    fn reaching_into(&self, owner: Id, range: Range) -> Option<Held> {
        // The ranges are disjoint: at most one that begins before this one reaches into it.
        let mut before = self.ranges.range((owner, 0)..(owner, range.first));
        let within = self
            .ranges
            .range((owner, range.first)..=(owner, range.last));
        let candidates = before.next_back().into_iter().chain(within);
        candidates
            .map(|(_, held)| *held)
            .find(|held| held.range.overlaps(range))
    }

    /// Inserts a range where `owner` holds nothing, joined with neighbours of its kind.
    fn insert_merged(&mut self, owner: Id, mut held: Held) {
        let mut left = self.ranges.range((owner, 0)..(owner, held.range.first));
        if let Some((_, &left)) = left.next_back()
            && left.kind == held.kind
            && left.range.last.checked_add(1) == Some(held.range.first)
        {
            self.remove(owner, left);
            held.range.first = left.range.first;
        }
        if let Some(next) = held.range.last.checked_add(1)
            && let Some(&right) = self.ranges.get(&(owner, next))
            && right.kind == held.kind
        {
            self.remove(owner, right);
            held.range.last = right.range.last;
        }
        self.insert(owner, held);
    }

    fn insert(&mut self, owner: Id, held: Held) {
        self.ranges.insert((owner, held.range.first), held);
        *self.counts.entry(owner).or_default() += 1;
        self.of_kind_mut(held.kind).insert(owner, held.range);
    }

    fn remove(&mut self, owner: Id, held: Held) {
        self.ranges.remove(&(owner, held.range.first));
        self.of_kind_mut(held.kind).remove(owner, held.range);
        if let Some(count) = self.counts.get_mut(&owner) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&owner);
            }
        }
    }

    fn of_kind(&self, kind: LockKind) -> &Intervals {
        match kind {
            LockKind::Read => &self.read,
            LockKind::Write => &self.write,
        }
    }

    fn of_kind_mut(&mut self, kind: LockKind) -> &mut Intervals {
        match kind {
            LockKind::Read => &mut self.read,
            LockKind::Write => &mut self.write,
        }
    }
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
            steps in prop::collection::vec((0..3_usize, 0..BYTES, 0..BYTES, 0..8_u8), 1..60)
        ) {
            let mut model = Model::default();
            let mut locks = Locks::default();
            // Who is gone comes back by another name.
            let mut ids = [Id(0), Id(1), Id(2)];
            for (owner, a, b, what) in steps {
                let range = range(a.min(b), a.max(b));
                let id = ids[owner];
                let kind = match what {
                    0 | 1 => None,
                    2..=4 => Some(LockKind::Read),
                    5 | 6 => Some(LockKind::Write),
                    _ => {
                        locks.clear(id);
                        ids[owner].0 += 3;
                        model.set(owner, self::range(0, BYTES - 1), None);
                        locks.sweep(a as usize);
                        continue;
                    }
                };
                if let Some(kind) = kind {
                    let wanted = Held { range, kind };
                    let conflict = locks.conflict(Some(id), wanted);
                    prop_assert_eq!(conflict.is_some(), model.conflicts(owner, wanted));
                    if let Some((other, held)) = conflict {
                        prop_assert!(held.range.overlaps(range));
                        prop_assert_ne!(other, id);
                        continue;
                    }
                    locks.lock(id, wanted);
                } else {
                    let mut left = Some(range);
                    while let Some(range) = left {
                        left = locks.unlock(id, range, 1);
                    }
                }
                model.set(owner, range, kind);
                for (owner, bytes) in model.0.iter().enumerate() {
                    // Neighbours of one kind are one range.
                    let runs = bytes
                        .chunk_by(|x, y| x == y)
                        .filter(|run| run[0].is_some())
                        .count();
                    prop_assert_eq!(locks.count(ids[owner]), runs);
                }
            }
            while locks.sweep(1) {}
            for id in ids {
                prop_assert_eq!(locks.unlock(id, range(0, BYTES), usize::MAX), None);
            }
            prop_assert!(locks.is_empty() && locks.read.is_empty() && locks.write.is_empty());
            prop_assert!(locks.counts.is_empty() && locks.gone.is_empty());
        }
    }
}
