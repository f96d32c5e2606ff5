//! Descriptors of open files, of which the process has only so many.
//!
//! Up to a part of the process's limit every open file has one. Beyond, those that were not used
//! lately are closed, and opened again by handle when they are used: as the server, because the open
//! was granted when it was made. The rest of the limit is for objects in use, connections and
//! whatever else the process does: however much is open, others are served.
//!
//! What closing must not lose:
//! - Data of a file without a name. Whoever takes the last name of a file away through this process
//!   keeps the object for those of its opens that are closed; what has no name is not closed. A name
//!   and its object are found and parted under a lock, so that it is the right object that is kept.
//!   A file that another program of this machine removes while its opens are closed is gone for them.
//! - Errors. The kernel tells of data that it could not write through descriptors that were open when
//!   they were written: one with data that were not synced is synced first.
//!
//! What can't be opened again, because the server is an ordinary user's or the file system has rules of
//! its own, stays open; when there are too many of those, no more are opened.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Weak};

use dittofs_sdk::vfs::{OpenAccess, VfsError, VfsResult};
use parking_lot::{
    MappedRwLockReadGuard, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard,
};
use rustix::process::{Resource, getrlimit};

use super::cache::Object;
use super::core::stat;
use super::file::{Open, commit};
use super::numbers::ByNumber;

/// A file by its device and number: files are the process's, whatever directories show them.
pub(super) type FileId = (Device, u64);
type Device = (u32, u32);

/// Opens that are looked at to find one that was not used lately; as many again for any other.
const STEPS: usize = 64;
/// Files that are synced at a time in order to be closed.
const MOST_SYNCS: usize = 4;
/// More are not worth the time that it takes to close them at once.
const MOST_IDLE: usize = 512;
const STRIPES: usize = 64;

static OF_PROCESS: LazyLock<Arc<Descriptors>> = LazyLock::new(|| {
    let limit = getrlimit(Resource::Nofile).current;
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    Arc::new(Descriptors::new(limit.unwrap_or(usize::MAX)))
});

/// Those of a process.
pub struct Descriptors {
    limit: usize,
    /// Directories that keep objects.
    parts: AtomicUsize,
    /// Those of open files.
    count: AtomicUsize,
    ring: Mutex<Ring>,
    closed: Mutex<Closed>,
    /// By directory: held while names are parted from their objects.
    partings: [Mutex<()>; STRIPES],
    syncs: AtomicUsize,
    closes: AtomicU64,
    reopens: AtomicU64,
}

/// Files with opens whose descriptors are closed.
#[derive(Default)]
struct Closed {
    /// How many each has, by its number: there may be as many files as there are opens.
    opens: HashMap<Device, ByNumber<u32>>,
    /// Those without a name.
    unnamed: HashMap<FileId, Arc<Object>>,
}

/// The opens that may be closed. The hand goes round; what was used since it came by last stays.
#[derive(Default)]
struct Ring {
    places: Vec<Option<Weak<Open>>>,
    free: Vec<Place>,
    hand: usize,
}

/// Counted from 1.
#[derive(Clone, Copy)]
struct Place(NonZeroU32);

/// What the process has of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// Descriptors of open files.
    pub open: usize,
    /// How often one was closed because there were too many.
    pub closes: u64,
    /// How often one was opened again.
    pub reopens: u64,
}

impl Descriptors {
    /// Of this process, by its limit when they are first asked for.
    pub fn of_process() -> Arc<Self> {
        Arc::clone(&OF_PROCESS)
    }

