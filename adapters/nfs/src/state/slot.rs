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
    Busy(Request),
    /// A request was executed; a retry is told this.
    Done(Request, Kept),
    /// It was withdrawn after its last request, and granted again. Some clients go on counting,
    /// others forgot the slot and begin with number 1; the RFC allows to read it either way.
    Retired(Request, Kept),
}

/// Which request it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    /// Its number in the slot.
    pub(super) sequence: u32,
    /// Tells it from another one.
    pub(super) digest: u64,
}

/// What is kept of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    /// All of it, encoded; and again the result of SEQUENCE.
    Whole(sequence::Ok, Arc<[u8]>),
    /// The result of SEQUENCE alone (RFC 8881 §2.10.6.1.3). If there was no other operation,
    /// that is all of it.
    Sequence(sequence::Ok),
    /// The result of SEQUENCE; what became of the other operations nobody knows.
    Fault(sequence::Ok),
}

/// The slot can't be withdrawn now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Busy;

/// Number of the first request of a slot.
const FIRST: u32 = 1;

/// What is to be done with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// Execute it; the slot is busy until [`Slot::finish`]. The reply before, if it was kept, is
    /// handed out to be freed where no lock is held.
    Execute(Option<Arc<[u8]>>),
    /// It was executed; answer this.
    Retry(Kept),
}

impl Slot {
    /// Takes a request. A refusal changes nothing.
    pub(super) fn begin(&mut self, request: Request) -> Result<Turn, Status> {
        match self {
            Self::Busy(last) | Self::Done(last, _) | Self::Retired(last, _)
                if last.sequence == request.sequence && last.digest == request.digest =>
            {
                self.kept().cloned().map(Turn::Retry).ok_or(Status::Delay)
            }
            Self::Busy(last) | Self::Done(last, _) if last.sequence == request.sequence => {
                Err(Status::SeqFalseRetry)
            }
            Self::Fresh | Self::Retired(..) if request.sequence == FIRST => {
                Ok(self.execute(request))
            }
            Self::Done(last, _) | Self::Retired(last, _)
                if last.sequence.wrapping_add(1) == request.sequence =>
            {
                Ok(self.execute(request))
            }
            _ => Err(Status::SeqMisordered),
        }
    }

    /// Ends the execution that [`begin`](Self::begin) started.
    pub(super) fn finish(&mut self, kept: Kept) {
        if let Self::Busy(request) = *self {
            *self = Self::Done(request, kept);
        }
    }

    /// Withdraws an idle slot, whose client has seen the last reply: of that only the result of
    /// SEQUENCE stays. Returns what is to be freed; refuses (`Err`) while a request is executed.
    pub(super) fn retire(&mut self) -> Result<Option<Arc<[u8]>>, Busy> {
        match std::mem::take(self) {
            Self::Fresh => Ok(None),
            busy @ Self::Busy(_) => {
                *self = busy;
                Err(Busy)
            }
            Self::Done(request, kept) | Self::Retired(request, kept) => {
                let (rest, freed) = match kept {
                    Kept::Whole(ok, reply) => (Kept::Sequence(ok), Some(reply)),
                    rest => (rest, None),
                };
                *self = Self::Retired(request, rest);
                Ok(freed)
            }
        }
    }

    /// The last request.
    pub(super) fn last(&self) -> Option<Request> {
        match self {
            Self::Fresh => None,
            Self::Busy(last) | Self::Done(last, _) | Self::Retired(last, _) => Some(*last),
        }
    }

    /// The request that is being executed.
    pub(super) fn executing(&self) -> Option<Request> {
        match self {
            Self::Busy(request) => Some(*request),
            Self::Fresh | Self::Done(..) | Self::Retired(..) => None,
        }
    }

    fn kept(&self) -> Option<&Kept> {
        match self {
            Self::Fresh | Self::Busy(_) => None,
            Self::Done(_, kept) | Self::Retired(_, kept) => Some(kept),
        }
    }

    fn execute(&mut self, request: Request) -> Turn {
        match std::mem::replace(self, Self::Busy(request)) {
            Self::Done(_, Kept::Whole(_, reply)) => Turn::Execute(Some(reply)),
            _ => Turn::Execute(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SessionId;

    const OK: sequence::Ok = sequence::Ok {
        session: SessionId([0; 16]),
        sequence: 0,
        slot: 0,
        highest_slot: 0,
        target_highest_slot: 0,
        status_flags: 0,
    };

    fn whole(byte: u8) -> Kept {
        Kept::Whole(OK, Arc::from([byte]))
    }

    fn request(sequence: u32, digest: u64) -> Request {
        Request { sequence, digest }
    }

    fn used(sequence: u32, digest: u64) -> Slot {
        Slot::Done(request(sequence, digest), whole(1))
    }

    #[test]
    fn the_first_request_has_number_one() {
        let mut slot = Slot::default();
        assert_eq!(slot.begin(request(0, 7)), Err(Status::SeqMisordered));
        assert_eq!(slot.begin(request(2, 7)), Err(Status::SeqMisordered));
        assert_eq!(slot.begin(request(1, 7)), Ok(Turn::Execute(None)));
    }

    #[test]
    fn a_retry_in_flight_is_told_to_wait() {
        let mut slot = Slot::default();
        slot.begin(request(1, 7)).unwrap();
        assert_eq!(slot.begin(request(1, 7)), Err(Status::Delay));
        assert_eq!(slot.begin(request(1, 8)), Err(Status::SeqFalseRetry));
        assert_eq!(slot.begin(request(2, 8)), Err(Status::SeqMisordered));
    }

    #[test]
    fn numbers_wrap_around() {
        let mut slot = used(u32::MAX, 7);
        assert!(matches!(slot.begin(request(0, 8)), Ok(Turn::Execute(_))));
        slot.finish(whole(2));
        assert_eq!(slot.begin(request(0, 8)), Ok(Turn::Retry(whole(2))));
        assert_eq!(slot.begin(request(u32::MAX, 7)), Err(Status::SeqMisordered));
    }

    #[test]
    fn a_busy_slot_is_not_withdrawn() {
        let mut slot = used(5, 7);
        slot.begin(request(6, 7)).unwrap();
        assert_eq!(slot.retire(), Err(Busy));
        assert_eq!(slot.begin(request(6, 7)), Err(Status::Delay));
    }

    #[test]
    fn a_slot_that_comes_back_goes_on_or_begins_anew() {
        for next in [6, 1] {
            let mut slot = used(5, 7);
            assert_eq!(slot.retire(), Ok(Some(Arc::from([1]))));
            assert_eq!(slot.begin(request(4, 7)), Err(Status::SeqMisordered));
            assert_eq!(slot.begin(request(next, 7)), Ok(Turn::Execute(None)));
            slot.finish(whole(2));
            assert!(matches!(
                slot.begin(request(next + 1, 7)),
                Ok(Turn::Execute(_))
            ));
        }
    }

    #[test]
    fn the_very_request_that_a_withdrawn_slot_executed_is_not_executed_again() {
        let mut slot = used(1, 7);
        slot.retire().unwrap();
        let retry = slot.begin(request(1, 7));
        assert_eq!(retry, Ok(Turn::Retry(Kept::Sequence(OK))));
        assert_eq!(slot.begin(request(1, 8)), Ok(Turn::Execute(None)));
    }
}
