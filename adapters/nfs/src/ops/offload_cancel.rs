//! OFFLOAD_CANCEL: stops what COPY began.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-15.8>

use crate::compound::{Cx, Operation};
use crate::ops::offload_status::job;
use crate::state::copies::Stop;
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// OFFLOAD_CANCEL4args
    #[derive(Debug)]
    pub struct Args {
        /// What COPY began.
        pub stateid: StateId,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    /// Nothing is written any more when it is answered: the client may go on to cut the file. The stateid is
    /// the client's no longer (RFC 7862 §4.8), also of a copy that had ended.
    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        let job = job(cx, &self.stateid)?;
        job.stop(Stop::Client);
        job.ended().await;
        cx.server.state.copies.forget(&job);
        Ok(())
    }
}
