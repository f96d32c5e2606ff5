//! What may be used at most, and what is used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dittofs_sdk::vfs::{VfsError, VfsResult};

/// A limit and the amount in use.
#[derive(Debug)]
pub(crate) struct Quota {
    limit: u64,
    used: AtomicU64,
}

impl Quota {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicU64::new(0),
        })
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) fn free(&self) -> u64 {
        self.limit.saturating_sub(self.used.load(Ordering::Relaxed))
    }

    fn take(&self, amount: u64) -> VfsResult<()> {
        let fits = |used: u64| used.checked_add(amount).filter(|sum| *sum <= self.limit);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .map(drop)
            .map_err(|_| VfsError::NoSpace)
    }
}

/// An amount taken from a quota, given back when dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    quota: Arc<Quota>,
    amount: u64,
}

impl Charge {
    pub(crate) fn take(quota: &Arc<Quota>, amount: u64) -> VfsResult<Self> {
        quota.take(amount)?;
        Ok(Self {
            quota: Arc::clone(quota),
            amount,
        })
    }

    pub(crate) fn amount(&self) -> u64 {
        self.amount
    }

    pub(crate) fn grow(&mut self, by: u64) -> VfsResult<()> {
        self.quota.take(by)?;
        self.amount += by;
        Ok(())
    }

    pub(crate) fn shrink(&mut self, by: u64) {
        let by = by.min(self.amount);
        self.amount -= by;
        self.quota.used.fetch_sub(by, Ordering::Relaxed);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.shrink(self.amount);
    }
}
