//! Attributes as they were seen lately, told again.
//!
//! Only where the operator allows it, and for as long: another program's change is told so much
//! later, to within a tick of the kernel's clock. A change of our own is told at once
//! ([`Changes::mark`](super::change::Changes::mark)). Permissions are never judged by them. Reading moves the access time without being
//! a change.

use std::time::Duration;

use dittofs_sdk::vfs::{Attr, VfsResult};
use parking_lot::Mutex;
use rustix::fs::Statx;
use rustix::time::ClockId;

use super::cache::Object;
use super::clock;
use super::core::Core;

/// What an object looked like.
#[derive(Default)]
pub(super) struct Seen(Mutex<Option<Box<Look>>>);

struct Look {
    attr: Attr,
    mark: u64,
    /// When it began, in nanoseconds.
    at: u64,
}

/// How long what was seen may be told, in nanoseconds.
#[derive(Clone, Copy)]
pub(super) struct Bound(Option<u64>);

/// When something is told, where it may have been seen before, in nanoseconds.
#[derive(Clone, Copy)]
pub(super) struct Moment(Option<u64>);

impl Bound {
    pub(super) fn new(bound: Duration) -> Self {
        let bound = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        Self((bound > 0).then_some(bound))
    }

    /// Now.
    pub(super) fn moment(self) -> Moment {
        Moment(self.0.map(|_| clock::now(ClockId::MonotonicCoarse)))
    }
}

impl Look {
    fn is_good(&self, mark: u64, since: u64) -> bool {
        self.mark == mark && self.at > since
    }
}

impl Core {
    /// The attributes of an object that was found to look like this just now. What was seen before and
    /// differs is not told any more: counters don't go back.
    pub(super) fn attr_of(&self, object: &Object, stat: &Statx) -> VfsResult<Attr> {
        let attr = self.attr_from(stat)?;
        if let Bound(Some(_)) = self.bound {
            let mut seen = object.seen.0.lock();
            if seen
                .as_ref()
                .is_some_and(|look| look.attr.change != attr.change)
            {
                *seen = None;
            }
        }
        Ok(attr)
    }

    /// The attributes of an object, at this moment or as little before as the operator allows.
    pub(super) fn recent_attr(&self, object: &Object, moment: Moment) -> VfsResult<Attr> {
        self.with_recent_attr(object, moment, |attr| *attr)
    }

