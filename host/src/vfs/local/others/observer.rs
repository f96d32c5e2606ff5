//! One reader of the kernel's events for all directories that are served, and who is told.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use dittofs_sdk::vfs::{Touch, VfsError, VfsResult, Watcher};
use parking_lot::Mutex;
use rustix::event::{EventfdFlags, PollFd, PollFlags};
use rustix::io::Errno;

use super::super::cache::Object;
use super::fanotify::Fanotify;
use super::inotify::Inotify;
use super::own::{Busy, FileId, OwnAccess, OwnAccesses};
use super::{Shared, events_of, touch_of};

/// Most watched files of the process. Each keeps a descriptor, so that fewer are allowed where
/// descriptors are few.
const MOST_FILES: usize = 65_536;
/// Most watches of one file.
const MOST_WATCHES: usize = 1024;
const BUFFER: usize = 64 * 1024;

/// How the kernel names a marked object in events.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Mark {
    /// By its handle: kind and bytes.
    Handle(i32, Box<[u8]>),
    /// By the number of the mark.
    Number(i32),
}

/// What the kernel says.
pub(super) enum Happened {
    /// These events, to this object.
    To(Mark, u32),
    /// Events were lost.
    Anything,
}

enum Source {
    Fanotify(Fanotify),
    Inotify(Inotify),
}

/// Marks put, events read, watchers told.
pub(super) struct Observer {
    source: Source,
    marks: Mutex<HashMap<Mark, Marked>>,
    /// Where the source does not tell us from others.
    pub(super) own: OwnAccesses,
    most_files: usize,
    wake: OwnedFd,
    reading: Mutex<bool>,
}

/// An object with its watchers.
struct Marked {
    device: (u32, u32),
    object: Arc<Object>,
    events: u32,
    watched: Vec<Arc<Watched>>,
    own: Arc<OwnAccess>,
}

/// One watch.
pub(super) struct Watched {
    interest: Touch,
    watcher: Arc<dyn Watcher>,
    told: AtomicBool,
}

impl Watched {
    pub(super) fn new(interest: Touch, watcher: Arc<dyn Watcher>) -> Arc<Self> {
        Arc::new(Self {
            interest,
            watcher,
            told: AtomicBool::new(false),
        })
    }

    pub(super) fn is_told(&self) -> bool {
        self.told.load(Ordering::SeqCst)
    }

    fn tell(&self, touch: Touch) {
        self.told.store(true, Ordering::SeqCst);
        let tell = || self.watcher.touched(touch);
        // The hook of the process has reported the panic; others are still to be told.
        let _ = catch_unwind(AssertUnwindSafe(tell));
    }
}

/// The process's observer by fanotify, if that works for the file system of `dir`.
pub(super) fn by_fanotify(dir: BorrowedFd<'_>) -> Option<Arc<Observer>> {
    static FANOTIFY: Shared<Observer> = Mutex::new(Weak::new());
    let new = || Ok(Source::Fanotify(Fanotify::new()?));
    shared(&FANOTIFY, new).filter(|observer| observer.source.works_for(dir))
}

/// The process's observer by inotify, if that works for the file system of `dir`.
pub(super) fn by_inotify(dir: BorrowedFd<'_>) -> Option<Arc<Observer>> {
    static INOTIFY: Shared<Observer> = Mutex::new(Weak::new());
    let new = || Ok(Source::Inotify(Inotify::new()?));
    shared(&INOTIFY, new).filter(|observer| observer.source.works_for(dir))
}

