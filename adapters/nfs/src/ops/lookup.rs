//! LOOKUP: an entry of the current directory becomes the current object.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.13>
//!
//! Names are bytes: they are neither required to be UTF-8 nor normalised, which RFC 8881 §14.4
//! leaves to the file system (`fs_charset_cap`).

use bytes::Bytes;
use dittofs_sdk::vfs::Name;

use crate::compound::{Cx, Operation};
use crate::exports::Object;
use crate::status::Status;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// LOOKUP4args
    #[derive(Debug)]
    pub struct Args {
        /// The entry.
        pub name: Bytes,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    fn reply_room(&self) -> usize {
        0
    }

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        let found = entry(cx, &self.name).await?;
        cx.set_current(found);
        Ok(())
    }
}

/// The entry `name` of the current directory.
pub(super) async fn entry(cx: &Cx, name: &[u8]) -> Result<Object, Status> {
    let name = Name::new(name)?;
    match cx.object()? {
        Object::Pseudo(dir) => dir.lookup(&cx.call, name.as_bytes()),
        Object::Share(dir) => {
            let node = dir.share.fs.lookup(&dir.cred, &dir.handle, name).await?;
            Ok(Object::Share(dir.sibling(node.handle)))
        }
    }
}
