//! Stateids: what a client shows to use its opens and locks.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-8.2>

use std::cmp::Ordering;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::status::Status;
use crate::types::{ClientId, StateId};

/// Names one open or one lock owner's locks of a file. The low bits tell the shard of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id(pub(super) u64);

/// Number of shards; a power of two.
pub(super) const SHARDS: usize = 64;

/// Who shows a stateid. The minor versions have different errors for one that is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// 4.0: the stateid alone tells the client.
    V40,
    /// 4.1: the session tells the client.
    V41(ClientId),
}

impl Caller {
    /// Too much of something is in use. RFC 8881 has no NFS4ERR_RESOURCE and lists
    /// NFS4ERR_DELAY for what may succeed later (§15.1.1.3).
    pub fn exhausted(self) -> Status {
        match self {
            Self::V40 => Status::Resource,
            Self::V41(_) => Status::Delay,
        }
    }

    /// Whether state of `client` is the caller's to use.
    pub(super) fn owns(self, client: ClientId) -> bool {
        match self {
            Self::V40 => true,
            Self::V41(own) => own == client,
        }
    }

    /// Compares the counter of a stateid that was shown with that of the state
    /// (RFC 8881 §8.2.2, RFC 7530 §9.1.4.2).
    pub(super) fn check_seqid(self, shown: u32, current: u32) -> Result<(), Status> {
        if shown == 0 && self != Self::V40 {
            return Ok(());
        }
        // The counter wraps; the nearer side decides which is older.
        match (shown.wrapping_sub(current) as i32).cmp(&0) {
            Ordering::Equal => Ok(()),
            Ordering::Less => Err(Status::OldStateid),
            Ordering::Greater => Err(Status::BadStateid),
        }
    }
}

/// The counter after `seqid`; 0 is left out, as it means "the most recent" (RFC 8881 §8.2.2).
pub(super) fn next_seqid(seqid: u32) -> u32 {
    match seqid.wrapping_add(1) {
        0 => 1,
        next => next,
    }
}

/// Makes ids that nobody can guess, and reads them back.
#[derive(Debug)]
pub(super) struct Ids {
    boot: u32,
    next: AtomicU64,
    keys: RandomState,
}

impl Ids {
    /// Ids of the server's start number `boot`.
    pub(super) fn new(boot: u32, keys: RandomState) -> Self {
        Self {
            boot,
            next: AtomicU64::new(0),
            keys,
        }
    }

    /// An id in `shard`. Two may collide; the caller checks.
    pub(super) fn make(&self, shard: usize) -> Id {
        let mixed = self.keys.hash_one(self.next.fetch_add(1, Relaxed));
        let mask = SHARDS as u64 - 1;
        Id((mixed & !mask) | (shard as u64 & mask))
    }

    /// The stateid of `id`.
    pub(super) fn stateid(&self, id: Id, seqid: u32) -> StateId {
        let mut other = [0; 12];
        let boot = self.boot.to_be_bytes().into_iter();
        let bytes = boot.chain(id.0.to_be_bytes());
        other
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = from);
        StateId { seqid, other }
    }

    /// The id in a stateid that is not special. Of another start it is NFS4ERR_STALE_STATEID
    /// in 4.0, and never in 4.1 (RFC 8881 §15.1.16.5).
    pub(super) fn read(&self, caller: Caller, stateid: &StateId) -> Result<Id, Status> {
        if is_special(stateid) {
            return Err(Status::BadStateid);
        }
        let (boot, id) = stateid.other.split_at(4);
        if boot != self.boot.to_be_bytes() {
            return Err(match caller {
                Caller::V40 => Status::StaleStateid,
                Caller::V41(_) => Status::BadStateid,
            });
        }
        let id = id.first_chunk().ok_or(Status::BadStateid)?;
        Ok(Id(u64::from_be_bytes(*id)))
    }
}

impl Id {
    pub(super) fn shard(self) -> usize {
        self.0 as usize & (SHARDS - 1)
    }
}

/// Whether `other` is reserved for special meanings (RFC 8881 §8.2.3).
pub(super) fn is_special(stateid: &StateId) -> bool {
    stateid.other == [0; 12] || stateid.other == [0xff; 12]
}

#[cfg(test)]
mod tests {
    use super::*;

    const V41: Caller = Caller::V41(ClientId(1));

    #[test]
    fn the_counter_skips_zero() {
        assert_eq!(next_seqid(1), 2);
        assert_eq!(next_seqid(u32::MAX), 1);
    }

    #[test]
    fn zero_is_the_most_recent_in_41_only() {
        assert_eq!(V41.check_seqid(0, 7), Ok(()));
        assert_eq!(Caller::V40.check_seqid(0, 7), Err(Status::OldStateid));
    }

    #[test]
    fn older_and_newer_are_told_apart_over_the_wrap() {
        assert_eq!(V41.check_seqid(6, 7), Err(Status::OldStateid));
        assert_eq!(V41.check_seqid(8, 7), Err(Status::BadStateid));
        assert_eq!(V41.check_seqid(u32::MAX, 1), Err(Status::OldStateid));
    }

    #[test]
    fn a_stateid_of_another_start_is_stale_in_40_and_bad_in_41() {
        let old = Ids::new(1, RandomState::new());
        let new = Ids::new(2, RandomState::new());
        let id = old.make(5);
        let stateid = old.stateid(id, 1);
        assert_eq!(old.read(V41, &stateid), Ok(id));
        assert_eq!(id.shard(), 5);
        assert_eq!(new.read(Caller::V40, &stateid), Err(Status::StaleStateid));
        assert_eq!(new.read(V41, &stateid), Err(Status::BadStateid));
        assert_eq!(old.read(V41, &StateId::CURRENT), Err(Status::BadStateid));
    }
}
