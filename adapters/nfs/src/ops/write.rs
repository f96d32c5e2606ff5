//! WRITE: data into the current file.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.32>

use bytes::Bytes;
use dittofs_sdk::vfs::{OpenAccess, Stability};

use super::io;
use crate::compound::{Cx, Operation};
use crate::delegations::Reason;
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
        let file = io::file_for(cx, self.stateid, OpenAccess::Write, Reason::ReadWrite)
            .await
            .map_err(|status| super::not_a_file(cx, status))?;
        let limit = cx.settings.max_write_size as usize;
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
        cx.server.metrics.bytes_written.add(written.count.into());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::fixture::Fixture;
    use crate::ops::{commit, read};
    use crate::types::Minor;

    fn args(offset: u64, data: &'static [u8]) -> Args {
        Args {
            stateid: StateId::ANONYMOUS,
            offset,
            stable: Stable::Unstable,
            data: Bytes::from_static(data),
        }
    }

    #[tokio::test]
    async fn what_is_written_and_committed_is_read() {
        let fixture = Fixture::new();
        fixture.populate().await;
        let mut cx = fixture.at(Minor::V41, "export/file").await;
        let written = args(3, b"abc").run(&mut cx).await.unwrap();
        assert_eq!(written.count, 3);
        let committed = commit::Args {
            offset: 0,
            count: 0,
        }
        .run(&mut cx)
        .await;
        assert_eq!(committed, Ok(written.verifier));
        let start = cx.reply.position();
        let read = read::Args {
            stateid: StateId::ANONYMOUS,
            offset: 0,
            count: 10,
        };
        read.run(&mut cx).await.unwrap();
        assert_eq!(&cx.reply.as_slice()[start + 8..], b"\0\0\0abc\0\0");
    }

    #[tokio::test]
    async fn nothing_is_written_where_it_may_not_be() {
        let fixture = Fixture::new();
        fixture.populate().await;
        for (path, offset, status) in [
            ("", 0, Status::Rofs),
            ("ro", 0, Status::Rofs),
            ("export/dir", 0, Status::Isdir),
            ("export/symlink", 0, Status::Symlink),
            ("export/fifo", 0, Status::WrongType),
            ("export/file", u64::MAX, Status::Fbig),
            ("export/file", u64::MAX / 2, Status::Fbig),
        ] {
            let mut cx = fixture.at(Minor::V41, path).await;
            let refused = args(offset, b"abc").run(&mut cx).await.err();
            assert_eq!(refused, Some(status), "{path}");
        }
    }

    #[tokio::test]
    async fn no_data_are_no_error() {
        let fixture = Fixture::new();
        fixture.populate().await;
        let mut cx = fixture.at(Minor::V40, "export/file").await;
        assert_eq!(args(0, b"").run(&mut cx).await.unwrap().count, 0);
    }
}
