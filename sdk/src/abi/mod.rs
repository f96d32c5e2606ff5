//! The border itself: the only place that names `abi_stable`.

pub mod export;
pub(crate) mod load;

pub(crate) use abi_stable::std_types::RVec;

/// Bytes that either side may grow and free.
pub(crate) type ByteVec = RVec<u8>;
