//! Answers across the border: ready without an allocation, or a future.

use abi_stable::StableAbi;
use abi_stable::std_types::{RErr, ROk, RResult};
use async_ffi::{FfiFuture, FutureExt};

use super::guard::{Guarded, guard};
use super::value::{error_code, error_of};
use crate::vfs::{Op, VfsError, VfsResult};

/// A value that crosses the border in another form.
pub(super) trait Wire: Sized + Send + 'static {
    /// Its form there.
    type Form: Send + 'static;
    /// Into that form.
    fn into_wire(self) -> Self::Form;
    /// Out of that form; [`VfsError::Io`] if the other side's form says nothing here.
    fn from_wire(form: Self::Form) -> VfsResult<Self>;
}

/// The answer to a file-system call. Both variants are frozen.
#[repr(C, u8)]
#[derive(StableAbi)]
pub(super) enum WireOp<T> {
    Ready(RResult<T, u32>),
    Later(FfiFuture<RResult<T, u32>>),
}

/// Runs one call of this side's backend for the other side.
#[inline]
pub(super) fn answer<T: Wire>(call: impl FnOnce() -> VfsResult<Op<T>>) -> WireOp<T::Form> {
    match guard(|| call().unwrap_or_else(Op::err), |_| Op::err(VfsError::Io)) {
        Op::Ready(result) => WireOp::Ready(result_out(result)),
        Op::Later(future) => {
            let future = Guarded::new(async move { result_out(future.await) }, |_| {
                RErr(error_code(VfsError::Io))
            });
            WireOp::Later(future.into_ffi())
        }
    }
}

/// The other side's answer, on this side.
#[inline]
pub(super) fn accept<T: Wire>(answer: WireOp<T::Form>) -> Op<T> {
    match answer {
        WireOp::Ready(result) => Op::Ready(result_in(result)),
        WireOp::Later(future) => Op::later(async move { result_in(future.await) }),
    }
}

/// What a function answers that the other side, being older, does not have.
pub(super) fn missing<T>() -> WireOp<T> {
    WireOp::Ready(RErr(error_code(VfsError::NotSupported)))
}

#[inline]
fn result_out<T: Wire>(result: VfsResult<T>) -> RResult<T::Form, u32> {
    match result {
        Ok(value) => ROk(value.into_wire()),
        Err(error) => RErr(error_code(error)),
    }
}

#[inline]
fn result_in<T: Wire>(result: RResult<T::Form, u32>) -> VfsResult<T> {
    match result {
        ROk(form) => T::from_wire(form),
        RErr(code) => Err(error_of(code)),
    }
}
