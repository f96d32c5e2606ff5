//! OPEN_DOWNGRADE: narrows an open to a union of its owner's earlier OPENs.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.18>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-16.19>

use super::io;
use super::owner40::{self, Answer, Entered, Refused};
use crate::compound::{Cx, Operation};
use crate::state::files::{Numbered, Share, Step};
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// OPEN_DOWNGRADE4args
    #[derive(Debug)]
    pub struct Args {
        /// The open.
        pub stateid: StateId,
        /// Number of the operation in the owner's sequence (4.0).
        pub seqid: u32,
        /// What it shall still allow.
        pub share_access: u32,
        /// What it shall still deny others.
        pub share_deny: u32,
    } => decode
}

impl Operation for Args {
    type Ok = Answer<StateId>;
    type Err = Refused;

    async fn run(self, cx: &mut Cx) -> Result<Answer<StateId>, Refused> {
        let stateid = io::actual(cx, self.stateid)?;
        let step = Step {
            op: Numbered::OpenDowngrade,
            seqid: self.seqid,
        };
        match owner40::enter_by(cx, &stateid, step).await? {
            Entered::Replay(cached) => owner40::replay(cached),
            Entered::Run(running) => {
                let result = self.downgrade(cx, &stateid);
                running.finish(result.map_err(Refused::from), None)
            }
        }
    }
}

impl Args {
    fn downgrade(&self, cx: &mut Cx, stateid: &StateId) -> Result<StateId, Status> {
        let share = Share::new(self.share_access, self.share_deny)?;
        let key = cx.share_object(Status::BadStateid)?.key();
        let files = &cx.server.state.files;
        let (stateid, closed) = files.downgrade(io::caller(cx), stateid, &key, share)?;
        drop(closed);
        cx.current_stateid = Some(stateid);
        Ok(stateid)
    }
}

#[cfg(test)]
mod tests {
    use crate::status::Status;
    use crate::testing::Harness;
    use crate::types::StateId;

    #[tokio::test]
    async fn an_open_gives_up_what_it_has_and_gains_nothing() {
        let h = Harness::new();
        let client = h.client41("a").await;
        let open = client.compound().putrootfh().lookup("export");
        // Once for reading alone, so that there is something to go back to.
        let read_only = open.op(18, |w| {
            for word in [0_u32, 1, 0] {
                w.write(&word);
            }
            w.write(&client.id);
            w.write("owner");
            for word in [1_u32, 0, 0, 0, 0] {
                w.write(&word);
            }
            w.write("f");
        });
        read_only.run().await.ok();
        let open = client.compound().putrootfh().lookup("export");
        let open = open.open_file(client.id, 0, "owner", "f");
        let stateid: StateId = open.run().await.skip(2).ok_body();
        let at = |stateid: StateId, access: u32| {
            let compound = client.compound().putrootfh().lookup("export");
            compound.lookup("f").op(21, |w| {
                w.write(&stateid);
                w.write(&0_u32);
                w.write(&access);
                w.write(&0_u32);
            })
        };
        let mut reply = at(stateid, 1).run().await;
        let less: StateId = reply.skip(3).ok_body();
        assert_eq!((less.seqid, less.other), (stateid.seqid + 1, stateid.other));
        assert_eq!(at(less, 3).status().await, Status::Inval);
        assert_eq!(at(less, 0).status().await, Status::Inval);
        let write = client.compound().putrootfh().lookup("export");
        let write = write.lookup("f").write_file(less, "x");
        assert_eq!(write.status().await, Status::Openmode);
    }
}
