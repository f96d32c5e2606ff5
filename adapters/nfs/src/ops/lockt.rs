//! LOCKT: asks whether a lock would be granted.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.11>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-16.11>

use dittofs_sdk::vfs::Kind;

use super::io;
use super::lock::{Denied, KindArg};
use super::open::OwnerArg;
use super::owner40::Refused;
use super::reclaim;
use crate::compound::{Cx, Operation};
use crate::delegations::{self, Access, Reason};
use crate::state::files::{Range, Role, Touch};
use crate::status::Status;
use crate::types::{Minor, OPAQUE_MAX};
use crate::xdr::xdr_struct;

xdr_struct! {
    /// LOCKT4args
    #[derive(Debug)]
    pub struct Args {
        /// For what.
        pub kind: KindArg,
        /// First byte.
        pub offset: u64,
        /// Number of bytes; all ones for all that follow.
        pub length: u64,
        /// Who asks; its own locks are not in its way.
        pub owner: OwnerArg,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Refused;

    async fn run(self, cx: &mut Cx) -> Result<(), Refused> {
        let range = Range::new(self.offset, self.length)?;
        reclaim::after_grace(cx)?;
        let object = cx.share_object(Status::Isdir)?;
        let kind = object.share.fs.attr(&object.handle).await;
        require_file(cx.minor(), kind.map_err(Status::from)?.kind)?;
        let client = io::client_of(cx, self.owner.client)?;
        let owner = self.owner.owner(client, Role::Lock);
        // A delegate for writing locks without asking (RFC 8881 §10.4.2).
        cx.show(client);
        let object = cx.share_object(Status::Isdir)?;
        let access = Access::new(cx, object.key(), Touch::Look, Reason::Lock);
        let _hold = delegations::clear(cx, access).await?;
        let state = &cx.server.state;
        let (key, wanted, lease) = (object.key(), (range, self.kind.kind), cx.settings.lease());
        // A lock of a silent client would not keep a LOCK from being granted.
        let mut silent = Vec::new();
        while let Some(conflict) = state.files.lock_conflict(&key, &owner, wanted, &silent) {
            let client = conflict.owner.client;
            if !state.is_silent_id(client, cx.now, lease) {
                return Err(Refused::with_body(Status::Denied, &Denied(conflict)));
            }
            silent.push(client);
        }
        Ok(())
    }

    fn reply_room(&self) -> usize {
        8 + 8 + 4 + 8 + 4 + OPAQUE_MAX
    }
}

/// What is no regular file can't be locked; the minor versions name that differently
/// (RFC 8881 §18.11.3, RFC 7530 §16.11.4).
fn require_file(minor: Minor, kind: Kind) -> Result<(), Status> {
    match (kind, minor) {
        (Kind::File, _) => Ok(()),
        (Kind::Dir, _) => Err(Status::Isdir),
        (_, Minor::V40) => Err(Status::Inval),
        (Kind::Symlink, Minor::V41 | Minor::V42) => Err(Status::Symlink),
        (_, Minor::V41 | Minor::V42) => Err(Status::WrongType),
    }
}

#[cfg(test)]
mod tests {
    use crate::status::Status;
    use crate::testing::{Client41, Compound, Harness};
    use crate::types::{ClientId, StateId};

    fn test<'h>(client: &Client41<'h>, owner: &str) -> Compound<'h> {
        let compound = client.compound().putrootfh().lookup("export");
        compound.lookup("f").op(13, |w| {
            w.write(&1_u32);
            w.write(&5_u64);
            w.write(&1_u64);
            w.write(&client.id);
            w.write(owner);
        })
    }

    #[tokio::test]
    async fn it_tells_whose_lock_is_in_the_way_and_takes_none() {
        let h = Harness::new();
        let (a, b) = (h.client41("a").await, h.client41("b").await);
        let open = a.compound().putrootfh().lookup("export");
        let open = open.open_file(a.id, 0, "owner", "f");
        let lock = open.lock_file((StateId::CURRENT, 0), a.id, ("l", 0));
        lock.run().await.ok();

        let mut reply = test(&b, "l").run().await;
        assert_eq!(reply.status, Status::Denied);
        assert_eq!(reply.skip(3).next(), (13, Status::Denied));
        let range: (u64, u64) = (reply.body(), reply.body());
        let (kind, owner): (u32, ClientId) = (reply.body(), reply.body());
        assert_eq!((range, kind, owner), ((0, 10), 2, a.id));

        test(&a, "l").run().await.ok();
        assert_eq!(test(&a, "other").status().await, Status::Denied);
        let dir = b.compound().putrootfh().lookup("export").op(13, |w| {
            w.write(&1_u32);
            w.write(&0_u64);
            w.write(&1_u64);
            w.write(&b.id);
            w.write("l");
        });
        assert_eq!(dir.status().await, Status::Isdir);
    }
}
