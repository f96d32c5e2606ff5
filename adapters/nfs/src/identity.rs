//! Who this server is, over restarts.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-2.10.5>,
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.32.3> on the write verifier

use bytes::Bytes;
use dittofs_sdk::{Kv, KvError};
use uuid::Uuid;

use crate::types::Verifier;

const OWNER_KEY: &str = "server-owner";
const BOOT_KEY: &str = "boot";

/// Identifies the server and this run of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Server owner and scope: made once, never the host's name, which containers share.
    pub owner: Uuid,
    /// Differs from that of every earlier start; part of client ids and stateids, so that those of
    /// an earlier start are recognised.
    pub boot: u32,
    /// Changes when unstable writes may have been lost: with every start.
    pub write_verifier: Verifier,
}

/// The identity can't be kept.
#[derive(Debug, thiserror::Error)]
#[error("server identity: {0}")]
pub struct IdentityError(#[from] KvError);

impl Identity {
    /// Reads the owner, or makes it, and counts this start.
    pub async fn load(kv: &Kv) -> Result<Self, IdentityError> {
        let known = kv.get(OWNER_KEY).await?;
        let owner = if let Some(owner) = known.and_then(|bytes| Uuid::from_slice(&bytes).ok()) {
            owner
        } else {
            let owner = Uuid::new_v4();
            kv.put(OWNER_KEY, Bytes::copy_from_slice(owner.as_bytes()))
                .await?;
            owner
        };
        let last = kv
            .get(BOOT_KEY)
            .await?
            .and_then(|bytes| bytes.first_chunk().copied())
            .map_or(0, u32::from_be_bytes);
        let start = last.wrapping_add(1);
        kv.put(BOOT_KEY, Bytes::copy_from_slice(&start.to_be_bytes()))
            .await?;
        Ok(Self::new(owner, start))
    }

    /// The identity of this owner's start number `start`. Counted from a place that the owner
    /// tells: whoever lost the state directory starts from 1 again, but as another owner.
    pub fn new(owner: Uuid, start: u32) -> Self {
        let (high, low) = owner.as_u64_pair();
        let write_verifier = Verifier((high.wrapping_add(u64::from(start))).to_be_bytes());
        Self {
            owner,
            boot: (low as u32).wrapping_add(start),
            write_verifier,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_starts_and_no_two_owners_are_taken_for_each_other() {
        let [ours, theirs] = [1, 2].map(|last| Uuid::from_u64_pair(0xabcd, 0x1000_0000 * last));
        let first = Identity::new(ours, 1);
        for other in [
            Identity::new(ours, 2),
            Identity::new(ours, u32::MAX),
            Identity::new(theirs, 1),
        ] {
            assert_ne!(first.boot, other.boot);
        }
        assert_ne!(
            first.write_verifier,
            Identity::new(ours, 2).write_verifier,
            "unstable writes end with a start"
        );
    }
}
