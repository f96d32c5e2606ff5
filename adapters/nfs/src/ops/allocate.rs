//! ALLOCATE: space for a range of a file.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-15.1>

use super::io::{self, Usable};
use super::regular;
use crate::compound::{Cx, Operation};
use crate::delegations::Reason;
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;
use dittofs_sdk::vfs::OpenAccess;

xdr_struct! {
    /// ALLOCATE4args
    #[derive(Debug)]
    pub struct Args {
        /// The open, lock or delegation under which to write.
        pub stateid: StateId,
        /// First byte.
        pub offset: u64,
        /// Number of bytes.
        pub length: u64,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        let file = writable(cx, self.stateid, self.offset, self.length).await?;
        Ok(file.allocate(self.offset, self.length).await?)
    }
}

/// The open file whose range gains, or loses, its space. What is no regular file is
/// NFS4ERR_WRONG_TYPE, whatever it is. No bytes are no range, as for fallocate(2).
pub(super) async fn writable(
    cx: &mut Cx,
    stateid: StateId,
    offset: u64,
    length: u64,
) -> Result<Usable, Status> {
    let object = regular::file(cx.object()?).await?.0;
    if length == 0 {
        return Err(Status::Inval);
    }
    let largest = object.share.fs.info().max_file_size;
    match offset.checked_add(length) {
        Some(end) if end <= largest => {}
        _ => return Err(Status::Fbig),
    }
    io::file_for(cx, stateid, OpenAccess::Write, Reason::ReadWrite)
        .await
        .map_err(regular::denied)
}
