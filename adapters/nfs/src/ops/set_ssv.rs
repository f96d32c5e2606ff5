//! SET_SSV: sets the secret of a client that chose SP4_SSV, which none can here.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.47>

use bytes::Bytes;

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// SET_SSV4args
    #[derive(Debug)]
    pub struct Args {
        /// What to combine with the old secret.
        pub ssv: Bytes,
        /// Proof that the sender knows it.
        pub digest: Bytes,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    /// NFS4ERR_INVAL when the client's protection is not SP4_SSV (RFC 8881 §18.47.3).
    async fn run(self, _cx: &mut Cx) -> Result<(), Status> {
        Err(Status::Inval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Harness;

    #[tokio::test]
    async fn a_client_without_that_protection_has_no_secret_to_set() {
        let h = Harness::new();
        let client = h.client41("a").await;
        let set = client.compound().op(54, |w| {
            w.write("secret");
            w.write("digest");
        });
        assert_eq!(set.status().await, Status::Inval);
    }
}
