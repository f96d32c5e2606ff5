//! The entries of directories listed lately, as the kernel told them.
//!
//! A directory whose ctime is the same as before has the same entries under the same cookies: it
//! need be neither opened nor read again. A list is begun only when the directory's ctime lies
//! further back than two changes can lie apart and have the same one; where other machines may
//! change the directory, none is. It grows with each listing that goes on where it ends.
//!
//! Entries remember the object that they stand for, without keeping it in use.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};
use rustix::fs::Statx;
use rustix::time::ClockId;

use super::cache::Object;
use super::clock::{self, MILLISECOND};
use super::core::ctime;
use super::others::is_elsewhere;

/// Most lists of a share; who is used least makes way.
const LISTS: usize = 64;
/// Most entries of all lists of a share: each takes its name, 40 bytes, and what an object that is not in use
/// any more leaves behind, some 250.
const ENTRIES: usize = 32_768;

/// The lists of one share.
pub(super) struct Names {
    /// In nanoseconds; none where ctime does not tell of all changes.
    step: Option<u64>,
    /// The one that was used last is the first.
    lists: Mutex<VecDeque<Arc<List>>>,
}

/// What is known of the entries of one directory as it was at `ctime`.
pub(super) struct List {
    dir: u64,
    ctime: u64,
    len: AtomicUsize,
    known: RwLock<Known>,
}

/// The first entries of a directory, or all.
#[derive(Default)]
pub(super) struct Known {
    /// One after the other.
    names: Vec<u8>,
    entries: Vec<Entry>,
    rest: Rest,
}

/// What there is behind the entries that are known.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Rest {
    #[default]
    Unknown,
    Nothing,
    /// More than is remembered: then nothing is, so that nobody searches a part in vain.
    TooMuch,
}

/// An entry, but for its name.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) cookie: u64,
    pub(super) fileid: u64,
    pub(super) object: Weak<Object>,
    name_end: u32,
}

impl Names {
    /// For the file system of `dir`, whose times are exact (`is_exact`) or perhaps whole seconds.
    pub(super) fn new(dir: BorrowedFd<'_>, is_exact: bool) -> Self {
        // The clock that gives coarse times ticks every 10 ms at least.
        let step = if is_exact { 20 } else { 3000 } * MILLISECOND;
        Self {
            step: (!is_elsewhere(dir)).then_some(step),
            lists: Mutex::default(),
        }
    }

    /// The list of the directory that looks like this now; an empty one if that can be relied on.
    pub(super) fn of(&self, dir: &Statx) -> Option<Arc<List>> {
        let step = self.step?;
        let (fileid, ctime) = (dir.stx_ino, ctime(dir));
        let mut lists = self.lists.lock();
        let found = lists.iter().position(|list| list.dir == fileid);
        if let Some(found) = found.and_then(|at| lists.remove(at))
            && found.ctime == ctime
        {
            lists.push_front(Arc::clone(&found));
            return Some(found);
        }
        if clock::now(ClockId::Realtime) < ctime.saturating_add(step) {
            return None;
        }
        let new = Arc::new(List {
            dir: fileid,
            ctime,
            len: AtomicUsize::new(0),
            known: RwLock::default(),
        });
        lists.truncate(LISTS - 1);
        lists.push_front(Arc::clone(&new));
        Some(new)
    }

    /// Adds to `list` what was found `after` this cookie and nothing else, if it ends there. The directory looks
    /// like this afterwards.
    pub(super) fn extend(&self, list: &List, after: u64, more: Known, dir: &Statx) {
        if list.ctime != ctime(dir) {
            return;
        }
        let has_room = self.make_room(list, more.entries.len());
        let mut known = list.known.write();
        if !known.ends_at(after) {
            return;
        }
        if has_room {
            known.append(more);
        } else {
            *known = Known::too_much();
        }
        list.len.store(known.entries.len(), Ordering::Relaxed);
    }

    /// Drops lists that were used longer ago than `list` until it may have `more` entries.
    fn make_room(&self, list: &List, more: usize) -> bool {
        let len = |list: &List| list.len.load(Ordering::Relaxed);
        let mut lists = self.lists.lock();
        let mut all = more + lists.iter().map(|list| len(list)).sum::<usize>();
        while all > ENTRIES && lists.back().is_some_and(|last| last.dir != list.dir) {
            all -= lists.pop_back().map_or(0, |last| len(&last));
        }
        all <= ENTRIES
    }
}

impl List {
    /// Whether nothing is known.
    pub(super) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    pub(super) fn known(&self) -> impl std::ops::Deref<Target = Known> + '_ {
        self.known.read()
    }
}

