//! IO_ADVISE: how a client is going to use a range of a file.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-15.5>
//!
//! A hint is no reason for an error, nor are hints that contradict each other: the answer tells which
//! were taken. One tells in which order the range will be used, and one when.

use dittofs_sdk::vfs::{Advice, OpenAccess};

use super::io;
use crate::compound::{Cx, Operation};
use crate::delegations::Reason;
use crate::status::Status;
use crate::types::{Bitmap, StateId};
use crate::xdr::xdr_struct;

xdr_struct! {
    /// IO_ADVISE4args
    #[derive(Debug)]
    pub struct Args {
        /// The open, lock or delegation.
        pub stateid: StateId,
        /// First byte.
        pub offset: u64,
        /// Number of bytes; 0 for all that follow.
        pub count: u64,
        /// IO_ADVISE4_* bits.
        pub hints: Bitmap,
    } => decode
}

/// IO_ADVISE4_NORMAL
const NORMAL: u32 = 0;

/// IO_ADVISE4_SEQUENTIAL, _RANDOM, _NORMAL. Nobody reads ahead backwards.
const ORDER: [(u32, Advice); 3] = [
    (1, Advice::Sequential),
    (3, Advice::Random),
    (NORMAL, Advice::Normal),
];

/// IO_ADVISE4_WILLNEED, _WILLNEED_OPPORTUNISTIC, _READ, _DONTNEED, _NOREUSE.
const NEED: [(u32, Advice); 5] = [
    (4, Advice::WillNeed),
    (5, Advice::WillNeed),
    (8, Advice::WillNeed),
    (6, Advice::DontNeed),
    (7, Advice::NoReuse),
];

impl Operation for Args {
    type Ok = Bitmap;
    type Err = Status;

    fn reply_room(&self) -> usize {
        Bitmap::SIZE_MAX
    }

    async fn run(self, cx: &mut Cx) -> Result<Bitmap, Status> {
        // Advice reads nothing that anybody could deny.
        let stateid = match io::actual(cx, self.stateid)? {
            StateId::ANONYMOUS => StateId::READ_BYPASS,
            other => other,
        };
        let file = io::file_for(cx, stateid, OpenAccess::Read, Reason::ReadWrite)
            .await
            .map_err(|status| super::not_a_file(cx, status))?;
        let mut taken = Bitmap::EMPTY;
        for kinds in [&ORDER[..], &NEED] {
            let hint = kinds.iter().find(|(bit, _)| self.hints.contains(*bit));
            if let Some((bit, advice)) = hint
                && file.advise(self.offset, self.count, *advice).await.is_ok()
            {
                taken = taken.with(*bit);
            }
        }
        if taken == Bitmap::EMPTY {
            taken = taken.with(NORMAL);
        }
        Ok(taken)
    }
}
