//! Access control lists.
//!
//! [`Acl`] has one variant for each model that backends keep. The only one so far is that of
//! POSIX.1e, as Linux has it; a protocol with another model translates.

/// The access control list of an object, in the model of its backend.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acl {
    /// The POSIX model; [`Capabilities::POSIX_ACL`](super::Capabilities::POSIX_ACL) says so.
    Posix(PosixAcls),
}

/// The POSIX lists of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PosixAcls {
    /// Who may do what with the object.
    pub access: PosixAcl,
    /// Of a directory: what new entries get instead of the bits of a creation mask.
    pub default: Option<PosixAcl>,
}

impl PosixAcls {
    /// What an object without a list has: its permission bits.
    pub fn of_mode(mode: u32) -> Self {
        Self {
            access: PosixAcl::of_mode(mode),
            default: None,
        }
    }

    /// Whether the permission bits say it all.
    pub fn is_mode(&self) -> bool {
        self.default.is_none() && self.access.named.is_none()
    }
}

/// One POSIX list: three permissions as in a mode, and perhaps more.
///
/// A permission is [`READ`](super::posix::READ), [`WRITE`](super::posix::WRITE) and
/// [`EXEC`](super::posix::EXEC), added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PosixAcl {
    owner: u32,
    group: u32,
    other: u32,
    named: Option<Named>,
}

/// What a list has beyond a mode.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    /// Limits the named entries and the owning group.
    mask: u32,
    /// By id.
    users: Vec<(u32, u32)>,
    groups: Vec<(u32, u32)>,
}

/// Whom an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AclWho {
    /// The object's owner.
    Owner,
    /// A user.
    User(u32),
    /// The members of the object's group.
    Group,
    /// The members of a group.
    NamedGroup(u32),
    /// No one: limits all but the owner and others.
    Mask,
    /// Everybody else.
    Other,
}

/// Why entries are no POSIX list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AclError {
    /// The owner, the owning group, others, or a mask that named entries need.
    #[error("an entry is missing that every list has")]
    Missing,
    /// Two entries about the same.
    #[error("two entries are about the same user or group")]
    Twice,
    /// More named entries than [`PosixAcl::MAX_NAMED`].
    #[error("more than {} named entries", PosixAcl::MAX_NAMED)]
    TooMany,
}

const RWX: u32 = 7;

impl PosixAcl {
    /// Most named users and groups together. What kernels store is of this order too: an
    /// attribute of ext4 holds half as many.
    pub const MAX_NAMED: usize = 1024;

    /// The list that says the same as the permission bits of `mode`.
    pub fn of_mode(mode: u32) -> Self {
        Self {
            owner: mode >> 6 & RWX,
            group: mode >> 3 & RWX,
            other: mode & RWX,
            named: None,
        }
    }

    /// The list of these entries, in whatever order.
    pub fn new(entries: impl IntoIterator<Item = (AclWho, u32)>) -> Result<Self, AclError> {
        let (mut owner, mut group, mut other, mut mask) = (None, None, None, None);
        let (mut users, mut groups) = (Vec::new(), Vec::new());
        for (who, permission) in entries {
            let permission = permission & RWX;
            let before = match who {
                AclWho::Owner => owner.replace(permission),
                AclWho::Group => group.replace(permission),
                AclWho::Other => other.replace(permission),
                AclWho::Mask => mask.replace(permission),
                AclWho::User(id) => {
                    users.push((id, permission));
                    None
                }
                AclWho::NamedGroup(id) => {
                    groups.push((id, permission));
                    None
                }
            };
            if before.is_some() {
                return Err(AclError::Twice);
            }
            if users.len() + groups.len() > Self::MAX_NAMED {
                return Err(AclError::TooMany);
            }
        }
        for named in [&mut users, &mut groups] {
            named.sort_unstable();
            if !named.is_sorted_by(|(a, _), (b, _)| a < b) {
                return Err(AclError::Twice);
            }
        }
        let named = match mask {
            Some(mask) => Some(Named {
                mask,
                users,
                groups,
            }),
            None if users.is_empty() && groups.is_empty() => None,
            None => return Err(AclError::Missing),
        };
        Ok(Self {
            owner: owner.ok_or(AclError::Missing)?,
            group: group.ok_or(AclError::Missing)?,
            other: other.ok_or(AclError::Missing)?,
            named,
        })
    }