    /// Of a process that may have `limit` of them.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            parts: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
            ring: Mutex::default(),
            closed: Mutex::default(),
            partings: std::array::from_fn(|_| Mutex::default()),
            syncs: AtomicUsize::new(0),
            closes: AtomicU64::new(0),
            reopens: AtomicU64::new(0),
        }
    }

    /// Counts them.
    pub fn census(&self) -> Census {
        Census {
            open: self.count.load(Ordering::Relaxed),
            closes: self.closes.load(Ordering::Relaxed),
            reopens: self.reopens.load(Ordering::Relaxed),
        }
    }

    /// The most for opens when they are made.
    fn for_opens(&self) -> usize {
        self.limit / 8 * 3
    }

    /// The most that one directory keeps of what was closed.
    pub(super) fn for_idle(&self) -> usize {
        let parts = self.parts.load(Ordering::Relaxed).max(1);
        MOST_IDLE.min(self.limit / 16 / parts)
    }

    /// The most for opens and unnamed files in all: what is open already goes before what is new.
    fn for_all(&self) -> usize {
        self.limit / 2
    }

    /// To be asked before a file is opened for a client.
    pub(super) fn make_way(&self) -> VfsResult<()> {
        self.make_way_below(self.for_opens())
    }

    /// To be asked before a file loses its last name: it is kept if an open of it is closed.
    pub(super) fn make_way_for_unnamed(&self, file: FileId) -> VfsResult<()> {
        if self.closed.lock().has(file) {
            self.make_way_below(self.for_all())?;
        }
        Ok(())
    }

    fn make_way_below(&self, most: usize) -> VfsResult<()> {
        if self.count.load(Ordering::Relaxed) < most || self.close_one() {
            Ok(())
        } else {
            Err(VfsError::TryLater)
        }
    }

    /// To be held from when a name of the directory is looked up until its object is parted from it.
    pub(super) fn parting(&self, dir: FileId) -> Option<MutexGuard<'_, ()>> {
        self.partings.get(stripe(dir)).map(Mutex::lock)
    }

    /// As [`parting`](Self::parting), of two directories.
    pub(super) fn partings(&self, one: FileId, other: FileId) -> [Option<MutexGuard<'_, ()>>; 2] {
        // Always in the same order.
        let (one, other) = if stripe(one) <= stripe(other) {
            (one, other)
        } else {
            (other, one)
        };
        let first = self.parting(one);
        let second = (stripe(one) != stripe(other)).then(|| self.parting(other));
        [first, second.flatten()]
    }

    /// Keeps a file that has just lost its last name, if an open of it is closed.
    pub(super) fn keep_unnamed(&self, file: FileId, object: &Arc<Object>) {
        let mut closed = self.closed.lock();
        if closed.has(file) {
            let before = closed.unnamed.insert(file, Arc::clone(object));
            self.count
                .fetch_add(usize::from(before.is_none()), Ordering::Relaxed);
        }
    }

    fn unnamed(&self, file: FileId) -> Option<Arc<Object>> {
        self.closed.lock().unnamed.get(&file).cloned()
    }

    /// An open of `file` is not closed any more, or is gone.
    fn not_closed(&self, file: FileId) {
        let gone = self.closed.lock().remove(file);
        self.count
            .fetch_sub(usize::from(gone.is_some()), Ordering::Relaxed);
    }

    /// Closes one, rather one that was not used lately; false if none was found.
    fn close_one(&self) -> bool {
        for step in 0..2 * STEPS {
            // The lock is not held while an open is dropped, which takes it.
            let Some(open) = self.ring.lock().next() else {
                continue;
            };
            if open.descriptor.used.swap(false, Ordering::Relaxed) && step < STEPS {
                continue;
            }
            if open.descriptor.is_unsynced() {
                self.sync_and_close(open);
            } else if self.close(&open) {
                return true;
            }
        }
        false
    }

    fn sync_and_close(&self, open: Arc<Open>) {
        let earlier = self.syncs.fetch_add(1, Ordering::Relaxed);
        let syncing = Syncing(Arc::clone(&open.core.descriptors));
        if earlier >= MOST_SYNCS {
            return;
        }
        let core = Arc::clone(&open.core);
        // If the pool has no room for it, somebody else is closed.
        drop(core.pool.run(move || {
            let _syncing = syncing;
            // An error is remembered for those who commit.
            let done = commit(&open.in_use()?);
            open.core.descriptors.close(&open);
            done
        }));
    }

    /// Closes the descriptor of an open that does not need it now, and can get it back.
    fn close(&self, open: &Open) -> bool {
        let Some(mut state) = open.descriptor.state.try_write() else {
            return false;
        };
        let State::Open {
            fd,
            place: Some(place),
        } = &*state
        else {
            return false;
        };
        if open.descriptor.is_unsynced() {
            return false;
        }
        let file = open.id();
        // Whoever takes its last name away from now on keeps the file; who did before is seen now.
        self.closed.lock().add(file);
        let has_name = stat(fd.as_fd()).is_ok_and(|stat| stat.stx_nlink > 0);
        let this = self.ring.lock().remove(*place);
        if !has_name {
            if let State::Open { place, .. } = &mut *state {
                *place = None;
            }
            drop((state, this));
            self.not_closed(file);
            return false;
        }
        let closing = std::mem::replace(&mut *state, State::Closed);
        drop((state, this));
        drop(closing);
        self.count.fetch_sub(1, Ordering::Relaxed);
        if self.closes.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                "clients have more files open than there are descriptors for: of the {} that the \
                 process may have, {} are for open files; from now on those not used lately are \
                 closed, and opened again when they are used",
                self.limit,
                self.for_opens(),
            );
        }
        true
    }
}

