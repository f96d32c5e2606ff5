//! The mapping against what RFC 8881 §6.2.1 says of entries and POSIX of lists.

use dittofs_sdk::vfs::posix::{self, EXEC, READ, Rights, WRITE};
use dittofs_sdk::vfs::{AclWho, Attr, Cred, Kind, PosixAcl, PosixAcls, Time};

use super::to_posix::posix as to_posix;
use super::wire::{Ace, Allow, Who, flag, mask};
use super::{Aces, AclToSet};
use crate::status::Status;

const OWNER: u32 = 10;
const USERS: [u32; 4] = [OWNER, 11, 12, 13];
const GROUP: u32 = 20;
const GROUPS: [u32; 3] = [GROUP, 21, 22];

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32 % end
    }
}

/// Everybody: each user in each set of groups.
fn principals() -> impl Iterator<Item = Cred> {
    USERS.into_iter().flat_map(|uid| {
        (0..8_u32).map(move |set| Cred {
            uid,
            gid: 99,
            groups: (0..3)
                .filter(|bit| set & (1 << bit) != 0)
                .map(|bit| GROUPS[bit])
                .collect(),
        })
    })
}

/// What the entries grant of one bit: yes, no, or nothing said.
fn granted(aces: &[Ace], cred: &Cred, bit: u32) -> Option<bool> {
    let concerns = |who| match who {
        Who::Owner => cred.uid == OWNER,
        Who::Group => cred.in_group(GROUP),
        Who::Everyone => true,
        Who::User(id) => cred.uid == id,
        Who::NamedGroup(id) => cred.in_group(id),
    };
    aces.iter()
        .filter(|ace| ace.flags & flag::INHERIT_ONLY == 0)
        .find(|ace| ace.mask & bit != 0 && concerns(ace.who))
        .map(|ace| ace.allow == Allow::Yes)
}

fn object(acl: &PosixAcl, kind: Kind) -> Rights {
    let time = Time::default();
    Rights {
        attr: Attr {
            kind,
            mode: acl.mode(),
            nlink: 1,
            uid: OWNER,
            gid: GROUP,
            rdev: (0, 0),
            size: 0,
            used: 0,
            fileid: 1,
            change: 1,
            atime: time,
            mtime: time,
            ctime: time,
            btime: None,
        },
        acl: Some(acl.clone().into()),
    }
}

