//! FREE_STATEID: forgets a stateid that has no locks.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.38>

use super::io;
use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// FREE_STATEID4args
    #[derive(Debug)]
    pub struct Args {
        /// The stateid.
        pub stateid: StateId,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        let stateid = io::actual(cx, self.stateid)?;
        cx.server.state.files.free(io::caller(cx), &stateid)?;
        if let Some(client) = cx.session_client() {
            cx.server.acknowledged(client).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::status::Status;
    use crate::testing::Harness;
    use crate::types::StateId;

    #[tokio::test]
    async fn only_a_lock_stateid_without_locks_is_freed() {
        let h = Harness::new();
        let client = h.client41("a").await;
        let free = |stateid: StateId| client.compound().with(45, &stateid);
        let open = client.compound().putrootfh().lookup("export");
        let mut reply = open.open_file(client.id, 0, "owner", "f").run().await;
        let open: StateId = reply.skip(2).ok_body();
        let file = || client.compound().putrootfh().lookup("export").lookup("f");
        let lock = file().lock_file((open, 0), client.id, ("l", 0));
        let lock: StateId = lock.run().await.skip(3).ok_body();
        assert_eq!(free(open).status().await, Status::LocksHeld);
        assert_eq!(free(lock).status().await, Status::LocksHeld);
        let unlock = file().op(14, |w| {
            w.write(&2_u32);
            w.write(&0_u32);
            w.write(&lock);
            w.write(&0_u64);
            w.write(&u64::MAX);
        });
        let unlocked: StateId = unlock.run().await.skip(3).ok_body();
        free(unlocked).run().await.ok();
        assert_eq!(free(unlocked).status().await, Status::BadStateid);
    }
}
