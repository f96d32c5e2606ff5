//! LOCKU: unlocks a range of bytes.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.12>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-16.12>

use super::io;
use super::lock::KindArg;
use super::owner40::{self, Answer, Entered, Refused};
use crate::compound::{Cx, Operation};
use crate::state::files::{Numbered, Range, Step};
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// LOCKU4args
    #[derive(Debug)]
    pub struct Args {
        /// What the client holds; any kind is unlocked.
        pub kind: KindArg,
        /// Number of the operation in the lock owner's sequence (4.0).
        pub seqid: u32,
        /// The owner's locks.
        pub stateid: StateId,
        /// First byte.
        pub offset: u64,
        /// Number of bytes; all ones for all that follow.
        pub length: u64,
    } => decode
}

impl Operation for Args {
    type Ok = Answer<StateId>;
    type Err = Refused;

    async fn run(self, cx: &mut Cx) -> Result<Answer<StateId>, Refused> {
        let stateid = io::actual(cx, self.stateid)?;
        let step = Step {
            op: Numbered::Locku,
            seqid: self.seqid,
        };
        match owner40::enter_by(cx, &stateid, step).await? {
            Entered::Replay(cached) => owner40::replay(cached),
            Entered::Run(running) => {
                let result = self.unlock(cx, &stateid);
                running.finish(result.map_err(Refused::from), None)
            }
        }
    }
}

impl Args {
    fn unlock(&self, cx: &mut Cx, stateid: &StateId) -> Result<StateId, Status> {
        let range = Range::new(self.offset, self.length)?;
        let key = cx.share_object(Status::BadStateid)?.key();
        let limit = cx.settings.max_locks_per_client as usize;
        let files = &cx.server.state.files;
        let stateid = files.unlock(io::caller(cx), stateid, &key, range, limit)?;
        cx.server.metrics.locks.released.inc();
        cx.current_stateid = Some(stateid);
        Ok(stateid)
    }
}
