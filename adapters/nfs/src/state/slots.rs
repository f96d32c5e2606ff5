//! The slots of one session: a table that grows and shrinks while it is in use.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-2.10.6.1>
//!
//! A request takes the lock of its own slot and no other. Slots are withdrawn from the highest
//! down, each under its own lock, which also guards whether it is accepted: a request finds its
//! slot either whole or gone.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::slot::{Kept, Request, Slot, Turn};
use super::sync::{AtomicU32, AtomicUsize, Mutex, Ordering};
use crate::status::Status;

/// Most slots of a session.
pub(super) const MOST: u32 = (CHUNK * CHUNKS) as u32;

const CHUNK: usize = 32;
const CHUNKS: usize = 32;

/// The slots of one session.
pub(super) struct SlotTable {
    /// Made when they are first granted, and never moved.
    chunks: [OnceLock<Box<[Mutex<Place>]>>; CHUNKS],
    /// How many are accepted.
    accepted: AtomicU32,
    /// How many ever were.
    granted: AtomicU32,
    /// How many the client is invited to use.
    target: AtomicU32,
    /// Counts the changes of `target`.
    generation: AtomicU32,
    /// Held by whoever grows or shrinks the table; when slots were last withdrawn.
    withdrawn: Mutex<Option<Instant>>,
    /// Requests that are being executed.
    in_use: AtomicU32,
    /// Bytes of the replies that are kept whole.
    kept: AtomicUsize,
}

/// A slot, and what goes with its last request.
#[derive(Debug, Default)]
struct Place {
    slot: Slot,
    /// The connection that it came over.
    connection: u64,
    /// How many slots its reply invites the client to use.
    told: u32,
    seal: Option<Seal>,
}

/// What the client knows once it has seen the reply that this goes with.
#[derive(Debug, Clone, Copy)]
struct Seal {
    /// That the target is the one of this generation, which other replies that are still under way
    /// may contradict;
    generation: u32,
    /// and, the second time, how many slots those invite it to use at most. Whatever was executed
    /// before the first time and was not outstanding when the second request was sent, its
    /// reply was seen by then.
    told: Option<u32>,
}

/// A request that wants a slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    /// The slot.
    pub(super) slot: u32,
    /// The request.
    pub(super) request: Request,
    /// The connection that it comes over.
    pub(super) connection: u64,
    /// The highest slot in which the client has a request outstanding.
    pub(super) highest: u32,
}

/// A request that is being executed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Executing {
    /// Its slot.
    pub(super) slot: u32,
    request: Request,
}

/// A slot that was found, or taken.
#[derive(Debug)]
pub(super) struct Found {
    /// How many slots the reply is to invite the client to use.
    pub(super) told: u32,
    seal: Option<Seal>,
    /// Whether the slot's last request came over another connection.
    pub(super) other_connection: bool,
}

/// What was withdrawn.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Withdrawn {
    /// How many slots.
    pub(super) slots: u32,
    /// Bytes of the replies that they kept.
    pub(super) bytes: usize,
}

impl SlotTable {
    /// A table of `count` fresh slots, at least one and at most [`MOST`].
    pub(super) fn new(count: u32) -> Self {
        let table = Self {
            chunks: std::array::from_fn(|_| OnceLock::new()),
            accepted: AtomicU32::new(0),
            granted: AtomicU32::new(0),
            target: AtomicU32::new(0),
            generation: AtomicU32::new(0),
            withdrawn: Mutex::new(None),
            in_use: AtomicU32::new(0),
            kept: AtomicUsize::new(0),
        };
        table.open(count.clamp(1, MOST));
        table
    }

    /// How many slots are accepted.
    pub(super) fn accepted(&self) -> u32 {
        self.accepted.load(Ordering::Acquire)
    }

    /// How many slots have ever been accepted at once.
    pub(super) fn granted(&self) -> u32 {
        self.granted.load(Ordering::Relaxed)
    }

    /// Bytes of the replies that are kept whole.
    pub(super) fn kept(&self) -> usize {
        self.kept.load(Ordering::Relaxed)
    }

    /// How many slots execute a request.
    pub(super) fn in_use(&self) -> u32 {
        self.in_use.load(Ordering::Relaxed)
    }