    /// As [`recent_attr`](Self::recent_attr), for what would only be copied.
    pub(super) fn with_recent_attr<T>(
        &self,
        object: &Object,
        moment: Moment,
        tell: impl FnOnce(&Attr) -> T,
    ) -> VfsResult<T> {
        let (Bound(Some(bound)), Moment(Some(now))) = (self.bound, moment) else {
            return Ok(tell(&self.attr(object)?));
        };
        // Asked before the look: a change that ends meanwhile makes it void.
        let mark = self.changes.mark(object.fileid);
        if let Some(look) = &*object.seen.0.lock()
            && look.is_good(mark, now.saturating_sub(bound))
        {
            return Ok(tell(&look.attr));
        }
        let attr = self.attr(object)?;
        // Of what has no name anybody may be the last to know it.
        let look = (attr.nlink > 0).then_some(Look {
            attr,
            mark,
            at: now,
        });
        *object.seen.0.lock() = look.map(Box::new);
        Ok(tell(&attr))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dittofs_sdk::vfs::{
        Access, Cred, FileSystem, Handle, Name, OpenAccess, ReadDirLimit, SetAttr, Stability,
    };
    use dittofs_testkit::vfs::wait;

    use super::super::{Local, Options, open_core};
    use super::*;

    /// Longer than any test.
    const LONG: Duration = Duration::from_hours(1);

    fn share(dir: &Path, bound: Duration) -> Local {
        let options = Options {
            attribute_cache: bound,
            ..Options::default()
        };
        open_core(dir, &options).unwrap()
    }

    fn find(fs: &Local, name: &str) -> Handle {
        let name = Name::new(name.as_bytes()).unwrap();
        let found = wait(fs.lookup(&Cred::root(), &fs.root(), name));
        found.unwrap().handle
    }

    fn size(fs: &Local, file: &Handle) -> u64 {
        wait(fs.attr(file)).unwrap().size
    }

    fn listed_size(fs: &Local) -> u64 {
        let limit = ReadDirLimit {
            entries: 100,
            attrs: true,
        };
        let listing = wait(fs.read_dir(&Cred::root(), &fs.root(), 0, limit)).unwrap();
        let entry = listing.iter().find(|entry| entry.name() == b"file");
        entry.unwrap().attr().unwrap().size
    }

    #[test]
    fn what_others_change_is_told_when_the_bound_is_over_and_without_one_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "1").unwrap();
        let [none, short, long] =
            [Duration::ZERO, Duration::from_millis(30), LONG].map(|bound| share(dir.path(), bound));
        let file = find(&none, "file");
        for fs in [&none, &short, &long] {
            find(fs, "file");
            assert_eq!((size(fs, &file), listed_size(fs)), (1, 1));
        }
        std::fs::write(&path, "22").unwrap();
        assert_eq!((size(&none, &file), listed_size(&none)), (2, 2));
        assert_eq!((size(&long, &file), listed_size(&long)), (1, 1));
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!((size(&short, &file), listed_size(&short)), (2, 2));
        // A lookup looks: from then on nobody is told less.
        find(&long, "file");
        assert_eq!((size(&long, &file), listed_size(&long)), (2, 2));
    }

    #[test]
    fn what_the_server_changes_is_told_at_once_whatever_share_it_came_by() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "1").unwrap();
        let [one, other] = [LONG, LONG].map(|bound| share(dir.path(), bound));
        let file = find(&one, "file");
        find(&other, "file");
        let root = Cred::root();
        let sizes = || {
            [
                size(&one, &file),
                size(&other, &file),
                listed_size(&one),
                listed_size(&other),
            ]
        };
        assert_eq!(sizes(), [1; 4]);
        let open = wait(other.open(&root, &file, OpenAccess::Both)).unwrap();
        wait(open.write(1, bytes::Bytes::from_static(b"234"), Stability::Unstable)).unwrap();
        assert_eq!(sizes(), [4; 4]);
        let shorter = SetAttr {
            size: Some(2),
            ..SetAttr::default()
        };
        wait(one.set_attr(&root, &file, &shorter)).unwrap();
        assert_eq!(sizes(), [2; 4]);
        let names = |fs: &Local| wait(fs.attr(&file)).unwrap().nlink;
        assert_eq!((names(&one), names(&other)), (1, 1));
        let second = Name::new(b"second").unwrap();
        wait(other.link(&root, &file, &other.root(), second)).unwrap();
        assert_eq!((names(&one), names(&other)), (2, 2));
        wait(one.remove(&root, &one.root(), second)).unwrap();
        assert_eq!((names(&one), names(&other)), (1, 1));
        let first = Name::new(b"file").unwrap();
        wait(one.remove(&root, &one.root(), first)).unwrap();
        for fs in [&one, &other] {
            let names = wait(fs.attr(&file)).map_or(0, |attr| attr.nlink);
            assert_eq!(names, 0);
        }
    }

    #[test]
    fn what_is_changed_by_half_is_told_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "1234").unwrap();
        let fs = share(dir.path(), LONG);
        let file = find(&fs, "file");
        assert_eq!(size(&fs, &file), 4);
        // The size comes first; the owner is one that the kernel does not take.
        let changes = SetAttr {
            size: Some(2),
            uid: Some(u32::MAX),
            ..SetAttr::default()
        };
        assert!(wait(fs.set_attr(&Cred::root(), &file, &changes)).is_err());
        assert_eq!(size(&fs, &file), std::fs::metadata(&path).unwrap().len());
    }

    #[test]
    fn permissions_are_never_judged_by_what_was_seen_before() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "1").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        let fs = share(dir.path(), LONG);
        let (file, cred) = (find(&fs, "file"), Cred::user(10, 20));
        let may = || {
            let granted = wait(fs.access(&cred, &file, Access::READ)).unwrap();
            let opened = wait(fs.open(&cred, &file, OpenAccess::Read)).is_ok();
            (granted.access == Access::READ, opened)
        };
        wait(fs.attr(&file)).unwrap();
        assert_eq!(may(), (true, true));
        wait(fs.attr(&file)).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        assert_eq!(may(), (false, false));
    }
}