impl Known {
    /// Adds an entry.
    pub(super) fn push(&mut self, name: &[u8], cookie: u64, fileid: u64, object: Weak<Object>) {
        self.names.extend_from_slice(name);
        self.entries.push(Entry {
            cookie,
            fileid,
            object,
            name_end: self.names.len() as u32,
        });
    }

    /// There are no more.
    pub(super) fn end(&mut self) {
        self.rest = Rest::Nothing;
    }

    pub(super) fn is_whole(&self) -> bool {
        self.rest == Rest::Nothing
    }

    fn too_much() -> Self {
        Self {
            rest: Rest::TooMuch,
            ..Self::default()
        }
    }

    /// The entries after `cookie`, where 0 is before all; none if it is of no entry. File systems whose
    /// cookies are hashes may give several entries the same: then after the first, as the kernel would go on, so
    /// that none is left out.
    pub(super) fn after(
        &self,
        cookie: u64,
    ) -> Option<impl ExactSizeIterator<Item = (&[u8], &Entry)>> {
        let start = match cookie {
            0 => 0,
            _ => {
                1 + self
                    .entries
                    .iter()
                    .position(|entry| entry.cookie == cookie)?
            }
        };
        let entries = self.entries.get(start..)?;
        let before = start.checked_sub(1).and_then(|at| self.entries.get(at));
        let mut from = before.map_or(0, |entry| entry.name_end as usize);
        Some(entries.iter().map(move |entry| {
            let to = entry.name_end as usize;
            let name = self.names.get(from..to).unwrap_or_default();
            from = to;
            (name, entry)
        }))
    }

    fn ends_at(&self, cookie: u64) -> bool {
        self.rest == Rest::Unknown && self.entries.last().map_or(0, |last| last.cookie) == cookie
    }

