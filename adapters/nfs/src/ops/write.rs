//! WRITE: data into the current file.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.32>

use bytes::Bytes;
use dittofs_sdk::vfs::{OpenAccess, Stability};

use super::io;
use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::{StateId, Verifier};
use crate::xdr::{xdr_enum, xdr_struct};

xdr_enum! {
    /// stable_how4
    pub enum Stable {
        /// Later, by COMMIT.
        Unstable = 0,
        /// The data, and what is needed to read them.
        DataSync = 1,
        /// Everything.
        FileSync = 2,
    }
}

xdr_struct! {
    /// WRITE4args
    #[derive(Debug)]
    pub struct Args {
        /// The open, lock or delegation under which to write.
        pub stateid: StateId,
        /// Where to start.
        pub offset: u64,
        /// How safe the data must be before the answer.
        pub stable: Stable,
        /// The data.
        pub data: Bytes,
    } => decode
}

xdr_struct! {
    /// WRITE4resok
    #[derive(Debug, Clone, Copy)]
    pub struct Ok {
        /// Bytes written.
        pub count: u32,
        /// How safe they are.
        pub committed: Stable,
        /// Changes when unstable data may have been lost.
        pub verifier: Verifier,
    } => encode
}

impl Operation for Args {
    type Ok = Ok;
    type Err = Status;

    fn reply_room(&self) -> usize {
        16
    }

    async fn run(self, cx: &mut Cx) -> Result<Ok, Status> {
        let file = io::file_for(cx, self.stateid, OpenAccess::Write)
            .await
            .map_err(|status| super::not_a_file(cx, status))?;
        let limit = cx.server.settings().max_write_size as usize;
        let data = self.data.slice(..self.data.len().min(limit));
        let largest = cx.writable()?.share.fs.info().max_file_size;
        match self.offset.checked_add(data.len() as u64) {
            Some(end) if end <= largest => {}
            _ => return Err(Status::Fbig),
        }
        let verifier = cx.server.identity.write_verifier;
        if data.is_empty() {
            return Ok(Ok {
                count: 0,
                committed: self.stable,
                verifier,
            });
        }
        let written = file.write(self.offset, data, self.stable.into()).await?;
        Ok(Ok {
            count: written.count,
            committed: written.stability.into(),
            verifier,
        })
    }
}

impl From<Stable> for Stability {
    fn from(stable: Stable) -> Self {
        match stable {
            Stable::Unstable => Self::Unstable,
            Stable::DataSync => Self::Data,
            Stable::FileSync => Self::File,
        }
    }
}

impl From<Stability> for Stable {
    fn from(stability: Stability) -> Self {
        match stability {
            Stability::Unstable => Self::Unstable,
            Stability::Data => Self::DataSync,
            Stability::File => Self::FileSync,
        }
    }
}
