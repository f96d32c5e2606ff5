//! SEQUENCE by outcome.

use dittofs_sdk::Error;
use dittofs_sdk::metrics::{Counter, Metrics as Host};

use crate::status::Status;

/// Counts of SEQUENCE as the first operation of a COMPOUND.
#[derive(Default)]
pub struct Sequence {
    total: Counter,
    replays: Counter,
    errors: [Counter; Outcome::ALL.len()],
}

macro_rules! outcomes {
    ($($(#[$doc:meta])* $variant:ident $name:literal;)*) => {
        /// Why a SEQUENCE did not begin a new request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Outcome { $($(#[$doc])* $variant,)* }

        impl Outcome {
            /// All of them, in the order of their declaration.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// The value of the label `error_type`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

outcomes! {
    /// There is no such session.
    BadSession "bad_session";
    /// Neither the next number of the slot nor the last one.
    Misordered "seq_misordered";
    /// A retry that was answered with the reply kept.
    ReplayHit "replay_hit";
    /// A retry of a request that is still being executed.
    SlotBusy "slot_busy";
    /// Arguments that could not be read.
    BadXdr "bad_xdr";
    /// There is no such slot.
    BadSlot "bad_slot";
    /// A retry of a request whose reply was not kept.
    RetryUncached "retry_uncached";
    /// Another request under the number of the last one.
    FalseRetry "false_retry";
    /// A highest slot beyond the session's.
    BadHighSlot "bad_high_slot";
    /// A request that is larger than the session's channel.
    ReqTooBig "req_too_big";
    /// A reply that can't fit into the session's channel.
    RepTooBig "rep_too_big";
    /// A reply that is to be kept and can't be.
    RepTooBigToCache "rep_too_big_to_cache";
    /// More operations than the session's channel takes.
    TooManyOps "too_many_ops";
    /// Anything else.
    Other "other";
}

impl Sequence {
    pub(super) fn new(host: &Host) -> Result<Self, Error> {
        let errors = host.counters(
            "dittofs_nfs_sequence_errors_total",
            "SEQUENCE operations that did not begin a new request, by cause.",
            &["error_type"],
        )?;
        Ok(Self {
            total: host.counter(
                "dittofs_nfs_sequence_total",
                "SEQUENCE operations processed.",
            )?,
            replays: host.counter("dittofs_nfs_replay_hits_total", "Kept replies returned.")?,
            errors: Outcome::ALL.map(|outcome| errors.with(&[outcome.name()])),
        })
    }

    /// Records a SEQUENCE that began a new request.
    pub fn began(&self) {
        self.total.inc();
    }

    /// Records any other SEQUENCE.
    pub fn ended(&self, outcome: Outcome) {
        self.total.inc();
        if outcome == Outcome::ReplayHit {
            self.replays.inc();
        }
        if let Some(counter) = self.errors.get(outcome as usize) {
            counter.inc();
        }
    }
}

impl From<Status> for Outcome {
    fn from(status: Status) -> Self {
        match status {
            Status::Badsession => Self::BadSession,
            Status::SeqMisordered => Self::Misordered,
            Status::Delay => Self::SlotBusy,
            Status::Badxdr => Self::BadXdr,
            Status::Badslot => Self::BadSlot,
            Status::RetryUncachedRep => Self::RetryUncached,
            Status::SeqFalseRetry => Self::FalseRetry,
            Status::BadHighSlot => Self::BadHighSlot,
            Status::ReqTooBig => Self::ReqTooBig,
            Status::RepTooBig => Self::RepTooBig,
            Status::RepTooBigToCache => Self::RepTooBigToCache,
            Status::TooManyOps => Self::TooManyOps,
            _ => Self::Other,
        }
    }
}
