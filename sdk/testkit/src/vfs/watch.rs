//! Watches: who is told of what, and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use dittofs_sdk::vfs::{
    Buffer, Capabilities, CreateHow, File, FileSystem, Handle, Node, OpenAccess, Reaction, SetAttr,
    Stability, Touch, VfsError, VfsResult, Watch, Watcher,
};

use super::{Fixture, name, read, refused, wait, with_mode, write};

/// Notes what it is told of, and has others wait or not.
pub struct Noting {
    told: AtomicU32,
    reaction: Reaction,
}

impl Noting {
    /// One that lets others proceed, or delays them.
    pub fn new(reaction: Reaction) -> Arc<Self> {
        Arc::new(Self {
            told: AtomicU32::new(0),
            reaction,
        })
    }

    /// What it was told of since this was last asked.
    pub fn told(&self) -> Touch {
        Touch(self.told.swap(0, Ordering::SeqCst))
    }
}

impl Watcher for Noting {
    fn touched(&self, touch: Touch) -> Reaction {
        self.told.fetch_or(touch.0, Ordering::SeqCst);
        self.reaction
    }
}

fn watch(
    fs: &Arc<dyn FileSystem>,
    file: &Handle,
    interest: Touch,
    watcher: &Arc<Noting>,
) -> VfsResult<Box<dyn Watch>> {
    wait(fs.watch(file, interest, watcher.clone()))
}

fn watches(fixture: &Fixture) -> bool {
    let capabilities = fixture.fs.info().capabilities;
    fixture.others.is_some() || capabilities.contains(Capabilities::WATCH)
}

/// Files only, and files that there are.
pub fn a_watch_is_for_files(fixture: &Fixture) {
    if !watches(fixture) {
        return;
    }
    let noting = Noting::new(Reaction::Proceed);
    let watch = |object: &Handle| watch(&fixture.fs, object, Touch::ANY, &noting).map(drop);
    let dir = fixture.dir(&fixture.root(), "dir", 0o755);
    refused(watch(&dir), VfsError::IsDir);
    let file = fixture.file(&dir, "file", b"").handle;
    assert_eq!(watch(&file), Ok(()));
    fixture.remove(&fixture.owner, &dir, "file").unwrap();
    refused(watch(&file), VfsError::Stale);
}

/// Whoever watches knows what it does itself.
pub fn own_accesses_are_not_told(fixture: &Fixture) {
    if !watches(fixture) {
        return;
    }
    let root = fixture.root();
    let node = fixture.file(&root, "file", b"before");
    let noting = Noting::new(Reaction::Delay);
    let watch = watch(&fixture.fs, &node.handle, Touch::ANY, &noting).unwrap();
    let file = fixture
        .open(&fixture.owner, &node.handle, OpenAccess::Both)
        .unwrap();
    write(&file, 0, b"after!");
    assert_eq!(read(&file, 0, 6).0, b"after!");
    wait(file.truncate(3)).unwrap();
    wait(file.commit(0, 0)).unwrap();
    fixture
        .set(&fixture.owner, &node.handle, with_mode(0o600))
        .unwrap();
    fixture
        .link(&fixture.owner, &node.handle, &root, "second")
        .unwrap();
    fixture.rename((&root, "second"), (&root, "third")).unwrap();
    fixture.remove(&fixture.owner, &root, "third").unwrap();
    drop(file);
    assert_eq!(noting.told(), Touch::default());
    assert!(watch.is_untouched());
}

/// What is done, what it does to the file, and how it is done.
type Access<'a> = (&'static str, Touch, Box<dyn Fn() -> VfsResult<()> + 'a>);