    /// Its entries: owner, users by id, owning group, groups by id, mask, others.
    pub fn entries(&self) -> impl Iterator<Item = (AclWho, u32)> + '_ {
        let named = self.named.as_ref();
        let users = named.into_iter().flat_map(|named| &named.users);
        let groups = named.into_iter().flat_map(|named| &named.groups);
        let mask = named.map(|named| (AclWho::Mask, named.mask));
        std::iter::once((AclWho::Owner, self.owner))
            .chain(users.map(|&(id, permission)| (AclWho::User(id), permission)))
            .chain(std::iter::once((AclWho::Group, self.group)))
            .chain(groups.map(|&(id, permission)| (AclWho::NamedGroup(id), permission)))
            .chain(mask)
            .chain(std::iter::once((AclWho::Other, self.other)))
    }

    /// Whether the permission bits of a mode say it all.
    pub fn is_mode(&self) -> bool {
        self.named.is_none()
    }

    /// What the owner may do.
    pub fn owner(&self) -> u32 {
        self.owner
    }

    /// What everybody else may do.
    pub fn other(&self) -> u32 {
        self.other
    }

    /// The limit of all but the owner and others; everything without a mask.
    pub fn mask(&self) -> u32 {
        self.named.as_ref().map_or(RWX, |named| named.mask)
    }

    /// What a named user may do, the mask applied; nothing is known of one who is not named.
    pub fn user(&self, uid: u32) -> Option<u32> {
        let named = self.named.as_ref()?;
        let at = named.users.binary_search_by_key(&uid, |user| user.0).ok()?;
        named.users.get(at).map(|user| user.1 & named.mask)
    }

    /// What each entry grants that is about a group of somebody who is in those that `is_member`
    /// says and, if `of_owner`, in the object's group; the mask applied.
    pub fn groups<'a>(
        &'a self,
        of_owner: bool,
        is_member: impl Fn(u32) -> bool + 'a,
    ) -> impl Iterator<Item = u32> + 'a {
        let named = self.named.iter().flat_map(|named| &named.groups);
        let mask = self.mask();
        of_owner
            .then_some(self.group)
            .into_iter()
            .chain(
                named
                    .filter(move |group| is_member(group.0))
                    .map(|group| group.1),
            )
            .map(move |permission| permission & mask)
    }

    /// The permission bits of a mode that shows this list: those of the group are the mask.
    pub fn mode(&self) -> u32 {
        let group = self.named.as_ref().map_or(self.group, |named| named.mask);
        self.owner << 6 | group << 3 | self.other
    }

    /// The list after the permission bits were set.
    #[must_use]
    pub fn with_mode(mut self, mode: u32) -> Self {
        self.owner = mode >> 6 & RWX;
        self.other = mode & RWX;
        match &mut self.named {
            Some(named) => named.mask = mode >> 3 & RWX,
            None => self.group = mode >> 3 & RWX,
        }
        self
    }

    /// As a default list: the list of a new entry that is made with `mode`, which takes away
    /// what it does not have.
    #[must_use]
    pub fn inherited(&self, mode: u32) -> Self {
        self.clone().with_mode(self.mode() & mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> PosixAcl {
        PosixAcl::new([
            (AclWho::Other, 0),
            (AclWho::User(9), 7),
            (AclWho::User(3), 4),
            (AclWho::Mask, 6),
            (AclWho::Group, 5),
            (AclWho::NamedGroup(4), 3),
            (AclWho::Owner, 7),
        ])
        .unwrap()
    }

    #[test]
    fn entries_come_in_their_order_and_make_the_list_again() {
        let entries: Vec<_> = list().entries().collect();
        let who: Vec<_> = entries.iter().map(|entry| entry.0).collect();
        assert_eq!(
            who,
            [
                AclWho::Owner,
                AclWho::User(3),
                AclWho::User(9),
                AclWho::Group,
                AclWho::NamedGroup(4),
                AclWho::Mask,
                AclWho::Other
            ]
        );
        assert_eq!(PosixAcl::new(entries), Ok(list()));
    }

    #[test]
    fn a_list_has_every_entry_it_needs_and_none_twice() {
        let basic = [(AclWho::Owner, 6), (AclWho::Group, 4), (AclWho::Other, 0)];
        assert_eq!(PosixAcl::new(basic), Ok(PosixAcl::of_mode(0o640)));
        for missing in 0..3 {
            let mut entries = basic.to_vec();
            entries.remove(missing);
            assert_eq!(PosixAcl::new(entries), Err(AclError::Missing));
        }
        let with = |more: &[(AclWho, u32)]| PosixAcl::new(basic.iter().chain(more).copied());
        assert_eq!(with(&[(AclWho::User(1), 4)]), Err(AclError::Missing));
        assert_eq!(with(&[(AclWho::Owner, 6)]), Err(AclError::Twice));
        let twice = [
            (AclWho::Mask, 7),
            (AclWho::NamedGroup(1), 4),
            (AclWho::NamedGroup(1), 5),
        ];
        assert_eq!(with(&twice), Err(AclError::Twice));
        let mut many: Vec<_> = (0..1024).map(|id| (AclWho::User(id), 4)).collect();
        many.push((AclWho::Mask, 7));
        assert!(with(&many).is_ok());
        many.push((AclWho::NamedGroup(1), 4));
        assert_eq!(with(&many), Err(AclError::TooMany));
    }

    #[test]
    fn the_mask_is_the_mode_of_the_group() {
        assert_eq!(list().mode(), 0o760);
        let changed = list().with_mode(0o741);
        assert_eq!(changed.mode(), 0o741);
        assert_eq!(changed.user(9), Some(4));
        assert_eq!(changed.groups(true, |_| false).collect::<Vec<_>>(), [4]);
        assert_eq!(PosixAcl::of_mode(0o7640).with_mode(0o123).mode(), 0o123);
    }

    #[test]
    fn what_is_inherited_has_no_more_than_the_mode() {
        let new = list().inherited(0o644);
        assert_eq!(new.mode(), 0o640);
        assert_eq!((new.user(3), new.user(9)), (Some(4), Some(4)));
        assert_eq!(PosixAcl::of_mode(0o775).inherited(0o600).mode(), 0o600);
    }
}
