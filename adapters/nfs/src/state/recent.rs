//! A memory of bounded size: the last few of something.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;

/// Knows the last `N` values that were noted.
#[derive(Debug)]
pub(super) struct Recent<T, const N: usize> {
    order: VecDeque<T>,
    known: HashSet<T>,
}

impl<T: Copy + Eq + Hash, const N: usize> Recent<T, N> {
    pub(super) fn note(&mut self, value: T) {
        if !self.known.insert(value) {
            return;
        }
        self.order.push_back(value);
        if self.order.len() > N
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    pub(super) fn contains(&self, value: &T) -> bool {
        self.known.contains(value)
    }
}

impl<T, const N: usize> Default for Recent<T, N> {
    fn default() -> Self {
        Self {
            order: VecDeque::new(),
            known: HashSet::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_for_the_newest() {
        let mut recent = Recent::<u32, 2>::default();
        for value in [1, 2, 2, 3] {
            recent.note(value);
        }
        assert_eq!(
            [1, 2, 3].map(|value| recent.contains(&value)),
            [false, true, true]
        );
        assert_eq!(recent.order.len(), recent.known.len());
    }
}
