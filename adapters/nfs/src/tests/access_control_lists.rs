//! Access control lists through the operations. RFC 8881 §6.

use bytes::Bytes;
use dittofs_sdk::Share;
use dittofs_sdk::vfs::{Acl, AclWho, Attr, Cred, NewNode, PosixAcl, PosixAcls};

use crate::attr::FAttr;
use crate::compound::{Cx, Operation};
use crate::ops::fixture::{Fixture, encoded, share};
use crate::ops::{access, create, getattr, readdir, setattr};
use crate::rpc::Auth;
use crate::status::Status;
use crate::testing::{Failing, Harness};
use crate::types::{Bitmap, FileHandle, Minor, StateId, Verifier};
use crate::xdr::{Reader, Writer};

const ACL: u32 = 12;
const MODE: u32 = 33;
const DACL: u32 = 58;

const ALLOW: u32 = 0;
const DENY: u32 = 1;
/// Read data; write and append; execute. With named attributes, as the server writes them.
const R: u32 = 0x9;
const W: u32 = 0x16;
const X: u32 = 0x20;
/// On a directory, to write is also to delete in it.
const DIR_W: u32 = W | 0x40;
/// To read attributes and the list, and to synchronize.
const ALWAYS: u32 = 0x12_0080;
/// To set attributes and the list.
const OWNERS: u32 = 0x4_0100;
const INHERIT: u32 = 3;
const INHERIT_ONLY: u32 = 8;
const IS_GROUP: u32 = 0x40;

type Ace<'a> = (u32, u32, u32, &'a str);

