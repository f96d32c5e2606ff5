//! SEEK: the next data, or the next hole, of a file.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-15.11>

use std::sync::Arc;

use dittofs_sdk::vfs::{Content, Extent, File, OpenAccess};

use super::{io, regular};
use crate::compound::{Cx, Operation};
use crate::delegations::Reason;
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// SEEK4args
    #[derive(Debug)]
    pub struct Args {
        /// The open, lock or delegation under which to read.
        pub stateid: StateId,
        /// Where to begin.
        pub offset: u64,
        /// data_content4
        pub what: u32,
    } => decode
}

xdr_struct! {
    /// seek_res4
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Ok {
        /// Whether it is the end of the file that was found.
        pub eof: bool,
        /// Where it begins.
        pub offset: u64,
    } => encode
}

impl Operation for Args {
    type Ok = Ok;
    type Err = Status;

    async fn run(self, cx: &mut Cx) -> Result<Ok, Status> {
        let what = match self.what {
            0 => Content::Data,
            1 => Content::Hole,
            _ => return Err(Status::UnionNotsupp),
        };
        let file = io::file_for(cx, self.stateid, OpenAccess::Read, Reason::ReadWrite)
            .await
            .map_err(|status| super::not_a_file(cx, status))?;
        if i64::try_from(self.offset).is_err() {
            return Err(Status::Inval);
        }
        find(&file, self.offset, what).await
    }
}

/// As lseek(2), a byte at the size of a file is beyond its end; but that no data are left is
/// no error.
async fn find(file: &Arc<dyn File>, offset: u64, what: Content) -> Result<Ok, Status> {
    let first = regular::extent(file, offset, u64::MAX).await?;
    let Extent { content, end } = first.ok_or(Status::Nxio)?;
    if content == what {
        return Ok(Ok { eof: false, offset });
    }
    let next = regular::extent(file, end, end).await?;
    Ok(Ok {
        eof: next.is_none(),
        offset: end,
    })
}
