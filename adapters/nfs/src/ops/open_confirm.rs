//! OPEN_CONFIRM: an owner that the server had not seen before stands by its OPEN (4.0).
//! <https://www.rfc-editor.org/rfc/rfc7530#section-16.18>

use super::io;
use super::owner40::{self, Answer, Entered, Refused, Running};
use crate::compound::{Cx, Operation};
use crate::state::files::{Numbered, Step};
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// OPEN_CONFIRM4args
    #[derive(Debug)]
    pub struct Args {
        /// The open.
        pub stateid: StateId,
        /// Number of the operation in the owner's sequence.
        pub seqid: u32,
    } => decode
}

impl Operation for Args {
    type Ok = Answer<StateId>;
    type Err = Refused;

    async fn run(self, cx: &mut Cx) -> Result<Answer<StateId>, Refused> {
        let stateid = io::actual(cx, self.stateid)?;
        let step = Step {
            op: Numbered::OpenConfirm,
            seqid: self.seqid,
        };
        match owner40::enter_by(cx, &stateid, step).await? {
            Entered::Replay(cached) => owner40::replay(cached),
            Entered::Run(mut running) => {
                let result = confirm(cx, &stateid);
                if let (Ok(_), Running::Numbered(owner, _)) = (&result, &mut running) {
                    owner.confirmed = true;
                }
                running.finish(result.map_err(Refused::from), None)
            }
        }
    }
}

fn confirm(cx: &Cx, stateid: &StateId) -> Result<StateId, Status> {
    let key = cx.share_object(Status::BadStateid)?.key();
    cx.server.state.files.confirm(stateid, &key)
}
