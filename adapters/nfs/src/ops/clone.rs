//! CLONE: makes a range of a file share the data of another.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-15.13>
//!
//! Ranges are the file system's to judge: they are multiples of `clone_blksize`, lie within the source,
//! and do not overlap. What is less than a block is shared only at the end of both files.

use dittofs_sdk::vfs::{Capabilities, OpenAccess};

use super::{io, regular};
use crate::compound::{Cx, Operation};
use crate::delegations::Reason;
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// CLONE4args
    #[derive(Debug)]
    pub struct Args {
        /// The open, lock or delegation of the saved file, under which to read.
        pub source: StateId,
        /// The open, lock or delegation of the current file, under which to write.
        pub target: StateId,
        /// First byte of the source.
        pub source_offset: u64,
        /// First byte of the target.
        pub target_offset: u64,
        /// Number of bytes; 0 for all to the end of the source.
        pub count: u64,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        let (source, _) = regular::file(cx.saved_object()?).await?;
        let (target, _) = regular::file(cx.object()?).await?;
        target.writable()?;
        if source.file_system() != target.file_system() {
            return Err(Status::Xdev);
        }
        let able = target.share.fs.info().capabilities;
        if !able.contains(Capabilities::CLONE) {
            return Err(Status::Notsupp);
        }
        // The saved file's current stateid is the saved one.
        let from = match self.source {
            StateId::CURRENT => cx.saved_stateid.ok_or(Status::BadStateid)?,
            other => other,
        };
        let to = io::actual(cx, self.target)?;
        let reason = Reason::ReadWrite;
        let from = io::file_of(cx, &source, from, OpenAccess::Read, reason);
        let from = from.await.map_err(regular::denied)?;
        let to = io::file_of(cx, &target, to, OpenAccess::Write, reason);
        let to = to.await.map_err(regular::denied)?;
        let (at, into) = (self.source_offset, self.target_offset);
        Ok(to.clone_range(&**from, at, into, self.count).await?)
    }
}
