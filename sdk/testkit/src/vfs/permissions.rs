//! Who may do what.

use bytes::Bytes;
use dittofs_sdk::vfs::{
    Access, Capabilities, CreateHow, Cred, Handle, NewNode, OpenAccess, ReadDirLimit, SetAttr,
    SetTime, Time, VfsError,
};

use super::{Fixture, read, refused, wait, with_mode, write};

const OWNER: u32 = 1000;
const GROUP: u32 = 2000;

impl Fixture {
    /// Whether what a caller makes is the caller's.
    fn has_identity(&self) -> bool {
        self.fs.info().capabilities.contains(Capabilities::IDENTITY)
    }
}

fn owner() -> Cred {
    Cred::user(OWNER, 1)
}

fn member() -> Cred {
    Cred {
        uid: 1001,
        gid: 1,
        groups: [7, GROUP].into(),
    }
}

fn stranger() -> Cred {
    Cred {
        uid: 1002,
        gid: 2,
        groups: [8, 9].into(),
    }
}

/// The first class that fits, and no other.
pub fn permission_bits_decide(f: &Fixture) {
    let root = f.root();
    let file = f.file(&root, "file", b"x").handle;
    let users = [(owner(), 6), (member(), 3), (stranger(), 0)];
    for mode in [
        0o600, 0o400, 0o200, 0o060, 0o040, 0o020, 0o006, 0o004, 0o002, 0o644, 0o066,
    ] {
        f.give(&file, OWNER, GROUP, mode);
        for (user, shift) in &users {
            let bits = mode >> shift & 7;
            for (access, want) in [
                (OpenAccess::Read, 4),
                (OpenAccess::Write, 2),
                (OpenAccess::Both, 6),
            ] {
                let answer = f.open(user, &file, access).map(drop);
                let expected = if bits & want == want {
                    Ok(())
                } else {
                    Err(VfsError::AccessDenied)
                };
                assert_eq!(answer, expected, "{mode:o} for {user:?}, {access:?}");
            }
            let size = SetAttr {
                size: Some(1),
                ..SetAttr::default()
            };
            let expected = if bits & 2 != 0 {
                Ok(())
            } else {
                Err(VfsError::AccessDenied)
            };
            assert_eq!(
                f.set(user, &file, size).map(drop),
                expected,
                "{mode:o} for {user:?}"
            );
        }
    }
    f.give(&file, OWNER, GROUP, 0);
    f.open(&Cred::root(), &file, OpenAccess::Both).unwrap();
}

/// To find a name, to list, to change.
pub fn directories_need_search_and_write(f: &Fixture) {
    let root = f.root();
    let dir = f.dir(&root, "dir", 0o755);
    f.file(&dir, "file", b"");
    let user = owner();
    let limit = ReadDirLimit {
        entries: 10,
        attrs: false,
    };
    for bits in 0..8_u32 {
        f.give(&dir, OWNER, GROUP, bits << 6);
        let allowed = |want: u32| {
            if bits & want == want {
                Ok(())
            } else {
                Err(VfsError::AccessDenied)
            }
        };
        assert_eq!(
            f.lookup(&user, &dir, "file").map(drop),
            allowed(1),
            "lookup with {bits:o}"
        );
        let listed = wait(f.fs.read_dir(&user, &dir, 0, limit)).map(drop);
        assert_eq!(listed, allowed(4), "listing with {bits:o}");
        let made = f.make(&user, &dir, "new", &NewNode::Fifo, 0o644).map(drop);
        assert_eq!(made, allowed(3), "creation with {bits:o}");
        let created = f
            .create(&user, &dir, "created", CreateHow::Guarded, 0o644)
            .map(drop);
        assert_eq!(created, allowed(3), "creation of a file with {bits:o}");
        let renamed = f.rename_as(&user, (&dir, "file"), (&dir, "moved"));
        assert_eq!(renamed, allowed(3), "rename with {bits:o}");
        if renamed.is_ok() {
            f.rename((&dir, "moved"), (&dir, "file")).unwrap();
        }
        let removed = f.remove(&user, &dir, "file");
        assert_eq!(removed, allowed(3), "removal with {bits:o}");
        if removed.is_ok() {
            f.file(&dir, "file", b"");
            f.remove(&f.owner, &dir, "new").unwrap();
            f.remove(&f.owner, &dir, "created").unwrap();
        }
    }
}

