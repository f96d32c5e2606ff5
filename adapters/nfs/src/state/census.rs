//! How much state there is, of all clients together.

use super::State;

/// Numbers of what is held for clients. Without clients all of them are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// Confirmed clients.
    pub clients: usize,
    /// Owners of client records, confirmed or not.
    pub names: usize,
    /// Sessions.
    pub sessions: usize,
    /// Clients that may have opens and locks.
    pub admitted: usize,
    /// Open and lock owners of 4.0, whose operations are numbered.
    pub owners: usize,
    /// Opens.
    pub opens: usize,
    /// Stateids of any kind.
    pub states: usize,
    /// Files that somebody has state of.
    pub files: usize,
    /// Locked ranges.
    pub ranges: usize,
    /// Delegations.
    pub delegations: usize,
    /// States that were revoked and not acknowledged.
    pub losses: usize,
}

impl State {
    /// Counts.
    pub fn census(&self) -> Census {
        let files = self.files.census();
        let names = self.clients.v40.lock().owners.len() + self.clients.v41.lock().owners.len();
        Census {
            clients: self.clients.confirmed_count(),
            names,
            sessions: self.sessions.len(),
            ..files
        }
    }
}