/// All that others can do to the file `node`, called `file`, in an order in which it can be done.
fn accesses<'a>(
    fixture: &'a Fixture,
    others: &'a dyn FileSystem,
    node: &'a Node,
) -> Vec<Access<'a>> {
    let (root, cred, file) = (fixture.root(), &fixture.owner, &node.handle);
    let open = wait(others.open(cred, file, OpenAccess::Both)).unwrap();
    let [reader, writer, cutter] = [(); 3].map(|()| Arc::clone(&open));
    let reopen = move |access| wait(others.open(cred, file, access)).map(drop);
    let rename =
        move |from, to| wait(others.rename(cred, &root, name(from), &root, name(to))).map(drop);
    let create = move || {
        let (how, attr) = (CreateHow::Unchecked, SetAttr::default());
        wait(others.create(cred, &root, name("file"), how, &attr, OpenAccess::Write)).map(drop)
    };
    let write = move || {
        let data = Bytes::from_static(b"x");
        wait(writer.write(0, data, Stability::Unstable)).map(drop)
    };
    let read = move || wait(reader.read(0, 1, Buffer::default())).map(drop);
    let cut = move || wait(cutter.truncate(1)).map(drop);
    let set_mode = move || wait(others.set_attr(cred, file, &with_mode(0o640))).map(drop);
    let link = move || wait(others.link(cred, file, &root, name("link"))).map(drop);
    let remove = move || wait(others.remove(cred, &root, name("moved"))).map(drop);
    vec![
        ("read", Touch::READ, Box::new(read)),
        ("write", Touch::WRITE, Box::new(write)),
        ("truncate", Touch::WRITE, Box::new(cut)),
        (
            "open",
            Touch::READ,
            Box::new(move || reopen(OpenAccess::Read)),
        ),
        (
            "open to write",
            Touch::WRITE,
            Box::new(move || reopen(OpenAccess::Write)),
        ),
        ("create what is there", Touch::WRITE, Box::new(create)),
        ("set a mode", Touch::META, Box::new(set_mode)),
        ("link", Touch::META, Box::new(link)),
        (
            "rename",
            Touch::META,
            Box::new(move || rename("link", "moved")),
        ),
        ("remove", Touch::META, Box::new(remove)),
        (
            "replace",
            Touch::META,
            Box::new(move || rename("victim", "file")),
        ),
    ]
}

/// What is done through another view of the same files is told, and waits for as long as the
/// watch is in force if the watcher wants that.
pub fn others_are_told_and_wait(fixture: &Fixture) {
    let Some(others) = &fixture.others else {
        return;
    };
    let node = fixture.file(&fixture.root(), "file", b"content");
    fixture.file(&fixture.root(), "victim", b"");
    for (what, touch, access) in accesses(fixture, &**others, &node) {
        let noting = Noting::new(Reaction::Delay);
        let rest = Touch(Touch::ANY.0 & !touch.0);
        let indifferent = watch(&fixture.fs, &node.handle, rest, &noting).unwrap();
        let put = watch(&fixture.fs, &node.handle, touch, &noting).unwrap();
        assert!(put.is_untouched());
        assert_eq!(access(), Err(VfsError::TryLater), "{what}");
        assert_eq!(noting.told(), touch, "{what}");
        assert!(!put.is_untouched() && indifferent.is_untouched(), "{what}");
        assert_eq!(access(), Err(VfsError::TryLater), "{what}");
        drop(put);
        assert_eq!(access(), Ok(()), "{what}");
        assert!(indifferent.is_untouched(), "{what}");
    }
}

/// A watcher that lets others proceed is told all the same.
pub fn others_proceed_if_the_watcher_says_so(fixture: &Fixture) {
    let Some(others) = &fixture.others else {
        return;
    };
    let node = fixture.file(&fixture.root(), "file", b"content");
    let noting = Noting::new(Reaction::Proceed);
    let put = watch(&fixture.fs, &node.handle, Touch::CHANGE, &noting).unwrap();
    let open: Arc<dyn File> =
        wait(others.open(&fixture.owner, &node.handle, OpenAccess::Both)).unwrap();
    assert_eq!(noting.told(), Touch::WRITE);
    write(&open, 0, b"changed");
    assert_eq!(noting.told(), Touch::WRITE);
    assert_eq!(read(&open, 0, 7).0, b"changed");
    assert_eq!(noting.told(), Touch::default(), "nobody asked for reads");
    drop(put);
    write(&open, 0, b"again");
    assert_eq!(noting.told(), Touch::default(), "the watch is over");
}
