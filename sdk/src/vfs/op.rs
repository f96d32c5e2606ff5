//! An operation's answer: ready now, or later.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{VfsError, VfsResult};

/// The answer to a file-system call. Awaiting a [`Op::Ready`] costs nothing and never
/// suspends, so that a protocol answers hot requests on the thread that received them.
#[must_use = "an operation that is not awaited may not have run"]
pub enum Op<T> {
    /// The backend had the answer without blocking.
    Ready(VfsResult<T>),
    /// The backend may have to wait. Dropping the future does not undo the operation.
    Later(Pin<Box<dyn Future<Output = VfsResult<T>> + Send>>),
}

impl<T> Op<T> {
    /// An answer known now.
    pub fn ok(value: T) -> Self {
        Self::Ready(Ok(value))
    }

    /// A refusal known now.
    pub fn err(error: VfsError) -> Self {
        Self::Ready(Err(error))
    }

    /// An answer that a future will give.
    pub fn later(future: impl Future<Output = VfsResult<T>> + Send + 'static) -> Self {
        Self::Later(Box::pin(future))
    }
}

impl<T> From<VfsResult<T>> for Op<T> {
    fn from(result: VfsResult<T>) -> Self {
        Self::Ready(result)
    }
}

// Nothing in an `Op` is pinned in place: `Later` boxes its future.
impl<T> Unpin for Op<T> {}

impl<T> Future for Op<T> {
    type Output = VfsResult<T>;

    /// Polling again after completion answers [`VfsError::Io`].
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Ready(result) => Poll::Ready(std::mem::replace(result, Err(VfsError::Io))),
            Self::Later(future) => future.as_mut().poll(cx),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Op<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(result) => f.debug_tuple("Ready").field(result).finish(),
            Self::Later(_) => f.write_str("Later(..)"),
        }
    }
}
