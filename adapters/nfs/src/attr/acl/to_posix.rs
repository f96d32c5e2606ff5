//! From entries to the POSIX list that grants no more.
//!
//! Each class of a POSIX list (the owner, each user and group that is named, the owning group,
//! others) goes through the entries as one that is in it would, taking every grant that all who
//! are in it have, and every denial that one of them may have. What a class is granted in the
//! end is never more than what each of its members is granted by the entries themselves.

use std::collections::BTreeMap;

use dittofs_sdk::vfs::posix::{EXEC, READ, WRITE};
use dittofs_sdk::vfs::{AclWho, PosixAcl, PosixAcls};

use super::of_posix::ALWAYS;
use super::wire::{Ace, Allow, Who, flag, mask};
use crate::status::Status;

/// The lists of an object. NFS4ERR_ATTRNOTSUPP if there are none that would keep a promise of
/// the entries.
pub(super) fn posix(aces: &[Ace], is_dir: bool, owner: Option<u32>) -> Result<PosixAcls, Status> {
    let mut own = Classes::new(owner);
    let mut inherited: Option<Classes> = None;
    for ace in aces {
        let reach = Reach::of(ace, is_dir)?;
        if reach.own {
            own.take(ace);
        }
        if reach.inherited {
            // Whoever will own a new entry may be anybody.
            inherited
                .get_or_insert_with(|| Classes::new(None))
                .take(ace);
        }
    }
    Ok(PosixAcls {
        access: own.list(is_dir)?,
        default: inherited.map(|classes| classes.list(is_dir)).transpose()?,
    })
}

/// What an entry applies to.
struct Reach {
    own: bool,
    inherited: bool,
}

impl Reach {
    fn of(ace: &Ace, is_dir: bool) -> Result<Self, Status> {
        let both = flag::FILE_INHERIT | flag::DIRECTORY_INHERIT;
        let only = ace.flags & flag::INHERIT_ONLY != 0;
        // What is inherited here is inherited by files and directories, and by theirs.
        if ace.flags & flag::NO_PROPAGATE_INHERIT != 0 {
            return Err(Status::Attrnotsupp);
        }
        match ace.flags & both {
            0 if only => Err(Status::Attrnotsupp),
            0 => Ok(Self {
                own: true,
                inherited: false,
            }),
            inherit if inherit == both && is_dir => Ok(Self {
                own: !only,
                inherited: true,
            }),
            // RFC 8881 §6.2.1.4 lets a server demand both.
            _ => Err(Status::Attrnotsupp),
        }
    }
}

/// How far those in one class have come: what was granted and what was denied first.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    granted: u32,
    denied: u32,
}

impl Progress {
    fn take(&mut self, allow: Allow, mask: u32) {
        match allow {
            Allow::Yes => self.granted |= mask & !self.denied,
            Allow::No => self.denied |= mask & !self.granted,
        }
    }

    /// The permission that this comes to: a bit of it needs everything that it would give.
    fn permission(self, is_dir: bool) -> u32 {
        let write = mask::WRITE_DATA | mask::APPEND_DATA;
        let write = if is_dir {
            write | mask::DELETE_CHILD
        } else {
            write
        };
        // Named attributes follow the data; entries that do not mention them do not deny them.
        let each = [
            (READ, mask::READ_DATA, mask::READ_NAMED_ATTRS),
            (WRITE, write, mask::WRITE_NAMED_ATTRS),
            (EXEC, mask::EXECUTE, 0),
        ];
        each.iter()
            .filter(|(_, needs, _)| self.granted & needs == *needs)
            .filter(|(_, _, unless)| self.denied & unless == 0)
            .fold(0, |all, (bit, _, _)| all | bit)
    }
}

/// The classes of a list under construction.
struct Classes {
    /// The owner's number, if it is known.
    uid: Option<u32>,
    owner: Progress,
    group: Progress,
    other: Progress,
    /// Of one who is in no class yet that an entry names, but perhaps in every group.
    anybody: Progress,
    users: BTreeMap<u32, Progress>,
    groups: BTreeMap<u32, Progress>,
}

impl Classes {
    fn new(uid: Option<u32>) -> Self {
        Self {
            uid,
            owner: Progress::default(),
            group: Progress::default(),
            other: Progress::default(),
            anybody: Progress::default(),
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
        }
    }

    fn take(&mut self, ace: &Ace) {
        let Ace { allow, mask, .. } = *ace;
        match ace.who {
            Who::Owner => self.owner.take(allow, mask),
            Who::User(id) => {
                let user = self.users.entry(id).or_insert(self.anybody);
                user.take(allow, mask);
                // A grant would stay when the object gets another owner; a denial is the
                // owner's too.
                let denied = user.denied & mask;
                if allow == Allow::No && self.uid.is_none_or(|uid| uid == id) {
                    self.owner.take(allow, denied);
                }
            }
            Who::Group => {
                self.group.take(allow, mask);
                self.members(allow, self.group.denied & mask);
            }
            Who::NamedGroup(id) => {
                let group = self.groups.entry(id).or_insert(self.anybody);
                group.take(allow, mask);
                let denied = group.denied & mask;
                self.members(allow, denied);
            }
            Who::Everyone => {
                self.other.take(allow, mask);
                self.each_but_other(allow, mask);
            }
        }
    }

    /// Anybody may be in a group: what is denied to its members may be denied to all but others,
    /// who are in none that is named.
    fn members(&mut self, allow: Allow, denied: u32) {
        if allow == Allow::No {
            self.each_but_other(allow, denied);
        }
    }

    fn each_but_other(&mut self, allow: Allow, mask: u32) {
        let single = [&mut self.owner, &mut self.group, &mut self.anybody];
        let named = self.users.values_mut().chain(self.groups.values_mut());
        for progress in single.into_iter().chain(named) {
            progress.take(allow, mask);
        }
    }

    fn list(&self, is_dir: bool) -> Result<PosixAcl, Status> {
        // What can't be taken away must not seem to be (RFC 8881 §6.2.1).
        let refuses = |progress: &Progress, never: u32| progress.denied & never != 0;
        let owners = mask::WRITE_ATTRIBUTES | mask::WRITE_ACL | mask::WRITE_OWNER;
        let always = ALWAYS & !mask::SYNCHRONIZE;
        let named = self.users.values().chain(self.groups.values());
        let mut all = [&self.group, &self.other].into_iter().chain(named);
        if refuses(&self.owner, always | owners) || all.any(|one| refuses(one, always)) {
            return Err(Status::Attrnotsupp);
        }
        let permission = |progress: &Progress| progress.permission(is_dir);
        let users = self.users.iter();
        let users = users.map(|(id, progress)| (AclWho::User(*id), permission(progress)));
        let groups = self.groups.iter();
        let groups = groups.map(|(id, progress)| (AclWho::NamedGroup(*id), permission(progress)));
        let group = permission(&self.group);
        let mut entries: Vec<_> = users.chain(groups).collect();
        if !entries.is_empty() {
            let mask = entries.iter().fold(group, |mask, (_, one)| mask | one);
            entries.push((AclWho::Mask, mask));
        }
        entries.extend([
            (AclWho::Owner, permission(&self.owner)),
            (AclWho::Group, group),
            (AclWho::Other, permission(&self.other)),
        ]);
        // Too many are all that can be wrong with these.
        PosixAcl::new(entries).map_err(|_| Status::Attrnotsupp)
    }
}
