//! OFFLOAD_STATUS: how far what COPY began has come.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-15.9>

use std::sync::Arc;

use crate::compound::{Cx, Operation};
use crate::exports::Object;
use crate::state::copies::{Job, Phase};
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// OFFLOAD_STATUS4args
    #[derive(Debug)]
    pub struct Args {
        /// What COPY began.
        pub stateid: StateId,
    } => decode
}

xdr_struct! {
    /// OFFLOAD_STATUS4resok
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Ok {
        /// Bytes copied.
        pub count: u64,
        /// What it ended with, if it has ended.
        pub complete: Option<Status>,
    } => encode
}

impl Operation for Args {
    type Ok = Ok;
    type Err = Status;

    /// The stateid stays good, as CB_OFFLOAD is yet to be answered (RFC 7862 §4.8).
    async fn run(self, cx: &mut Cx) -> Result<Ok, Status> {
        let job = job(cx, &self.stateid)?;
        let complete = match job.phase() {
            Phase::Running | Phase::Stopping(_) => None,
            Phase::Ended(result) => Some(result.err().unwrap_or(Status::Ok)),
        };
        Ok(Ok {
            count: job.done(),
            complete,
        })
    }
}

/// The copy that a stateid names on the current file.
pub fn job(cx: &Cx, stateid: &StateId) -> Result<Arc<Job>, Status> {
    let client = cx.session()?.client().id;
    let Some(Object::Share(object)) = &cx.current else {
        return Err(Status::BadStateid);
    };
    let copies = &cx.server.state.copies;
    copies.find(client, object.cred.uid, &object.key(), stateid)
}
