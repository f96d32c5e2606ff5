//! Share reservations: what an open allows its owner and denies others.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-9.7>

use dittofs_sdk::vfs::OpenAccess;

use crate::status::Status;

/// OPEN4_SHARE_ACCESS_READ, OPEN4_SHARE_DENY_READ
const READ: u8 = 1;
/// OPEN4_SHARE_ACCESS_WRITE, OPEN4_SHARE_DENY_WRITE
const WRITE: u8 = 2;
const BOTH: u8 = READ | WRITE;

/// One share reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Never empty.
    access: u8,
    deny: u8,
}

impl Share {
    /// The reservation as the wire has it; an empty access, or bits that are neither read nor
    /// write, are NFS4ERR_INVAL.
    pub fn new(access: u32, deny: u32) -> Result<Self, Status> {
        if !(1..=3).contains(&access) || deny > 3 {
            return Err(Status::Inval);
        }
        Ok(Self {
            access: access as u8,
            deny: deny as u8,
        })
    }

    /// What the owner may do.
    pub fn access(self) -> OpenAccess {
        match self.access {
            READ => OpenAccess::Read,
            WRITE => OpenAccess::Write,
            _ => OpenAccess::Both,
        }
    }

    /// Whether it keeps others from reading.
    pub(super) fn denies_reading(self) -> bool {
        self.deny & READ != 0
    }

    /// Whether it stands against a client that opens for reading as it likes and wants to see no
    /// change.
    pub(super) fn stands_against_readers(self) -> bool {
        self.denies_reading() || self.access & WRITE != 0
    }

    /// What an access without an open would reserve.
    pub(super) fn plain(access: OpenAccess) -> Self {
        Self {
            access: access as u8,
            deny: 0,
        }
    }

    /// Whether one of two opens denies what the other wants.
    pub(super) fn conflicts(self, other: Self) -> bool {
        self.deny & other.access != 0 || self.access & other.deny != 0
    }

    fn within(self, other: Self) -> bool {
        self.access & !other.access == 0 && self.deny & !other.deny == 0
    }
}

/// All reservations that one owner's OPENs of one file made, until CLOSE or OPEN_DOWNGRADE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Modes {
    /// Bit `4 * access + deny` of each OPEN.
    seen: u16,
}

impl Modes {
    pub(super) fn new(share: Share) -> Self {
        Self { seen: bit(share) }
    }

    /// The reservation in force: their union.
    pub(super) fn share(self) -> Share {
        // Those of each bit among the sixteen.
        let any = |those: u16| u8::from(self.seen & those != 0);
        Share {
            access: (any(0xf0f0) * READ) | (any(0xff00) * WRITE),
            deny: (any(0xaaaa) * READ) | (any(0xcccc) * WRITE),
        }
    }

    /// With a further OPEN.
    pub(super) fn with(self, share: Share) -> Self {
        Self {
            seen: self.seen | bit(share),
        }
    }

    /// Without what `to` does not contain; NFS4ERR_INVAL unless `to` is a union of earlier
    /// OPENs (RFC 8881 §18.18.3).
    pub(super) fn downgraded(self, to: Share) -> Result<Self, Status> {
        let kept = each(self.seen).filter(|share| share.within(to));
        let modes = kept
            .fold(None, |modes: Option<Self>, share| {
                Some(modes.map_or_else(|| Self::new(share), |modes| modes.with(share)))
            })
            .ok_or(Status::Inval)?;
        if modes.share() == to {
            Ok(modes)
        } else {
            Err(Status::Inval)
        }
    }
}

fn bit(share: Share) -> u16 {
    1 << (share.access * 4 + share.deny)
}

fn each(seen: u16) -> impl Iterator<Item = Share> {
    (0..16_u8)
        .filter(move |bit| seen & (1 << bit) != 0)
        .map(|bit| Share {
            access: bit / 4,
            deny: bit % 4,
        })
}

/// How many opens of a file have each access and each deny bit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    access: [u32; 2],
    deny: [u32; 2],
}

impl Tally {
    pub(super) fn add(&mut self, share: Share) {
        self.each(share, |count| *count = count.saturating_add(1));
    }

    pub(super) fn remove(&mut self, share: Share) {
        self.each(share, |count| *count = count.saturating_sub(1));
    }

    /// Whether an open stands against `share`.
    pub(super) fn conflicts(&self, share: Share) -> bool {
        denied(self.deny, share.access) || denied(self.access, share.deny)
    }

    /// Whether an open stands against an access without an open.
    pub(super) fn denies(&self, access: OpenAccess) -> bool {
        self.conflicts(Share::plain(access))
    }

    /// Whether any open [stands against readers](Share::stands_against_readers).
    pub(super) fn stands_against_readers(&self) -> bool {
        denied(self.access, WRITE) || denied(self.deny, READ)
    }

    fn each(&mut self, share: Share, change: impl Fn(&mut u32)) {
        for (bits, counts) in [
            (share.access & BOTH, &mut self.access),
            (share.deny & BOTH, &mut self.deny),
        ] {
            let [read, write] = counts;
            if bits & READ != 0 {
                change(read);
            }
            if bits & WRITE != 0 {
                change(write);
            }
        }
    }
}

fn denied([read, write]: [u32; 2], bits: u8) -> bool {
    (bits & READ != 0 && read != 0) || (bits & WRITE != 0 && write != 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn share(access: u32, deny: u32) -> Share {
        Share::new(access, deny).unwrap()
    }

    #[test]
    fn bits_beyond_read_and_write_and_an_empty_access_are_invalid() {
        assert_eq!(Share::new(0, 0), Err(Status::Inval));
        assert_eq!(Share::new(4, 0), Err(Status::Inval));
        assert_eq!(Share::new(1, 4), Err(Status::Inval));
    }

    #[test]
    fn a_downgrade_goes_only_to_a_union_of_earlier_opens() {
        let modes = Modes::new(share(3, 0));
        assert_eq!(modes.downgraded(share(1, 0)), Err(Status::Inval));
        let modes = modes.with(share(1, 0));
        let read = modes.downgraded(share(1, 0)).unwrap();
        assert_eq!(read.share(), share(1, 0));
        assert_eq!(read.downgraded(share(3, 0)), Err(Status::Inval));
        assert_eq!(modes.downgraded(share(1, 1)), Err(Status::Inval));
    }

    #[test]
    fn what_is_in_force_is_all_that_was_asked_for() {
        let all = (1..=3).flat_map(|access| (0..=3).map(move |deny| share(access, deny)));
        let all: Vec<Share> = all.collect();
        for &one in &all {
            assert_eq!(Modes::new(one).share(), one);
            for &other in &all {
                let both = Share {
                    access: one.access | other.access,
                    deny: one.deny | other.deny,
                };
                assert_eq!(Modes::new(one).with(other).share(), both);
            }
        }
    }

    proptest! {
        #[test]
        fn a_tally_conflicts_as_each_open_does(
            opens in prop::collection::vec((1..=3_u32, 0..=3_u32), 0..8),
            keep in 0..8_usize,
            new in (1..=3_u32, 0..=3_u32),
        ) {
            let mut tally = Tally::default();
            for &(access, deny) in &opens {
                tally.add(share(access, deny));
            }
            for &(access, deny) in opens.iter().skip(keep) {
                tally.remove(share(access, deny));
            }
            let expected = opens
                .iter()
                .take(keep)
                .any(|&(access, deny)| access & new.1 != 0 || deny & new.0 != 0);
            prop_assert_eq!(tally.conflicts(share(new.0, new.1)), expected);
        }
    }
}