fn stripe((_, fileid): FileId) -> usize {
    fileid as usize % STRIPES
}

impl fmt::Debug for Descriptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Descriptors")
            .field("limit", &self.limit)
            .field("census", &self.census())
            .finish_non_exhaustive()
    }
}

/// What one directory has for objects in use: all have the same.
pub(super) struct Part(Arc<Descriptors>);

impl Part {
    pub(super) fn of(all: &Arc<Descriptors>) -> Self {
        all.parts.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(all))
    }

    /// How many it may have at this time.
    pub(super) fn size(&self) -> usize {
        let Self(all) = self;
        all.limit / 4 / all.parts.load(Ordering::Relaxed).max(1)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.0.parts.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A file is being synced in order to be closed.
struct Syncing(Arc<Descriptors>);

impl Drop for Syncing {
    fn drop(&mut self) {
        self.0.syncs.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Closed {
    fn has(&self, (device, number): FileId) -> bool {
        let opens = self.opens.get(&device);
        opens.is_some_and(|opens| opens.contains_key(&number))
    }

    fn add(&mut self, (device, number): FileId) {
        let opens = self.opens.entry(device).or_default();
        *opens.entry(number).or_default() += 1;
    }

    /// Of one open less. Answers with the file if it has no name and nobody needs it any more.
    #[must_use]
    fn remove(&mut self, file: FileId) -> Option<Arc<Object>> {
        let (device, number) = file;
        let opens = self.opens.get_mut(&device)?;
        let count = opens.get_mut(&number)?;
        *count -= 1;
        if *count > 0 {
            return None;
        }
        opens.remove(&number);
        if opens.is_empty() {
            self.opens.remove(&device);
        }
        self.unnamed.remove(&file)
    }
}

impl Ring {
    /// The place that `open` gets, if there is any.
    fn add(&mut self, open: Weak<Open>) -> Option<Place> {
        if let Some(place) = self.free.pop() {
            *self.at(place)? = Some(open);
            return Some(place);
        }
        let count = u32::try_from(self.places.len()).ok()?;
        let place = NonZeroU32::new(count.checked_add(1)?)?;
        self.places.push(Some(open));
        Some(Place(place))
    }

    fn at(&mut self, Place(number): Place) -> Option<&mut Option<Weak<Open>>> {
        self.places.get_mut(number.get() as usize - 1)
    }

    /// What it answers is to be dropped after the lock.
    #[must_use]
    fn remove(&mut self, place: Place) -> Option<Weak<Open>> {
        let gone = self.at(place)?.take()?;
        self.free.push(place);
        Some(gone)
    }

    /// The open at the hand, if there is one; the hand goes on.
    fn next(&mut self) -> Option<Arc<Open>> {
        if self.hand >= self.places.len() {
            self.hand = 0;
        }
        let at = self.hand;
        self.hand += 1;
        self.places.get(at)?.as_ref()?.upgrade()
    }
}

/// The descriptor of one open file.
pub(super) struct Descriptor {
    state: RwLock<State>,
    /// Since the hand came by last.
    used: AtomicBool,
    /// Whether something was written through it that was not synced.
    unsynced: AtomicBool,
    /// What the file is open for.
    pub(super) access: OpenAccess,
}

enum State {
    Open {
        fd: OwnedFd,
        /// In the ring; none if it stays open.
        place: Option<Place>,
    },
    Closed,
}

impl Descriptor {
    /// Of an open that is being made; `closable` is how it will be found, if it can be opened again.
    pub(super) fn new(
        all: &Descriptors,
        fd: OwnedFd,
        access: OpenAccess,
        closable: Option<Weak<Open>>,
    ) -> Self {
        all.count.fetch_add(1, Ordering::Relaxed);
        let place = closable.and_then(|open| all.ring.lock().add(open));
        Self {
            state: RwLock::new(State::Open { fd, place }),
            used: AtomicBool::new(true),
            unsynced: AtomicBool::new(false),
            access,
        }
    }

    /// The descriptor, if it is open. It stays so as long as this is kept.
    pub(super) fn get(&self) -> Option<MappedRwLockReadGuard<'_, OwnedFd>> {
        let fd = held(self.state.read())?;
        self.note_use();
        Some(fd)
    }

    fn note_use(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// To be said after something was written, while the descriptor is kept.
    pub(super) fn note_unsynced(&self) {
        if !self.unsynced.load(Ordering::Acquire) {
            self.unsynced.store(true, Ordering::Release);
        }
    }

    /// To be said before a sync: of what is written from now on nothing is known.
    pub(super) fn note_sync(&self) {
        self.unsynced.store(false, Ordering::Release);
    }

    fn is_unsynced(&self) -> bool {
        self.unsynced.load(Ordering::Acquire)
    }
}

fn held(state: RwLockReadGuard<'_, State>) -> Option<MappedRwLockReadGuard<'_, OwnedFd>> {
    RwLockReadGuard::try_map(state, |state| match state {
        State::Open { fd, .. } => Some(fd),
        State::Closed => None,
    })
    .ok()
}

impl Open {
    pub(super) fn id(&self) -> FileId {
        (self.core.device, self.fileid)
    }

    /// The descriptor, opened again if it is closed.
    pub(super) fn fd(&self) -> VfsResult<MappedRwLockReadGuard<'_, OwnedFd>> {
        if let Some(fd) = self.descriptor.get() {
            return Ok(fd);
        }
        let all = &self.core.descriptors;
        // One opens it; who reads meanwhile finds it closed and comes here.
        let state = self.descriptor.state.upgradable_read();
        let state = if matches!(*state, State::Open { .. }) {
            RwLockUpgradableReadGuard::downgrade(state)
        } else {
            all.make_way_below(all.for_all())?;
            let fd = self.core.open_again(self, || all.unnamed(self.id()))?;
            let mut state = RwLockUpgradableReadGuard::upgrade(state);
            let place = all.ring.lock().add(self.this.clone());
            *state = State::Open { fd, place };
            all.count.fetch_add(1, Ordering::Relaxed);
            all.reopens.fetch_add(1, Ordering::Relaxed);
            all.not_closed(self.id());
            parking_lot::RwLockWriteGuard::downgrade(state)
        };
        self.descriptor.note_use();
        held(state).ok_or(VfsError::Io)
    }

    /// Whether closing it frees what the file holds.
    fn frees(&self, state: &State) -> bool {
        match state {
            State::Open { fd, .. } => stat(fd.as_fd()).is_ok_and(|stat| stat.stx_nlink == 0),
            State::Closed => self.core.descriptors.unnamed(self.id()).is_some(),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let state = std::mem::replace(self.descriptor.state.get_mut(), State::Closed);
        let frees = self.core.durable && self.frees(&state);
        let mut ending = Ending {
            all: Arc::clone(&self.core.descriptors),
            file: self.id(),
            state: Some(state),
        };
        // To free the blocks of a file may take long.
        if frees {
            drop(self.core.pool.run(move || {
                drop(ending);
                Ok(())
            }));
        } else if let Some(fd) = ending.end() {
            self.core.close(self, fd);
        }
    }
}

/// What an open leaves.
struct Ending {
    all: Arc<Descriptors>,
    file: FileId,
    state: Option<State>,
}

impl Ending {
    /// The descriptor, if it is one that may be closed at any time.
    fn end(&mut self) -> Option<OwnedFd> {
        match self.state.take()? {
            State::Open { fd, place } => {
                self.all.count.fetch_sub(1, Ordering::Relaxed);
                let this = place.map(|place| self.all.ring.lock().remove(place));
                this.map(|_| fd)
            }
            State::Closed => {
                self.all.not_closed(self.file);
                None
            }
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        drop(self.end());
    }
}