/// Mode, owner and exact times.
pub fn only_owners_change_attributes(f: &Fixture) {
    let file = f.file(&f.root(), "file", b"").handle;
    let time = SetTime::To(Time { sec: 1, nsec: 2 });
    f.give(&file, OWNER, GROUP, 0o666);
    for user in [member(), stranger()] {
        refused(
            f.set(&user, &file, with_mode(0o600)),
            VfsError::NotPermitted,
        );
        let mine = SetAttr {
            uid: Some(user.uid),
            ..SetAttr::default()
        };
        refused(f.set(&user, &file, mine), VfsError::NotPermitted);
        let times = SetAttr {
            mtime: Some(time),
            ..SetAttr::default()
        };
        refused(f.set(&user, &file, times), VfsError::NotPermitted);
    }
    assert_eq!(
        f.set(&owner(), &file, with_mode(0o400)).unwrap().mode,
        0o400
    );
    let times = SetAttr {
        atime: Some(time),
        mtime: Some(time),
        ..SetAttr::default()
    };
    f.set(&owner(), &file, times).unwrap();
    let away = SetAttr {
        uid: Some(1),
        ..SetAttr::default()
    };
    refused(f.set(&owner(), &file, away), VfsError::NotPermitted);
    let same = SetAttr {
        uid: Some(OWNER),
        ..SetAttr::default()
    };
    assert_eq!(f.set(&owner(), &file, same).unwrap().uid, OWNER);
}

/// The owner gives a file to groups of its own only.
pub fn a_group_is_given_to_members_only(f: &Fixture) {
    let file = f.file(&f.root(), "file", b"").handle;
    f.give(&file, OWNER, 1, 0o644);
    let user = Cred {
        uid: OWNER,
        gid: 1,
        groups: [GROUP].into(),
    };
    let to = |gid| SetAttr {
        gid: Some(gid),
        ..SetAttr::default()
    };
    assert_eq!(f.set(&user, &file, to(GROUP)).unwrap().gid, GROUP);
    refused(f.set(&user, &file, to(4242)), VfsError::NotPermitted);
    refused(f.set(&stranger(), &file, to(2)), VfsError::NotPermitted);
}

/// "Now" is for all who may write; each time for itself.
pub fn writers_touch_times(f: &Fixture) {
    let file = f.file(&f.root(), "file", b"").handle;
    f.give(&file, OWNER, GROUP, 0o664);
    let touches = [
        SetAttr {
            atime: Some(SetTime::Now),
            mtime: Some(SetTime::Now),
            ..SetAttr::default()
        },
        SetAttr {
            mtime: Some(SetTime::Now),
            ..SetAttr::default()
        },
        SetAttr {
            atime: Some(SetTime::Now),
            ..SetAttr::default()
        },
    ];
    for touch in touches {
        f.set(&member(), &file, touch).unwrap();
        refused(f.set(&stranger(), &file, touch), VfsError::AccessDenied);
    }
}

/// Only the owner of the entry or of the directory removes or renames.
pub fn sticky_directories_protect(f: &Fixture) {
    let root = f.root();
    let dir = f.dir(&root, "dir", 0o755);
    f.give(&dir, 1, 1, 0o1777);
    let file = f.file(&dir, "file", b"").handle;
    f.give(&file, OWNER, GROUP, 0o666);
    let other = f.file(&dir, "other", b"").handle;
    f.give(&other, 1002, 2, 0o666);
    refused(f.remove(&stranger(), &dir, "file"), VfsError::NotPermitted);
    let away = f.rename_as(&stranger(), (&dir, "file"), (&dir, "x"));
    refused(away, VfsError::NotPermitted);
    let over = f.rename_as(&stranger(), (&dir, "other"), (&dir, "file"));
    refused(over, VfsError::NotPermitted);
    f.remove(&owner(), &dir, "file").unwrap();
    f.remove(&Cred::user(1, 1), &dir, "other").unwrap();
}

/// To files, and with the bit to directories.
pub fn setgid_directories_pass_on_their_group(f: &Fixture) {
    if !f.has_identity() {
        return;
    }
    let root = f.root();
    let dir = f.dir(&root, "dir", 0o755);
    f.give(&dir, OWNER, GROUP, 0o2775);
    let user = owner();
    let file = f
        .create(&user, &dir, "file", CreateHow::Guarded, 0o644)
        .unwrap()
        .node
        .attr;
    assert_eq!((file.uid, file.gid, file.mode), (OWNER, GROUP, 0o644));
    let sub = f
        .make(&user, &dir, "sub", &NewNode::Dir, 0o755)
        .unwrap()
        .attr;
    assert_eq!((sub.uid, sub.gid, sub.mode), (OWNER, GROUP, 0o2755));
    f.give(&root, 0, 0, 0o777);
    let plain = f
        .create(&user, &root, "plain", CreateHow::Guarded, 0o644)
        .unwrap()
        .node
        .attr;
    assert_eq!((plain.uid, plain.gid), (OWNER, 1));
    let link = NewNode::Symlink(Bytes::from("x"));
    let link = f.make(&member(), &root, "link", &link, 0o777).unwrap().attr;
    assert_eq!((link.uid, link.gid), (1001, 1));
}