/// The bits that come with a permission.
fn needs(kind: Kind) -> [(u32, &'static [u32]); 3] {
    let write: &[u32] = match kind {
        Kind::Dir => &[mask::WRITE_DATA, mask::APPEND_DATA, mask::DELETE_CHILD],
        _ => &[mask::WRITE_DATA, mask::APPEND_DATA],
    };
    [
        (READ, &[mask::READ_DATA]),
        (WRITE, write),
        (EXEC, &[mask::EXECUTE]),
    ]
}

fn any_list(dice: &mut Dice) -> PosixAcl {
    let mut entries = vec![
        (AclWho::Owner, dice.below(8)),
        (AclWho::Group, dice.below(8)),
        (AclWho::Other, dice.below(8)),
    ];
    let users = USERS.map(AclWho::User);
    let groups = GROUPS.map(AclWho::NamedGroup);
    for who in users.into_iter().chain(groups) {
        if dice.below(3) == 0 {
            entries.push((who, dice.below(8)));
        }
    }
    if entries.len() > 3 || dice.below(4) == 0 {
        entries.push((AclWho::Mask, dice.below(8)));
    }
    PosixAcl::new(entries).unwrap()
}

fn any_entries(dice: &mut Dice) -> Vec<Ace> {
    let bits = [
        mask::READ_DATA,
        mask::WRITE_DATA,
        mask::APPEND_DATA,
        mask::EXECUTE,
        mask::DELETE_CHILD,
        mask::READ_NAMED_ATTRS,
        mask::WRITE_NAMED_ATTRS,
        mask::WRITE_DATA | mask::APPEND_DATA | mask::DELETE_CHILD,
        mask::READ_DATA | mask::EXECUTE,
    ];
    let count = dice.below(8);
    (0..count)
        .map(|_| Ace {
            allow: if dice.below(2) == 0 {
                Allow::Yes
            } else {
                Allow::No
            },
            flags: 0,
            mask: bits[dice.below(9) as usize] | bits[dice.below(9) as usize],
            who: match dice.below(5) {
                0 => Who::Owner,
                1 => Who::Group,
                2 => Who::Everyone,
                3 => Who::User(USERS[dice.below(4) as usize]),
                _ => Who::NamedGroup(GROUPS[dice.below(3) as usize]),
            },
        })
        .collect()
}

#[test]
fn the_entries_of_a_list_grant_what_the_list_grants() {
    let mut dice = Dice(1);
    for round in 0..3000 {
        let kind = if round % 2 == 0 {
            Kind::File
        } else {
            Kind::Dir
        };
        let access = any_list(&mut dice);
        let rights = object(&access, kind);
        let acls = PosixAcls {
            access,
            default: None,
        };
        let is_dir = kind == Kind::Dir;
        let aces = Aces {
            acls: &acls,
            is_dir,
        }
        .list();
        for cred in principals() {
            for (permission, bits) in needs(kind) {
                for bit in bits {
                    let by_list = posix::permits(&rights, &cred, permission);
                    let by_entries = granted(&aces, &cred, *bit) == Some(true);
                    assert_eq!(by_list, by_entries, "{bit:#x} for {cred:?}: {acls:?}");
                }
            }
        }
    }
}

#[test]
fn no_list_grants_more_than_the_entries_it_was_made_of() {
    let mut dice = Dice(2);
    for round in 0..6000 {
        let kind = if round % 2 == 0 {
            Kind::File
        } else {
            Kind::Dir
        };
        let aces = any_entries(&mut dice);
        let owner = Some(OWNER).filter(|_| round % 3 > 0);
        let acls = to_posix(&aces, kind == Kind::Dir, owner).unwrap();
        let rights = object(&acls.access, kind);
        for cred in principals() {
            for (permission, bits) in needs(kind) {
                if !posix::permits(&rights, &cred, permission) {
                    continue;
                }
                for bit in bits {
                    let by_entries = granted(&aces, &cred, *bit);
                    assert_eq!(by_entries, Some(true), "{bit:#x} for {cred:?}: {aces:?}");
                }
                let named = match permission {
                    READ => mask::READ_NAMED_ATTRS,
                    WRITE => mask::WRITE_NAMED_ATTRS,
                    _ => continue,
                };
                assert_ne!(granted(&aces, &cred, named), Some(false), "{aces:?}");
            }
        }
    }
}

#[test]
fn a_list_that_is_read_and_set_again_is_the_same() {
    let mut dice = Dice(3);
    for _ in 0..3000 {
        let effective = |acl: &PosixAcl| {
            let limit = acl.mask();
            let entries = acl.entries().filter(|(who, _)| *who != AclWho::Mask);
            entries
                .map(|(who, permission)| match who {
                    AclWho::Owner | AclWho::Other => (who, permission),
                    who => (who, permission & limit),
                })
                .collect::<Vec<_>>()
        };
        let acls = PosixAcls {
            access: any_list(&mut dice),
            default: Some(any_list(&mut dice)).filter(|_| dice.below(2) == 0),
        };
        let aces = Aces {
            acls: &acls,
            is_dir: true,
        }
        .list();
        let again = AclToSet(aces.into())
            .to_posix(Kind::Dir, Some(OWNER))
            .unwrap();
        assert_eq!(effective(&again.access), effective(&acls.access));
        assert_eq!(
            again.default.as_ref().map(effective),
            acls.default.as_ref().map(effective)
        );
    }
}

#[test]
fn a_mode_is_three_grants_and_what_they_must_not_leave_open() {
    let entries = |mode: u32| {
        let acls = PosixAcls::of_mode(mode);
        let list = Aces {
            acls: &acls,
            is_dir: false,
        }
        .list();
        list.into_iter()
            .map(|ace| (ace.allow, ace.who, ace.mask & 0x27))
            .collect::<Vec<_>>()
    };
    let (yes, no) = (Allow::Yes, Allow::No);
    let expected = [
        (yes, Who::Owner, 7),
        (yes, Who::Group, 1),
        (yes, Who::Everyone, 0),
    ];
    assert_eq!(entries(0o640), expected);
    let expected = [
        (no, Who::Owner, 0x27),
        (yes, Who::Owner, 0),
        (yes, Who::Group, 6),
        (no, Who::Group, 0x21),
        (yes, Who::Everyone, 0x27),
    ];
    assert_eq!(entries(0o027), expected);
}

fn ace(allow: Allow, flags: u32, mask: u32, who: Who) -> Ace {
    Ace {
        allow,
        flags,
        mask,
        who,
    }
}

#[test]
fn inheritance_is_to_files_and_directories_or_not_at_all() {
    let is = |flags: u32, is_dir: bool| {
        let list = [ace(Allow::Yes, flags, mask::READ_DATA, Who::Everyone)];
        to_posix(&list, is_dir, None).map(|acls| {
            let read = |acl: PosixAcl| acl.other() != 0;
            (read(acls.access), acls.default.map(read))
        })
    };
    assert_eq!(is(0, true), Ok((true, None)));
    assert_eq!(is(3, true), Ok((true, Some(true))));
    assert_eq!(is(0xb, true), Ok((false, Some(true))));
    for flags in [1, 2, 4, 7, 8, 9, 10] {
        assert_eq!(is(flags, true), Err(Status::Attrnotsupp), "{flags}");
    }
    for flags in [1, 2, 3, 0xb] {
        assert_eq!(is(flags, false), Err(Status::Attrnotsupp), "{flags}");
    }
}

#[test]
fn what_can_not_be_denied_is_refused() {
    for (denied, who) in [
        (mask::READ_ATTRIBUTES, Who::Everyone),
        (mask::READ_ACL, Who::User(11)),
        (mask::READ_ACL, Who::Group),
        (mask::WRITE_ACL, Who::Owner),
        (mask::WRITE_ATTRIBUTES, Who::Everyone),
        (mask::WRITE_OWNER, Who::User(OWNER)),
    ] {
        let list = [ace(Allow::No, 0, denied, who)];
        let refused = to_posix(&list, false, Some(OWNER));
        assert_eq!(refused, Err(Status::Attrnotsupp), "{denied:#x} to {who:?}");
    }
    for (denied, who) in [
        (mask::WRITE_ACL, Who::User(11)),
        (mask::DELETE, Who::Everyone),
        (mask::SYNCHRONIZE, Who::Everyone),
        (
            mask::WRITE_RETENTION | mask::WRITE_RETENTION_HOLD,
            Who::Everyone,
        ),
    ] {
        let list = [ace(Allow::No, 0, denied, who)];
        assert!(
            to_posix(&list, false, Some(OWNER)).is_ok(),
            "{denied:#x} to {who:?}"
        );
    }
    let granted_before = [
        ace(Allow::Yes, 0, mask::ALL, Who::Owner),
        ace(Allow::No, 0, mask::WRITE_ACL, Who::Everyone),
    ];
    assert!(to_posix(&granted_before, false, None).is_ok());
}

#[test]
fn no_entries_grant_nothing() {
    let acls = to_posix(&[], true, None).unwrap();
    assert_eq!(acls, PosixAcls::of_mode(0));
}

#[test]
fn a_denial_for_one_user_leaves_the_owner_alone() {
    let list = [
        ace(Allow::No, 0, mask::READ_DATA, Who::User(11)),
        ace(Allow::Yes, 0, mask::READ_DATA, Who::Everyone),
    ];
    let known = to_posix(&list, false, Some(OWNER)).unwrap().access;
    assert_eq!((known.owner(), known.user(11)), (READ, Some(0)));
    let unknown = to_posix(&list, false, None).unwrap().access;
    assert_eq!(unknown.owner(), 0, "it may be the owner");
}

#[test]
fn more_names_than_a_list_has_are_refused() {
    let named = |count: u32| -> Vec<Ace> {
        (0..count)
            .map(|id| ace(Allow::Yes, 0, mask::READ_DATA, Who::User(id)))
            .collect()
    };
    let most = PosixAcl::MAX_NAMED as u32;
    assert!(to_posix(&named(most), false, None).is_ok());
    assert_eq!(
        to_posix(&named(most + 1), false, None),
        Err(Status::Attrnotsupp)
    );
}

#[test]
fn symbolic_links_have_none() {
    let list = AclToSet(Vec::new().into());
    assert_eq!(list.to_posix(Kind::Symlink, None), Err(Status::Attrnotsupp));
}
