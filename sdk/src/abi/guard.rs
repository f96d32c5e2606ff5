//! Panics stop here: `abi_stable` ends the process when one reaches the border.

use std::any::Any;
use std::future::Future;
use std::mem::{self, ManuallyDrop};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// What `run` answers, or what `fallback` makes of the panic's message.
pub(super) fn guard<T>(run: impl FnOnce() -> T, fallback: impl FnOnce(String) -> T) -> T {
    // Unwind safety: the caller sees the failure and nothing of the state behind it but
    // through locks, which do their own poisoning.
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(value) => value,
        Err(payload) => fallback(message(payload)),
    }
}

/// Drops `value`; a panic in its destructor ends here.
pub(super) fn quiet_drop<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        discard(payload);
    }
}

/// A value whose destructor may panic without harm.
pub(super) struct Quiet<T>(ManuallyDrop<T>);

impl<T> Quiet<T> {
    pub(super) fn new(value: T) -> Self {
        Self(ManuallyDrop::new(value))
    }
}

impl<T> Deref for Quiet<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Drop for Quiet<T> {
    fn drop(&mut self) {
        // SAFETY: the value is taken here only, and not used afterwards.
        quiet_drop(unsafe { ManuallyDrop::take(&mut self.0) });
    }
}

/// The message of a caught panic. Consumes the payload, whose own destructor may panic.
pub(super) fn message(payload: Box<dyn Any + Send>) -> String {
    let message = payload
        .downcast_ref::<&str>()
        .map(|&text| text.to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "(a payload that is no text)".to_owned());
    discard(payload);
    message
}

fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // A destructor that panics with a payload whose destructor panics: leaking it ends this.
        mem::forget(second);
    }
}

/// A future whose panics, when polled or dropped, become an answer.
pub(super) struct Guarded<F: Future> {
    future: Option<Pin<Box<F>>>,
    fallback: fn(String) -> F::Output,
}

impl<F: Future> Guarded<F> {
    pub(super) fn new(future: F, fallback: fn(String) -> F::Output) -> Self {
        Self {
            future: Some(Box::pin(future)),
            fallback,
        }
    }
}

impl<F: Future> Future for Guarded<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let fallback = self.fallback;
        let Some(future) = &mut self.future else {
            return Poll::Ready(fallback("polled after its end".to_owned()));
        };
        let polled = guard(
            || future.as_mut().poll(cx),
            |message| Poll::Ready(fallback(message)),
        );
        if polled.is_ready() {
            quiet_drop(self.future.take());
        }
        polled
    }
}

impl<F: Future> Drop for Guarded<F> {
    fn drop(&mut self) {
        quiet_drop(self.future.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::panic_any;

    /// Panics when dropped, with a payload that does so again.
    struct Bomb(u8);

    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.0 > 0 {
                panic_any(Self(self.0 - 1));
            }
        }
    }

    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(guard(|| panic!("at {}", 7), |message| message), "at 7");
    }

    #[test]
    fn a_payload_whose_drop_panics_is_contained() {
        assert!(guard(
            || panic_any(Bomb(3)),
            |message| message.contains("no text")
        ));
        quiet_drop(Bomb(3));
    }

    #[tokio::test]
    async fn a_future_that_panics_answers_and_one_that_panics_when_dropped_is_contained() {
        let answer = Guarded::new(async { panic!("mid-way") }, |message| message).await;
        assert_eq!(answer, "mid-way");

        let bomb = Bomb(2);
        let held = async move {
            let _bomb = bomb;
            std::future::pending::<String>().await
        };
        drop(Guarded::new(held, |message| message));
    }
}