/// Who writes to a program does not lend its owner's rights.
pub fn setuid_goes_when_others_write(f: &Fixture) {
    if !f.has_identity() {
        return;
    }
    let file = f.file(&f.root(), "file", b"x").handle;
    let cases = [(0o6777, 0o777), (0o4755 | 0o022, 0o777), (0o2767, 0o2767)];
    for (before, after) in cases {
        f.give(&file, OWNER, GROUP, before);
        let open = f.open(&member(), &file, OpenAccess::Write).unwrap();
        write(&open, 0, b"y");
        assert_eq!(f.attr(&file).mode, after, "{before:o} after a write");
        f.give(&file, OWNER, GROUP, before);
        wait(open.truncate(0)).unwrap();
        assert_eq!(f.attr(&file).mode, after, "{before:o} after a truncation");
    }
    f.give(&file, OWNER, GROUP, 0o6777);
    let open = f.open(&Cred::root(), &file, OpenAccess::Write).unwrap();
    write(&open, 0, b"y");
    assert_eq!(f.attr(&file).mode, 0o6777);
}

/// A new group is a new owner.
pub fn setuid_goes_when_the_owner_changes(f: &Fixture) {
    let file = f.file(&f.root(), "file", b"x").handle;
    f.give(&file, OWNER, 1, 0o6755);
    let user = Cred {
        uid: OWNER,
        gid: 1,
        groups: [GROUP].into(),
    };
    let group = SetAttr {
        gid: Some(GROUP),
        ..SetAttr::default()
    };
    assert_eq!(f.set(&user, &file, group).unwrap().mode, 0o755);
    let both = SetAttr {
        gid: Some(1),
        mode: Some(0o4755),
        ..SetAttr::default()
    };
    assert_eq!(f.set(&user, &file, both).unwrap().mode, 0o4755);
}

/// Who is not in the file's group can't set it.
pub fn setgid_is_for_members(f: &Fixture) {
    if !f.has_identity() {
        return;
    }
    let file = f.file(&f.root(), "file", b"x").handle;
    f.give(&file, OWNER, GROUP, 0o755);
    assert_eq!(
        f.set(&owner(), &file, with_mode(0o2755)).unwrap().mode,
        0o755
    );
    let in_group = Cred {
        groups: [GROUP].into(),
        ..owner()
    };
    assert_eq!(
        f.set(&in_group, &file, with_mode(0o2755)).unwrap().mode,
        0o2755
    );
}

/// A client reads a program in order to run it.
pub fn who_may_execute_may_read(f: &Fixture) {
    let file = f.file(&f.root(), "file", b"program").handle;
    f.give(&file, OWNER, GROUP, 0o711);
    let open = f.open(&stranger(), &file, OpenAccess::Read).unwrap();
    assert_eq!(read(&open, 0, 10).0, b"program");
    refused(
        f.open(&stranger(), &file, OpenAccess::Both),
        VfsError::AccessDenied,
    );
    let granted = wait(f.fs.access(&stranger(), &file, Access::READ | Access::EXECUTE)).unwrap();
    assert_eq!(granted.access, Access::EXECUTE);
}

/// What a call would be allowed, no more and no less.
pub fn access_tells_what_is_granted(f: &Fixture) {
    let root = f.root();
    let file = f.file(&root, "file", b"").handle;
    let dir = f.dir(&root, "dir", 0o755);
    f.give(&file, OWNER, GROUP, 0o750);
    f.give(&dir, OWNER, GROUP, 0o750);
    let all = Access(0x3f);
    let ask = |cred: &Cred, object: &Handle| {
        let granted = wait(f.fs.access(cred, object, all)).unwrap();
        assert_eq!(granted.attr, f.attr(object));
        granted.access
    };
    let change = Access::MODIFY | Access::EXTEND;
    assert_eq!(
        ask(&owner(), &file),
        Access::READ | Access::EXECUTE | change
    );
    assert_eq!(ask(&member(), &file), Access::READ | Access::EXECUTE);
    assert_eq!(ask(&stranger(), &file), Access(0));
    assert_eq!(
        ask(&owner(), &dir),
        Access::READ | Access::SEARCH | Access::DELETE | change
    );
    assert_eq!(ask(&member(), &dir), Access::READ | Access::SEARCH);
    assert_eq!(ask(&stranger(), &dir), Access(0));
    assert_eq!(
        wait(f.fs.access(&owner(), &dir, Access::READ))
            .unwrap()
            .access,
        Access::READ
    );
    f.give(&file, OWNER, GROUP, 0o644);
    let superuser = Access::READ | change;
    assert_eq!(ask(&Cred::root(), &file), superuser);
}
