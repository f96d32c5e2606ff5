//! Random bytes, which the state takes as arguments.

use crate::status::Status;

/// Bytes that nobody can foretell.
pub fn random<const N: usize>() -> Result<[u8; N], Status> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Status::Serverfault)?;
    Ok(bytes)
}
