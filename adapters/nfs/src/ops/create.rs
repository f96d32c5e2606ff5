//! CREATE: makes a directory, symbolic link or special file in the current directory.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.4>

use bytes::Bytes;
use dittofs_sdk::vfs::{Kind, Name, NewNode, VfsError};

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
        let made = first
            .first(kind_of(&node), dir)?
            .make(dir, name, &node)
            .await
            .map_err(|error| match error {
                VfsError::NotSupported => Status::Badtype,
                VfsError::IsSymlink => Status::Notdir,
                // A directory of named attributes has nothing but what OPEN makes.
                VfsError::WrongType => super::not_a_file(cx, Status::Inval),
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

fn kind_of(node: &NewNode) -> Kind {
    match node {
        NewNode::Dir => Kind::Dir,
        NewNode::Symlink(_) => Kind::Symlink,
        NewNode::Block(..) => Kind::Block,
        NewNode::Char(..) => Kind::Char,
        NewNode::Fifo => Kind::Fifo,
        NewNode::Socket => Kind::Socket,
    }
}

fn check_target(node: &NewNode) -> Result<(), Status> {
    match node {
        NewNode::Symlink(target) if target.is_empty() || target.contains(&0) => Err(Status::Inval),
        NewNode::Symlink(target) if target.len() > TARGET_MAX => Err(Status::Nametoolong),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attr;
    use crate::ops::fixture::{Fixture, encoded, fattr, make};
    use crate::types::Minor;

    #[tokio::test]
    async fn the_new_object_is_the_current_one_and_its_directory_has_changed() {
        let fixture = Fixture::new();
        let mut cx = fixture.at(Minor::V41, "export").await;
        let made = Args {
            what: What::Node(NewNode::Dir),
            name: Bytes::from_static(b"dir"),
            attributes: fattr(&[33], 0o750_u32),
        }
        .run(&mut cx)
        .await
        .unwrap();
        assert_eq!(made.set, Bitmap::of(&[33]));
        assert!(made.change.before < made.change.after);
        let facts = attr::facts(&cx, cx.object().unwrap(), Bitmap::EMPTY)
            .await
            .unwrap();
        assert_eq!(facts.attr.mode, 0o750);
        let there = fixture.at(Minor::V41, "export/dir").await;
        assert!(cx.object().unwrap().same_as(there.object().unwrap()));
    }

    #[tokio::test]
    async fn what_open_makes_is_a_bad_type_and_so_is_what_does_not_exist() {
        for number in [0_u32, 1, 8, 9, 77] {
            let what = Reader::new(encoded(number)).read();
            assert!(matches!(what, Ok(What::Other)), "{number}");
        }
        let fixture = Fixture::new();
        let mut cx = fixture.at(Minor::V41, "export").await;
        let args = Args {
            what: What::Other,
            name: Bytes::from_static(b"x"),
            attributes: fattr(&[], ()),
        };
        assert_eq!(args.run(&mut cx).await, Err(Status::Badtype));
    }

    #[tokio::test]
    async fn nothing_is_made_where_it_may_not_be() {
        let fixture = Fixture::new();
        fixture.populate().await;
        for (path, name, status) in [
            ("", "new", Status::Rofs),
            ("ro", "new", Status::Rofs),
            ("export", "dir", Status::Exist),
            ("export", ".", Status::Badname),
            ("export", "", Status::Inval),
            ("export/file", "new", Status::Notdir),
            ("export/symlink", "new", Status::Notdir),
        ] {
            let mut cx = fixture.at(Minor::V41, path).await;
            let made = make(&mut cx, name, NewNode::Dir).await;
            assert_eq!(made, Err(status), "{path}/{name}");
        }
    }

    #[tokio::test]
    async fn a_symbolic_link_has_a_target_that_can_be_one() {
        let fixture = Fixture::new();
        let mut cx = fixture.at(Minor::V41, "export").await;
        for (target, status) in [
            (Bytes::new(), Status::Inval),
            (Bytes::from_static(b"a\0"), Status::Inval),
            (Bytes::from(vec![b'x'; 4096]), Status::Nametoolong),
        ] {
            let made = make(&mut cx, "link", NewNode::Symlink(target)).await;
            assert_eq!(made, Err(status));
        }
    }

    #[tokio::test]
    async fn nothing_but_a_file_has_a_size_to_set() {
        let fixture = Fixture::new();
        let mut cx = fixture.at(Minor::V41, "export").await;
        let args = Args {
            what: What::Node(NewNode::Dir),
            name: Bytes::from_static(b"dir"),
            attributes: fattr(&[4], 5_u64),
        };
        assert_eq!(args.run(&mut cx).await, Err(Status::Inval));
    }
}
