//! The attributes of a new object.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-6.4.3>

use dittofs_sdk::vfs::{
    Acl, Capabilities, CreateHow, Created, Kind, Made, Name, NewNode, Op, OpenAccess, PosixAcls,
    SetAttr,
};

use super::Settable;
use crate::exports::ShareObject;
use crate::status::Status;

/// What an object is to have from the beginning.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct First {
    /// Its attributes.
    pub attr: SetAttr,
    /// Its list, instead of one that its directory has for it.
    acl: Option<PosixAcls>,
}

impl Settable {
    /// What is asked for here, of a new object of this kind in `dir`.
    pub fn first(&self, kind: Kind, dir: &ShareObject) -> Result<First, Status> {
        let able = dir.share.fs.info().capabilities;
        let mut attr = self.changes;
        if !able.contains(Capabilities::POSIX_ACL)
            && let Some(umask) = attr.umask.take()
        {
            // There are no default lists that could make a creation mask needless.
            attr.mode = attr.mode.map(|mode| mode & !umask);
        }
        let Some(acl) = &self.acl else {
            return Ok(First { attr, acl: None });
        };
        // Who owns what the server makes as its own user is known later.
        let owner = attr.uid.unwrap_or(dir.cred.uid);
        let owner = Some(owner).filter(|_| able.contains(Capabilities::IDENTITY));
        let acls = acl.to_posix(kind, owner)?;
        if able.contains(Capabilities::POSIX_ACL) {
            let acl = Some(acls);
            return Ok(First { attr, acl });
        }
        attr.mode = Some(only_mode(&acls)? | attr.mode.unwrap_or(0) & !0o777);
        Ok(First { attr, acl: None })
    }
}

/// The permission bits that say all that these lists do. Where only modes are kept, others can't
/// be stored (RFC 8881 §6.2.1.2).
pub fn only_mode(acls: &PosixAcls) -> Result<u32, Status> {
    if acls.is_mode() {
        Ok(acls.access.mode())
    } else {
        Err(Status::Attrnotsupp)
    }
}

impl First {
    /// Makes what is no regular file.
    pub fn make(&self, dir: &ShareObject, name: Name<'_>, what: &NewNode) -> Op<Made> {
        let fs = &dir.share.fs;
        match &self.acl {
            None => fs.make(&dir.cred, &dir.handle, name, what, &self.attr),
            Some(acls) => {
                let acl = Acl::Posix(acls.clone());
                fs.make_with_acl(&dir.cred, &dir.handle, name, what, &self.attr, &acl)
            }
        }
    }

    /// Creates, or finds and opens, a regular file.
    pub fn create(
        &self,
        dir: &ShareObject,
        name: Name<'_>,
        how: CreateHow,
        access: OpenAccess,
    ) -> Op<Created> {
        let (fs, cred, at, attr) = (&dir.share.fs, &dir.cred, &dir.handle, &self.attr);
        match &self.acl {
            None => fs.create(cred, at, name, how, attr, access),
            Some(acls) => {
                let acl = Acl::Posix(acls.clone());
                fs.create_with_acl(cred, at, name, how, attr, &acl, access)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dittofs_sdk::Share;
    use dittofs_sdk::vfs::PosixAcl;

    use super::*;
    use crate::attr::FAttr;
    use crate::ops::fixture::{Fixture, encoded, share};
    use crate::testing::Failing;
    use crate::types::{Bitmap, Minor};

    /// `mode_umask`, as a client of 4.2 sends it (RFC 8275 §5).
    fn mode_umask(mode: u32, umask: u32) -> Result<Settable, Status> {
        let sent = FAttr {
            mask: Bitmap::of(&[81]),
            values: [encoded(mode), encoded(umask)].concat().into(),
        };
        sent.settable(Minor::V42)
    }

    async fn made(fixture: &Fixture, name: &str, asked: &Settable) -> u32 {
        let cx = fixture.at(Minor::V41, "export").await;
        let dir = cx.share_object(Status::Rofs).unwrap();
        let name = Name::new(name.as_bytes()).unwrap();
        let first = asked.first(Kind::Dir, dir).unwrap();
        let made = first.make(dir, name, &NewNode::Dir).await.unwrap();
        made.node.attr.mode
    }

    #[tokio::test]
    async fn a_creation_mask_counts_where_no_default_list_does() {
        let asked = mode_umask(0o2777, 0o027).unwrap();
        let lists = Fixture::new();
        assert_eq!(made(&lists, "masked", &asked).await, 0o2750);
        let plain = Fixture::with([Share {
            fs: Arc::new(Failing::new()),
            ..share("/export")
        }]);
        assert_eq!(made(&plain, "masked", &asked).await, 0o2750);

        let cx = lists.at(Minor::V41, "export").await;
        let root = cx.share_object(Status::Rofs).unwrap();
        let acls = PosixAcls {
            access: PosixAcl::of_mode(0o777),
            default: Some(PosixAcl::of_mode(0o775)),
        };
        let acl = Acl::Posix(acls);
        let set = root.share.fs.set_acl(&root.cred, &root.handle, &acl);
        set.await.unwrap();
        assert_eq!(made(&lists, "inherits", &asked).await, 0o2775);
    }

    #[test]
    fn a_creation_mask_has_nine_bits_beside_a_mode_of_twelve() {
        let asked = mode_umask(0o7777, 0o777).unwrap();
        assert_eq!(asked.changes.mode, Some(0o7777));
        assert_eq!(asked.changes.umask, Some(0o777));
        for (mode, umask) in [(0o10000_u32, 0_u32), (0o755, 0o1022)] {
            assert_eq!(mode_umask(mode, umask), Err(Status::Inval));
        }
    }
}
