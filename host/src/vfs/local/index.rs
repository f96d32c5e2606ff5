//! Where objects were last seen, for a server that may not open by handle.
//!
//! A bounded table tells the directory and the name of an object's number. What it says is only
//! a hint: the object found there must have the very handle that was asked for. If it has not,
//! or the table knows nothing, the tree is walked once and the table filled anew. Walks happen
//! one at a time and at most every ten seconds; who asks in between is told to try later. A share
//! with more objects than the table holds may therefore answer "stale" for an object that was
//! neither used lately nor among those that the walk kept.

use std::collections::{HashMap, VecDeque};
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use dittofs_sdk::vfs::{Handle, VfsError, VfsResult};
use parking_lot::Mutex;
use rustix::fs::{FileType, Mode, OFlags, RawDir};

use super::core::{Core, RESOLVE, stat};

const MOST: usize = 1 << 18;
const MOST_GONE: usize = 1024;
const DEEPEST: usize = 4096;
const PAUSE: Duration = Duration::from_secs(10);

/// Number of the directory, and the name there.
type Place = (u64, Box<[u8]>);

/// Object numbers to places.
pub(super) struct Index {
    places: Mutex<HashMap<u64, Place>>,
    last_walk: Mutex<Option<Instant>>,
    /// Handles of objects removed through us, so that they are stale at once.
    gone: Mutex<VecDeque<Handle>>,
}

impl Index {
    pub(super) fn new() -> Self {
        Self {
            places: Mutex::default(),
            last_walk: Mutex::default(),
            gone: Mutex::default(),
        }
    }

    pub(super) fn note(&self, fileid: u64, dir: u64, name: &[u8]) {
        let mut places = self.places.lock();
        if places.len() >= MOST && !places.contains_key(&fileid) {
            // Any other: the hash map's order is as good as random.
            let victim = places.keys().next().copied();
            victim.and_then(|victim| places.remove(&victim));
        }
        places.insert(fileid, (dir, name.into()));
    }

    pub(super) fn note_gone(&self, handle: &Handle) {
        let mut gone = self.gone.lock();
        if gone.len() >= MOST_GONE {
            gone.pop_front();
        }
        gone.push_back(*handle);
    }

    /// Opens the object with this number and handle.
    pub(super) fn open(&self, core: &Core, fileid: u64, handle: &Handle) -> VfsResult<OwnedFd> {
        if let Some(found) = self.try_open(core, fileid, handle) {
            return Ok(found);
        }
        if self.gone.lock().contains(handle) {
            return Err(VfsError::Stale);
        }
        let mut last = self.last_walk.try_lock().ok_or(VfsError::TryLater)?;
        // A walk may have ended while we looked.
        if let Some(found) = self.try_open(core, fileid, handle) {
            return Ok(found);
        }
        if last.is_some_and(|last| last.elapsed() < PAUSE) {
            return Err(VfsError::TryLater);
        }
        self.walk(core);
        *last = Some(Instant::now());
        drop(last);
        self.try_open(core, fileid, handle).ok_or(VfsError::Stale)
    }

    fn try_open(&self, core: &Core, fileid: u64, handle: &Handle) -> Option<OwnedFd> {
        let mut at: Option<OwnedFd> = None;
        for name in self.path(core.root.fileid, fileid)? {
            let dir = at.as_ref().map_or(core.root.as_fd(), AsFd::as_fd);
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            at = Some(rustix::fs::openat2(dir, &*name, flags, Mode::empty(), RESOLVE).ok()?);
        }
        let found = at?;
        let number = stat(found.as_fd()).ok()?.stx_ino;
        (core.handles.of(found.as_fd(), c"", number).ok()? == *handle).then_some(found)
    }

    /// Names from the root down to the object.
    fn path(&self, root: u64, fileid: u64) -> Option<Vec<CString>> {
        let places = self.places.lock();
        let mut names = Vec::new();
        let mut at = fileid;
        while at != root {
            let (dir, name) = places.get(&at)?;
            names.push(CString::new(&**name).ok()?);
            if names.len() > DEEPEST {
                return None;
            }
            at = *dir;
        }
        names.reverse();
        Some(names)
    }

    /// Fills the table, directory by directory. What can't be read is left out.
    fn walk(&self, core: &Core) {
        let mut open = vec![core.root.fileid];
        let mut seen = 0;
        while let Some(number) = open.pop() {
            let Some(dir) = self.enter(core, number) else {
                continue;
            };
            let mut buffer = vec![MaybeUninit::uninit(); 32 * 1024];
            let mut entries = RawDir::new(&dir, &mut buffer);
            while let Some(Ok(entry)) = entries.next() {
                let name = entry.file_name();
                if matches!(name.to_bytes(), b"." | b"..") {
                    continue;
                }
                self.note(entry.ino(), number, name.to_bytes());
                seen += 1;
                let may_be_dir =
                    matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
                if may_be_dir && seen < MOST {
                    open.push(entry.ino());
                }
            }
        }
    }

    /// Opens a directory of the table for reading.
    fn enter(&self, core: &Core, number: u64) -> Option<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = |dir: BorrowedFd<'_>, name: &CStr| {
            rustix::fs::openat2(dir, name, flags, Mode::empty(), RESOLVE).ok()
        };
        let mut at = open(core.root.as_fd(), c".")?;
        for name in self.path(core.root.fileid, number)? {
            at = open(at.as_fd(), &name)?;
        }
        (stat(at.as_fd()).ok()?.stx_ino == number).then_some(at)
    }
}
