//! Who watches which file, and what becomes of others' accesses to it.
//!
//! All views of one file system share a [`Domain`], whatever share they came by. Where there is
//! one view, or nobody watches, an access looks at two counters and no more.
//!
//! A change is announced before it is done, so that it can wait for those who rely on the file,
//! and looked at again after it: a watch that came into force meanwhile is told then. Who puts a
//! watch and reads the file afterwards has either read the change or is told of it.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::time::{Duration, Instant};

use dittofs_sdk::vfs::{Handle, Reaction, Touch, VfsError, VfsResult, Watcher};
use parking_lot::{Mutex, RwLock};

/// Most watches in one domain.
const MOST: usize = 1 << 18;
/// How long accesses are refused for the sake of one watch. Who watches gives up what it relied
/// on, or takes it away from its client, well before.
const LONGEST_DELAY: Duration = Duration::from_mins(15);
const PARTS: usize = 64;

/// One file system with all its views.
#[derive(Default)]
pub struct Domain {
    views: AtomicUsize,
    next_view: AtomicU64,
    watches: AtomicUsize,
    watched: Watched,
}

/// One view of a domain, as long as it is in use.
pub(super) struct Place {
    domain: Arc<Domain>,
    number: u64,
}

/// A watch in force.
pub(super) struct Ticket {
    domain: Arc<Domain>,
    file: Mark,
    entry: Arc<Entry>,
}

/// Stands for a file within a domain, and is shorter than its handle. It may happen to stand for
/// another one too: who watches either is told of both, which is once too often, never too seldom.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Mark(u64);

struct Entry {
    view: u64,
    interest: Touch,
    watcher: Arc<dyn Watcher>,
    told: AtomicBool,
    /// Since when others wait for its end.
    delaying: Mutex<Option<Instant>>,
}

type Part = RwLock<HashMap<Mark, Vec<Arc<Entry>>>>;

struct Watched {
    parts: [Part; PARTS],
    hasher: RandomState,
}

impl Default for Watched {
    fn default() -> Self {
        Self {
            parts: std::array::from_fn(|_| Part::default()),
            hasher: RandomState::new(),
        }
    }
}

impl Watched {
    fn part(&self, Mark(file): Mark) -> Option<&Part> {
        self.parts.get(file as usize % PARTS)
    }

    /// Watches of others than `view` for `touch`.
    fn others(&self, view: u64, file: Mark, touch: Touch) -> Vec<Arc<Entry>> {
        let Some(part) = self.part(file) else {
            return Vec::new();
        };
        let part = part.read();
        let all = part.get(&file).into_iter().flatten();
        all.filter(|entry| entry.view != view && !(entry.interest & touch).is_empty())
            .cloned()
            .collect()
    }
}

impl Domain {
    pub(super) fn place(self: &Arc<Self>) -> Place {
        self.views.fetch_add(1, Ordering::SeqCst);
        Place {
            domain: Arc::clone(self),
            number: self.next_view.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl Place {
    /// Whether there may be others at all.
    pub(super) fn has_company(&self) -> bool {
        self.domain.views.load(Ordering::Relaxed) > 1
    }

    /// What stands for a file of this domain.
    pub(super) fn mark(&self, file: &Handle) -> Mark {
        Mark(self.domain.watched.hasher.hash_one(file))
    }

    fn is_watched(&self) -> bool {
        self.domain.watches.load(Ordering::Relaxed) != 0 && self.has_company()
    }

    /// Tells others what is about to be done to `file`; [`VfsError::TryLater`] if it is to wait.
    pub(super) fn announce(&self, file: Mark, touch: Touch) -> VfsResult<()> {
        if !self.is_watched() {
            return Ok(());
        }
        // No lock is held while others are told.
        let others = self.domain.watched.others(self.number, file, touch);
        let waits = others.iter().filter(|entry| entry.delays(touch)).count();
        if waits > 0 {
            return Err(VfsError::TryLater);
        }
        Ok(())
    }

    /// Tells those who began to watch while `file` was changed.
    pub(super) fn report(&self, file: Mark, touch: Touch) {
        // The change comes before the look at who watches, as there the watch comes before the
        // look at the file.
        fence(Ordering::SeqCst);
        if !self.is_watched() {
            return;
        }
        for entry in self.domain.watched.others(self.number, file, touch) {
            if !entry.told.load(Ordering::Relaxed) {
                entry.tell(touch);
            }
        }
    }

    /// Puts a watch on `file`.
    pub(super) fn watch(
        &self,
        file: Mark,
        interest: Touch,
        watcher: Arc<dyn Watcher>,
    ) -> VfsResult<Ticket> {
        let domain = &self.domain;
        let entry = Arc::new(Entry {
            view: self.number,
            interest,
            watcher,
            told: AtomicBool::new(false),
            delaying: Mutex::default(),
        });
        let part = domain.watched.part(file).ok_or(VfsError::Io)?;
        if domain.watches.fetch_add(1, Ordering::SeqCst) >= MOST {
            domain.watches.fetch_sub(1, Ordering::SeqCst);
            return Err(VfsError::TryLater);
        }
        part.write()
            .entry(file)
            .or_default()
            .push(Arc::clone(&entry));
        fence(Ordering::SeqCst);
        Ok(Ticket {
            domain: Arc::clone(domain),
            file,
            entry,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.domain.views.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Ticket {
    pub(super) fn is_untouched(&self) -> bool {
        !self.entry.told.load(Ordering::SeqCst)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(part) = self.domain.watched.part(self.file) {
            let mut part = part.write();
            if let Some(entries) = part.get_mut(&self.file) {
                entries.retain(|entry| !Arc::ptr_eq(entry, &self.entry));
                if entries.is_empty() {
                    part.remove(&self.file);
                }
            }
        }
        self.domain.watches.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Entry {
    fn tell(&self, touch: Touch) -> Reaction {
        self.told.store(true, Ordering::SeqCst);
        self.watcher.touched(touch & self.interest)
    }

    /// Whether this access has to wait. Who makes others wait is told once.
    fn delays(&self, touch: Touch) -> bool {
        let since = *self.delaying.lock();
        if let Some(since) = since {
            return since.elapsed() < LONGEST_DELAY;
        }
        let delays = self.tell(touch) == Reaction::Delay;
        if delays {
            *self.delaying.lock() = Some(Instant::now());
        }
        delays
    }
}
