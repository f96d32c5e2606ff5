//! Attributes as they were seen lately, told again.
//!
//! Only where the operator allows it, and for as long: another program's change is told so much
//! later, to within a tick of the kernel's clock. A change of our own is told at once
//! ([`Changes::mark`](super::change::Changes::mark)). Permissions are never judged by them. Reading moves the access time without being
//! a change.

use std::time::Duration;

use dittofs_sdk::vfs::{Attr, VfsResult};
use parking_lot::Mutex;
use rustix::fs::Statx;
use rustix::time::ClockId;

use super::cache::Object;
use super::core::Core;

/// What an object looked like.
#[derive(Default)]
pub(super) struct Seen(Mutex<Option<Box<Look>>>);

struct Look {
    attr: Attr,
    mark: u64,
    /// When it began.
    at: Duration,
}

/// How long what was seen may be told.
#[derive(Clone, Copy)]
pub(super) struct Bound(Option<Duration>);

/// When something is told, where it may have been seen before.
#[derive(Clone, Copy)]
pub(super) struct Moment(Option<Duration>);

impl Bound {
    pub(super) fn new(bound: Duration) -> Self {
        Self((!bound.is_zero()).then_some(bound))
    }

    /// Now.
    pub(super) fn moment(self) -> Moment {
        Moment(self.0.map(|_| now()))
    }
}

/// Of a clock that costs next to nothing and is not set.
fn now() -> Duration {
    let now = rustix::time::clock_gettime(ClockId::MonotonicCoarse);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}

impl Look {
    fn is_good(&self, mark: u64, since: Duration) -> bool {
        self.mark == mark && self.at > since
    }
}

impl Core {
    /// The attributes of an object that was found to look like this just now. What was seen before and
    /// differs is not told any more: counters don't go back.
    pub(super) fn attr_of(&self, object: &Object, stat: &Statx) -> VfsResult<Attr> {
        let attr = self.attr_from(stat)?;
        if let Bound(Some(_)) = self.bound {
            let mut seen = object.seen.0.lock();
            if seen
                .as_ref()
                .is_some_and(|look| look.attr.change != attr.change)
            {
                *seen = None;
            }
        }
        Ok(attr)
    }

    /// The attributes of an object, at this moment or as little before as the operator allows.
    pub(super) fn recent_attr(&self, object: &Object, moment: Moment) -> VfsResult<Attr> {
        self.with_recent_attr(object, moment, |attr| *attr)
    }

    /// As [`recent_attr`](Self::recent_attr), for what would only be copied.
    pub(super) fn with_recent_attr<T>(
        &self,
        object: &Object,
        moment: Moment,
        tell: impl FnOnce(&Attr) -> T,
    ) -> VfsResult<T> {
        let (Bound(Some(bound)), Moment(Some(now))) = (self.bound, moment) else {
            return Ok(tell(&self.attr(object)?));
        };
        // Asked before the look: a change that ends meanwhile makes it void.
        let mark = self.changes.mark(object.fileid);
        if let Some(look) = &*object.seen.0.lock()
            && look.is_good(mark, now.saturating_sub(bound))
        {
            return Ok(tell(&look.attr));
        }
        let attr = self.attr(object)?;
        // Of what has no name anybody may be the last to know it.
        let look = (attr.nlink > 0).then_some(Look {
            attr,
            mark,
            at: now,
        });
        *object.seen.0.lock() = look.map(Box::new);
        Ok(tell(&attr))
    }
}
