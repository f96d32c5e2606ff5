//! Opens and locks.

use std::sync::Arc;

use dittofs_sdk::vfs::File;

use crate::types::ClientId;

/// Opens and locks of all clients.
#[derive(Debug, Default)]
pub struct Files;

impl Files {
    /// Takes away all opens and locks of a client. The files are returned, to be closed after all
    /// locks of the state are released.
    pub fn release_client(&self, _client: ClientId) -> Vec<Arc<dyn File>> {
        Vec::new()
    }

    /// Whether the client has any open or lock.
    pub fn has_state(&self, _client: ClientId) -> bool {
        false
    }
}
