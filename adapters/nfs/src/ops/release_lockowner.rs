//! RELEASE_LOCKOWNER: a client will not use a lock owner again (4.0).
//! <https://www.rfc-editor.org/rfc/rfc7530#section-16.37>

use super::io;
use super::open::OwnerArg;
use crate::compound::{Cx, Operation};
use crate::state::files::Role;
use crate::status::Status;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// RELEASE_LOCKOWNER4args
    #[derive(Debug)]
    pub struct Args {
        /// The lock owner.
        pub owner: OwnerArg,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        let client = io::client_of(cx, self.owner.client)?;
        let owner = self.owner.owner(client, Role::Lock);
        cx.server.state.files.release_lock_owner(&owner)
    }
}
