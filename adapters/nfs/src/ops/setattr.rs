//! SETATTR: attributes of the current object.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.30>

use dittofs_sdk::vfs::{Kind, OpenAccess, SetAttr};

use super::io;
use crate::attr::{self, FAttr};
use crate::compound::{Cx, OpError, Operation};
use crate::status::Status;
use crate::types::{Bitmap, Minor, StateId};
use crate::xdr::{Writer, xdr_struct};

xdr_struct! {
    /// SETATTR4args
    #[derive(Debug)]
    pub struct Args {
        /// The open under which the size is changed.
        pub stateid: StateId,
        /// The attributes.
        pub attributes: FAttr,
    } => decode
}

/// A refusal, and what was set before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    status: Status,
    set: Bitmap,
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Self {
            status,
            set: Bitmap::EMPTY,
        }
    }
}

impl OpError for Refused {
    fn status(&self) -> Status {
        self.status
    }

    fn encode_body(&self, writer: &mut Writer) {
        writer.write(&self.set);
    }
}

impl Operation for Args {
    type Ok = Bitmap;
    type Err = Refused;

    fn reply_room(&self) -> usize {
        Bitmap::SIZE_MAX
    }

    async fn run(self, cx: &mut Cx) -> Result<Bitmap, Refused> {
        let wanted = self.attributes.settable(cx.minor())?;
        let object = cx.writable()?.clone();
        let fs = &object.share.fs;
        let mut set = Bitmap::EMPTY;
        if let Some(size) = wanted.changes.size {
            truncate(cx, self.stateid, size).await?;
            set = set.with(attr::SIZE);
        }
        let mut changes = SetAttr {
            size: None,
            ..wanted.changes
        };
        if wanted.mode_mask.is_some() {
            let now = fs.attr(&object.handle).await.map_err(Status::from)?;
            changes.mode = wanted.on_mode(now.mode).mode;
        }
        if changes.is_empty() {
            return Ok(set);
        }
        match fs.set_attr(&object.cred, &object.handle, &changes).await {
            Ok(_) => Ok(wanted.mask),
            Err(error) => Err(Refused {
                status: refused(error.into()),
                set,
            }),
        }
    }
}

/// Sets the size through the open that the stateid stands for: it is a change of data
/// (RFC 8881 §18.30.3).
async fn truncate(cx: &mut Cx, stateid: StateId, size: u64) -> Result<(), Status> {
    let object = cx.writable()?;
    let fs = &object.share.fs;
    let kind = fs.attr(&object.handle).await?.kind;
    if kind != Kind::File {
        return Err(match (cx.minor(), kind) {
            (Minor::V40, Kind::Dir) => Status::Isdir,
            (Minor::V40, _) => Status::Inval,
            (Minor::V41, _) => Status::WrongType,
        });
    }
    if size > fs.info().max_file_size {
        return Err(Status::Fbig);
    }
    let file = io::file_for(cx, stateid, OpenAccess::Write).await?;
    file.truncate(size).await?;
    Ok(())
}

/// Some objects lack some attributes, such as the mode of a symbolic link.
fn refused(status: Status) -> Status {
    match status {
        Status::Symlink | Status::Isdir | Status::Notdir | Status::Notsupp => Status::Inval,
        other => other,
    }
}
