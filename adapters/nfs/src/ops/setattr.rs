//! SETATTR: attributes of the current object.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.30>

use dittofs_sdk::vfs::{Acl, Capabilities, Kind, OpenAccess, SetAttr, VfsError};

use super::io;
use crate::attr::{self, FAttr, Settable};
use crate::compound::{Cx, OpError, Operation};
use crate::delegations::{self, Access, Hold, Reason};
use crate::exports::ShareObject;
use crate::state::files::Touch;
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

    /// In the order of RFC 8881 §6.4.1.3: the mode, then the list, which has the last word on the
    /// permission bits.
    async fn run(self, cx: &mut Cx) -> Result<Bitmap, Refused> {
        let wanted = self.attributes.settable(cx.minor())?;
        // A creation mask is for what is created (RFC 8275 §5).
        if wanted.changes.umask.is_some() {
            return Err(Status::Inval.into());
        }
        let object = cx.writable()?.clone();
        let _hold = make_way(cx, &self, &object, wanted.changes.size).await?;
        let mut plan = Plan::new(&object, &wanted).await?;
        let mut set = Bitmap::EMPTY;
        if let Some(size) = wanted.changes.size {
            truncate(cx, self.stateid, size).await?;
            set = set.with(attr::SIZE);
        }
        let failed = |set, error: VfsError| Refused {
            status: refused(error.into()),
            set,
        };
        let fs = &object.share.fs;
        if !plan.changes.is_empty() {
            let done = fs.set_attr(&object.cred, &object.handle, &plan.changes);
            done.await.map_err(|error| failed(set, error))?;
        }
        set = plan.set.minus(ACLS);
        if let Some(acl) = plan.acl.take() {
            let done = fs.set_acl(&object.cred, &object.handle, &acl);
            done.await.map_err(|error| failed(set, error))?;
        }
        Ok(plan.set)
    }
}

const ACLS: Bitmap = Bitmap::of(&[attr::ACL, attr::DACL]);

/// What is done after the size was set.
struct Plan {
    changes: SetAttr,
    acl: Option<Acl>,
    /// What was set when all is done.
    set: Bitmap,
}

impl Plan {
    async fn new(object: &ShareObject, wanted: &Settable) -> Result<Self, Status> {
        let mut plan = Self {
            changes: SetAttr {
                size: None,
                ..wanted.changes
            },
            acl: None,
            set: wanted.mask,
        };
        if plan.changes.mode.is_none() && wanted.acl.is_none() {
            return Ok(plan);
        }
        let fs = &object.share.fs;
        let now = fs.attr(&object.handle).await?;
        plan.changes.mode = wanted.on_mode(now.mode).mode;
        // Nobody looks at the mode of a symbolic link; many file systems have none.
        if now.kind == Kind::Symlink {
            plan.changes.mode = None;
            plan.set = plan
                .set
                .minus(Bitmap::of(&[attr::MODE, attr::MODE_SET_MASKED]));
        }
        let Some(acl) = &wanted.acl else {
            return Ok(plan);
        };
        let owner = plan.changes.uid.unwrap_or(now.uid);
        let acls = acl.to_posix(now.kind, Some(owner))?;
        let able = fs.info().capabilities;
        if able.contains(Capabilities::POSIX_ACL) && !object.is_named() {
            plan.acl = Some(Acl::Posix(acls));
        } else {
            let special = plan.changes.mode.unwrap_or(now.mode) & !0o777;
            plan.changes.mode = Some(special | attr::only_mode(&acls)?);
        }
        Ok(plan)
    }
}

/// Recalls the delegations of others. A 4.0 client that has an open or a delegation shows who it is
/// by its stateid.
async fn make_way(
    cx: &mut Cx,
    args: &Args,
    object: &ShareObject,
    size: Option<u64>,
) -> Result<Hold, Status> {
    let (key, caller) = (object.key(), io::caller(cx));
    let stateid = io::actual(cx, args.stateid).unwrap_or(StateId::ANONYMOUS);
    let shown = cx.server.state.files.client_of(caller, &stateid, &key);
    cx.shown = cx.shown.or(shown);
    let access = Access {
        truncate: size == Some(0),
        ..Access::new(cx, key, Touch::Change, Reason::Setattr)
    };
    delegations::clear(cx, access).await
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
            (Minor::V41 | Minor::V42, _) => Status::WrongType,
        });
    }
    if size > fs.info().max_file_size {
        return Err(Status::Fbig);
    }
    let file = io::file_for(cx, stateid, OpenAccess::Write, Reason::Setattr).await?;
    file.truncate(size).await?;
    Ok(())
}

