//! From a POSIX list to entries that mean the same.
//!
//! A POSIX list stops at the first class that somebody is in; entries of NFSv4 go on until all is
//! granted. So each class is granted what it has, and denied what entries after it would add.
//! Somebody may be in several groups, which is why their grants all come before their denials.
//! As in draft-ietf-nfsv4-acl-mapping-05 §3.

use dittofs_sdk::vfs::posix::{EXEC, READ, WRITE};
use dittofs_sdk::vfs::{AclWho, PosixAcl, PosixAcls};

use super::wire::{Ace, Allow, Who, flag, mask};

/// What everybody may do, whatever a list says.
pub(super) const ALWAYS: u32 = mask::READ_ATTRIBUTES | mask::READ_ACL | mask::SYNCHRONIZE;
/// What owners may do besides.
const OWNERS: u32 = mask::WRITE_ATTRIBUTES | mask::WRITE_ACL;

/// Bits that a permission stands for.
pub(super) fn bits(permission: u32, is_dir: bool) -> u32 {
    let write = mask::WRITE_DATA | mask::APPEND_DATA | mask::WRITE_NAMED_ATTRS;
    let each = [
        (READ, mask::READ_DATA | mask::READ_NAMED_ATTRS),
        (
            WRITE,
            if is_dir {
                write | mask::DELETE_CHILD
            } else {
                write
            },
        ),
        (EXEC, mask::EXECUTE),
    ];
    let granted = each.iter().filter(|(bit, _)| permission & bit != 0);
    granted.fold(0, |all, (_, bits)| all | bits)
}

/// The entries of an object's lists.
pub struct Aces<'a> {
    /// The lists.
    pub acls: &'a PosixAcls,
    /// Whether the object is a directory.
    pub is_dir: bool,
}

impl Aces<'_> {
    /// Those of the object itself, then those that new entries of a directory inherit.
    pub fn list(&self) -> Vec<Ace> {
        let mut all = Vec::new();
        one(&self.acls.access, self.is_dir, 0, &mut all);
        if let Some(default) = &self.acls.default {
            let inherit = flag::FILE_INHERIT | flag::DIRECTORY_INHERIT | flag::INHERIT_ONLY;
            one(default, self.is_dir, inherit, &mut all);
        }
        all
    }
}

/// What all of some classes have, together.
#[derive(Default)]
struct Sums {
    users: u32,
    groups: u32,
}

fn one(acl: &PosixAcl, is_dir: bool, flags: u32, into: &mut Vec<Ace>) {
    let limit = acl.mask();
    let sums = acl
        .entries()
        .fold(Sums::default(), |mut sums, (who, permission)| {
            match who {
                AclWho::User(_) => sums.users |= permission & limit,
                AclWho::Group | AclWho::NamedGroup(_) => sums.groups |= permission & limit,
                AclWho::Owner | AclWho::Mask | AclWho::Other => {}
            }
            sums
        });
    let mut add = |allow, permission: u32, who| {
        let mask = bits(permission, is_dir);
        let mask = match (allow, who) {
            (Allow::No, _) if mask == 0 => return,
            (Allow::No, _) => mask,
            (Allow::Yes, Who::Owner) => mask | ALWAYS | OWNERS,
            (Allow::Yes, _) => mask | ALWAYS,
        };
        into.push(Ace {
            allow,
            flags,
            mask,
            who,
        });
    };
    let other = acl.other();
    let owner = acl.owner();
    add(
        Allow::No,
        !owner & (sums.users | sums.groups | other),
        Who::Owner,
    );
    add(Allow::Yes, owner, Who::Owner);
    for (who, permission) in acl.entries() {
        if let AclWho::User(id) = who {
            let permission = permission & limit;
            add(
                Allow::No,
                !permission & (sums.groups | other),
                Who::User(id),
            );
            add(Allow::Yes, permission, Who::User(id));
        }
    }
    let groups = || {
        acl.entries().filter_map(|(who, permission)| match who {
            AclWho::Group => Some((Who::Group, permission & limit)),
            AclWho::NamedGroup(id) => Some((Who::NamedGroup(id), permission & limit)),
            _ => None,
        })
    };
    for (who, permission) in groups() {
        add(Allow::Yes, permission, who);
    }
    for (who, permission) in groups() {
        add(Allow::No, !permission & other, who);
    }
    add(Allow::Yes, other, Who::Everyone);
}
