//! A lock that is held over a whole operation: who waits for it lets others run.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

/// Something that one operation at a time works on.
#[derive(Debug, Default)]
pub struct Turns<T>(Arc<Mutex<T>>);

/// The turn of one operation; ends when it is dropped.
pub type Turn<T> = OwnedMutexGuard<T>;

impl<T> Turns<T> {
    /// Waits until it is the caller's turn; first come, first served.
    pub async fn take(self) -> Turn<T> {
        self.0.lock_owned().await
    }

    /// Whether anybody else has its turn or waits for it.
    pub fn is_wanted(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

impl<T> Clone for Turns<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_after_the_other() {
        let turns = Turns::<Vec<u32>>::default();
        let mut first = turns.clone().take().await;
        assert!(turns.is_wanted());
        let second = tokio::spawn(turns.clone().take());
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        first.push(1);
        drop(first);
        let second = second.await.unwrap();
        assert_eq!(*second, [1]);
        drop(second);
        assert!(!turns.is_wanted());
    }
}