/// Some objects lack some attributes.
fn refused(status: Status) -> Status {
    match status {
        Status::Symlink | Status::Isdir | Status::Notdir | Status::Notsupp => Status::Inval,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::fixture::{Fixture, fattr};

    async fn setattr(cx: &mut Cx, attributes: FAttr) -> Result<Bitmap, Refused> {
        Args {
            stateid: StateId::ANONYMOUS,
            attributes,
        }
        .run(cx)
        .await
    }

    #[tokio::test]
    async fn size_and_mode_are_set_together() {
        let fixture = Fixture::new();
        fixture.populate().await;
        let mut cx = fixture.at(Minor::V40, "export/file").await;
        let mut values = Writer::default();
        values.write(&5_u64);
        values.write(&0o600_u32);
        let both = FAttr {
            mask: Bitmap::of(&[4, 33]),
            values: values.as_slice().to_vec().into(),
        };
        assert_eq!(setattr(&mut cx, both).await, Ok(Bitmap::of(&[4, 33])));
        let facts = attr::facts(&cx, cx.object().unwrap(), Bitmap::EMPTY)
            .await
            .unwrap();
        assert_eq!((facts.attr.size, facts.attr.mode), (5, 0o600));
    }

    #[tokio::test]
    async fn a_refusal_names_what_was_set_before_it() {
        let fixture = Fixture::new();
        fixture.populate().await;
        let mut cx = fixture.at(Minor::V40, "export/file").await;
        let mut open = fixture.at(Minor::V40, "export/file").await;
        setattr(&mut open, fattr(&[33], 0o666_u32)).await.unwrap();
        // Another user may write to the file, but not give it a mode.
        let Some(crate::exports::Object::Share(object)) = &mut cx.current else {
            panic!("not in a share");
        };
        object.cred = dittofs_sdk::vfs::Cred::user(7, 7);
        let mut values = Writer::default();
        values.write(&3_u64);
        values.write(&0o600_u32);
        let both = FAttr {
            mask: Bitmap::of(&[4, 33]),
            values: values.as_slice().to_vec().into(),
        };
        let refused = setattr(&mut cx, both).await.unwrap_err();
        assert_eq!(refused.status(), Status::Perm);
        let mut body = Writer::default();
        refused.encode_body(&mut body);
        assert_eq!(body.as_slice(), [0, 0, 0, 1, 0, 0, 0, 16]);
    }

    #[tokio::test]
    async fn only_a_file_has_a_size_to_set() {
        let fixture = Fixture::new();
        fixture.populate().await;
        for (name, v40, v41) in [
            ("dir", Status::Isdir, Status::WrongType),
            ("symlink", Status::Inval, Status::WrongType),
            ("fifo", Status::Inval, Status::WrongType),
        ] {
            for (minor, status) in [(Minor::V40, v40), (Minor::V41, v41)] {
                let mut cx = fixture.at(minor, &format!("export/{name}")).await;
                let refused = setattr(&mut cx, fattr(&[4], 0_u64)).await.unwrap_err();
                assert_eq!(refused, status.into(), "{name}");
            }
        }
    }

    #[tokio::test]
    async fn a_symbolic_link_has_no_mode_to_set_and_that_is_no_error() {
        let fixture = Fixture::new();
        fixture.populate().await;
        let mut cx = fixture.at(Minor::V41, "export/symlink").await;
        let set = setattr(&mut cx, fattr(&[33], 0o600_u32)).await;
        assert_eq!(set, Ok(Bitmap::EMPTY));
    }

    #[tokio::test]
    async fn a_result_has_its_bitmap_even_if_the_operation_did_not_run() {
        const SETATTR: u32 = 34;
        let harness = crate::testing::Harness::new();
        let no_object = harness.compound(0).op(SETATTR, |w| {
            w.write(&StateId::ANONYMOUS);
            w.write(&Bitmap::EMPTY);
            w.opaque(&[]);
        });
        let unreadable = harness.compound(0).putrootfh().op(SETATTR, |_| ());
        for (compound, before, status) in [
            (no_object, 0, Status::Nofilehandle),
            (unreadable, 1, Status::Badxdr),
        ] {
            let mut reply = compound.run().await;
            assert_eq!(reply.skip(before).next(), (SETATTR, status));
            assert_eq!(reply.body::<Bitmap>(), Bitmap::EMPTY);
        }
    }

    #[tokio::test]
    async fn nothing_is_set_where_nothing_may_be_changed() {
        let fixture = Fixture::new();
        for path in ["", "ro"] {
            let mut cx = fixture.at(Minor::V41, path).await;
            let refused = setattr(&mut cx, fattr(&[33], 0_u32)).await.unwrap_err();
            assert_eq!(refused, Status::Rofs.into());
        }
    }
}
