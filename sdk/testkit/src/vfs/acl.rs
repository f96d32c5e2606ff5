//! Access control lists, where the file system keeps any.

use bytes::Bytes;
use dittofs_sdk::vfs::{
    Access, Acl, AclWho, Capabilities, CreateHow, Cred, Handle, NewNode, OpenAccess, PosixAcl,
    PosixAcls, SetAttr, VfsError,
};

use super::{Fixture, name, refused, wait, with_mode};

const OWNER: u32 = 1000;
const GROUP: u32 = 2000;
const NAMED: u32 = 1001;
const NAMED_GROUP: u32 = 2001;

impl Fixture {
    /// Whether there are lists; without them all that is about them is refused.
    fn has_acl(&self) -> bool {
        let capabilities = self.fs.info().capabilities;
        if capabilities.contains(Capabilities::POSIX_ACL) {
            return true;
        }
        let acl = Acl::Posix(PosixAcls::of_mode(0o600));
        let root = self.root();
        refused(wait(self.fs.acl(&root)), VfsError::NotSupported);
        let set = wait(self.fs.set_acl(&self.owner, &root, &acl));
        refused(set, VfsError::NotSupported);
        false
    }

    fn acls(&self, object: &Handle) -> PosixAcls {
        match wait(self.fs.acl(object)) {
            Ok(Acl::Posix(acls)) => acls,
            other => panic!("no POSIX list: {other:?}"),
        }
    }

    fn protect(&self, object: &Handle, access: &PosixAcl, default: Option<&PosixAcl>) {
        let acl = acl(access, default);
        wait(self.fs.set_acl(&self.owner, object, &acl)).unwrap();
    }
}

fn acl(access: &PosixAcl, default: Option<&PosixAcl>) -> Acl {
    Acl::Posix(PosixAcls {
        access: access.clone(),
        default: default.cloned(),
    })
}

/// Owner, group and others by `mode`, and these.
fn list(mode: u32, more: &[(AclWho, u32)]) -> PosixAcl {
    let basic = [
        (AclWho::Owner, mode >> 6),
        (AclWho::Group, mode >> 3),
        (AclWho::Other, mode),
    ];
    PosixAcl::new(basic.into_iter().chain(more.iter().copied())).unwrap()
}

fn named(mode: u32, user: u32, group: u32, mask: u32) -> PosixAcl {
    let more = [
        (AclWho::User(NAMED), user),
        (AclWho::NamedGroup(NAMED_GROUP), group),
        (AclWho::Mask, mask),
    ];
    list(mode, &more)
}

fn user(uid: u32, groups: &[u32]) -> Cred {
    Cred {
        uid,
        gid: 1,
        groups: groups.into(),
    }
}

/// The mode is the list of what has none, and symbolic links have neither.
pub fn without_a_list_the_mode_is_one(f: &Fixture) {
    if !f.has_acl() {
        return;
    }
    let root = f.root();
    for object in [
        f.file(&root, "file", b"").handle,
        f.dir(&root, "dir", 0o700),
    ] {
        f.give(&object, OWNER, GROUP, 0o4751);
        assert_eq!(f.acls(&object), PosixAcls::of_mode(0o751));
    }
    let what = NewNode::Symlink(Bytes::from("x"));
    let link = f.make(&f.owner, &root, "link", &what, 0o777).unwrap();
    refused(wait(f.fs.acl(&link.handle)), VfsError::NotSupported);
    let plain = acl(&list(0o600, &[]), None);
    let set = wait(f.fs.set_acl(&f.owner, &link.handle, &plain));
    refused(set, VfsError::NotSupported);
}

/// Each shows what was done to the other.
pub fn list_and_mode_agree(f: &Fixture) {
    if !f.has_acl() {
        return;
    }
    let file = f.file(&f.root(), "file", b"").handle;
    f.give(&file, 0, 0, 0o2750);
    let set = named(0o640, 7, 5, 6);
    f.protect(&file, &set, None);
    assert_eq!(f.acls(&file).access, set);
    assert_eq!(f.attr(&file).mode, 0o2660, "the group shows the mask");
    f.set(&f.owner, &file, with_mode(0o711)).unwrap();
    assert_eq!(f.acls(&file).access, named(0o741, 7, 5, 1));
    f.protect(&file, &list(0o604, &[]), None);
    assert_eq!(f.acls(&file), PosixAcls::of_mode(0o604));
    assert_eq!(f.attr(&file).mode & 0o777, 0o604);
}

