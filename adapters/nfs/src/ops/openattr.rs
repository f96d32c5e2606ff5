//! OPENATTR: the directory of an object's named attributes.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.17>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-16.17>
//!
//! What can be done there is done by the other operations ([`named`]).

use dittofs_sdk::vfs::{Access, Kind};

use crate::compound::{Cx, Operation};
use crate::exports::Object;
use crate::named;
use crate::status::Status;
use crate::types::Minor;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// OPENATTR4args
    #[derive(Debug)]
    pub struct Args {
        /// Whether to make the directory if there is none.
        pub create: bool,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    fn reply_room(&self) -> usize {
        0
    }

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        let object = cx.share_object(Status::Notsupp)?.clone();
        if object.is_named() {
            // Attributes have no attributes; RFC 7530 §16.17 has no better status for it.
            return Err(match cx.minor() {
                Minor::V40 => Status::Notsupp,
                Minor::V41 | Minor::V42 => Status::WrongType,
            });
        }
        let fs = &object.share.fs;
        if !matches!(fs.attr(&object.handle).await?.kind, Kind::File | Kind::Dir) {
            return Err(Status::Notsupp);
        }
        let dir = cx.server.exports().named_attributes(&object);
        let dir = dir.ok_or(Status::Notsupp)?;
        let any = named::any(fs, &object.handle).await?;
        if !any && !self.create {
            return Err(Status::Noent);
        }
        // The directory is there without being made: there is nothing to store of an empty one.
        let mut wanted = Access::READ;
        if !any {
            object.writable()?;
            wanted = wanted | Access::MODIFY;
        }
        let granted = fs.access(&object.cred, &object.handle, wanted).await?;
        if !granted.access.contains(wanted) {
            return Err(Status::Access);
        }
        cx.set_current(Object::Share(dir));
        Ok(())
    }
}
