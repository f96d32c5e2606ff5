//! CREATE: makes a directory, symbolic link or special file in the current directory.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.4>

use bytes::Bytes;
use dittofs_sdk::vfs::{Name, NewNode, VfsError};

use crate::attr::FAttr;
use crate::compound::{Cx, Operation};
use crate::exports::Object;
use crate::status::Status;
use crate::types::{Bitmap, ChangeInfo};
use crate::xdr::{BadXdr, Decode, Reader, xdr_struct};

/// Longest target of a symbolic link (PATH_MAX without its NUL).
const TARGET_MAX: usize = 4095;

xdr_struct! {
    /// CREATE4args
    #[derive(Debug)]
    pub struct Args {
        /// What to make.
        pub what: What,
        /// Its name.
        pub name: Bytes,
        /// Its first attributes.
        pub attributes: FAttr,
    } => decode
}

/// createtype4
#[derive(Debug)]
pub enum What {
    /// What this operation makes.
    Node(NewNode),
    /// A regular file, or what is no type at all.
    Other,
}

impl Decode for What {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        let node = match reader.read::<u32>()? {
            2 => NewNode::Dir,
            3 => NewNode::Block(reader.read()?, reader.read()?),
            4 => NewNode::Char(reader.read()?, reader.read()?),
            5 => NewNode::Symlink(reader.read()?),
            6 => NewNode::Socket,
            7 => NewNode::Fifo,
            _ => return Ok(Self::Other),
        };
        Ok(Self::Node(node))
    }
}

xdr_struct! {
    /// CREATE4resok
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Ok {
        /// The change of the directory.
        pub change: ChangeInfo,
        /// The attributes that were set.
        pub set: Bitmap,
    } => encode
}

impl Operation for Args {
    type Ok = Ok;
    type Err = Status;

    fn reply_room(&self) -> usize {
        ChangeInfo::SIZE + Bitmap::SIZE_MAX
    }

    async fn run(self, cx: &mut Cx) -> Result<Ok, Status> {
        let What::Node(node) = self.what else {
            return Err(Status::Badtype);
        };
        let name = Name::new(&self.name)?;
        let first = self.attributes.settable(cx.minor())?;
        // Nothing that is made here has a size to set.
        if first.changes.size.is_some() {
            return Err(Status::Inval);
        }
        check_target(&node)?;
        let dir = cx.writable()?;
        let made = dir
            .share
            .fs
            .make(&dir.cred, &dir.handle, name, &node, &first.changes)
            .await
            .map_err(|error| match error {
                VfsError::NotSupported => Status::Badtype,
                VfsError::IsSymlink => Status::Notdir,
                other => other.into(),
            })?;
        let object = Object::Share(dir.sibling(made.node.handle));
        cx.set_current(object);
        Ok(Ok {
            change: made.dir.into(),
            set: first.mask,
        })
    }
}

fn check_target(node: &NewNode) -> Result<(), Status> {
    match node {
        NewNode::Symlink(target) if target.is_empty() || target.contains(&0) => Err(Status::Inval),
        NewNode::Symlink(target) if target.len() > TARGET_MAX => Err(Status::Nametoolong),
        _ => Ok(()),
    }
}
