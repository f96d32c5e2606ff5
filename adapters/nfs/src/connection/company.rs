//! Whether other connections of the thread wait for little.
//!
//! A megabyte takes the kernel as long to send as fifty small requests take altogether. Who has company
//! sends it in pieces, between which the others have their turn; who has not, or only of those who
//! have as much to send, would wake its peer more often for nothing.

use std::cell::Cell;

use super::replies::SHARED;

/// Batches of a connection, no small one of others between them, after which it has no company any more.
const LASTING: u8 = 16;

thread_local! {
    /// Counts the small batches of this thread.
    static SMALL: Cell<u64> = const { Cell::new(0) };
}

/// What one connection knows of the others.
#[derive(Debug, Default)]
pub(super) struct Company {
    /// The count at the last batch of this connection.
    seen: u64,
    lasts: u8,
}

impl Company {
    /// The connection has a batch with so many bytes of replies.
    pub(super) fn batch(&mut self, bytes: usize) {
        let count = SMALL.get();
        self.lasts = if count == self.seen {
            self.lasts.saturating_sub(1)
        } else {
            LASTING
        };
        self.seen = count.wrapping_add(u64::from(bytes <= SHARED));
        SMALL.set(self.seen);
    }

    /// Whether others had a small batch lately.
    pub(super) fn is_there(&self) -> bool {
        self.lasts > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: usize = SHARED + 1;

    fn silent(one: &mut Company) {
        for _ in 0..=LASTING {
            one.batch(LARGE);
        }
        assert!(!one.is_there());
    }

    #[test]
    fn company_is_there_until_it_has_been_silent_for_a_while() {
        let (mut one, mut other) = (Company::default(), Company::default());
        silent(&mut one);
        other.batch(200);
        one.batch(LARGE);
        assert!(one.is_there());
        silent(&mut one);
    }

    #[test]
    fn who_sends_as_much_is_no_company_and_nobody_is_his_own() {
        let (mut one, mut other) = (Company::default(), Company::default());
        silent(&mut one);
        other.batch(LARGE);
        one.batch(LARGE);
        assert!(!one.is_there());
        one.batch(200);
        one.batch(LARGE);
        assert!(!one.is_there());
    }
}
