//! One slot of a session: exactly-once execution of one request after another.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-2.10.6.1>

use std::sync::Arc;

use crate::ops::sequence;
use crate::status::Status;

/// What a slot remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Slot {
    /// No request came yet; the first one has number 1 (RFC 8881 §18.36.3).
    #[default]
    Fresh,
    /// A request is being executed.
    Busy {
        /// Its number.
        sequence: u32,
        /// Tells it from another one.
        digest: u64,
    },
    /// A request was executed.
    Done {
        /// Its number.
        sequence: u32,
        /// Tells it from another one.
        digest: u64,
        /// What a retry is told.
        reply: Kept,
    },
}

/// What is kept of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    /// All of it, encoded.
    Whole(Arc<[u8]>),
    /// The result of SEQUENCE alone (RFC 8881 §2.10.6.1.3). If there was no other operation,
    /// that is all of it.
    Sequence(sequence::Ok),
}

/// What is to be done with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// Execute it; the slot is busy until [`Slot::finish`].
    Execute,
    /// It was executed; answer this.
    Retry(Kept),
}

impl Slot {
    /// Takes request number `sequence`. A refusal changes nothing.
    pub(super) fn begin(&mut self, sequence: u32, digest: u64) -> Result<Turn, Status> {
        match self {
            Self::Busy {
                sequence: last,
                digest: first,
            } if *last == sequence => Err(if *first == digest {
                Status::Delay
            } else {
                Status::SeqFalseRetry
            }),
            Self::Done {
                sequence: last,
                digest: first,
                reply,
            } if *last == sequence => {
                if *first == digest {
                    Ok(Turn::Retry(reply.clone()))
                } else {
                    Err(Status::SeqFalseRetry)
                }
            }
            Self::Fresh | Self::Done { .. } if sequence == self.last().wrapping_add(1) => {
                *self = Self::Busy { sequence, digest };
                Ok(Turn::Execute)
            }
            _ => Err(Status::SeqMisordered),
        }
    }

    /// Ends the execution that [`begin`](Self::begin) started.
    pub(super) fn finish(&mut self, reply: Kept) {
        if let Self::Busy { sequence, digest } = *self {
            *self = Self::Done {
                sequence,
                digest,
                reply,
            };
        }
    }

    /// Size of the reply that is kept, in bytes.
    pub(super) fn kept_bytes(&self) -> usize {
        match self {
            Self::Done {
                reply: Kept::Whole(reply),
                ..
            } => reply.len(),
            _ => 0,
        }
    }

    fn last(&self) -> u32 {
        match self {
            Self::Fresh => 0,
            Self::Busy { sequence, .. } | Self::Done { sequence, .. } => *sequence,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(byte: u8) -> Kept {
        Kept::Whole(Arc::from([byte]))
    }

    #[test]
    fn the_first_request_has_number_one() {
        let mut slot = Slot::default();
        assert_eq!(slot.begin(0, 7), Err(Status::SeqMisordered));
        assert_eq!(slot.begin(2, 7), Err(Status::SeqMisordered));
        assert_eq!(slot.begin(1, 7), Ok(Turn::Execute));
    }

    #[test]
    fn a_retry_in_flight_is_told_to_wait() {
        let mut slot = Slot::default();
        slot.begin(1, 7).unwrap();
        assert_eq!(slot.begin(1, 7), Err(Status::Delay));
        assert_eq!(slot.begin(1, 8), Err(Status::SeqFalseRetry));
        assert_eq!(slot.begin(2, 8), Err(Status::SeqMisordered));
    }

    #[test]
    fn numbers_wrap_around() {
        let mut slot = Slot::Done {
            sequence: u32::MAX,
            digest: 7,
            reply: whole(1),
        };
        assert_eq!(slot.begin(0, 8), Ok(Turn::Execute));
        slot.finish(whole(2));
        assert_eq!(slot.begin(0, 8), Ok(Turn::Retry(whole(2))));
    }

    /// What the RFC says, told in another way: the list of everything that was executed.
    #[derive(Default)]
    struct Model {
        executed: Vec<(u64, Option<Kept>)>,
    }

    impl Model {
        fn begin(&mut self, sequence: u32, digest: u64) -> Result<Turn, Status> {
            let idle = self
                .executed
                .last()
                .is_none_or(|(_, reply)| reply.is_some());
            if sequence as usize == self.executed.len() + 1 && idle {
                self.executed.push((digest, None));
                return Ok(Turn::Execute);
            }
            if self.executed.is_empty() || sequence as usize != self.executed.len() {
                return Err(Status::SeqMisordered);
            }
            match self.executed.last() {
                Some((first, _)) if *first != digest => Err(Status::SeqFalseRetry),
                Some((_, Some(reply))) => Ok(Turn::Retry(reply.clone())),
                _ => Err(Status::Delay),
            }
        }
    }

    proptest! {
        #[test]
        fn any_order_of_requests_is_executed_at_most_once(
            steps in prop::collection::vec((0_u32..6, 0_u64..2, any::<bool>(), any::<u8>()), 0..64),
        ) {
            let mut slot = Slot::default();
            let mut model = Model::default();
            for (ahead, digest, finish, byte) in steps {
                let sequence = (model.executed.len() as u32 + ahead).saturating_sub(2);
                prop_assert_eq!(slot.begin(sequence, digest), model.begin(sequence, digest));
                if finish && let Some((_, reply @ None)) = model.executed.last_mut() {
                    *reply = Some(whole(byte));
                    slot.finish(whole(byte));
                }
            }
        }
    }
}
