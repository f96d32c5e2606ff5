//! Ranges that may overlap, each somebody's. Whether any but one's own reaches into a given one is
//! found in logarithmic time, however many there are and whosesoever they are.
//!
//! An AVL tree by first byte and holder. Every node knows how far the ranges of its subtree reach,
//! and how far those of anybody but the one who reaches farthest, so that neither ranges that end
//! too early nor one's own have to be walked past.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use super::range::Range;
use super::stateid::Id;

/// Ranges with their holders. Nobody holds two that begin at the same byte.
#[derive(Debug, Default)]
pub(super) struct Intervals(Tree);

type Tree = Option<Box<Node>>;

#[derive(Debug)]
struct Node {
    range: Range,
    holder: Id,
    reach: Reach,
    height: u8,
    left: Tree,
    right: Tree,
}

/// How far some ranges reach: the last byte of the farthest, its holder, and the last byte of the
/// farthest of anybody else; 0 if there is no other, which at worst costs a look.
#[derive(Debug, Clone, Copy)]
struct Reach {
    last: u64,
    holder: Id,
    others: u64,
}

impl Reach {
    fn with(self, other: Self) -> Self {
        let (far, near) = if self.last >= other.last {
            (self, other)
        } else {
            (other, self)
        };
        let others = if near.holder == far.holder {
            near.others
        } else {
            near.last
        };
        Self {
            others: far.others.max(others),
            ..far
        }
    }

    /// The last byte of the farthest that is not `own`.
    fn beside(self, own: Option<Id>) -> u64 {
        if own == Some(self.holder) {
            self.others
        } else {
            self.last
        }
    }
}

impl Intervals {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn insert(&mut self, holder: Id, range: Range) {
        let node = Node {
            range,
            holder,
            reach: Node::own_reach(range, holder),
            height: 1,
            left: None,
            right: None,
        };
        insert(&mut self.0, Box::new(node));
    }

    pub(super) fn remove(&mut self, holder: Id, range: Range) {
        drop(remove(&mut self.0, (range.offset(), holder)));
    }

    /// Shows the ranges that overlap `range` and are not `own`, by their first bytes, until `look`
    /// breaks off.
    pub(super) fn overlapping<B>(
        &self,
        range: Range,
        own: Option<Id>,
        look: &mut impl FnMut(Id, Range) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        overlapping(&self.0, range, own, look)
    }
}

impl Node {
    fn key(&self) -> (u64, Id) {
        (self.range.offset(), self.holder)
    }

    fn own_reach(range: Range, holder: Id) -> Reach {
        Reach {
            last: range.last(),
            holder,
            others: 0,
        }
    }

    /// What follows from the subtrees.
    fn review(&mut self) {
        let mut reach = Self::own_reach(self.range, self.holder);
        for below in [&self.left, &self.right].into_iter().flatten() {
            reach = reach.with(below.reach);
        }
        self.reach = reach;
        self.height = 1 + height(&self.left).max(height(&self.right));
    }

    /// By how many levels the left subtree is higher than the right one.
    fn lean(&self) -> i16 {
        i16::from(height(&self.left)) - i16::from(height(&self.right))
    }
}

fn height(tree: &Tree) -> u8 {
    tree.as_ref().map_or(0, |node| node.height)
}

fn overlapping<B>(
    tree: &Tree,
    range: Range,
    own: Option<Id>,
    look: &mut impl FnMut(Id, Range) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let Some(node) = tree else {
        return ControlFlow::Continue(());
    };
    if node.reach.beside(own) < range.offset() {
        return ControlFlow::Continue(());
    }
    overlapping(&node.left, range, own, look)?;
    if node.range.offset() > range.last() {
        // And so does all that is to the right.
        return ControlFlow::Continue(());
    }
    if own != Some(node.holder) && node.range.last() >= range.offset() {
        look(node.holder, node.range)?;
    }
    overlapping(&node.right, range, own, look)
}

fn insert(tree: &mut Tree, new: Box<Node>) {
    match tree {
        None => *tree = Some(new),
        Some(node) => {
            let side = if new.key() < node.key() {
                &mut node.left
            } else {
                &mut node.right
            };
            insert(side, new);
            settle(tree);
        }
    }
}

fn remove(tree: &mut Tree, key: (u64, Id)) -> Tree {
    let node = tree.as_mut()?;
    let removed = match key.cmp(&node.key()) {
        Ordering::Less => remove(&mut node.left, key),
        Ordering::Greater => remove(&mut node.right, key),
        Ordering::Equal => {
            let (left, mut right) = (node.left.take(), node.right.take());
            let heir = match take_first(&mut right) {
                Some(mut heir) => {
                    heir.left = left;
                    heir.right = right;
                    Some(heir)
                }
                None => left,
            };
            std::mem::replace(tree, heir)
        }
    };
    settle(tree);
    removed
}

/// Takes the leftmost node out.
fn take_first(tree: &mut Tree) -> Tree {
    let node = tree.as_mut()?;
    if node.left.is_some() {
        let first = take_first(&mut node.left);
        settle(tree);
        return first;
    }
    let rest = node.right.take();
    std::mem::replace(tree, rest)
}

