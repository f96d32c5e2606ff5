//! Calls to the `local` backend as an adapter makes them: through the border and a view.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use dittofs_host::vfs::local::{self, Options};
use dittofs_host::vfs::views::View;
use dittofs_sdk::private::across;
use dittofs_sdk::vfs::{
    Access, Buffer, CreateHow, Cred, File, FileSystem, Handle, Name, OpenAccess, ReadDirLimit,
    SetAttr, Stability, VfsError, VfsResult,
};
use dittofs_testkit::vfs::wait;

/// Bytes of a small read or write.
const PIECE: usize = 4096;
/// Entries of the directory that names are looked up in and that is listed.
const ENTRIES: usize = 1000;

/// A directory with files, served.
pub struct Tree {
    _dir: tempfile::TempDir,
    fs: Arc<dyn FileSystem>,
    dir: Handle,
    file: Handle,
    open: Arc<dyn File>,
    cred: Cred,
    next: AtomicU64,
}

/// What is measured: a name, and one run.
pub type Operation = (&'static str, fn(&Tree) -> VfsResult<()>);

/// All of them.
pub const OPERATIONS: &[Operation] = &[
    ("attr", Tree::attr),
    ("lookup", Tree::lookup),
    ("lookup of nothing", Tree::lookup_nothing),
    ("access", Tree::access),
    ("open, close", Tree::open_close),
    ("create, close, remove", Tree::create_remove),
    ("16 x create", Tree::create_many),
    ("read 4 KiB", Tree::read),
    ("write 4 KiB", Tree::write),
    ("write 4 KiB for good", Tree::write_sync),
    ("list 1,000", Tree::list),
];

impl Tree {
    /// A tree below `at`, all of it `cred`'s, who is also the caller.
    pub fn new(at: &Path, cred: Cred) -> std::io::Result<Self> {
        let dir = tempfile::tempdir_in(at)?;
        let sub = dir.path().join("sub");
        std::fs::create_dir(&sub)?;
        for number in 0..ENTRIES {
            std::fs::write(sub.join(format!("file-{number:04}")), [7; PIECE])?;
        }
        let own = |path: &Path| std::os::unix::fs::chown(path, Some(cred.uid), Some(cred.gid));
        own(&sub)?;
        std::fs::read_dir(&sub)?.try_for_each(|entry| own(&entry?.path()))?;
        let options = Options {
            handle_key: Some([7; 32]),
            ..Options::default()
        };
        let fs = local::open(dir.path(), &options).map_err(std::io::Error::other)?;
        let view = Arc::new(View::new(fs, &Arc::default()));
        Self::served(dir, view, cred).map_err(std::io::Error::other)
    }

    fn served(dir: tempfile::TempDir, view: Arc<View>, cred: Cred) -> VfsResult<Self> {
        let fs = across(view)?;
        let sub = wait(fs.lookup(&cred, &fs.root(), name("sub")?))?.handle;
        let file = wait(fs.lookup(&cred, &sub, name("file-0500")?))?.handle;
        let open = wait(fs.open(&cred, &file, OpenAccess::Both))?;
        Ok(Self {
            _dir: dir,
            dir: sub,
            file,
            open,
            fs,
            cred,
            next: AtomicU64::new(0),
        })
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn attr(&self) -> VfsResult<()> {
        wait(self.fs.attr(&self.file)).map(drop)
    }

    fn lookup(&self) -> VfsResult<()> {
        let text = format!("file-{:04}", self.number() % ENTRIES as u64);
        wait(self.fs.lookup(&self.cred, &self.dir, name(&text)?)).map(drop)
    }

    fn lookup_nothing(&self) -> VfsResult<()> {
        match wait(self.fs.lookup(&self.cred, &self.dir, name("absent")?)) {
            Err(VfsError::NotFound) => Ok(()),
            _ => Err(VfsError::Io),
        }
    }

    fn access(&self) -> VfsResult<()> {
        let wanted = Access::READ | Access::MODIFY | Access::EXTEND | Access::EXECUTE;
        wait(self.fs.access(&self.cred, &self.file, wanted)).map(drop)
    }

    fn open_close(&self) -> VfsResult<()> {
        wait(self.fs.open(&self.cred, &self.file, OpenAccess::Both)).map(drop)
    }

    fn create_remove(&self) -> VfsResult<()> {
        let text = format!("new-{}", self.number());
        let (how, attr) = (CreateHow::Guarded, SetAttr::default());
        let name = name(&text)?;
        let made = self
            .fs
            .create(&self.cred, &self.dir, name, how, &attr, OpenAccess::Both);
        drop(wait(made)?);
        wait(self.fs.remove(&self.cred, &self.dir, name)).map(drop)
    }

    /// As many clients do at the same time.
    fn create_many(&self) -> VfsResult<()> {
        let attr = SetAttr::default();
        let names: Vec<String> = (0..16).map(|_| format!("new-{}", self.number())).collect();
        let create = |text: &String| {
            let how = CreateHow::Guarded;
            let fs = &self.fs;
            Ok(fs.create(
                &self.cred,
                &self.dir,
                name(text)?,
                how,
                &attr,
                OpenAccess::Both,
            ))
        };
        let begun: Vec<_> = names.iter().map(create).collect::<VfsResult<_>>()?;
        begun.into_iter().try_for_each(|op| wait(op).map(drop))?;
        names
            .iter()
            .try_for_each(|text| wait(self.fs.remove(&self.cred, &self.dir, name(text)?)).map(drop))
    }

    fn read(&self) -> VfsResult<()> {
        let into = Buffer::with_capacity(PIECE);
        wait(self.open.read(0, PIECE as u32, into)).map(drop)
    }

    fn write(&self) -> VfsResult<()> {
        let data = Bytes::from_static(&[9; PIECE]);
        wait(self.open.write(0, data, Stability::Unstable)).map(drop)
    }

    fn write_sync(&self) -> VfsResult<()> {
        let data = Bytes::from_static(&[9; PIECE]);
        wait(self.open.write(0, data, Stability::File)).map(drop)
    }

    fn list(&self) -> VfsResult<()> {
        let limit = ReadDirLimit {
            entries: 2000,
            attrs: true,
        };
        let listing = wait(self.fs.read_dir(&self.cred, &self.dir, 0, limit))?;
        let all = listing
            .iter()
            .filter(|entry| matches!(entry.node(), Ok(Some(_))));
        if listing.eof() && all.count() >= ENTRIES {
            Ok(())
        } else {
            Err(VfsError::Io)
        }
    }
}

fn name(text: &str) -> VfsResult<Name<'_>> {
    Name::new(text.as_bytes()).map_err(|_| VfsError::BadName)
}
