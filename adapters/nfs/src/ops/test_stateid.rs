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
