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
    /// Number of this start, from 1; part of client ids, so that an old one is recognised.
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
        let boot = last.wrapping_add(1).max(1);
        kv.put(BOOT_KEY, Bytes::copy_from_slice(&boot.to_be_bytes()))
            .await?;
        Ok(Self::new(owner, boot))
    }

    /// The identity of this owner's start number `boot`.
    pub fn new(owner: Uuid, boot: u32) -> Self {
        let (high, _) = owner.as_u64_pair();
        let write_verifier = Verifier((high.wrapping_add(u64::from(boot))).to_be_bytes());
        Self {
            owner,
            boot,
            write_verifier,
        }
    }
}
