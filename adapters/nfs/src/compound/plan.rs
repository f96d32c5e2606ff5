//! The ordering rules of a COMPOUND, as a type.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-2.10.2.1>,
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.46.3>

use crate::ops;
use crate::status::Status;
use crate::table::{Flags, Op};
use crate::types::Minor;

/// What kind of COMPOUND this is. Later steps need no ordering checks of their own, except that
/// a SEQUENCE among `rest` fails when it is run.
#[derive(Debug)]
pub enum Plan {
    /// 4.0: any operations, no session.
    V40(Vec<Op>),
    /// 4.1 and later: one operation that needs no session; also a first operation that is unknown
    /// or unreadable, which fails as such.
    Lone(Op),
    /// 4.1 and later: SEQUENCE and what it gates.
    Sequenced(ops::sequence::Args, std::vec::IntoIter<Op>),
    /// The first operation is refused with this status, none is run.
    Refused(Op, Status),
    /// There is nothing to do.
    Empty,
}

impl Plan {
    /// Sorts the operations of one COMPOUND.
    pub fn new(minor: Minor, ops: Vec<Op>) -> Self {
        if minor == Minor::V40 {
            return Self::V40(ops);
        }
        let alone = ops.len() == 1;
        let mut rest = ops.into_iter();
        match rest.next() {
            None => Self::Empty,
            Some(Op::Sequence(args)) => Self::Sequenced(args, rest),
            Some(first) if first.ends_decoding() => Self::Lone(first),
            Some(first) if !first.has(Flags::LONE) => Self::Refused(first, Status::OpNotInSession),
            Some(first) if !alone => Self::Refused(first, Status::NotOnlyOp),
            Some(first) => Self::Lone(first),
        }
    }
}