fn shared(
    place: &Shared<Observer>,
    source: impl FnOnce() -> Result<Source, Errno>,
) -> Option<Arc<Observer>> {
    let mut place = place.lock();
    if let Some(observer) = place.upgrade() {
        return Some(observer);
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit.map_or(usize::MAX, |limit| limit as usize / 8);
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    let observer = Arc::new(Observer {
        source: source().ok()?,
        marks: Mutex::default(),
        own: OwnAccesses::default(),
        most_files: limit.min(MOST_FILES),
        wake: rustix::event::eventfd(0, flags).ok()?,
        reading: Mutex::default(),
    });
    *place = Arc::downgrade(&observer);
    Some(observer)
}

impl Observer {
    /// What it is told by.
    pub(super) fn means(&self) -> &'static str {
        match &self.source {
            Source::Fanotify(_) => "fanotify",
            Source::Inotify(_) => "inotify",
        }
    }

    /// Puts a watch on `file`; it is in force when this returns.
    pub(super) fn put(
        self: &Arc<Self>,
        device: (u32, u32),
        file: Arc<Object>,
        watched: &Arc<Watched>,
    ) -> VfsResult<Mark> {
        self.read_from_now_on()?;
        let events = events_of(watched.interest);
        // Held over the system call, so that the reader finds whom to tell.
        let mut marks = self.marks.lock();
        if marks.len() >= self.most_files {
            return Err(VfsError::TryLater);
        }
        let id = (device, file.fileid);
        let mark = self
            .source
            .add(&file, events)
            .map_err(|error| match error {
                // The kernel's limits of marks.
                Errno::NOSPC | Errno::MFILE | Errno::NOMEM => VfsError::TryLater,
                error => super::super::errno::vfs(error),
            })?;
        let marked = marks.entry(mark.clone()).or_insert_with(|| Marked {
            device,
            object: file,
            events: 0,
            watched: Vec::new(),
            own: self.own.mind(id),
        });
        if marked.watched.len() >= MOST_WATCHES {
            return Err(VfsError::TryLater);
        }
        marked.events |= events;
        marked.watched.push(Arc::clone(watched));
        Ok(mark)
    }

    /// Ends a watch.
    pub(super) fn end(&self, mark: &Mark, watched: &Arc<Watched>) {
        let mut marks = self.marks.lock();
        let Some(marked) = marks.get_mut(mark) else {
            return;
        };
        marked.watched.retain(|other| !Arc::ptr_eq(other, watched));
        let rest = marked.watched.iter().map(|one| events_of(one.interest));
        let rest = rest.fold(0, |all, events| all | events);
        let gone = marked.events & !rest;
        if gone != 0 {
            // A failure leaves a mark that nobody minds.
            let _ = self.source.leave(&marked.object, mark, gone, rest);
        }
        marked.events = rest;
        if rest == 0 {
            let id = (marked.device, marked.object.fileid);
            marks.remove(mark);
            self.own.forget(&id);
        }
    }

    /// Notes that this process begins to work on `file`, where that matters.
    pub(super) fn busy(self: &Arc<Self>, file: FileId) -> Option<Busy> {
        match &self.source {
            Source::Fanotify(_) => None,
            Source::Inotify(_) => Some(Busy {
                access: self.own.begin(&file)?,
                observer: Arc::clone(self),
            }),
        }
    }

    /// Has the reader look for events, and for whether it is still needed.
    pub(super) fn wake(&self) {
        // It fails only if there are very many wake-ups already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    fn read_from_now_on(self: &Arc<Self>) -> VfsResult<()> {
        let mut reading = self.reading.lock();
        if !*reading {
            let observer = Arc::downgrade(self);
            let fds = (
                self.source.as_fd().try_clone_to_owned(),
                self.wake.as_fd().try_clone_to_owned(),
            );
            let (Ok(events), Ok(wake)) = fds else {
                return Err(VfsError::TryLater);
            };
            let thread = std::thread::Builder::new().name("vfs-others".into());
            thread
                .spawn(move || read(&observer, &events, &wake))
                .map_err(|_| VfsError::TryLater)?;
            *reading = true;
        }
        Ok(())
    }

    /// Reads events until there are none left, and tells of them.
    fn drain(&self, buffer: &mut [u8]) {
        let drain = self.own.next_drain();
        loop {
            let mut told = Vec::new();
            let more = self.source.read(buffer, &mut |happened| {
                self.find(happened, drain, &mut told);
            });
            // No lock is held while watchers are told.
            for (watched, touch) in told {
                watched.tell(touch);
            }
            if !more {
                return;
            }
        }
    }

    fn find(&self, happened: Happened, drain: u64, told: &mut Vec<(Arc<Watched>, Touch)>) {
        let marks = self.marks.lock();
        match happened {
            Happened::To(mark, events) => {
                let Some(marked) = marks.get(&mark) else {
                    return;
                };
                if self.is_own(marked, drain) {
                    return;
                }
                let touch = touch_of(events);
                let minding = |one: &&Arc<Watched>| !(one.interest & touch).is_empty();
                let minding = marked.watched.iter().filter(minding);
                told.extend(minding.map(|one| (Arc::clone(one), touch & one.interest)));
            }
            Happened::Anything => {
                let all = marks.values().flat_map(|marked| &marked.watched);
                told.extend(all.map(|one| (Arc::clone(one), one.interest)));
            }
        }
    }

    fn is_own(&self, marked: &Marked, drain: u64) -> bool {
        match &self.source {
            // It has left them out.
            Source::Fanotify(_) => false,
            Source::Inotify(_) => marked.own.may_have_caused(drain),
        }
    }
}

