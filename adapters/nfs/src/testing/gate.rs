//! Files whose data are written when the test lets them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use dittofs_sdk::vfs::{Attr, Buffer, File, Op, ReadOk, Stability, VfsError, Written};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// How many writes may pass, and what becomes of those that do.
pub(crate) struct Gate {
    passes: Semaphore,
    waiting: AtomicUsize,
    failure: Mutex<Option<VfsError>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            passes: Semaphore::new(Semaphore::MAX_PERMITS),
            waiting: AtomicUsize::new(0),
            failure: Mutex::default(),
        }
    }
}

impl Gate {
    /// Lets only this many more writes pass.
    pub(crate) fn allow_only(&self, writes: usize) {
        self.passes.forget_permits(Semaphore::MAX_PERMITS);
        self.allow(writes);
    }

    /// Lets so many more pass.
    pub(crate) fn allow(&self, writes: usize) {
        self.passes.add_permits(writes);
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Those that pass fail from now on.
    pub(crate) fn fail(&self, error: VfsError) {
        *self.failure.lock() = Some(error);
    }

    /// The file behind this gate.
    pub(crate) fn guard(self: &Arc<Self>, inner: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(Gated {
            inner,
            gate: Arc::clone(self),
        })
    }

    async fn pass(&self) -> Result<(), VfsError> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.passes.acquire().await.unwrap().forget();
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        self.failure.lock().map_or(Ok(()), Err)
    }
}

struct Gated {
    inner: Arc<dyn File>,
    gate: Arc<Gate>,
}

impl File for Gated {
    fn attr(&self) -> Op<Attr> {
        self.inner.attr()
    }

    fn read(&self, offset: u64, count: u32, into: Buffer) -> Op<ReadOk> {
        self.inner.read(offset, count, into)
    }

    fn write(&self, offset: u64, data: Bytes, how: Stability) -> Op<Written> {
        let (inner, gate) = (Arc::clone(&self.inner), Arc::clone(&self.gate));
        Op::later(async move {
            gate.pass().await?;
            inner.write(offset, data, how).await
        })
    }

    fn commit(&self, offset: u64, count: u64) -> Op<()> {
        self.inner.commit(offset, count)
    }

    fn truncate(&self, size: u64) -> Op<Attr> {
        self.inner.truncate(size)
    }
}
