//! ACCESS: what the caller may do with the current object.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.1>,
//! <https://www.rfc-editor.org/rfc/rfc8276#section-8.5>

use dittofs_sdk::vfs::{Access, Attr, Capabilities, Granted, Kind};

use crate::compound::{Cx, Operation};
use crate::delegations;
use crate::exports::{Object, ShareObject};
use crate::status::Status;
use crate::types::Minor;
use crate::xdr::xdr_struct;

const ACCESS4_READ: u32 = 0x01;
const ACCESS4_LOOKUP: u32 = 0x02;
const ACCESS4_MODIFY: u32 = 0x04;
const ACCESS4_EXTEND: u32 = 0x08;
const ACCESS4_DELETE: u32 = 0x10;
const ACCESS4_EXECUTE: u32 = 0x20;
const ACCESS4_XAREAD: u32 = 0x40;
const ACCESS4_XAWRITE: u32 = 0x80;
const ACCESS4_XALIST: u32 = 0x100;

/// Bits on the wire and kinds of access of the file system.
const BITS: [(u32, Access); 9] = [
    (ACCESS4_READ, Access::READ),
    (ACCESS4_LOOKUP, Access::SEARCH),
    (ACCESS4_MODIFY, Access::MODIFY),
    (ACCESS4_EXTEND, Access::EXTEND),
    (ACCESS4_DELETE, Access::DELETE),
    (ACCESS4_EXECUTE, Access::EXECUTE),
    (ACCESS4_XAREAD, Access::READ),
    (ACCESS4_XAWRITE, Access::MODIFY),
    (ACCESS4_XALIST, Access::READ),
];

const ALL: u32 = 0x3f;
/// Those of extended attributes (RFC 8276 §8.5).
const XATTRS: u32 = ACCESS4_XAREAD | ACCESS4_XAWRITE | ACCESS4_XALIST;

/// What is never granted where nothing may be changed.
const CHANGES: u32 = ACCESS4_MODIFY | ACCESS4_EXTEND | ACCESS4_DELETE | ACCESS4_XAWRITE;

xdr_struct! {
    /// ACCESS4args
    #[derive(Debug)]
    pub struct Args {
        /// The kinds of access that are asked about.
        pub wanted: u32,
    } => decode
}

xdr_struct! {
    /// ACCESS4resok
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Ok {
        /// The kinds that were judged.
        pub supported: u32,
        /// The kinds that are granted.
        pub granted: u32,
    } => encode
}

impl Operation for Args {
    type Ok = Ok;
    type Err = Status;

    fn reply_room(&self) -> usize {
        8
    }

    async fn run(self, cx: &mut Cx) -> Result<Ok, Status> {
        let known = match cx.minor() {
            Minor::V40 | Minor::V41 => ALL,
            Minor::V42 => ALL | XATTRS,
        };
        if self.wanted & !known != 0 {
            return Err(Status::Inval);
        }
        match cx.object()? {
            Object::Pseudo(_) => {
                let supported = self.wanted & meaningful(Kind::Dir);
                Ok(Ok {
                    supported,
                    granted: supported & !CHANGES,
                })
            }
            Object::Share(object) => {
                let all_told = !delegations::are_for_writing(cx);
                let (ok, attr) = in_share(object, self.wanted).await?;
                cx.seen = all_told.then_some(attr);
                Ok(ok)
            }
        }
    }
}

/// The answer, and the attributes that it was found by.
async fn in_share(object: &ShareObject, wanted: u32) -> Result<(Ok, Attr), Status> {
    let fs = &object.share.fs;
    let wish = to_access(wanted);
    let Granted { access, attr } = fs.access(&object.cred, &object.handle, wish).await?;
    let supported = wanted & (meaningful(attr.kind) | of_xattrs(object, attr.kind));
    let denied = if object.share.read_only { CHANGES } else { 0 };
    let ok = Ok {
        supported,
        granted: from_access(access) & supported & !denied,
    };
    Ok((ok, attr))
}

/// The kinds of access that mean something for this kind of object (RFC 8881 §18.1.3).
fn meaningful(kind: Kind) -> u32 {
    match kind {
        Kind::Dir => {
            ACCESS4_READ | ACCESS4_LOOKUP | ACCESS4_MODIFY | ACCESS4_EXTEND | ACCESS4_DELETE
        }
        _ => ACCESS4_READ | ACCESS4_MODIFY | ACCESS4_EXTEND | ACCESS4_EXECUTE,
    }
}

/// What has extended attributes, may be asked about them.
fn of_xattrs(object: &ShareObject, kind: Kind) -> u32 {
    let able = object.share.fs.info().capabilities;
    match kind {
        Kind::File | Kind::Dir if able.contains(Capabilities::XATTR) => XATTRS,
        _ => 0,
    }
}

fn to_access(bits: u32) -> Access {
    BITS.iter()
        .filter(|(bit, _)| bits & bit != 0)
        .fold(Access::default(), |set, (_, access)| set | *access)
}

fn from_access(set: Access) -> u32 {
    BITS.iter()
        .filter(|(_, access)| set.contains(*access))
        .fold(0, |bits, (bit, _)| bits | bit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::fixture::Fixture;

    async fn access(fixture: &Fixture, path: &str) -> Ok {
        let mut cx = fixture.at(Minor::V41, path).await;
        Args { wanted: ALL }.run(&mut cx).await.unwrap()
    }

    #[tokio::test]
    async fn where_nothing_may_be_changed_no_change_is_granted() {
        let fixture = Fixture::new();
        let dir = ALL & !ACCESS4_EXECUTE;
        for (path, granted) in [
            ("export", dir),
            ("ro", dir & !CHANGES),
            ("", dir & !CHANGES),
        ] {
            let answer = access(&fixture, path).await;
            assert_eq!((answer.supported, answer.granted), (dir, granted), "{path}");
        }
    }

    #[tokio::test]
    async fn a_file_is_neither_searched_nor_has_entries_to_delete() {
        let fixture = Fixture::new();
        fixture.populate().await;
        let answer = access(&fixture, "export/file").await;
        assert_eq!(answer.supported, ALL & !(ACCESS4_LOOKUP | ACCESS4_DELETE));
        assert_eq!(
            answer.granted,
            ACCESS4_READ | ACCESS4_MODIFY | ACCESS4_EXTEND
        );
    }

    #[tokio::test]
    async fn a_bit_without_meaning_is_refused() {
        let fixture = Fixture::new();
        let mut cx = fixture.at(Minor::V40, "export").await;
        for wanted in [64, 127, u32::MAX] {
            assert_eq!(Args { wanted }.run(&mut cx).await, Err(Status::Inval));
        }
    }
}
