//! LOCKT: asks whether a lock would be granted.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.11>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-16.11>

use dittofs_sdk::vfs::Kind;

use super::io;
use super::lock::{Denied, KindArg};
use super::open::OwnerArg;
use super::owner40::Refused;
use crate::compound::{Cx, Operation};
use crate::state::files::{Range, Role};
use crate::status::Status;
use crate::types::{Minor, OPAQUE_MAX};
use crate::xdr::xdr_struct;

xdr_struct! {
    /// LOCKT4args
    #[derive(Debug)]
    pub struct Args {
        /// For what.
        pub kind: KindArg,
        /// First byte.
        pub offset: u64,
        /// Number of bytes; all ones for all that follow.
        pub length: u64,
        /// Who asks; its own locks are not in its way.
        pub owner: OwnerArg,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Refused;

    async fn run(self, cx: &mut Cx) -> Result<(), Refused> {
        let range = Range::new(self.offset, self.length)?;
        let object = cx.share_object(Status::Isdir)?;
        let kind = object.share.fs.attr(&object.handle).await;
        require_file(cx.minor(), kind.map_err(Status::from)?.kind)?;
        let client = io::client_of(cx, self.owner.client)?;
        let owner = self.owner.owner(client, Role::Lock);
        let files = &cx.server.state.files;
        match files.lock_conflict(&object.key(), &owner, range, self.kind.0) {
            Some(conflict) => Err(Refused::with_body(Status::Denied, &Denied(conflict))),
            None => Ok(()),
        }
    }

    fn reply_room(&self) -> usize {
        8 + 8 + 4 + 8 + 4 + OPAQUE_MAX
    }
}

/// What is no regular file can't be locked; the minor versions name that differently
/// (RFC 8881 §18.11.3, RFC 7530 §16.11.4).
fn require_file(minor: Minor, kind: Kind) -> Result<(), Status> {
    match (kind, minor) {
        (Kind::File, _) => Ok(()),
        (Kind::Dir, _) => Err(Status::Isdir),
        (_, Minor::V40) => Err(Status::Inval),
        (Kind::Symlink, Minor::V41) => Err(Status::Symlink),
        (_, Minor::V41) => Err(Status::WrongType),
    }
}