    fn append(&mut self, more: Self) {
        let names = self.names.len() as u32;
        self.names.extend_from_slice(&more.names);
        let moved = |entry: Entry| Entry {
            name_end: names + entry.name_end,
            ..entry
        };
        self.entries.extend(more.entries.into_iter().map(moved));
        self.rest = more.rest;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::time::Duration;

    use dittofs_sdk::vfs::{Cred, FileSystem, ReadDirLimit, VfsError};
    use dittofs_testkit::vfs::wait;

    use super::super::{Local, Options, open_core};
    use super::*;

    fn known(names: &[&str], first_cookie: u64) -> Known {
        let mut known = Known::default();
        for (name, cookie) in names.iter().zip(first_cookie..) {
            known.push(name.as_bytes(), cookie, 100 + cookie, Weak::new());
        }
        known
    }

    fn told(known: &Known, cookie: u64) -> Option<Vec<(&[u8], u64)>> {
        let entries = known.after(cookie)?;
        Some(entries.map(|(name, entry)| (name, entry.fileid)).collect())
    }

    /// Names listed in pages of so many entries, with attributes.
    fn list(fs: &Local, cred: &Cred, entries: u32) -> Result<BTreeSet<String>, VfsError> {
        let limit = ReadDirLimit {
            entries,
            attrs: true,
        };
        let (mut names, mut after) = (BTreeSet::new(), 0);
        loop {
            let listing = wait(fs.read_dir(cred, &fs.root(), after, limit))?;
            for entry in listing.iter() {
                assert!(entry.has_node() && entry.attr().unwrap().fileid == entry.fileid());
                let new = names.insert(String::from_utf8(entry.name().to_vec()).unwrap());
                assert!(new, "twice");
            }
            match listing.last_cookie() {
                Some(last) if !listing.eof() => after = last,
                _ => return Ok(names),
            }
        }
    }

    fn truth(dir: &Path) -> BTreeSet<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.unwrap().file_name().into_string().unwrap()
        };
        entries.map(name).collect()
    }

    fn settle() {
        std::thread::sleep(Duration::from_millis(40));
    }

    /// Entries that are known of the root, all of them.
    fn remembered(fs: &Local) -> Option<usize> {
        let lists = fs.core.names.lists.lock();
        let root = lists.iter().find(|list| list.dir == fs.core.root.fileid)?;
        let known = root.known();
        known.is_whole().then_some(known.entries.len())
    }

    #[test]
    fn entries_go_on_after_a_cookie() {
        let mut all = known(&["a", "bb"], 7);
        all.append(known(&["", "ccc"], 20));
        assert_eq!(all.after(0).map(|entries| entries.len()), Some(4));
        assert_eq!(told(&all, 7).unwrap().first(), Some(&(&b"bb"[..], 108)));
        assert_eq!(told(&all, 20), Some(vec![(&b"ccc"[..], 121)]));
        assert_eq!(told(&all, 21), Some(Vec::new()));
        assert_eq!(told(&all, 9), None);
        assert!(all.ends_at(21) && !all.ends_at(20));
        all.end();
        assert!(!all.ends_at(21), "there is nothing after the end");
    }

    #[test]
    fn what_others_make_and_remove_is_seen_at_once() {
        for dir in [
            tempfile::tempdir().unwrap(),
            tempfile::tempdir_in("/dev/shm").unwrap(),
        ] {
            let path = dir.path();
            for number in 0..20 {
                std::fs::write(path.join(format!("f{number}")), "x").unwrap();
            }
            let fs = open_core(path, &Options::default()).unwrap();
            let root = Cred::root();
            for round in 0..8 {
                settle();
                assert_eq!(list(&fs, &root, 7), Ok(truth(path)));
                assert_eq!(remembered(&fs), Some(truth(path).len()), "round {round}");
                assert_eq!(list(&fs, &root, 3), Ok(truth(path)));
                match round % 4 {
                    0 => std::fs::write(path.join(format!("new{round}")), "x").unwrap(),
                    1 => std::fs::remove_file(path.join(format!("f{round}"))).unwrap(),
                    2 => std::fs::rename(path.join("f10"), path.join("f11")).unwrap(),
                    _ => {
                        // Another file under the same name.
                        std::fs::remove_file(path.join("f12")).unwrap();
                        std::fs::create_dir(path.join("f12")).ok();
                        std::fs::create_dir(path.join("f13d")).ok();
                        std::fs::remove_dir(path.join("f12")).unwrap();
                        std::fs::write(path.join("f12"), "other").unwrap();
                        std::fs::write(path.join("f10"), "again").unwrap();
                    }
                }
                assert_eq!(list(&fs, &root, 7), Ok(truth(path)));
            }
        }
    }

    #[test]
    fn a_directory_that_has_just_changed_is_not_remembered() {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let fs = open_core(dir.path(), &Options::default()).unwrap();
        for number in 0..200 {
            std::fs::write(dir.path().join(format!("f{number}")), "x").unwrap();
            assert_eq!(list(&fs, &Cred::root(), 100), Ok(truth(dir.path())));
        }
    }

    #[test]
    fn who_may_not_read_is_refused_what_is_remembered() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "x").unwrap();
        let mode = |mode| {
            std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(mode)).unwrap();
            settle();
        };
        mode(0o755);
        let fs = open_core(dir.path(), &Options::default()).unwrap();
        let other = Cred::user(10, 20);
        assert!(list(&fs, &other, 10).is_ok());
        assert_eq!(remembered(&fs), Some(1));
        mode(0o700);
        assert!(list(&fs, &Cred::root(), 10).is_ok());
        assert_eq!(remembered(&fs), Some(1));
        assert_eq!(list(&fs, &other, 10), Err(VfsError::AccessDenied));
    }

    #[test]
    fn lists_and_their_entries_are_bounded() {
        let names = Names {
            step: Some(0),
            lists: Mutex::default(),
        };
        let dir = tempfile::tempdir().unwrap();
        let look = |number: usize| {
            let path = dir.path().join(number.to_string());
            std::fs::create_dir_all(&path).unwrap();
            let open = std::fs::File::open(path).unwrap();
            super::super::core::stat(std::os::fd::AsFd::as_fd(&open)).unwrap()
        };
        let many = |count: usize| known(&vec!["name"; count], 1);
        for number in 0..2 * LISTS {
            let dir = look(number);
            let list = names.of(&dir).unwrap();
            names.extend(&list, 0, many(ENTRIES / 10), &dir);
        }
        let count = |names: &Names| {
            let lists = names.lists.lock();
            let entries = lists.iter().map(|list| list.known().entries.len());
            (lists.len(), entries.sum::<usize>())
        };
        let (lists, entries) = count(&names);
        assert!(lists <= LISTS && entries <= ENTRIES && entries > ENTRIES / 2);
        // Of one that is too long by itself nothing is remembered, not even its beginning.
        let dir = look(2 * LISTS);
        let list = names.of(&dir).unwrap();
        names.extend(&list, 0, known(&["a", "b"], 1), &dir);
        assert_eq!(list.known().entries.len(), 2);
        names.extend(&list, 2, many(ENTRIES), &dir);
        names.extend(&list, 0, known(&["a", "b"], 1), &dir);
        assert_eq!(
            (list.known().entries.len(), list.known().is_whole()),
            (0, false)
        );
    }
}
