//! The back channel of a session: whom to call there, and its slots, in which the server is the
//! requester.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-2.10.6>

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::ops::create_session::{CALLBACK_OPERATIONS, ChannelAttrs};
use crate::rpc::CallbackCred;

/// Most slots that are used of those that a client offers.
const MOST: u32 = 16;

/// Where and as whom callbacks of a session are to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backchannel {
    /// The client's callback program.
    pub program: u32,
    /// A credential that the client accepts.
    pub credential: CallbackCred,
}

/// The back channel of one session.
#[derive(Debug)]
pub struct Back {
    target: Mutex<Backchannel>,
    slots: Mutex<Vec<Slot>>,
    /// How many of them the client would like to see used.
    invited: AtomicU32,
    freed: Notify,
    ended: AtomicBool,
    over: Notify,
    /// Largest call, in bytes.
    pub request: u32,
    /// Whether it can carry any callback: slots, and room for CB_SEQUENCE and one operation.
    pub usable: bool,
    /// Whether the client has asked for it.
    pub(super) wanted: AtomicBool,
    /// Whether the last attempt to use it failed.
    pub(super) failed: AtomicBool,
    /// Whether client and server disagree on a slot, which nothing but a new session mends.
    pub(super) faulty: AtomicBool,
}

/// A slot as the requester knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// The next request has this number.
    Free(u32),
    /// A request of this number was sent, and its reply never came: whether the client has executed
    /// it, only the client knows.
    Doubtful(u32),
    /// In use.
    Taken,
}

/// A slot that was taken. Dropped, it is free for the same number again, unless that was sent.
#[derive(Debug)]
pub struct BackSlot<'a> {
    back: &'a Back,
    /// Which one.
    pub slot: u32,
    /// The number of the request.
    pub number: u32,
    /// Whether the number may have been used already by a request whose reply never came.
    pub doubtful: bool,
}

impl Back {
    pub(super) fn new(target: Backchannel, offered: &ChannelAttrs) -> Self {
        let slots = offered.requests.min(MOST);
        Self {
            target: Mutex::new(target),
            // The first number in a slot is 1 (RFC 8881 §2.10.6.1).
            slots: Mutex::new(vec![Slot::Free(1); slots as usize]),
            invited: AtomicU32::new(slots),
            freed: Notify::new(),
            ended: AtomicBool::new(false),
            over: Notify::new(),
            request: offered.request,
            usable: slots > 0 && offered.operations >= CALLBACK_OPERATIONS,
            wanted: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            faulty: AtomicBool::new(false),
        }
    }

    /// Where callbacks are to be sent.
    pub fn target(&self) -> Backchannel {
        self.target.lock().clone()
    }

    /// Sends callbacks elsewhere from now on.
    pub fn set_target(&self, target: Backchannel) {
        *self.target.lock() = target;
    }

    /// The session has ended.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.over.notify_waiters();
    }

    /// Resolves when the session has ended.
    pub async fn ended(&self) {
        let mut over = std::pin::pin!(self.over.notified());
        // Registered before the look: whoever ends it in between is not missed.
        over.as_mut().enable();
        if !self.ended.load(Ordering::Acquire) {
            over.await;
        }
    }

    /// Takes a slot, the lowest that there is; waits if none is free.
    pub async fn take(&self) -> BackSlot<'_> {
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            // Registered before the look: of two slots that are freed in between, each wakes one.
            freed.as_mut().enable();
            if let Some(slot) = self.try_take() {
                return slot;
            }
            freed.await;
        }
    }

    fn try_take(&self) -> Option<BackSlot<'_>> {
        let invited = self.invited.load(Ordering::Relaxed) as usize;
        let mut slots = self.slots.lock();
        let slots = slots.iter_mut().take(invited).enumerate();
        let best = slots.min_by_key(|(_, slot)| match slot {
            Slot::Free(_) => 0,
            Slot::Doubtful(_) => 1,
            Slot::Taken => 2,
        });
        let (place, slot) = best?;
        let (number, doubtful) = match *slot {
            Slot::Free(number) => (number, false),
            Slot::Doubtful(number) => (number, true),
            Slot::Taken => return None,
        };
        *slot = Slot::Taken;
        Some(BackSlot {
            back: self,
            slot: place as u32,
            number,
            doubtful,
        })
    }

    /// The highest slot with a request outstanding.
    pub fn highest(&self) -> u32 {
        let slots = self.slots.lock();
        let taken = |slot: &Slot| !matches!(slot, Slot::Free(_));
        slots.iter().rposition(taken).unwrap_or_default() as u32
    }

    /// The client would like to see slots up to `highest` used, and no others.
    pub fn invite(&self, highest: u32) {
        let all = self.slots.lock().len() as u32;
        let invited = highest.saturating_add(1).min(all);
        if self.invited.swap(invited, Ordering::Relaxed) < invited {
            self.freed.notify_one();
        }
    }

    fn put(&self, slot: u32, state: Slot) {
        if let Some(place) = self.slots.lock().get_mut(slot as usize) {
            *place = state;
        }
        self.freed.notify_one();
    }
}

impl BackSlot<'_> {
    /// A request was queued, and from now on may have been received.
    pub fn sent(&mut self) {
        self.doubtful = true;
    }

    /// The client has executed the request of this number.
    pub fn executed(&mut self) {
        self.doubtful = false;
        // After the largest comes 0 (RFC 8881 §2.10.6.1: "wraps").
        self.number = self.number.wrapping_add(1);
    }
}

impl Drop for BackSlot<'_> {
    fn drop(&mut self) {
        let state = if self.doubtful {
            Slot::Doubtful(self.number)
        } else {
            Slot::Free(self.number)
        };
        self.back.put(self.slot, state);
    }
}
