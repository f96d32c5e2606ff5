//! WANT_DELEGATION: asks for a delegation apart from an OPEN.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.49>

use std::sync::Arc;

use dittofs_sdk::vfs::{File, Kind, OpenAccess};

use super::open::{self, Delegation, Want, Why};
use super::reclaim;
use crate::compound::{Cx, Operation};
use crate::delegations::{self, Offer};
use crate::exports::{Object, ShareObject};
use crate::state::files::DelegationKind;
use crate::status::Status;
use crate::xdr::{BadXdr, Decode, Reader, xdr_struct};

xdr_struct! {
    /// WANT_DELEGATION4args
    #[derive(Debug)]
    pub struct Args {
        /// OPEN4_SHARE_ACCESS_WANT_* bits.
        pub want: u32,
        /// On what ground.
        pub claim: Claim,
    } => decode
}

/// deleg_claim4
#[derive(Debug)]
pub enum Claim {
    /// CLAIM_FH
    Handle,
    /// CLAIM_DELEG_PREV_FH
    HeldBefore,
    /// CLAIM_PREVIOUS, with the type of the delegation.
    Previous(Option<DelegationKind>),
}

impl Decode for Claim {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        match reader.read::<u32>()? {
            1 => open::kind(reader.read()?).map(Self::Previous),
            4 => Ok(Self::Handle),
            6 => Ok(Self::HeldBefore),
            _ => Err(BadXdr),
        }
    }
}

/// OPEN4_SHARE_ACCESS_BOTH, which is ignored here.
const ACCESS: u32 = 3;

impl Operation for Args {
    type Ok = Delegation;
    type Err = Status;

    fn reply_room(&self) -> usize {
        Delegation::SIZE_MAX
    }

    async fn run(self, cx: &mut Cx) -> Result<Delegation, Status> {
        let want = Want::new(self.want, ACCESS)?;
        if matches!(want, Want::Unsaid | Want::None) {
            return Err(Status::Inval);
        }
        match self.claim {
            Claim::Handle => {
                reclaim::may_get_new(cx)?;
                ask(cx, want).await
            }
            Claim::Previous(kind) => take_back(cx, kind.ok_or(Status::Inval)?).await,
            // Delegations end with their client's incarnation (§18.5.3).
            Claim::HeldBefore => Err(Status::Notsupp),
        }
    }
}

async fn ask(cx: &Cx, want: Want) -> Result<Delegation, Status> {
    if want == Want::Cancel {
        // There is never one to be told of later.
        return Ok(Delegation::Not(Why::Cancelled));
    }
    let Object::Share(object) = cx.object()? else {
        return Ok(Delegation::Not(Why::IsDir));
    };
    let kind = object.share.fs.attr(&object.handle).await?.kind;
    match (kind, want) {
        (Kind::File, _) => {}
        (Kind::Dir, _) => return Ok(Delegation::Not(Why::IsDir)),
        (_, Want::Write) => return Ok(Delegation::Not(Why::WriteDelegNotSuppFtype)),
        _ => return Ok(Delegation::Not(Why::NotSuppFtype)),
    }
    let client = cx.session()?.client().id;
    // Asking is no reason to recall what others have (§18.49.4); nor may it show anybody more than
    // an open would.
    let mut answer = Delegation::Not(Why::Contention);
    for &kind in want.kinds(OpenAccess::Both) {
        let access = access(kind);
        let Some(file) = opened(object, access).await? else {
            answer = Delegation::Not(Why::Resource);
            continue;
        };
        let offer = Offer {
            client,
            object,
            file: &file,
            access,
        };
        let granted = delegations::offer(cx, &offer, &[kind]).await;
        let done = granted.is_ok();
        answer = Delegation::of(granted, want);
        if done {
            break;
        }
    }
    Ok(answer)
}

