//! Waiting for the requests that a session is executing: what EXCHGID4_FLAG_SUPP_FENCE_OPS promises.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-14.1>

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::slots::SlotTable;

/// Who waits for the requests of a session, and which of these wait so themselves.
#[derive(Debug, Default)]
pub(super) struct Fence {
    waiting: AtomicUsize,
    ended: Notify,
    /// Slots whose request waits. Nobody waits for those, or two could wait for each other: of
    /// any that would, the last to begin finds the others here.
    aside: Mutex<Vec<u32>>,
}

/// As long as it lives, nobody waits for the request in this slot.
#[derive(Debug)]
pub struct Aside<'a> {
    fence: &'a Fence,
    slot: u32,
}

/// Somebody waits, as long as it lives.
struct Waiting<'a>(&'a Fence);

impl Fence {
    /// Waits until no request is executed that is now.
    pub(super) async fn settle(&self, slots: &SlotTable) {
        // Before the slots are looked at: whoever ends after that look, under the slot's lock, sees it.
        let waiting = Waiting::begin(self);
        let mut left = slots.executing();
        loop {
            let ended = waiting.0.ended.notified();
            tokio::pin!(ended);
            // From here on no end is missed.
            ended.as_mut().enable();
            let aside = self.aside.lock().clone();
            left.retain(|request| !aside.contains(&request.slot) && slots.is_executing(request));
            if left.is_empty() {
                return;
            }
            ended.await;
        }
    }

    /// A request has ended. On the way of every one: nothing unless somebody waits.
    pub(super) fn ended(&self) {
        if self.waiting.load(Ordering::Relaxed) != 0 {
            self.ended.notify_waiters();
        }
    }

    pub(super) fn stand_aside(&self, slot: u32) -> Aside<'_> {
        self.aside.lock().push(slot);
        self.ended.notify_waiters();
        Aside { fence: self, slot }
    }
}

impl<'a> Waiting<'a> {
    fn begin(fence: &'a Fence) -> Self {
        fence.waiting.fetch_add(1, Ordering::Relaxed);
        Self(fence)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        let mut aside = self.fence.aside.lock();
        if let Some(at) = aside.iter().position(|slot| *slot == self.slot) {
            aside.swap_remove(at);
        }
    }
}
