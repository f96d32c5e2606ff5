//! What stands against an operation: whose it is, so that it can be taken away from who may lose it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::ops::ControlFlow;

use dittofs_sdk::vfs::OpenAccess;

use super::range::Held;
use super::shard::Entry;
use super::stateid::Id;
use super::{Files, LockKind, OpenRequest, Owner, Range, Share};
use crate::exports::FileKey;
use crate::types::ClientId;

/// An open, a lock owner's locks or a delegation that stands against an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rival {
    /// Whose it is.
    pub client: ClientId,
    pub(crate) id: Id,
}

impl Files {
    /// The opens that stand against an OPEN, its owner's own included.
    pub fn open_rivals(&self, request: &OpenRequest) -> Vec<Rival> {
        self.opens_against(&request.key, request.share)
    }

    /// The opens that deny this access to those without one.
    pub fn denying(&self, key: &FileKey, access: OpenAccess) -> Vec<Rival> {
        self.opens_against(key, Share::plain(access))
    }

    /// The locks of others that stand against what `owner` wants.
    pub fn lock_rivals(
        &self,
        key: &FileKey,
        owner: &Owner,
        range: Range,
        kind: LockKind,
    ) -> Vec<Rival> {
        let Some(shard) = self.shard_of(key) else {
            return Vec::new();
        };
        let Some(locking) = shard.files.get(key).and_then(|file| file.locking.as_ref()) else {
            return Vec::new();
        };
        let own = locking.lockers.get(owner).copied();
        let mut found = HashMap::new();
        let wanted = Held { range, kind };
        let all = locking.ranges.against(own, wanted, &mut |id, _| {
            if let Some(entry) = shard.state(id) {
                found.insert(id, entry.client());
            }
            ControlFlow::<Infallible>::Continue(())
        });
        debug_assert!(all.is_continue());
        let rival = |(id, client)| Rival { client, id };
        found.into_iter().map(rival).collect()
    }

    /// Whether there are as many opens as there may be of all clients together.
    pub fn opens_exhausted(&self, all: usize) -> bool {
        self.index.all_opens() >= all
    }

    /// Whether as many ranges are locked as may be of all clients together.
    pub fn ranges_exhausted(&self, all: usize) -> bool {
        self.index.all_ranges() >= all
    }

    #[cfg(test)]
    pub(crate) fn rival(
        &self,
        caller: super::Caller,
        stateid: &crate::types::StateId,
    ) -> Option<Rival> {
        Some(Rival {
            client: self.owner_of(caller, stateid).ok()?.client,
            id: self.ids.read(caller, stateid).ok()?,
        })
    }

    fn opens_against(&self, key: &FileKey, share: Share) -> Vec<Rival> {
        let Some(shard) = self.shard_of(key) else {
            return Vec::new();
        };
        let opens = shard.files.get(key).into_iter();
        opens
            .flat_map(|file| file.opens.values())
            .filter_map(|&id| match shard.state(id)? {
                Entry::Open(open) if open.modes.share().conflicts(share) => Some(Rival {
                    client: open.owner.client,
                    id,
                }),
                _ => None,
            })
            .collect()
    }
}
