//! Whether to look for a client's next request before waiting for it.
//!
//! A program on the same CPU that waits for one reply at a time has often sent its next request by
//! the time that the reply is written. Who looks at once saves a call to wait, and who looks in vain has
//! made a call more; and whoever looks keeps the others of its thread waiting.

/// Batches after one another that may be taken before others get their turn.
const STREAK: u8 = 8;
/// How long it is not tried again after it was in vain.
const PAUSE: u8 = 32;
/// Bytes of replies up to which a batch is a short one.
const SHORT: usize = 8192;

/// What was learnt of one connection.
#[derive(Debug, Default)]
pub(super) struct Haste {
    streak: u8,
    pause: u8,
    short: bool,
}

impl Haste {
    /// Whether to look again at once after the read that follows.
    pub(super) fn next(&mut self) -> bool {
        if self.pause > 0 {
            self.pause -= 1;
            return false;
        }
        if self.short && self.streak < STREAK {
            self.streak += 1;
            return true;
        }
        self.streak = 0;
        false
    }

    /// There was nothing yet.
    pub(super) fn in_vain(&mut self) {
        self.streak = 0;
        self.pause = PAUSE;
    }

    /// So many requests made a batch, with so many bytes of replies.
    pub(super) fn batch(&mut self, requests: usize, bytes: usize) {
        self.short = requests == 1 && bytes <= SHORT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_asks_for_little_at_a_time_is_served_before_others_and_not_for_long() {
        let mut haste = Haste::default();
        assert!(!haste.next());
        haste.batch(1, 200);
        let served = std::iter::repeat_with(|| haste.next()).take_while(|again| *again);
        assert_eq!(served.count(), usize::from(STREAK));
        assert!(haste.next());
        for (requests, bytes) in [(2, 200), (1, 1 << 20)] {
            haste.batch(requests, bytes);
            assert!(!haste.next());
        }
    }

    #[test]
    fn what_was_in_vain_is_left_for_a_while() {
        let mut haste = Haste::default();
        haste.batch(1, 200);
        assert!(haste.next());
        haste.in_vain();
        assert!((0..PAUSE).all(|_| !haste.next()));
        assert!(haste.next());
    }
}
