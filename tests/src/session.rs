//! The smallest 4.1 client with a session.

use anyhow::{Result, ensure};

use crate::compound::Client;
use crate::operations::{Operations, Results};

const EXCHANGE_ID: u32 = 42;
const CREATE_SESSION: u32 = 43;
const SEQUENCE: u32 = 53;
const RECLAIM_COMPLETE: u32 = 58;

/// A 4.1 client and its session, of which it uses one slot.
pub struct Session {
    client: Client,
    id: [u32; 4],
    sequence: u32,
}

impl Session {
    /// Introduces the client of this name.
    pub fn new(mut client: Client, owner: &str) -> Result<Self> {
        let hello = Operations::default().op(EXCHANGE_ID).words(&[0, 1]);
        let hello = hello.opaque(owner.as_bytes()).words(&[0, 0, 0]);
        let (_, mut results) = client.run(1, &hello)?;
        ensure!(results.result(EXCHANGE_ID)? == 0);
        let number = [results.word()?, results.word()?, results.word()?];
        let channel = [0, 1 << 20, 1 << 20, 4096, 16, 8, 0];
        let create = Operations::default().op(CREATE_SESSION).words(&number);
        let create = create.words(&[0]).words(&channel).words(&channel);
        let (_, mut results) = client.run(1, &create.words(&[0x4000_0000, 1, 0]))?;
        ensure!(results.result(CREATE_SESSION)? == 0);
        let mut id = [0; 4];
        for word in &mut id {
            *word = results.word()?;
        }
        let sequence = 0;
        Ok(Self {
            client,
            id,
            sequence,
        })
    }

    /// Runs what `operations` adds to SEQUENCE; status of the last, and what follows SEQUENCE's result.
    pub fn run(
        &mut self,
        operations: impl FnOnce(Operations) -> Operations,
    ) -> Result<(u32, Results)> {
        self.sequence += 1;
        let begin = Operations::default().op(SEQUENCE).words(&self.id);
        let begin = begin.words(&[self.sequence, 0, 0, 0]);
        let (status, mut results) = self.client.run(1, &operations(begin))?;
        ensure!(results.result(SEQUENCE)? == 0);
        for _ in 0..9 {
            results.word()?;
        }
        Ok((status, results))
    }

    /// Takes nothing back.
    pub fn reclaim_complete(&mut self) -> Result<()> {
        let (status, _) = self.run(|ops| ops.op(RECLAIM_COMPLETE).words(&[0]))?;
        ensure!(status == 0, "RECLAIM_COMPLETE: {status}");
        Ok(())
    }
}
