//! The verifier of an exclusive create, kept in the new file's times until they are first set.
//!
//! As knfsd does (RFC 8881 §18.16.3): 31 bits of each half become the seconds of atime and mtime.
//! The two bits left over and a mark that no clock shows by accident go into the nanoseconds, so
//! that times which a client set are not taken for a verifier. A file system that keeps whole
//! seconds only loses the mark; there the seconds decide.

use std::os::fd::BorrowedFd;

use dittofs_sdk::vfs::{Attr, Kind, Time, VfsResult};
use rustix::fs::{Timespec, Timestamps};

use super::errno;

const MARK: u32 = 0x0d17_70f4;
const LOW: u32 = 0x7fff_ffff;

/// Writes the verifier into the times of a file just created.
pub(super) fn remember(file: BorrowedFd<'_>, verifier: [u8; 8]) -> VfsResult<()> {
    let [atime, mtime] = times(verifier);
    let spec = |time: Time| Timespec {
        tv_sec: time.sec,
        tv_nsec: time.nsec.into(),
    };
    let times = Timestamps {
        last_access: spec(atime),
        last_modification: spec(mtime),
    };
    rustix::fs::futimens(file, &times).map_err(errno::vfs)
}

/// Whether this is a file created with this verifier, and untouched since.
pub(super) fn matches(attr: &Attr, verifier: [u8; 8]) -> bool {
    let same = |kept: Time, asked: Time| {
        kept.sec == asked.sec && (kept.nsec == asked.nsec || kept.nsec == 0)
    };
    let [atime, mtime] = times(verifier);
    attr.kind == Kind::File && same(attr.atime, atime) && same(attr.mtime, mtime)
}

fn times(verifier: [u8; 8]) -> [Time; 2] {
    let verifier = u64::from_be_bytes(verifier);
    [(verifier >> 32) as u32, verifier as u32].map(|half| Time {
        sec: i64::from(half & LOW),
        nsec: MARK + (half >> 31),
    })
}
