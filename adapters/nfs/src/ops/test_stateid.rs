//! TEST_STATEID: asks which stateids are still good.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.48>

use super::io;
use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// TEST_STATEID4args
    #[derive(Debug)]
    pub struct Args {
        /// The stateids; special ones are bad.
        pub stateids: Vec<StateId>,
    } => decode
}

impl Operation for Args {
    type Ok = Vec<Status>;
    type Err = Status;

    async fn run(self, cx: &mut Cx) -> Result<Vec<Status>, Status> {
        // Not an operation that changes anything, so nothing checked the room before.
        if self.reply_room() > cx.reply_room() {
            return Err(cx.too_big());
        }
        let caller = io::caller(cx);
        let files = &cx.server.state.files;
        Ok(self
            .stateids
            .iter()
            .map(|stateid| files.test(caller, stateid))
            .collect())
    }

    fn reply_room(&self) -> usize {
        4 + 4 * self.stateids.len()
    }
}

#[cfg(test)]
mod tests {
    use crate::status::Status;
    use crate::testing::Harness;
    use crate::types::StateId;

    #[tokio::test]
    async fn each_stateid_gets_a_status_of_its_own() {
        let h = Harness::new();
        let (client, other) = (h.client41("a").await, h.client41("b").await);
        let open = client.compound().putrootfh().lookup("export");
        let mut reply = open.open_file(client.id, 0, "owner", "f").run().await;
        let open: StateId = reply.skip(2).ok_body();
        let newer = StateId {
            seqid: open.seqid + 1,
            ..open
        };
        let all = vec![open, newer, StateId::ANONYMOUS];
        let mut reply = client.compound().with(55, &all).run().await;
        let count: u32 = reply.ok_body();
        let found: Vec<u32> = (0..count).map(|_| reply.body()).collect();
        let expected = [Status::Ok, Status::BadStateid, Status::BadStateid];
        assert_eq!(found, expected.map(|status| status as u32));
        let mut reply = other.compound().with(55, &vec![open]).run().await;
        let stranger: (u32, u32) = (reply.ok_body(), reply.body());
        assert_eq!(stranger, (1, Status::BadStateid as u32));
    }
}
