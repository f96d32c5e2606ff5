//! Others who use a delegated file without asking this server: another protocol, another share of
//! the same files, a program on the server's machine. The file system tells of them.
//!
//! A delegation is granted under a watch that was in force before. Whoever comes through the host has to
//! wait until the delegation is given back; what a program does is done when it is told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use dittofs_sdk::vfs::{
    Advice, Attr, Buffer, Extent, File, Op, Reaction, ReadOk, Stability, Touch, VfsError,
    VfsResult, Watch, Watcher, Written,
};
use tokio::runtime::Handle;

use super::changed_elsewhere;
use crate::exports::{FileKey, ShareObject};
use crate::server::Server;
use crate::state::files::DelegationKind;

/// Watches a file that is about to be delegated. None if its file system can't tell of anybody:
/// then delegations rely on there being nobody else.
pub(super) async fn watch(
    server: &Arc<Server>,
    object: &ShareObject,
    kind: DelegationKind,
) -> VfsResult<Option<Guarded>> {
    let key = object.key();
    let recaller = Arc::new(Recaller {
        server: Arc::downgrade(server),
        runtime: Handle::current(),
        key,
        told: AtomicBool::new(false),
    });
    let interest = match kind {
        DelegationKind::Read => Touch::CHANGE,
        DelegationKind::Write => Touch::ANY,
    };
    let watch = object.share.fs.watch(&object.handle, interest, recaller);
    match watch.await {
        Ok(watch) => Ok(Some(Guarded {
            watch: Arc::from(watch),
        })),
        Err(VfsError::NotSupported) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A watch in force.
pub(super) struct Guarded {
    watch: Arc<dyn Watch>,
}

impl Guarded {
    /// Whether nobody else has used the file since.
    pub(super) fn is_untouched(&self) -> bool {
        self.watch.is_untouched()
    }

    /// The file, watched for as long as the delegation has it open.
    pub(super) fn keep(&self, file: &Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(WatchedFile {
            file: Arc::clone(file),
            _watch: Arc::clone(&self.watch),
        })
    }
}

/// Has delegations of the file recalled when others use it.
struct Recaller {
    server: Weak<Server>,
    /// The adapter's own: whoever tells has none, or another.
    runtime: Handle,
    key: FileKey,
    /// A recall once begun goes on by itself.
    told: AtomicBool,
}

impl Watcher for Recaller {
    fn touched(&self, _: Touch) -> Reaction {
        if !self.told.swap(true, Ordering::Relaxed)
            && let Some(server) = self.server.upgrade()
        {
            let key = self.key;
            self.runtime
                .spawn(async move { changed_elsewhere(&server, key) });
        }
        Reaction::Delay
    }
}

/// A delegated file. What is done under the delegation is done through it.
struct WatchedFile {
    file: Arc<dyn File>,
    /// Ends with the delegation, after the state's locks are released, as the file does.
    _watch: Arc<dyn Watch>,
}

impl File for WatchedFile {
    fn attr(&self) -> Op<Attr> {
        self.file.attr()
    }

    fn read(&self, offset: u64, count: u32, into: Buffer) -> Op<ReadOk> {
        self.file.read(offset, count, into)
    }

    fn write(&self, offset: u64, data: Bytes, how: Stability) -> Op<Written> {
        self.file.write(offset, data, how)
    }

    fn commit(&self, offset: u64, count: u64) -> Op<()> {
        self.file.commit(offset, count)
    }

    fn truncate(&self, size: u64) -> Op<Attr> {
        self.file.truncate(size)
    }

    fn extent(&self, offset: u64, until: u64) -> Op<Option<Extent>> {
        self.file.extent(offset, until)
    }

    fn allocate(&self, offset: u64, count: u64) -> Op<()> {
        self.file.allocate(offset, count)
    }

    fn deallocate(&self, offset: u64, count: u64) -> Op<()> {
        self.file.deallocate(offset, count)
    }

    fn clone_range(&self, source: &dyn File, from: u64, to: u64, count: u64) -> Op<()> {
        self.file.clone_range(source, from, to, count)
    }

    fn copy_range(&self, source: &dyn File, from: u64, to: u64, count: u64) -> Op<u64> {
        self.file.copy_range(source, from, to, count)
    }

    fn advise(&self, offset: u64, count: u64, advice: Advice) -> Op<()> {
        self.file.advise(offset, count, advice)
    }

    fn behind(&self) -> Option<&dyn File> {
        Some(&*self.file)
    }
}
