//! DEALLOCATE: makes a hole of a range of a file.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-15.4>

use super::allocate;
use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// DEALLOCATE4args
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
        let file = allocate::writable(cx, self.stateid, self.offset, self.length).await?;
        Ok(file.deallocate(self.offset, self.length).await?)
    }
}
