//! References whose users are counted near by.
//!
//! Every request holds the server and its share while it runs. If all counted themselves in one place,
//! processors would pass that place around among them, request by request; so each connection
//! counts its own.

use std::ops::Deref;
use std::sync::Arc;

/// What many share, counted by a few of its users.
pub struct Near<T>(Arc<Line<T>>);

/// On a cache line of its own, and so its count.
#[repr(align(64))]
struct Line<T>(Arc<T>);

impl<T> Near<T> {
    /// A reference with a count of its own.
    pub fn new(to: &Arc<T>) -> Self {
        Self(Arc::new(Line(Arc::clone(to))))
    }
}

impl<T> Clone for Near<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Near<T> {
    type Target = Arc<T>;

    fn deref(&self) -> &Self::Target {
        let Line(to) = &*self.0;
        to
    }
}

/// Some references to the same, for connections to choose from.
pub struct Spread<T>([Near<T>; SPREAD]);

const SPREAD: usize = 16;

impl<T> Spread<T> {
    /// References to `to`.
    pub fn new(to: &Arc<T>) -> Self {
        Self(std::array::from_fn(|_| Near::new(to)))
    }

    /// The one for the connection of this number.
    pub fn of(&self, connection: u64) -> &Near<T> {
        let [first, ..] = &self.0;
        self.0.get(connection as usize % SPREAD).unwrap_or(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_count_apart_and_the_last_one_drops_what_they_share() {
        let shared = Arc::new(7);
        let spread = Spread::new(&shared);
        assert_eq!(Arc::strong_count(&shared), 1 + SPREAD);
        let held: Vec<Near<i32>> = (0..100).map(|number| spread.of(number).clone()).collect();
        assert_eq!(Arc::strong_count(&shared), 1 + SPREAD);
        assert!(held.iter().all(|near| ***near == 7));
        let counted = |near: &Near<i32>| std::ptr::from_ref(&near.0.0).addr() / 64;
        assert_ne!(counted(spread.of(1)), counted(spread.of(2)));
        drop(spread);
        assert_eq!(Arc::strong_count(&shared), 1 + SPREAD);
        drop(held);
        assert_eq!(Arc::strong_count(&shared), 1);
    }
}