#[cfg(test)]
impl Observer {
    /// Whether a mark is left on the file.
    pub(super) fn watches(&self, id: super::own::FileId) -> bool {
        let marks = self.marks.lock();
        let mut all = marks.values();
        all.any(|marked| (marked.device, marked.object.fileid) == id)
    }

    /// Waits until the reader has taken out what is queued now.
    pub(super) fn settled(&self) {
        let drain = self.own.latest_drain();
        while self.own.latest_drain() < drain + 2 {
            self.wake();
            std::thread::yield_now();
        }
    }

    /// As if the kernel's queue had overflowed.
    pub(super) fn lose_events(&self) {
        let mut told = Vec::new();
        self.find(Happened::Anything, self.own.next_drain(), &mut told);
        for (watched, touch) in told {
            watched.tell(touch);
        }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.wake();
    }
}

/// The reader's thread: until the observer is dropped.
fn read(observer: &Weak<Observer>, events: &OwnedFd, wake: &OwnedFd) {
    let mut buffer = vec![0; BUFFER];
    loop {
        let mut ready = [
            PollFd::new(events, PollFlags::IN),
            PollFd::new(wake, PollFlags::IN),
        ];
        match rustix::event::poll(&mut ready, None) {
            Ok(_) | Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return,
        }
        // The count of wake-ups does not matter; an error is that there were none.
        let _ = rustix::io::read(wake, &mut [0; 8]);
        let Some(observer) = observer.upgrade() else {
            return;
        };
        observer.drain(&mut buffer);
    }
}

impl Source {
    fn works_for(&self, dir: BorrowedFd<'_>) -> bool {
        match self {
            Self::Fanotify(source) => source.works_for(dir),
            Self::Inotify(source) => source.works_for(dir),
        }
    }

    fn add(&self, object: &Object, events: u32) -> Result<Mark, Errno> {
        match self {
            Self::Fanotify(source) => source.add(object, events),
            Self::Inotify(source) => source.add(object, events),
        }
    }

    /// Takes the events `gone` off a mark, so that `rest` is left.
    fn leave(&self, object: &Object, mark: &Mark, gone: u32, rest: u32) -> Result<(), Errno> {
        match self {
            Self::Fanotify(source) => source.remove(object, gone),
            Self::Inotify(source) => source.leave(object, mark, rest),
        }
    }

    fn read(&self, buffer: &mut [u8], each: &mut dyn FnMut(Happened)) -> bool {
        match self {
            Self::Fanotify(source) => source.read(buffer, each),
            Self::Inotify(source) => source.read(buffer, each),
        }
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Fanotify(source) => source.as_fd(),
            Self::Inotify(source) => source.as_fd(),
        }
    }
}