    /// Invites the client to use `target` slots from now on.
    pub(super) fn aim(&self, target: u32) {
        if self.target.load(Ordering::Relaxed) == target {
            return;
        }
        let _resizing = self.withdrawn.lock();
        self.target.store(target, Ordering::Relaxed);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Takes the slot for a request, or finds that it was executed already. A refusal changes
    /// nothing.
    pub(super) fn begin(&self, wish: &Wish) -> Result<(Turn, Found), Status> {
        let place = self.place(wish.slot).ok_or(Status::Badslot)?;
        let (turn, found) = {
            let mut place = place.lock();
            if wish.slot >= self.accepted() {
                return Err(Status::Badslot);
            }
            let turn = place.slot.begin(wish.request)?;
            let other_connection = place.connection != wish.connection;
            place.connection = wish.connection;
            let told = self.target.load(Ordering::Relaxed);
            let mut seal = None;
            if let Turn::Execute(_) = turn {
                place.told = told;
                seal = place.seal.take();
                self.in_use.fetch_add(1, Ordering::Relaxed);
            }
            let found = Found {
                told,
                seal,
                other_connection,
            };
            (turn, found)
        };
        if let Turn::Execute(Some(reply)) = &turn {
            self.kept.fetch_sub(reply.len(), Ordering::Relaxed);
        }
        Ok((turn, found))
    }

    /// Whether this is the number of the last request of a slot.
    pub(super) fn is_last(&self, slot: u32, sequence: u32) -> bool {
        let last = |place: &Mutex<Place>| place.lock().slot.last();
        self.place(slot)
            .and_then(last)
            .is_some_and(|last| last.sequence == sequence)
    }

    /// The requests that are being executed.
    pub(super) fn executing(&self) -> Vec<Executing> {
        let slots = 0..self.granted();
        let busy = slots.filter_map(|slot| {
            let request = self.place(slot)?.lock().slot.executing()?;
            Some(Executing { slot, request })
        });
        busy.collect()
    }

    /// Whether this one still is.
    pub(super) fn is_executing(&self, one: &Executing) -> bool {
        let place = self.place(one.slot);
        place.is_some_and(|place| place.lock().slot.executing() == Some(one.request))
    }

    /// Ends the execution of the request that has taken `slot`.
    pub(super) fn finish(&self, slot: u32, kept: Kept) {
        if let Kept::Whole(_, reply) = &kept {
            self.kept.fetch_add(reply.len(), Ordering::Relaxed);
        }
        if let Some(place) = self.place(slot) {
            place.lock().slot.finish(kept);
        }
        self.in_use.fetch_sub(1, Ordering::Relaxed);
    }

    /// Withdraws slots that the target is below, from the highest down, as far as the client
    /// knows that it may not use them. `wish` took its slot; that it did so with the next number
    /// proves that the client has seen the reply before there, and so all that this reply's seal
    /// speaks of (RFC 8881 §2.10.6.1, last point).
    pub(super) fn shrink(&self, wish: &Wish, found: &Found, now: Instant) -> Withdrawn {
        let generation = self.generation.load(Ordering::Acquire);
        let before = found.seal.filter(|seal| seal.generation == generation);
        let unseen = self.told_up_to(wish.highest);
        if let Some(place) = self.place(wish.slot) {
            place.lock().seal = Some(Seal {
                generation,
                told: before.map(|_| unseen),
            });
        }
        let Some(told) = before.and_then(|seal| seal.told) else {
            return Withdrawn::default();
        };
        let outstanding = wish.highest.saturating_add(1);
        let target = self.target.load(Ordering::Relaxed);
        self.withdraw(target.max(told).max(unseen).max(outstanding), now)
    }

    /// How many slots a reply may invite the client to use that it had not seen when its highest
    /// outstanding request was in slot `highest`.
    fn told_up_to(&self, highest: u32) -> u32 {
        (0..=highest)
            .map_while(|slot| self.place(slot))
            .map(|place| place.lock().told)
            .max()
            .unwrap_or_default()
    }

    /// Withdraws slots from the highest down to number `to`, up to the first in use. None if
    /// another thread is at it.
    fn withdraw(&self, to: u32, now: Instant) -> Withdrawn {
        let mut done = Withdrawn::default();
        let Some(mut withdrawn) = self.withdrawn.try_lock() else {
            return done;
        };
        let before = self.accepted();
        while before - done.slots > to.max(1)
            && let Some(bytes) = self.retire(before - done.slots - 1)
        {
            done.slots += 1;
            done.bytes += bytes;
        }
        if done.slots > 0 {
            *withdrawn = Some(now);
        }
        done
    }

    /// Grants slots up to `to` in all, as many of them as `reserve` has memory for. None if another
    /// thread is at it, or if slots were withdrawn within the last `rest`: a request that lay
    /// unread in an abandoned connection must not find its slot fresh again.
    pub(super) fn grow(
        &self,
        to: u32,
        now: Instant,
        rest: Duration,
        reserve: impl FnOnce(u32) -> u32,
    ) {
        let Some(withdrawn) = self.withdrawn.try_lock() else {
            return;
        };
        let resting = withdrawn.is_some_and(|at| now.saturating_duration_since(at) <= rest);
        let accepted = self.accepted();
        let more = to.min(MOST).saturating_sub(accepted);
        if !resting && more > 0 {
            self.open(accepted + reserve(more));
        }
    }

    /// Withdraws the highest slot; the bytes that its reply took, or `None` if it is in use.
    fn retire(&self, slot: u32) -> Option<usize> {
        let mut place = self.place(slot)?.lock();
        let reply = place.slot.retire().ok()?;
        self.accepted.store(slot, Ordering::Release);
        place.told = 0;
        place.seal = None;
        drop(place);
        let bytes = reply.as_deref().map_or(0, <[u8]>::len);
        self.kept.fetch_sub(bytes, Ordering::Relaxed);
        Some(bytes)
    }

    fn open(&self, count: u32) {
        let chunks = (count as usize).div_ceil(CHUNK);
        for chunk in self.chunks.iter().take(chunks) {
            chunk.get_or_init(|| (0..CHUNK).map(|_| Mutex::new(Place::default())).collect());
        }
        self.granted.fetch_max(count, Ordering::Relaxed);
        self.accepted.store(count, Ordering::Release);
    }

    /// Whether the slot was withdrawn after its last request.
    #[cfg(test)]
    #[allow(
        dead_code,
        reason = "the race tests compile this file too, and need it not"
    )]
    pub(super) fn was_withdrawn(&self, slot: u32) -> bool {
        self.place(slot)
            .is_some_and(|place| matches!(place.lock().slot, Slot::Retired(..)))
    }

    fn place(&self, slot: u32) -> Option<&Mutex<Place>> {
        let slot = slot as usize;
        self.chunks.get(slot / CHUNK)?.get()?.get(slot % CHUNK)
    }
}
