//! CLOSE: ends an open.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.2>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-16.2>

use super::io;
use super::owner40::{self, Answer, Entered, Refused};
use crate::compound::{Cx, Operation};
use crate::state::files::{Numbered, Step};
use crate::status::Status;
use crate::types::{Minor, StateId};
use crate::xdr::xdr_struct;

xdr_struct! {
    /// CLOSE4args
    #[derive(Debug)]
    pub struct Args {
        /// Number of the operation in the owner's sequence (4.0).
        pub seqid: u32,
        /// The open.
        pub stateid: StateId,
    } => decode
}

impl Operation for Args {
    type Ok = Answer<StateId>;
    type Err = Refused;

    async fn run(self, cx: &mut Cx) -> Result<Answer<StateId>, Refused> {
        let stateid = io::actual(cx, self.stateid)?;
        if cx.minor() == Minor::V40 {
            return Box::pin(close_in_turn(cx, stateid, self.seqid)).await;
        }
        Ok(Answer::New(close(cx, &stateid)?))
    }
}

async fn close_in_turn(
    cx: &mut Cx,
    stateid: StateId,
    seqid: u32,
) -> Result<Answer<StateId>, Refused> {
    let step = Step {
        op: Numbered::Close,
        seqid,
    };
    match owner40::enter_by(cx, &stateid, step).await? {
        Entered::Replay(cached) => owner40::replay(cached),
        Entered::Run(running) => {
            let result = close(cx, &stateid);
            running.finish(result.map_err(Refused::from), None)
        }
    }
}

fn close(cx: &mut Cx, stateid: &StateId) -> Result<StateId, Status> {
    let key = cx.share_object(Status::BadStateid)?.key();
    let files = &cx.server.state.files;
    let (stateid, closed) = files.close(io::caller(cx), stateid, &key)?;
    drop(closed);
    cx.current_stateid = Some(stateid);
    Ok(stateid)
}