/// Whatever is set is a change, also what the mode does not show.
pub fn a_new_list_moves_the_change_counter(f: &Fixture) {
    if !f.has_acl() {
        return;
    }
    let dir = f.dir(&f.root(), "dir", 0o755);
    let mut before = f.attr(&dir).change;
    for round in 0..20 {
        f.protect(&dir, &named(0o755, round % 8, 5, 5), None);
        let after = f.attr(&dir).change;
        assert!(after > before);
        before = after;
        f.protect(
            &dir,
            &named(0o755, round % 8, 5, 5),
            Some(&list(0o750, &[])),
        );
        let after = f.attr(&dir).change;
        assert!(after > before);
        before = after;
    }
}

/// Nobody else, and default lists are for directories.
pub fn owners_set_lists_of_their_kind(f: &Fixture) {
    if !f.has_acl() {
        return;
    }
    let root = f.root();
    let (file, dir) = (
        f.file(&root, "file", b"").handle,
        f.dir(&root, "dir", 0o755),
    );
    let (plain, default) = (list(0o777, &[]), list(0o700, &[]));
    for object in [&file, &dir] {
        f.give(object, OWNER, GROUP, 0o777);
        for stranger in [user(NAMED, &[]), user(NAMED, &[GROUP])] {
            let set = wait(f.fs.set_acl(&stranger, object, &acl(&plain, None)));
            refused(set, VfsError::NotPermitted);
        }
        f.give(object, OWNER, GROUP, 0);
        let set = acl(&named(0o700, 7, 0, 7), None);
        wait(f.fs.set_acl(&user(OWNER, &[]), object, &set)).unwrap();
    }
    let both = acl(&plain, Some(&default));
    refused(
        wait(f.fs.set_acl(&f.owner, &file, &both)),
        VfsError::Invalid,
    );
    wait(f.fs.set_acl(&f.owner, &dir, &both)).unwrap();
    assert_eq!(f.acls(&dir).default, Some(default));
    f.protect(&dir, &plain, None);
    assert_eq!(f.acls(&dir).default, None);
}

/// Owner, named user, groups, others: the first that fits, below the mask.
pub fn lists_decide(f: &Fixture) {
    if !f.has_acl() {
        return;
    }
    let file = f.file(&f.root(), "file", b"x").handle;
    f.give(&file, OWNER, GROUP, 0o600);
    let wanted = Access::READ | Access::MODIFY | Access::EXECUTE;
    let bits = [(4, Access::READ), (2, Access::MODIFY), (1, Access::EXECUTE)];
    for (access, expected) in [
        // owner, named user, group, named group, both groups, other
        (named(0o640, 6, 5, 7), [6, 6, 4, 5, 5, 0]),
        (named(0o640, 6, 5, 4), [6, 4, 4, 4, 4, 0]),
        (named(0o026, 1, 4, 7), [0, 1, 2, 4, 6, 6]),
        (named(0o777, 0, 0, 7), [7, 0, 7, 0, 7, 7]),
    ] {
        f.protect(&file, &access, None);
        let users = [
            user(OWNER, &[GROUP]),
            user(NAMED, &[GROUP, NAMED_GROUP]),
            user(5, &[GROUP]),
            user(5, &[7, NAMED_GROUP]),
            user(5, &[NAMED_GROUP, GROUP]),
            user(5, &[7]),
        ];
        for (cred, permission) in users.iter().zip(expected) {
            let granted = wait(f.fs.access(cred, &file, wanted)).unwrap().access;
            let expected = bits.iter().filter(|(bit, _)| permission & bit != 0);
            let expected = expected.fold(Access::default(), |all, (_, kind)| all | *kind);
            assert_eq!(granted, expected, "{cred:?} by {access:?}");
            let opened = f.open(cred, &file, OpenAccess::Write).map(drop);
            let allowed = if permission & 2 != 0 {
                Ok(())
            } else {
                Err(VfsError::AccessDenied)
            };
            assert_eq!(opened, allowed, "{cred:?} by {access:?}");
        }
    }
}

