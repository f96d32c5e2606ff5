//! Limits of users and groups, as the file system keeps them.
//!
//! A file counts for its owner and for its group. The kernel tells an ordinary user nothing but
//! its own limits, which are those of all that its server makes.

use std::os::fd::{AsFd, BorrowedFd};

use dittofs_sdk::vfs::{Capabilities, Quota, VfsResult};
use rustix::io::Errno;

use super::cache::Object;
use super::core::Core;
use super::sys::{self, QuotaOf, RawQuota};

/// Whether the file system of `dir` keeps limits that we may know.
pub(super) fn probe(dir: BorrowedFd<'_>) -> bool {
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    [QuotaOf::User(uid), QuotaOf::Group(gid)]
        .into_iter()
        .any(|of| {
            // A user whom no limit was ever set for is unknown to a quota that is on.
            matches!(sys::get_quota(dir, of), Ok(_) | Err(Errno::NOENT))
        })
}

impl Core {
    /// The narrowest of the owner's limit, the group's and the space of the file system.
    pub(super) fn quota(&self, object: &Object) -> VfsResult<Quota> {
        let space = Quota::from(self.stat_fs()?);
        if !self.keeps.contains(Capabilities::QUOTA) {
            return Ok(space);
        }
        let attr = self.attr(object)?;
        let limits = [QuotaOf::User(attr.uid), QuotaOf::Group(attr.gid)]
            .into_iter()
            .filter_map(|of| sys::get_quota(object.as_fd(), of).ok())
            .filter_map(limit);
        Ok(limits.fold(space, |narrowest, limit| {
            let hard = Quota {
                avail_hard: limit.avail_hard.min(space.avail_hard),
                avail_soft: limit.avail_soft.min(space.avail_soft),
                ..limit
            };
            narrowest.narrower(hard)
        }))
    }
}

/// What is left, if there is a limit at all.
fn limit(raw: RawQuota) -> Option<Quota> {
    let hard = if raw.hard == 0 { u64::MAX } else { raw.hard };
    let soft = if raw.soft == 0 { hard } else { raw.soft };
    (hard.min(soft) != u64::MAX).then(|| Quota {
        avail_hard: hard.saturating_sub(raw.used),
        avail_soft: soft.min(hard).saturating_sub(raw.used),
        used: raw.used,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_what_is_left_of_it() {
        let raw = |hard, soft, used| RawQuota { hard, soft, used };
        let left = |hard, soft, used| limit(raw(hard, soft, used));
        assert_eq!(left(0, 0, 5), None);
        let quota = |avail_hard, avail_soft, used| {
            Some(Quota {
                avail_hard,
                avail_soft,
                used,
            })
        };
        assert_eq!(left(100, 0, 30), quota(70, 70, 30));
        assert_eq!(left(100, 40, 30), quota(70, 10, 30));
        assert_eq!(left(100, 40, 130), quota(0, 0, 130));
        assert_eq!(left(0, 40, 30), quota(u64::MAX - 30, 10, 30));
    }
}
