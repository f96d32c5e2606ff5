//! LISTXATTRS: the names of an object's extended attributes.
//! <https://www.rfc-editor.org/rfc/rfc8276#section-8.4.3>
//!
//! Cookies come from the file system and survive the coming and going of other attributes.

use bytes::Bytes;
use dittofs_sdk::vfs::{Access, VfsError, XattrListing};

use super::xattr;
use crate::compound::{Cx, Operation};
use crate::exports::ShareObject;
use crate::status::Status;
use crate::xdr::xdr_struct;

/// The cookie, the number of names, and the flag after them.
const FRAME: usize = 8 + 4 + 4;
/// Most names that the file system is asked for at once.
const CHUNK_MAX: usize = 4096;
/// Bytes that a name takes at least.
const NAME_MIN: usize = 8;

xdr_struct! {
    /// LISTXATTRS4args
    #[derive(Debug)]
    pub struct Args {
        /// Where to resume; 0 starts.
        pub cookie: u64,
        /// Most bytes of the whole result body.
        pub max_count: u32,
    } => decode
}

xdr_struct! {
    /// LISTXATTRS4resok
    #[derive(Debug)]
    pub struct Ok {
        /// Where to resume.
        pub cookie: u64,
        /// The names.
        pub names: Vec<Bytes>,
        /// Whether there are no more.
        pub eof: bool,
    } => encode
}

impl Operation for Args {
    type Ok = Ok;
    type Err = Status;

    fn reply_room(&self) -> usize {
        self.max_count as usize
    }

    async fn run(self, cx: &mut Cx) -> Result<Ok, Status> {
        let object = xattr::object(cx)?;
        // As for a list of named attributes: who may not read an object learns nothing of them.
        let fs = &object.share.fs;
        let granted = fs
            .access(&object.cred, &object.handle, Access::READ)
            .await?;
        if !granted.access.contains(Access::READ) {
            return Err(Status::Access);
        }
        let (wanted, room) = (self.max_count as usize, cx.reply_room());
        let most = wanted.min(room).checked_sub(FRAME);
        let page = match most {
            Some(most) => Page::of(object, self.cookie, most).await?,
            None => None,
        };
        page.ok_or_else(|| {
            if room < wanted {
                cx.too_big()
            } else {
                Status::Toosmall
            }
        })
    }
}

/// What fits of a list.
struct Page {
    ok: Ok,
    /// Bytes that more names may take.
    room: usize,
}

impl Page {
    /// Up to `room` bytes of names; none if there is not even room for the first.
    async fn of(object: &ShareObject, cookie: u64, room: usize) -> Result<Option<Ok>, Status> {
        let ok = Ok {
            cookie,
            names: Vec::new(),
            eof: false,
        };
        let mut page = Self { ok, room };
        while page.extend(object).await? {}
        let Self { ok, .. } = page;
        Ok(Some(ok).filter(|ok| ok.eof || !ok.names.is_empty()))
    }

    /// Adds the next names. Returns whether there are more that may fit.
    async fn extend(&mut self, object: &ShareObject) -> Result<bool, Status> {
        let fs = &object.share.fs;
        // One beyond what fits finds out whether there are more.
        let most = (self.room / NAME_MIN + 1).min(CHUNK_MAX) as u32;
        let listing = match fs.list_xattrs(&object.handle, self.ok.cookie, most).await {
            // What can't have any has none.
            Err(VfsError::NotSupported) => XattrListing {
                entries: Vec::new(),
                eof: true,
            },
            listing => listing?,
        };
        if listing.entries.is_empty() && !listing.eof {
            return Err(Status::Serverfault);
        }
        for entry in listing.entries {
            let size = 4 + entry.name.len().next_multiple_of(4);
            let Some(room) = self.room.checked_sub(size) else {
                return Ok(false);
            };
            self.room = room;
            self.ok.cookie = entry.cookie;
            self.ok.names.push(entry.name);
        }
        self.ok.eof = listing.eof;
        Ok(!listing.eof)
    }
}