/// Brings a node into order whose subtrees are, and differ in height by two at most.
fn settle(tree: &mut Tree) {
    let Some(node) = tree else { return };
    match node.lean() {
        2.. => {
            if node.left.as_ref().is_some_and(|left| left.lean() < 0) {
                turn_left(&mut node.left);
            }
            turn_right(tree);
        }
        ..=-2 => {
            if node.right.as_ref().is_some_and(|right| right.lean() > 0) {
                turn_right(&mut node.right);
            }
            turn_left(tree);
        }
        _ => node.review(),
    }
}

/// The left child takes the place of its parent.
fn turn_right(tree: &mut Tree) {
    let Some(mut old) = tree.take() else { return };
    match old.left.take() {
        Some(mut new) => {
            old.left = new.right.take();
            old.review();
            new.right = Some(old);
            new.review();
            *tree = Some(new);
        }
        None => *tree = Some(old),
    }
}

/// The right child takes the place of its parent.
fn turn_left(tree: &mut Tree) {
    let Some(mut old) = tree.take() else { return };
    match old.right.take() {
        Some(mut new) => {
            old.right = new.left.take();
            old.review();
            new.left = Some(old);
            new.review();
            *tree = Some(new);
        }
        None => *tree = Some(old),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(first: u64, last: u64) -> Range {
        Range::new(first, last - first + 1).unwrap()
    }

    /// Fails unless the tree is one of its kind; its height.
    fn check(tree: &Tree) -> u8 {
        let Some(node) = tree else { return 0 };
        let (left, right) = (check(&node.left), check(&node.right));
        assert!(left.abs_diff(right) <= 1);
        assert_eq!(node.height, 1 + left.max(right));
        let keys = [&node.left, &node.right].map(|side| side.as_ref().map(|node| node.key()));
        assert!(keys[0].is_none_or(|key| key < node.key()));
        assert!(keys[1].is_none_or(|key| key > node.key()));
        node.height
    }

    /// All that overlap.
    fn found(intervals: &Intervals, wanted: Range, own: Option<Id>) -> Vec<(u64, u64, Id)> {
        let mut all = Vec::new();
        let _ = intervals.overlapping::<()>(wanted, own, &mut |id, range| {
            all.push((range.offset(), range.last(), id));
            ControlFlow::Continue(())
        });
        all
    }

    proptest! {
        #[test]
        fn what_overlaps_is_what_a_list_would_find(
            steps in prop::collection::vec((0..40_u64, 0..12_u64, 0..4_u64, any::<bool>()), 1..150),
            asked in prop::collection::vec((0..44_u64, 0..12_u64, 0..5_u64), 1..20),
        ) {
            let mut intervals = Intervals::default();
            let mut list: Vec<(u64, u64, Id)> = Vec::new();
            for (first, more, id, add) in steps {
                let id = Id(id);
                let known = list.iter().position(|held| (held.0, held.2) == (first, id));
                match known {
                    None if add => {
                        intervals.insert(id, range(first, first + more));
                        list.push((first, first + more, id));
                    }
                    Some(at) if !add => {
                        let (first, last, id) = list.swap_remove(at);
                        intervals.remove(id, range(first, last));
                    }
                    _ => {}
                }
                check(&intervals.0);
            }
            list.sort_unstable_by_key(|held| (held.0, held.2));
            for (first, more, own) in asked {
                // The last one is nobody.
                let own = Some(Id(own)).filter(|id| id.0 < 4);
                let wanted = range(first, first + more);
                let expected: Vec<_> = list
                    .iter()
                    .copied()
                    .filter(|held| held.0 <= wanted.last() && held.1 >= first && Some(held.2) != own)
                    .collect();
                prop_assert_eq!(found(&intervals, wanted, own), expected);
            }
            for (first, last, id) in list {
                intervals.remove(id, range(first, last));
            }
            prop_assert!(intervals.is_empty());
        }
    }

    /// Nodes that are visited until the first range of anybody but `own` is found, or none.
    fn visits(tree: &Tree, wanted: Range, own: Option<Id>) -> (usize, bool) {
        let Some(node) = tree else { return (0, false) };
        if node.reach.beside(own) < wanted.offset() {
            return (1, false);
        }
        let (left, found) = visits(&node.left, wanted, own);
        let this = own != Some(node.holder)
            && node.range.offset() <= wanted.last()
            && node.range.last() >= wanted.offset();
        if found || this || node.range.offset() > wanted.last() {
            return (left + 1, found || this);
        }
        let (right, found) = visits(&node.right, wanted, own);
        (left + 1 + right, found)
    }

    #[test]
    fn neither_ones_own_ranges_nor_short_ones_are_walked_past() {
        const COUNT: u64 = 10_000;
        let mut intervals = Intervals::default();
        for i in 0..COUNT {
            intervals.insert(Id(1), range(10 * i, 10 * i + 4));
            intervals.insert(Id(i + 10), range(0, 3));
        }
        let most = 4 * usize::from(check(&intervals.0));
        for i in 0..COUNT {
            let own = visits(&intervals.0, range(4, 10 * i + 9), Some(Id(1)));
            assert!(own.0 <= most && !own.1, "{own:?}");
            let gap = visits(&intervals.0, range(10 * i + 5, 10 * i + 9), None);
            assert!(gap.0 <= most && !gap.1, "{gap:?}");
        }
        assert!(visits(&intervals.0, range(0, u64::MAX - 1), Some(Id(10))).1);
    }
}