/// Several groups do not add up: one of them must grant all that is asked for at once.
pub fn one_group_must_grant_it_all(f: &Fixture) {
    if !f.has_acl() {
        return;
    }
    let file = f.file(&f.root(), "file", b"x").handle;
    f.give(&file, OWNER, GROUP, 0o600);
    f.protect(&file, &named(0o640, 0, 2, 7), None);
    let member = user(5, &[GROUP, NAMED_GROUP]);
    f.open(&member, &file, OpenAccess::Read).unwrap();
    f.open(&member, &file, OpenAccess::Write).unwrap();
    refused(
        f.open(&member, &file, OpenAccess::Both),
        VfsError::AccessDenied,
    );
}

/// To search, to list and to change a directory.
pub fn lists_of_directories_decide(f: &Fixture) {
    if !f.has_acl() {
        return;
    }
    let root = f.root();
    let dir = f.dir(&root, "dir", 0o755);
    f.file(&dir, "file", b"");
    f.give(&dir, OWNER, GROUP, 0o700);
    let cred = user(NAMED, &[GROUP]);
    for permission in 0..8 {
        f.protect(&dir, &named(0o777, permission, 7, 7), None);
        let allowed = |want: u32| {
            if permission & want == want {
                Ok(())
            } else {
                Err(VfsError::AccessDenied)
            }
        };
        let found = f.lookup(&cred, &dir, "file").map(drop);
        assert_eq!(found, allowed(1), "lookup with {permission:o}");
        let made = f.make(&cred, &dir, "new", &NewNode::Fifo, 0o600).map(drop);
        assert_eq!(made, allowed(3), "creation with {permission:o}");
        let renamed = f.rename_as(&cred, (&dir, "file"), (&dir, "moved"));
        assert_eq!(renamed, allowed(3), "rename with {permission:o}");
        if renamed.is_ok() {
            f.remove(&cred, &dir, "new").unwrap();
            f.rename((&dir, "moved"), (&dir, "file")).unwrap();
        }
    }
}

/// Limited by the mode that was asked for, whatever the creation mask.
pub fn a_default_list_is_inherited(f: &Fixture) {
    if !f.has_acl() {
        return;
    }
    let dir = f.dir(&f.root(), "dir", 0o755);
    let default = named(0o775, 7, 5, 7);
    f.protect(&dir, &list(0o755, &[]), Some(&default));
    let asked = SetAttr {
        mode: Some(0o646),
        umask: Some(0o077),
        ..SetAttr::default()
    };
    let (how, access) = (CreateHow::Guarded, OpenAccess::Both);
    let created =
        f.fs.create(&f.owner, &dir, name("file"), how, &asked, access);
    let file = wait(created).unwrap().node;
    assert_eq!(file.attr.mode, 0o644);
    let expected = PosixAcls {
        access: named(0o674, 7, 5, 4),
        default: None,
    };
    assert_eq!(f.acls(&file.handle), expected);
    let asked = SetAttr {
        mode: Some(0o2750),
        ..asked
    };
    let made =
        f.fs.make(&f.owner, &dir, name("sub"), &NewNode::Dir, &asked);
    let sub = wait(made).unwrap().node;
    assert_eq!(sub.attr.mode, 0o2750);
    let expected = PosixAcls {
        access: named(0o770, 7, 5, 5),
        default: Some(default),
    };
    assert_eq!(f.acls(&sub.handle), expected);
}

/// An owner given at creation does not undo what the directory's list takes away.
pub fn an_owner_given_keeps_what_was_inherited(f: &Fixture) {
    if !f.has_acl() {
        return;
    }
    let dir = f.dir(&f.root(), "dir", 0o755);
    f.protect(&dir, &list(0o755, &[]), Some(&list(0o750, &[])));
    let asked = SetAttr {
        mode: Some(0o4777),
        uid: Some(OWNER),
        ..SetAttr::default()
    };
    let (how, access) = (CreateHow::Guarded, OpenAccess::Both);
    let created =
        f.fs.create(&f.owner, &dir, name("file"), how, &asked, access);
    assert_eq!(wait(created).unwrap().node.attr.mode, 0o4750);
}

