//! What is kept after it was closed, and what is not.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use dittofs_sdk::vfs::{
    Buffer, CreateHow, Cred, File, FileSystem, Handle, Name, OpenAccess, SetAttr, VfsError,
    VfsResult,
};
use dittofs_testkit::vfs::wait;

use super::super::{Local, Options, open_core};
use super::*;

struct Place {
    dir: tempfile::TempDir,
    local: Local,
}

/// One on a disk and one in memory.
fn places() -> [Place; 2] {
    let disk = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    [disk, memory].map(|dir| {
        let local = open_core(dir.path(), &Options::default()).unwrap();
        Place { dir, local }
    })
}

fn named<T>(text: &str, call: impl FnOnce(Name<'_>) -> T) -> T {
    call(Name::new(text.as_bytes()).unwrap())
}

impl Place {
    fn file(&self, text: &str) -> Handle {
        std::fs::write(self.dir.path().join(text), text).unwrap();
        let root = self.local.root();
        let found = named(text, |name| {
            wait(self.local.lookup(&Cred::root(), &root, name))
        });
        found.unwrap().handle
    }

    fn open(&self, file: &Handle, access: OpenAccess) -> Arc<dyn File> {
        wait(self.local.open(&Cred::root(), file, access)).unwrap()
    }

    fn open_and_close(&self, file: &Handle) {
        self.settled(|| drop(self.open(file, OpenAccess::Read)), 1);
    }

    /// Some files are closed on a thread of the pool.
    fn settled(&self, act: impl FnOnce(), kept: usize) {
        act();
        while self.kept() != kept {
            std::thread::yield_now();
        }
    }

    fn kept(&self) -> usize {
        self.local.core.idle.count()
    }

    fn remove(&self, text: &str) {
        let root = self.local.root();
        let gone = named(text, |name| {
            wait(self.local.remove(&Cred::root(), &root, name))
        });
        gone.unwrap();
    }
}

fn read(file: &Arc<dyn File>) -> String {
    let read = wait(file.read(0, 100, Buffer::default())).unwrap();
    String::from_utf8(read.buffer.to_vec()).unwrap()
}

fn descriptors_of(path: &Path) -> usize {
    let path = path.canonicalize().unwrap();
    let all = std::fs::read_dir("/proc/self/fd").unwrap();
    let all = all.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    all.filter(|target| target.starts_with(&path)).count()
}

#[test]
fn what_is_opened_again_is_open() {
    for place in places() {
        let file = place.file("file");
        place.open_and_close(&file);
        let again = place.open(&file, OpenAccess::Read);
        assert_eq!((place.kept(), read(&again)), (0, "file".into()));
        // Another open of the same file has one of its own, and one of them is kept.
        let other = place.open(&file, OpenAccess::Read);
        assert_eq!((read(&again), read(&other)), ("file".into(), "file".into()));
        place.settled(|| drop((again, other)), 1);
    }
}

#[test]
fn permission_is_asked_for_at_each_open() {
    for place in places() {
        let file = place.file("file");
        let user = Cred::user(10, 20);
        let open = || -> VfsResult<()> {
            wait(place.local.open(&user, &file, OpenAccess::Read)).map(drop)
        };
        place.open_and_close(&file);
        assert_eq!(open(), Ok(()));
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(place.dir.path().join("file"), private).unwrap();
        assert_eq!(open(), Err(VfsError::AccessDenied));
    }
}

#[test]
fn what_was_open_for_writing_is_closed() {
    for place in places() {
        let file = place.file("file");
        for access in [OpenAccess::Write, OpenAccess::Both] {
            place.settled(|| drop(place.open(&file, access)), 0);
        }
        place.open_and_close(&file);
        let writer = place.open(&file, OpenAccess::Both);
        assert_eq!(read(&writer), "file");
        drop(writer);
        let root = place.local.root();
        let (how, attr) = (CreateHow::Unchecked, SetAttr::default());
        let made = named("new", |name| {
            let access = OpenAccess::Write;
            wait(
                place
                    .local
                    .create(&Cred::root(), &root, name, how, &attr, access),
            )
        });
        drop(made.unwrap().file);
        assert_eq!(place.kept(), 1);
    }
}

#[test]
fn what_is_removed_is_let_go() {
    for place in places() {
        let closed = place.file("closed");
        let open = place.file("open");
        let elsewhere = place.file("elsewhere");
        let reader = place.open(&open, OpenAccess::Read);
        place.remove("open");
        assert_eq!(read(&reader), "open");
        drop(reader);
        for file in [&closed, &elsewhere] {
            drop(place.open(file, OpenAccess::Read));
        }
        while place.kept() < 2 {
            std::thread::yield_now();
        }
        place.remove("closed");
        std::fs::remove_file(place.dir.path().join("elsewhere")).unwrap();
        for file in [&open, &closed, &elsewhere] {
            // Closing may still be under way.
            while wait(place.local.attr(file)) != Err(VfsError::Stale) {
                std::thread::yield_now();
            }
        }
        assert_eq!(place.kept(), 0);
    }
}

#[test]
fn in_the_end_all_is_closed() {
    for place in places() {
        let before = descriptors_of(place.dir.path());
        let files: Vec<_> = (0..40).map(|n| place.file(&format!("file-{n}"))).collect();
        for file in &files {
            drop(place.open(file, OpenAccess::Read));
        }
        while place.kept() > 0 {
            std::thread::sleep(MOMENT / 10);
        }
        place.open_and_close(&files[0]);
        let idle = Arc::downgrade(&place.local.core.idle);
        let Place { dir, local } = place;
        drop(local);
        // A thread may just look at it.
        while idle.strong_count() > 0 {
            std::thread::sleep(MOMENT / 10);
        }
        assert!(descriptors_of(dir.path()) <= before);
    }
}

#[test]
fn no_more_are_kept_than_there_is_room_for() {
    for dir in places().map(|place| place.dir) {
        let descriptors = Arc::new(Descriptors::new(256));
        let options = Options {
            descriptors: Arc::clone(&descriptors),
            ..Options::default()
        };
        let local = open_core(dir.path(), &options).unwrap();
        let place = Place { dir, local };
        for n in 0..100 {
            let file = place.file(&format!("file-{n}"));
            drop(place.open(&file, OpenAccess::Read));
            assert!(place.kept() <= descriptors.for_idle());
        }
    }
}
