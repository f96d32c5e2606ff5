//! Opens beyond what there are descriptors for.

use bytes::Bytes;
use dittofs_sdk::vfs::{
    Buffer, CreateHow, Cred, File, FileSystem, Handle, Name, OpenAccess, SetAttr, Stability,
};
use dittofs_testkit::vfs::wait;

use super::super::{Local, Options, open_core};
use super::*;

/// 48 for opens when they are made, 64 in all, 32 for objects.
const LIMIT: usize = 128;
const MANY: usize = 300;

struct Place {
    dir: tempfile::TempDir,
    local: Local,
    descriptors: Arc<Descriptors>,
}

/// One on a disk and one in memory.
fn places() -> [Place; 2] {
    let disk = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    [disk, memory].map(|dir| place(dir, false))
}

fn place(dir: tempfile::TempDir, unprivileged: bool) -> Place {
    let descriptors = Arc::new(Descriptors::new(LIMIT));
    let options = Options {
        descriptors: Arc::clone(&descriptors),
        unprivileged,
        ..Options::default()
    };
    let local = open_core(dir.path(), &options).unwrap();
    Place {
        dir,
        local,
        descriptors,
    }
}

fn named<T>(text: &str, call: impl FnOnce(Name<'_>) -> T) -> T {
    call(Name::new(text.as_bytes()).unwrap())
}

/// New descriptors may have to wait for others to be synced.
fn patiently<T>(mut call: impl FnMut() -> VfsResult<T>) -> T {
    loop {
        match call() {
            Err(VfsError::TryLater) => std::thread::yield_now(),
            done => return done.unwrap(),
        }
    }
}

impl Place {
    fn try_create(&self, text: &str) -> VfsResult<(Handle, Arc<dyn File>)> {
        let (how, access) = (CreateHow::Guarded, OpenAccess::Both);
        let (cred, root) = (Cred::root(), self.local.root());
        let attr = SetAttr::default();
        let made = named(text, |name| {
            wait(self.local.create(&cred, &root, name, how, &attr, access))
        })?;
        Ok((made.node.handle, made.file))
    }

    fn create(&self, text: &str) -> (Handle, Arc<dyn File>) {
        patiently(|| self.try_create(text))
    }

    /// As many open files as there are never descriptors for, each with its number in it.
    fn crowd(&self) -> Vec<(Handle, Arc<dyn File>)> {
        let all = (0..MANY).map(|number| {
            let (handle, file) = self.create(&format!("file-{number}"));
            write(&file, &number.to_string());
            (handle, file)
        });
        all.collect()
    }

    fn remove(&self, text: &str) -> VfsResult<()> {
        let (cred, root) = (Cred::root(), self.local.root());
        named(text, |name| wait(self.local.remove(&cred, &root, name))).map(drop)
    }

    fn rename(&self, from: &str, to: &str) {
        let (cred, root) = (Cred::root(), self.local.root());
        let (from, to) = (from.as_bytes(), to.as_bytes());
        let (from, to) = (Name::new(from).unwrap(), Name::new(to).unwrap());
        patiently(|| wait(self.local.rename(&cred, &root, from, &root, to)));
    }

    fn lookup(&self, text: &str) -> VfsResult<Handle> {
        let (cred, root) = (Cred::root(), self.local.root());
        named(text, |name| wait(self.local.lookup(&cred, &root, name))).map(|node| node.handle)
    }

    /// Descriptors of this process that are open below the directory.
    fn opened(&self) -> usize {
        let path = self.dir.path().canonicalize().unwrap();
        let all = std::fs::read_dir("/proc/self/fd").unwrap();
        let all = all.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
        all.filter(|target| target.starts_with(&path)).count()
    }
}

impl Descriptors {
    fn keeps_nothing(&self) -> bool {
        let closed = self.closed.lock();
        closed.opens.is_empty() && closed.unnamed.is_empty()
    }
}

fn write(file: &Arc<dyn File>, text: &str) {
    let data = Bytes::copy_from_slice(text.as_bytes());
    let count = data.len() as u32;
    let done = patiently(|| wait(file.write(0, data.clone(), Stability::Unstable)));
    assert_eq!(done.count, count);
}

fn try_read(file: &Arc<dyn File>) -> VfsResult<String> {
    let read = wait(file.read(0, 100, Buffer::default()))?;
    Ok(String::from_utf8(read.buffer.to_vec()).unwrap())
}

fn read(file: &Arc<dyn File>) -> String {
    patiently(|| try_read(file))
}

#[test]
fn many_files_are_open_with_few_descriptors() {
    for place in places() {
        let files = place.crowd();
        for (number, (_, file)) in files.iter().enumerate() {
            assert_eq!(read(file), number.to_string());
            write(file, &format!("again {number}"));
            assert!(place.opened() < LIMIT);
        }
        for (number, (handle, file)) in files.iter().enumerate() {
            assert_eq!(read(file), format!("again {number}"));
            assert_eq!(patiently(|| wait(file.attr())).nlink, 1);
            patiently(|| wait(file.commit(0, 0)));
            assert_eq!(place.lookup(&format!("file-{number}")), Ok(*handle));
        }
        let census = place.descriptors.census();
        assert!(census.open <= place.descriptors.for_all());
        assert!(census.closes >= (MANY - LIMIT) as u64 && census.reopens >= MANY as u64);
        drop(files);
        while place.descriptors.census().open > 0 {
            std::thread::yield_now();
        }
        assert!(place.descriptors.keeps_nothing());
        let ring = place.descriptors.ring.lock();
        assert!(ring.places.iter().all(Option::is_none));
    }
}

#[test]
fn what_is_removed_while_it_is_closed_stays_readable() {
    for place in places() {
        let files = place.crowd();
        let hard = place.dir.path();
        std::fs::hard_link(hard.join("file-2"), hard.join("other-2")).unwrap();
        place.remove("file-1").unwrap();
        place.remove("file-2").unwrap();
        place.remove("other-2").unwrap();
        place.rename("file-4", "file-3");
        assert_eq!(place.lookup("file-1"), Err(VfsError::NotFound));
        assert_eq!(place.lookup("file-3"), Ok(files[4].0));
        // All have been closed since, but for those without a name.
        for _ in 0..2 {
            for (number, (_, file)) in files.iter().enumerate() {
                assert_eq!(read(file), number.to_string());
            }
        }
        for gone in [1, 2, 3] {
            write(&files[gone].1, "still");
            assert_eq!(read(&files[gone].1), "still");
            assert_eq!(patiently(|| wait(files[gone].1.attr())).nlink, 0);
        }
        drop(files);
        while place.descriptors.census().open > 0 {
            std::thread::yield_now();
        }
        assert!(place.descriptors.keeps_nothing());
    }
}

#[test]
fn a_name_that_changes_hands_while_it_is_removed_loses_nothing() {
    for place in places() {
        let crowd = place.crowd();
        for round in 0..30 {
            let files = ["one", "other"].map(|text| {
                let (_, file) = place.create(text);
                write(&file, text);
                file
            });
            for (_, file) in crowd.iter().skip(round % 4 * 60).take(60) {
                read(file);
            }
            std::thread::scope(|scope| {
                scope.spawn(|| place.rename("other", "one"));
                scope.spawn(|| patiently(|| place.remove("one")));
            });
            assert_eq!(files.each_ref().map(read), ["one", "other"], "{round}");
            drop(files);
            let _ = place.remove("one");
        }
    }
}

#[test]
fn what_has_no_name_is_not_closed_and_fills_its_part_only() {
    for place in places() {
        let files = place.crowd();
        let mut removed = 0;
        for number in 0..MANY {
            match place.remove(&format!("file-{number}")) {
                Ok(()) => removed += 1,
                Err(error) => assert_eq!(error, VfsError::TryLater),
            }
        }
        assert!((8..MANY / 2).contains(&removed), "{removed}");
        assert!(place.opened() < LIMIT);
        // Others are served all the same.
        for number in 0..MANY {
            let found = place.lookup(&format!("file-{number}"));
            assert!(
                matches!(found, Ok(_) | Err(VfsError::NotFound)),
                "{found:?}"
            );
        }
        assert_eq!(place.try_create("new").map(drop), Err(VfsError::TryLater));
        drop(files);
        while place.descriptors.census().open > 0 {
            std::thread::yield_now();
        }
        place.create("new");
    }
}

#[test]
fn an_error_of_unsynced_data_reaches_who_commits() {
    let [place, _] = places();
    assert!(
        place.local.core.durable,
        "this test needs a directory on a disk"
    );
    let files = place.crowd();
    for (handle, file) in &files {
        // What was closed was synced before; what was not synced is open.
        let closed = place.descriptors.closed.lock();
        let open = file.find::<Open>().unwrap();
        let is_closed = closed.has(open.id());
        assert!(!is_closed || !open.descriptor.is_unsynced());
        drop(closed);
        place.local.core.lose(handle);
    }
    for (_, file) in &files {
        let done = loop {
            match wait(file.commit(0, 0)) {
                Err(VfsError::TryLater) => std::thread::yield_now(),
                done => break done,
            }
        };
        assert_eq!(done, Err(VfsError::Io));
    }
}

#[test]
fn what_others_remove_while_it_is_closed_is_stale() {
    for place in places() {
        let files = place.crowd();
        std::fs::remove_file(place.dir.path().join("file-0")).unwrap();
        // Its number may be another file's now.
        let (_, new) = place.create("new");
        write(&new, "new");
        for (_, file) in &files[1..] {
            read(file);
        }
        patiently(|| place.remove("new"));
        let found = loop {
            match try_read(&files[0].1) {
                Err(VfsError::TryLater) => std::thread::yield_now(),
                found => break found,
            }
        };
        assert!(
            matches!(&found, Err(VfsError::Stale)) || found.as_deref() == Ok("0"),
            "{found:?}"
        );
    }
}

#[test]
fn what_cannot_be_opened_again_stays_open_and_new_opens_wait() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let place = place(dir, true);
    let mut files = Vec::new();
    let refused = loop {
        match place.try_create(&format!("file-{}", files.len())) {
            Ok((_, file)) => files.push(file),
            Err(error) => break error,
        }
        assert!(files.len() < LIMIT);
    };
    assert_eq!(refused, VfsError::TryLater);
    for (number, file) in files.iter().enumerate() {
        write(file, &number.to_string());
        assert_eq!(read(file), number.to_string());
        place.lookup(&format!("file-{number}")).unwrap();
    }
    files.pop();
    place.create("one-more");
}

#[test]
fn directories_share_what_is_for_objects() {
    let descriptors = Arc::new(Descriptors::new(400));
    let one = Part::of(&descriptors);
    assert_eq!(one.size(), 100);
    let other = Part::of(&descriptors);
    assert_eq!((one.size(), other.size()), (50, 50));
    drop(one);
    assert_eq!(other.size(), 100);
}