/// What the client had before the server's restart, it has.
async fn take_back(cx: &Cx, kind: DelegationKind) -> Result<Delegation, Status> {
    let client = cx.session()?.client().id;
    reclaim::may_reclaim(cx, client)?;
    let object = cx.share_object(Status::ReclaimBad)?;
    let access = access(kind);
    let file = opened(object, access).await?.ok_or(Status::ReclaimBad)?;
    let offer = Offer {
        client,
        object,
        file: &file,
        access,
    };
    let granted = delegations::take_back(cx, &offer, kind).await;
    granted
        .map(Delegation::Granted)
        .map_err(|_| Status::ReclaimConflict)
}

fn access(kind: DelegationKind) -> OpenAccess {
    match kind {
        DelegationKind::Read => OpenAccess::Read,
        DelegationKind::Write => OpenAccess::Both,
    }
}

/// The file, open as the caller; none if the caller may not open it, for which the RFC has no
/// status here.
async fn opened(object: &ShareObject, access: OpenAccess) -> Result<Option<Arc<dyn File>>, Status> {
    let fs = &object.share.fs;
    match fs.open(&object.cred, &object.handle, access).await {
        Ok(file) => Ok(Some(file)),
        Err(error) => match error.into() {
            status @ (Status::Stale | Status::Io | Status::Delay) => Err(status),
            _ => Ok(None),
        },
    }
}

#[cfg(test)]
mod tests {
    use crate::status::Status;
    use crate::testing::{Client41, Harness};

    const WANT_DELEGATION: u32 = 56;
    const READ: u32 = 0x100;
    const WRITE: u32 = 0x200;
    const ANY: u32 = 0x300;

    /// The delegation's type and, if there is none, the reason.
    async fn want(client: &Client41<'_>, name: &str, want: u32) -> Result<(u32, u32), Status> {
        let at = client.compound().putrootfh().lookup("export").lookup(name);
        let asked = at.op(WANT_DELEGATION, |w| {
            w.write(&want);
            w.write(&4_u32);
        });
        let mut reply = asked.run().await;
        if reply.status != Status::Ok {
            return Err(reply.status);
        }
        Ok((reply.skip(3).ok_body(), reply.body()))
    }

    #[tokio::test]
    async fn a_wish_that_is_not_granted_is_answered_with_the_reason() {
        let h = Harness::new();
        let client = h.client41("a").await;
        let at = || client.compound().putrootfh().lookup("export");
        at().create_dir("dir").run().await.ok();
        let link = at().op(6, |w| {
            w.write(&5_u32);
            w.write("target");
            w.write("link");
            w.write(&crate::types::Bitmap::EMPTY);
            w.write("");
        });
        link.run().await.ok();
        let open = at().open_file(client.id, 0, "owner", "f");
        open.run().await.ok();
        for (name, wanted, why) in [
            ("f", ANY, 2),
            ("f", 0x500, 7),
            ("dir", READ, 8),
            ("link", READ, 3),
            ("link", WRITE, 4),
            ("f", READ | 3, 2),
            ("f", READ | 0x3_0000, 2),
        ] {
            assert_eq!(want(&client, name, wanted).await, Ok((3, why)), "{name}");
        }
        for wanted in [0, 0x400, 0x600, 0x80] {
            assert_eq!(want(&client, "f", wanted).await, Err(Status::Inval));
        }
    }

    #[tokio::test]
    async fn nothing_from_before_a_restart_is_there_to_be_claimed() {
        let h = Harness::new();
        let client = h.client41("a").await;
        let at = || client.compound().putrootfh().lookup("export");
        let previous = at().op(WANT_DELEGATION, |w| {
            w.write(&READ);
            w.write(&1_u32);
            w.write(&1_u32);
        });
        assert_eq!(previous.status().await, Status::NoGrace);
        let held = at().op(WANT_DELEGATION, |w| {
            w.write(&READ);
            w.write(&6_u32);
        });
        assert_eq!(held.status().await, Status::Notsupp);
    }
}
