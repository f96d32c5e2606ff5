//! SECINFO: the security flavors that may be used for an entry of the current directory.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.29>

use bytes::Bytes;

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::Minor;
use crate::xdr::xdr_struct;

/// The flavors that every share accepts, strongest first: AUTH_SYS, and AUTH_NONE, which is
/// served as the anonymous user.
const FLAVORS: [u32; 2] = [1, 0];

/// SECINFO4resok: flavors, none of which has parameters.
pub type Flavors = Vec<u32>;

xdr_struct! {
    /// SECINFO4args
    #[derive(Debug)]
    pub struct Args {
        /// The entry.
        pub name: Bytes,
    } => decode
}

impl Operation for Args {
    type Ok = Flavors;
    type Err = Status;

    fn reply_room(&self) -> usize {
        4 + 4 * FLAVORS.len()
    }

    async fn run(self, cx: &mut Cx) -> Result<Flavors, Status> {
        // Who may not look the entry up may not ask about it either.
        super::lookup::entry(cx, &self.name)
            .await
            .map_err(super::in_dir)?;
        Ok(answer(cx))
    }
}

/// The flavors. In 4.1 the answer consumes the file handle (RFC 8881 §2.6.3.1.1.8).
pub(super) fn answer(cx: &mut Cx) -> Flavors {
    if cx.minor() > Minor::V40 {
        cx.current = None;
        cx.current_stateid = None;
    }
    FLAVORS.to_vec()
}