/// Without a default list, from every kind of new object.
pub fn a_creation_mask_takes_away(f: &Fixture) {
    if !f.has_acl() {
        return;
    }
    let root = f.root();
    let asked = SetAttr {
        mode: Some(0o1777),
        umask: Some(0o027),
        ..SetAttr::default()
    };
    let (how, access) = (CreateHow::Guarded, OpenAccess::Both);
    let created =
        f.fs.create(&f.owner, &root, name("file"), how, &asked, access);
    let file = wait(created).unwrap().node;
    assert_eq!(file.attr.mode & 0o777, 0o750);
    let made =
        f.fs.make(&f.owner, &root, name("dir"), &NewNode::Dir, &asked);
    assert_eq!(wait(made).unwrap().node.attr.mode, 0o1750);
    refused(f.set(&f.owner, &file.handle, asked), VfsError::Invalid);
}

/// From the beginning, and nothing of the directory's.
pub fn a_new_object_has_the_list_it_was_made_with(f: &Fixture) {
    if !f.has_acl() {
        return;
    }
    let dir = f.dir(&f.root(), "dir", 0o755);
    f.protect(&dir, &list(0o755, &[]), Some(&named(0o777, 7, 7, 7)));
    let (access, default) = (named(0o640, 4, 4, 5), list(0o700, &[]));
    let attr = SetAttr {
        mode: Some(0o4777),
        ..SetAttr::default()
    };
    let with = acl(&access, None);
    let create = |how, acl: &Acl| {
        let access = OpenAccess::Both;
        wait(f.fs.create_with_acl(&f.owner, &dir, name("file"), how, &attr, acl, access))
    };
    let file = create(CreateHow::Exclusive([7; 8]), &with).unwrap();
    assert!(file.created);
    assert_eq!(file.node.attr.mode, 0o4650);
    let PosixAcls {
        access: got,
        default: none,
    } = f.acls(&file.node.handle);
    assert_eq!((got, none), (access.clone(), None));
    let retry = create(CreateHow::Exclusive([7; 8]), &with).unwrap();
    assert_eq!(retry.node.handle, file.node.handle);
    let other = acl(&list(0o777, &[]), None);
    let found = create(CreateHow::Unchecked, &other).unwrap();
    assert!(!found.created);
    assert_eq!(f.acls(&found.node.handle).access, access, "left untouched");
    let both = acl(&access, Some(&default));
    let make = |what: &NewNode, at: &str| {
        wait(f.fs.make_with_acl(&f.owner, &dir, name(at), what, &SetAttr::default(), &both))
    };
    let sub = make(&NewNode::Dir, "sub").unwrap().node;
    assert_eq!(sub.attr.mode, 0o650);
    let expected = PosixAcls {
        access,
        default: Some(default),
    };
    assert_eq!(f.acls(&sub.handle), expected);
    refused(make(&NewNode::Fifo, "fifo"), VfsError::Invalid);
    let link = NewNode::Symlink(Bytes::from("x"));
    refused(make(&link, "link"), VfsError::NotSupported);
    assert_eq!(f.names(&dir), ["file", "sub"], "nothing is left behind");
}

/// All entries of a long list come back.
pub fn long_lists_are_kept(f: &Fixture) {
    if !f.has_acl() {
        return;
    }
    let file = f.file(&f.root(), "file", b"").handle;
    let users = (0..150).map(|id| (AclWho::User(id * 3), id % 8));
    let groups = (0..100).map(|id| (AclWho::NamedGroup(id * 5), id % 8));
    let more: Vec<_> = users.chain(groups).chain([(AclWho::Mask, 7)]).collect();
    let long = list(0o640, &more);
    f.protect(&file, &long, None);
    assert_eq!(f.acls(&file).access, long);
}