fn aces(list: &[Ace<'_>]) -> Vec<u8> {
    let mut w = Writer::default();
    w.write(&(list.len() as u32));
    for (kind, flags, mask, who) in list {
        w.write(kind);
        w.write(flags);
        w.write(mask);
        w.write(*who);
    }
    w.as_slice().to_vec()
}

fn fattr(mask: &[u32], values: impl IntoIterator<Item = Vec<u8>>) -> FAttr {
    FAttr {
        mask: Bitmap::of(mask),
        values: values.into_iter().flatten().collect::<Vec<_>>().into(),
    }
}

fn with_acl(list: &[Ace<'_>]) -> FAttr {
    fattr(&[ACL], [aces(list)])
}

async fn set(cx: &mut Cx, attributes: FAttr) -> Result<Bitmap, Status> {
    use crate::compound::OpError;
    let args = setattr::Args {
        stateid: StateId::ANONYMOUS,
        attributes,
    };
    args.run(cx).await.map_err(|refused| refused.status())
}

/// The value of one attribute.
async fn value(cx: &mut Cx, number: u32) -> Bytes {
    let start = cx.reply.position();
    let wanted = Bitmap::of(&[number]);
    getattr::Args { wanted }.run(cx).await.unwrap();
    let body = Bytes::copy_from_slice(&cx.reply.as_slice()[start..]);
    let mut reader = Reader::new(body);
    assert_eq!(reader.read::<Bitmap>().unwrap(), wanted);
    reader.read().unwrap()
}

async fn attr(cx: &Cx) -> Attr {
    let object = cx.share_object(Status::Rofs).unwrap();
    object.share.fs.attr(&object.handle).await.unwrap()
}

async fn posix(cx: &Cx) -> PosixAcls {
    let object = cx.share_object(Status::Rofs).unwrap();
    match object.share.fs.acl(&object.handle).await {
        Ok(Acl::Posix(acls)) => acls,
        other => panic!("{other:?}"),
    }
}

fn list(mode: u32, more: &[(AclWho, u32)]) -> PosixAcl {
    let basic = [
        (AclWho::Owner, mode >> 6),
        (AclWho::Group, mode >> 3),
        (AclWho::Other, mode),
    ];
    PosixAcl::new(basic.into_iter().chain(more.iter().copied())).unwrap()
}

/// Entries whose list is `rw-`, user 7 `r-x`, group `r--`, group 8 `---`, others `---`.
const SOME: [Ace<'_>; 6] = [
    (ALLOW, 0, R | W, "OWNER@"),
    (ALLOW, 0, R | X, "7"),
    (ALLOW, 0, R, "GROUP@"),
    (DENY, IS_GROUP, R | W | X, "8"),
    (DENY, 0, W | X, "EVERYONE@"),
    (DENY, 0, R, "EVERYONE@"),
];

fn some() -> PosixAcl {
    let more = [
        (AclWho::User(7), 5),
        (AclWho::NamedGroup(8), 0),
        (AclWho::Mask, 5),
    ];
    list(0o640, &more)
}

fn plain(name: &str) -> Share {
    Share {
        fs: std::sync::Arc::new(Failing::new()),
        ..share(name)
    }
}

#[tokio::test]
async fn a_list_that_is_set_is_the_files_own_and_shows_in_its_mode() {
    let fixture = Fixture::new();
    fixture.populate().await;
    for minor in [Minor::V40, Minor::V41] {
        let mut cx = fixture.at(minor, "export/file").await;
        set(&mut cx, fattr(&[MODE], [encoded(0o6777_u32).to_vec()]))
            .await
            .unwrap();
        let done = set(&mut cx, with_acl(&SOME)).await;
        assert_eq!(done, Ok(Bitmap::of(&[ACL])));
        assert_eq!(posix(&cx).await.access, some());
        assert_eq!(attr(&cx).await.mode, 0o6650, "the special bits stay");
    }
}

#[tokio::test]
async fn a_list_is_told_as_entries_that_mean_it_and_can_be_set_again() {
    let fixture = Fixture::new();
    fixture.populate().await;
    let mut cx = fixture.at(Minor::V41, "export/file").await;
    set(&mut cx, with_acl(&SOME)).await.unwrap();
    let told = value(&mut cx, ACL).await;
    let expected = aces(&[
        (DENY, 0, X, "OWNER@"),
        (ALLOW, 0, R | W | ALWAYS | OWNERS, "OWNER@"),
        (ALLOW, 0, R | X | ALWAYS, "7"),
        (ALLOW, 0, R | ALWAYS, "GROUP@"),
        (ALLOW, IS_GROUP, ALWAYS, "8"),
        (ALLOW, 0, ALWAYS, "EVERYONE@"),
    ]);
    assert_eq!(told, expected);
    let dacl = value(&mut cx, DACL).await;
    assert_eq!(dacl[..4], [0, 0, 0, 2], "protected");
    assert_eq!(dacl[4..], expected);
    let again = fattr(&[DACL], [dacl.to_vec()]);
    assert_eq!(set(&mut cx, again).await, Ok(Bitmap::of(&[DACL])));
    assert_eq!(posix(&cx).await.access, some());
}

#[tokio::test]
async fn what_a_list_can_not_keep_is_refused_and_nothing_is_set() {
    let fixture = Fixture::new();
    fixture.populate().await;
    for (path, refused) in [
        ("export/file", (ALLOW, INHERIT, R, "EVERYONE@")),
        ("export/dir", (ALLOW, 1, R, "EVERYONE@")),
        ("export/file", (DENY, 0, ALWAYS, "EVERYONE@")),
        ("export/file", (2, 0, R, "EVERYONE@")),
        ("export/symlink", (ALLOW, 0, R, "EVERYONE@")),
    ] {
        let mut cx = fixture.at(Minor::V41, path).await;
        let before = attr(&cx).await;
        let mode = encoded(0o700_u32).to_vec();
        let asked = fattr(&[ACL, MODE], [aces(&[refused]), mode]);
        assert_eq!(set(&mut cx, asked).await, Err(Status::Attrnotsupp));
        assert_eq!(attr(&cx).await, before, "{path}");
    }
    let mut cx = fixture.at(Minor::V41, "export/file").await;
    let unknown = with_acl(&[(ALLOW, 0, R, "somebody@somewhere")]);
    assert_eq!(set(&mut cx, unknown).await, Err(Status::Badowner));
    let both = fattr(&[ACL, DACL], [aces(&[]), vec![0; 8]]);
    assert_eq!(set(&mut cx, both).await, Err(Status::Inval));
}

#[tokio::test]
async fn with_a_mode_the_list_has_the_last_word_but_for_the_special_bits() {
    let fixture = Fixture::new();
    fixture.populate().await;
    let mut cx = fixture.at(Minor::V41, "export/file").await;
    let both = fattr(&[ACL, MODE], [aces(&SOME), encoded(0o4777_u32).to_vec()]);
    assert_eq!(set(&mut cx, both).await, Ok(Bitmap::of(&[ACL, MODE])));
    assert_eq!(attr(&cx).await.mode, 0o4650);
    let mode = fattr(&[MODE], [encoded(0o600_u32).to_vec()]);
    set(&mut cx, mode).await.unwrap();
    let masked = posix(&cx).await.access;
    assert_eq!(masked.user(7), Some(0), "a mode of none lets nobody in");
}

#[tokio::test]
async fn only_the_owner_sets_a_list_and_it_decides_for_others() {
    let fixture = Fixture::new();
    fixture.populate().await;
    let as_user = |mut cx: Cx, uid: u32| {
        cx.call.auth = Auth::Sys(Cred::user(uid, 99));
        cx
    };
    let mut owner = fixture.at(Minor::V41, "export/file").await;
    set(&mut owner, with_acl(&SOME)).await.unwrap();
    for (uid, granted) in [(7, 0x21), (9, 0)] {
        let mut cx = as_user(fixture.cx(Minor::V41), uid);
        crate::ops::fixture::go(&mut cx, "export/file")
            .await
            .unwrap();
        let answer = access::Args { wanted: 0x2d }.run(&mut cx).await.unwrap();
        assert_eq!(answer.granted, granted, "user {uid}");
        let refused = set(&mut cx, with_acl(&SOME)).await;
        assert_eq!(refused, Err(Status::Perm));
    }
}

#[tokio::test]
async fn entries_that_are_inherited_are_the_default_list_of_a_directory() {
    let fixture = Fixture::new();
    fixture.populate().await;
    let mut cx = fixture.at(Minor::V41, "export/dir").await;
    let inheritable = [
        (ALLOW, 0, R | DIR_W | X, "OWNER@"),
        (ALLOW, INHERIT | INHERIT_ONLY, R | DIR_W, "OWNER@"),
        (ALLOW, INHERIT, R, "7"),
    ];
    set(&mut cx, with_acl(&inheritable)).await.unwrap();
    let reader = |owner: u32| {
        let more = [(AclWho::User(7), 4), (AclWho::Mask, 4)];
        list(owner << 6, &more)
    };
    let expected = PosixAcls {
        access: reader(7),
        default: Some(reader(6)),
    };
    assert_eq!(posix(&cx).await, expected);
    let told = value(&mut cx, ACL).await;
    set(&mut cx, fattr(&[ACL], [told.to_vec()])).await.unwrap();
    assert_eq!(posix(&cx).await, expected, "what is told can be set");

    let sub = create::Args {
        what: create::What::Node(NewNode::Dir),
        name: Bytes::from_static(b"sub"),
        attributes: fattr(&[MODE], [encoded(0o777_u32).to_vec()]),
    };
    sub.run(&mut cx).await.unwrap();
    let inherited = PosixAcls {
        access: reader(6),
        default: Some(reader(6)),
    };
    assert_eq!(posix(&cx).await, inherited);
    set(&mut cx, with_acl(&[(ALLOW, 0, R, "OWNER@")]))
        .await
        .unwrap();
    assert_eq!(posix(&cx).await, PosixAcls::of_mode(0o400), "none is left");
}

#[tokio::test]
async fn create_makes_what_has_its_list_from_the_beginning() {
    let fixture = Fixture::new();
    for (node, name) in [(NewNode::Dir, "dir"), (NewNode::Fifo, "fifo")] {
        let mut cx = fixture.at(Minor::V41, "export").await;
        let args = create::Args {
            what: create::What::Node(node),
            name: Bytes::copy_from_slice(name.as_bytes()),
            attributes: with_acl(&SOME),
        };
        let made = args.run(&mut cx).await.unwrap();
        assert_eq!(made.set, Bitmap::of(&[ACL]));
        assert_eq!(posix(&cx).await.access.user(7), Some(5), "{name}");
    }
    let mut cx = fixture.at(Minor::V41, "export").await;
    let link = create::Args {
        what: create::What::Node(NewNode::Symlink(Bytes::from_static(b"x"))),
        name: Bytes::from_static(b"link"),
        attributes: with_acl(&SOME),
    };
    assert_eq!(link.run(&mut cx).await, Err(Status::Attrnotsupp));
}

/// OPEN that creates `name`: exclusively, with the lists of the cva_attrs, or guarded.
async fn open_creating(h: &Harness, name: &str, exclusive: bool) -> FileHandle {
    let client = h.client41(name).await;
    let open = client
        .compound()
        .putrootfh()
        .lookup("export")
        .op(18, |w| {
            w.write(&0_u32);
            w.write(&3_u32);
            w.write(&0_u32);
            w.write(&client.id);
            w.write("owner");
            w.write(&1_u32);
            if exclusive {
                w.write(&3_u32);
                w.write(&7_u64);
            } else {
                w.write(&1_u32);
            }
            w.write(&Bitmap::of(&[ACL]));
            w.opaque(&aces(&SOME));
            w.write(&0_u32);
            w.write(name);
        })
        .getfh();
    let mut reply = open.run().await;
    let _: StateId = reply.skip(2).ok_body();
    let _: (bool, (u64, u64)) = (reply.body(), (reply.body(), reply.body()));
    let _: u32 = reply.body();
    let set: Bitmap = reply.body();
    assert!(set.contains(ACL));
    let _: u32 = reply.body();
    reply.ok_body()
}

#[tokio::test]
async fn open_creates_what_has_its_list_from_the_beginning() {
    let h = Harness::new();
    for (name, exclusive) in [("guarded", false), ("exclusive", true)] {
        let file = open_creating(&h, name, exclusive).await;
        let mask = h.compound(0).putfh(&file).with(9, &Bitmap::of(&[MODE]));
        let mut reply = mask.run().await;
        assert_eq!(reply.skip(1).ok_body::<Bitmap>(), Bitmap::of(&[MODE]));
        assert_eq!((reply.body::<u32>(), reply.body::<u32>()), (4, 0o650));
    }
}

#[tokio::test]
async fn where_no_lists_are_kept_the_mode_is_one() {
    let fixture = Fixture::with([plain("/export")]);
    fixture.populate().await;
    let mut cx = fixture.at(Minor::V41, "export/file").await;
    let told = value(&mut cx, ACL).await;
    let expected = aces(&[
        (ALLOW, 0, R | W | ALWAYS | OWNERS, "OWNER@"),
        (ALLOW, 0, R | ALWAYS, "GROUP@"),
        (ALLOW, 0, R | ALWAYS, "EVERYONE@"),
    ]);
    assert_eq!(told, expected);
    let simple = with_acl(&[(ALLOW, 0, R | X, "OWNER@"), (ALLOW, 0, R, "GROUP@")]);
    assert_eq!(set(&mut cx, simple).await, Ok(Bitmap::of(&[ACL])));
    assert_eq!(attr(&cx).await.mode, 0o540);
    assert_eq!(
        set(&mut cx, with_acl(&SOME)).await,
        Err(Status::Attrnotsupp)
    );
    let mut cx = fixture.at(Minor::V41, "export").await;
    let make = |list: &[Ace<'_>]| create::Args {
        what: create::What::Node(NewNode::Dir),
        name: Bytes::from_static(b"new"),
        attributes: with_acl(list),
    };
    let refused = make(&SOME).run(&mut cx).await;
    assert_eq!(refused, Err(Status::Attrnotsupp));
    make(&[(ALLOW, 0, R | X, "EVERYONE@")])
        .run(&mut cx)
        .await
        .unwrap();
    assert_eq!(attr(&cx).await.mode, 0o555);
}

#[tokio::test]
async fn the_pseudo_file_system_and_links_have_the_list_of_their_mode() {
    let fixture = Fixture::new();
    fixture.populate().await;
    let mut cx = fixture.at(Minor::V41, "").await;
    let dir = aces(&[
        (ALLOW, 0, R | X | ALWAYS | OWNERS, "OWNER@"),
        (ALLOW, 0, R | X | ALWAYS, "GROUP@"),
        (ALLOW, 0, R | X | ALWAYS, "EVERYONE@"),
    ]);
    assert_eq!(value(&mut cx, ACL).await, dir);
    assert_eq!(set(&mut cx, with_acl(&SOME)).await, Err(Status::Rofs));
    let mut cx = fixture.at(Minor::V41, "export/symlink").await;
    let link = aces(&[
        (ALLOW, 0, R | W | X | ALWAYS | OWNERS, "OWNER@"),
        (ALLOW, 0, R | W | X | ALWAYS, "GROUP@"),
        (ALLOW, 0, R | W | X | ALWAYS, "EVERYONE@"),
    ]);
    assert_eq!(value(&mut cx, ACL).await, link);
}

#[tokio::test]
async fn readdir_tells_lists_too() {
    let fixture = Fixture::new();
    fixture.file("export", "file").await;
    let mut cx = fixture.at(Minor::V41, "export/file").await;
    set(&mut cx, with_acl(&SOME)).await.unwrap();
    let told = value(&mut cx, ACL).await;
    let mut cx = fixture.at(Minor::V41, "export").await;
    let args = readdir::Args {
        cookie: 0,
        verifier: Verifier::default(),
        dir_count: 0,
        max_count: 4096,
        wanted: Bitmap::of(&[ACL]),
    };
    args.run(&mut cx).await.unwrap();
    let listing = cx.reply.as_slice();
    assert!(listing.windows(told.len()).any(|part| *part == told));
}

#[tokio::test]
async fn the_longest_list_that_a_file_has_is_told_and_set() {
    let fixture = Fixture::new();
    fixture.populate().await;
    let mut cx = fixture.at(Minor::V41, "export/dir").await;
    cx.reply_limit = 1 << 20;
    let named: Vec<_> = (0..1024)
        .map(|id| (AclWho::User(u32::MAX - 1 - id), 4))
        .chain([(AclWho::Mask, 7)])
        .collect();
    let longest = list(0o770, &named);
    let acls = PosixAcls {
        access: longest.clone(),
        default: Some(longest),
    };
    let object = cx.share_object(Status::Rofs).unwrap().clone();
    let acl = Acl::Posix(acls);
    let done = object.share.fs.set_acl(&object.cred, &object.handle, &acl);
    done.await.unwrap();
    let told = value(&mut cx, ACL).await;
    assert!(told.len() <= crate::attr::acl::ENCODED_MAX);
    let again = fattr(&[ACL], [told.to_vec()]);
    assert_eq!(set(&mut cx, again).await, Ok(Bitmap::of(&[ACL])));
}
