//! What each operation may answer beside success: one row per operation and minor version.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-15.2>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-13.2>,
//! <https://www.rfc-editor.org/rfc/rfc7862#section-11.2>
//!
//! Clients are written against these lists, and file systems are not: the loop holds every
//! operation to its row, and replaces what does not stand there by what means nearly the same.
//! Where nothing does, the fault is this server's; that fails a test, and is logged in production.

mod v40;
mod v41;
mod v42;

use crate::status::Status;
use crate::table::{FIRST, row};
use crate::types::Minor;

/// A set of statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statuses([u64; WORDS]);

const WORDS: usize = Status::COUNT.div_ceil(64);

impl Statuses {
    /// None.
    pub const NONE: Self = Self([0; WORDS]);

    /// These and one more.
    #[must_use]
    #[expect(
        clippy::indexing_slicing,
        reason = "evaluated by the compiler alone, which checks it"
    )]
    const fn with(mut self, status: Status) -> Self {
        let at = status.index();
        self.0[at / 64] |= 1 << (at % 64);
        self
    }

    /// These and those.
    #[must_use]
    const fn and(self, other: Self) -> Self {
        let ([first, second, third], more) = (self.0, other.0);
        Self([first | more[0], second | more[1], third | more[2]])
    }

    /// Whether `status` is one of them.
    pub fn contains(self, status: Status) -> bool {
        let at = status.index();
        let word = self.0.get(at / 64).copied().unwrap_or_default();
        word & (1 << (at % 64)) != 0
    }
}

/// A set, by the names of its members.
macro_rules! of {
    ($($status:ident)*) => {
        Statuses::NONE$(.with(crate::status::Status::$status))*
    };
}

/// The rows: number and name, what it has in common with others, and what it has alone.
macro_rules! errors {
    ($($number:literal $name:ident [$($common:ident)*] $($status:ident)*;)*) => {
        /// In the order of their numbers, without a gap.
        pub(super) static ROWS: &[Statuses] = &[$(of!($($status)*)$(.and($common))*,)*];

        #[cfg(test)]
        pub(super) const NAMES: &[(u32, &str)] = &[$(($number, stringify!($name)),)*];
    };
}

use {errors, of};

/// What an operation that does not exist answers.
const ILLEGAL: Statuses = of!(Badxdr OpIllegal);

/// Whether the operation of this number may answer so.
pub fn allows(minor: Minor, number: u32, status: Status) -> bool {
    status == Status::Ok || list(minor, number).unwrap_or(ILLEGAL).contains(status)
}

fn list(minor: Minor, number: u32) -> Option<Statuses> {
    let (first, rows) = match minor {
        Minor::V40 => (FIRST, v40::ROWS),
        Minor::V42 if number == v42::GETDEVICELIST.0 => return Some(v42::GETDEVICELIST.1),
        Minor::V42 if number >= v42::FIRST => (v42::FIRST, v42::ROWS),
        Minor::V41 | Minor::V42 => (FIRST, v41::ROWS),
    };
    rows.get(number.checked_sub(first)? as usize).copied()
}

/// What the operation of this number tells its client when `status` came of it.
pub fn fitting(minor: Minor, number: u32, status: Status) -> Status {
    let mut told = status;
    while !allows(minor, number, told) {
        let Some(next) = nearest(told) else {
            fault(minor, number, status);
            return Status::Serverfault;
        };
        told = next;
    }
    told
}

fn fault(minor: Minor, number: u32, status: Status) {
    let name = row(number).map_or("ILLEGAL", |row| row.name);
    let status = status.name();
    #[cfg(any(test, feature = "fuzzing"))]
    assert_eq!(status, "", "must not be the answer of {name} of {minor:?}");
    tracing::error!("{status} must not be the answer of {name} of {minor:?}");
}

/// What is less exact and yet true, for the statuses that come of a file system's refusal.
fn nearest(status: Status) -> Option<Status> {
    Some(match status {
        // RFC 8881 §15.1.6.1 is the wider of the two; REMOVE in a sticky directory has that alone.
        Status::Perm | Status::Rofs | Status::FileOpen => Status::Access,
        Status::Dquot | Status::Mlink => Status::Nospc,
        // The object of the handle lost its last name.
        Status::Noent => Status::Stale,
        Status::Notsupp => Status::Attrnotsupp,
        Status::Attrnotsupp
        | Status::Badchar
        | Status::Badname
        | Status::Isdir
        | Status::Nametoolong
        | Status::Notdir
        | Status::Symlink
        | Status::WrongType => Status::Inval,
        Status::Access
        | Status::BadCookie
        | Status::Exist
        | Status::Fbig
        | Status::Inval
        | Status::Nospc
        | Status::Notempty
        | Status::Noxattr
        | Status::Toosmall
        | Status::Xattr2big
        | Status::Xdev => Status::Io,
        Status::Io => Status::Serverfault,
        // A stateid that has lost its meaning, where it would not have had the right one either: that
        // of a delegation with LOCK, or of one from before a restart with an OPEN of 4.0.
        Status::AdminRevoked
        | Status::DelegRevoked
        | Status::Expired
        | Status::OldStateid
        | Status::StaleStateid => Status::BadStateid,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{self, OP_ILLEGAL};

    #[test]
    fn a_stateid_that_has_lost_its_meaning_is_a_bad_one_where_nothing_else_may_be_said() {
        const LOCK: u32 = 12;
        const OPEN: u32 = 18;
        for (minor, number, status) in [
            (Minor::V40, OPEN, Status::StaleStateid),
            (Minor::V41, LOCK, Status::DelegRevoked),
        ] {
            assert_eq!(fitting(minor, number, status), Status::BadStateid);
        }
    }

    #[test]
    fn every_operation_has_its_row_in_each_minor_version_that_knows_its_number() {
        let v42 = [v41::NAMES, v42::NAMES].concat();
        for (listed, minor) in [
            (v40::NAMES, Minor::V40),
            (v41::NAMES, Minor::V41),
            (&v42, Minor::V42),
        ] {
            let known = table::ROWS.iter().filter(|row| row.minors.known_in(minor));
            let known: Vec<_> = known.map(|row| (row.number, row.name)).collect();
            assert_eq!(listed, known);
        }
    }

    #[test]
    fn a_row_tells_the_minor_versions_apart() {
        for (minor, number, status, allowed) in [
            (Minor::V40, 3, Status::Resource, true),
            (Minor::V41, 3, Status::Resource, false),
            (Minor::V41, 3, Status::RepTooBig, true),
            (Minor::V40, 3, Status::RepTooBig, false),
            (Minor::V41, 30, Status::Notsupp, true),
            (Minor::V41, 30, Status::Ok, true),
            (Minor::V40, 53, Status::Badsession, false),
            (Minor::V40, 53, Status::OpIllegal, true),
            (Minor::V42, 53, Status::Badsession, true),
            (Minor::V41, 48, Status::BadCookie, true),
            (Minor::V42, 48, Status::BadCookie, false),
            (Minor::V42, 48, Status::Notsupp, true),
            (Minor::V41, 59, Status::Nospc, false),
            (Minor::V42, 59, Status::Nospc, true),
            (Minor::V42, 69, Status::UnionNotsupp, true),
            (Minor::V41, OP_ILLEGAL, Status::OpIllegal, true),
            (Minor::V41, u32::MAX, Status::Inval, false),
        ] {
            let name = status.name();
            assert_eq!(
                allows(minor, number, status),
                allowed,
                "{minor:?} {number} {name}"
            );
        }
    }
}
