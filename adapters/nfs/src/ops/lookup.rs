//! LOOKUP: an entry of the current directory becomes the current object.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.13>
//!
//! Names are bytes: they are neither required to be UTF-8 nor normalised, which RFC 8881 §14.4
//! leaves to the file system (`fs_charset_cap`).

use bytes::Bytes;
use dittofs_sdk::vfs::{Name, Node};

use crate::compound::{Cx, Operation};
use crate::delegations;
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
        let all_told = !delegations::are_for_writing(cx);
        match entry(cx, &self.name).await? {
            Entry::Pseudo(found) => cx.set_current(found),
            Entry::Share(node) => {
                cx.enter(node.handle)?;
                cx.seen = all_told.then_some(node.attr);
            }
        }
        Ok(())
    }
}

/// What an entry of the current directory stands for.
pub(super) enum Entry {
    /// In the pseudo file system; perhaps a share.
    Pseudo(Object),
    /// In the same share.
    Share(Node),
}

/// The entry `name` of the current directory.
pub(super) async fn entry(cx: &Cx, name: &[u8]) -> Result<Entry, Status> {
    let name = Name::new(name)?;
    match cx.object()? {
        Object::Pseudo(dir) => dir.lookup(&cx.call, name.as_bytes()).map(Entry::Pseudo),
        Object::Share(dir) => {
            let node = dir.share.fs.lookup(&dir.cred, &dir.handle, name).await?;
            Ok(Entry::Share(node))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::fixture::{Fixture, go, share};
    use crate::types::Minor;
    use dittofs_sdk::Share;

    #[tokio::test]
    async fn names_that_name_nothing_have_statuses_of_their_own() {
        let fixture = Fixture::new();
        let long = "x".repeat(256);
        for dir in ["", "export"] {
            for (name, status) in [
                (&b""[..], Status::Inval),
                (b".", Status::Badname),
                (b"..", Status::Badname),
                (b"a/b", Status::Badname),
                (b"a\0b", Status::Badname),
                (b"nothing", Status::Noent),
                (b"\xff", Status::Noent),
                (long.as_bytes(), Status::Nametoolong),
            ] {
                let mut cx = fixture.at(Minor::V41, dir).await;
                let name = Bytes::copy_from_slice(name);
                let found = Args { name: name.clone() }.run(&mut cx).await;
                assert_eq!(found, Err(status), "{name:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_directory_says_whether_it_is_a_symbolic_link() {
        let fixture = Fixture::new();
        fixture.populate().await;
        for (path, status) in [
            ("export/file/x", Status::Notdir),
            ("export/fifo/x", Status::Notdir),
            ("export/symlink/x", Status::Symlink),
        ] {
            let mut cx = fixture.cx(Minor::V41);
            assert_eq!(go(&mut cx, path).await, Err(status), "{path}");
        }
    }

    #[tokio::test]
    async fn a_share_is_not_there_for_who_is_not_among_its_clients() {
        let hidden = Share {
            clients: vec!["192.0.2.0/24".parse().unwrap()],
            ..share("/hidden")
        };
        let fixture = Fixture::with([hidden]);
        let mut cx = fixture.cx(Minor::V41);
        assert_eq!(go(&mut cx, "hidden").await, Err(Status::Noent));
    }
}
