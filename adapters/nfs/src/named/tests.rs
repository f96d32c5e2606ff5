//! Named attributes as clients use them: through the operations, on files and directories.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use dittofs_sdk::vfs::{
    CreateHow, Cred, FileSystem, Handle, Name, NewNode, OpenAccess, SetAttr, SetXattr, Stability,
    XattrName,
};

use super::{NamedAttributes, dir_of};
use crate::exports::{Exports, FileKey};
use crate::settings::Settings;
use crate::state::files::{DelegationKind, DelegationRequest};
use crate::status::Status;
use crate::testing::{Client41, Compound, Harness, Reply, Slow};
use crate::types::{Bitmap, ClientId, FileHandle, StateId, Verifier};
use crate::xdr::Writer;

const TYPE: u32 = 1;
const SIZE: u32 = 4;
const NAMED_ATTR: u32 = 7;
const FSID: u32 = 8;
const FILEID: u32 = 20;

const OPEN: u32 = 18;
const READDIR: u32 = 26;

const ATTRDIR: u32 = 8;
const NAMEDATTR: u32 = 9;

trait Ops: Sized {
    fn openattr(self, create: bool) -> Self;
    /// OPEN for both, created with a size unless `size` is none, by the owner "owner".
    fn open_attr(self, name: &[u8], size: Option<u64>) -> Self;
    fn write_at(self, offset: u64, data: &[u8]) -> Self;
    fn read_at(self, offset: u64, count: u32) -> Self;
    fn getattrs(self, wanted: &[u32]) -> Self;
    fn set_size(self, size: u64) -> Self;
    fn savefh(self) -> Self;
    fn remove(self, name: &str) -> Self;
    fn rename(self, from: &str, to: &str) -> Self;
    fn link(self, name: &str) -> Self;
    fn lookupp(self) -> Self;
    fn readdir(self, wanted: &[u32]) -> Self;
}

impl Ops for Compound<'_> {
    fn openattr(self, create: bool) -> Self {
        self.with(19, &create)
    }

    fn open_attr(self, name: &[u8], size: Option<u64>) -> Self {
        self.op(OPEN, |w| open_args(w, name, 3, 0, size.map(How::Unchecked)))
    }

    fn write_at(self, offset: u64, data: &[u8]) -> Self {
        self.op(38, |w| {
            w.write(&StateId::ANONYMOUS);
            w.write(&offset);
            w.write(&0_u32);
            w.opaque(data);
        })
    }

    fn read_at(self, offset: u64, count: u32) -> Self {
        self.op(25, |w| {
            w.write(&StateId::ANONYMOUS);
            w.write(&offset);
            w.write(&count);
        })
    }

    fn getattrs(self, wanted: &[u32]) -> Self {
        self.with(9, &Bitmap::of(wanted))
    }

    fn set_size(self, size: u64) -> Self {
        self.op(34, |w| {
            w.write(&StateId::ANONYMOUS);
            w.write(&Bitmap::of(&[SIZE]));
            w.write(&8_u32);
            w.write(&size);
        })
    }

    fn savefh(self) -> Self {
        self.op(32, |_| ())
    }

    fn remove(self, name: &str) -> Self {
        self.op(28, |w| w.write(name))
    }

    fn rename(self, from: &str, to: &str) -> Self {
        self.op(29, |w| {
            w.write(from);
            w.write(to);
        })
    }

    fn link(self, name: &str) -> Self {
        self.op(11, |w| w.write(name))
    }

    fn lookupp(self) -> Self {
        self.op(16, |_| ())
    }

    fn readdir(self, wanted: &[u32]) -> Self {
        self.op(READDIR, |w| {
            w.write(&0_u64);
            w.write(&Verifier::default());
            w.write(&0_u32);
            w.write(&8192_u32);
            w.write(&Bitmap::of(wanted));
        })
    }
}

#[derive(Clone, Copy)]
enum How {
    Unchecked(u64),
    Guarded,
    Exclusive,
}

fn open_args(w: &mut Writer, name: &[u8], access: u32, deny: u32, how: Option<How>) {
    w.write(&0_u32);
    w.write(&access);
    w.write(&deny);
    w.write(&ClientId(0));
    w.write("owner");
    w.write(&u32::from(how.is_some()));
    match how {
        None => {}
        Some(How::Unchecked(size)) => {
            w.write(&0_u32);
            // A mode too, as many clients send; attributes have none of their own.
            w.write(&Bitmap::of(&[SIZE, 33]));
            w.write(&12_u32);
            w.write(&size);
            w.write(&0o600_u32);
        }
        Some(How::Guarded) => {
            w.write(&1_u32);
            w.write(&Bitmap::EMPTY);
            w.write(&0_u32);
        }
        Some(How::Exclusive) => {
            w.write(&3_u32);
            w.write(&7_u64);
            w.write(&Bitmap::EMPTY);
            w.write(&0_u32);
        }
    }
    w.write(&0_u32);
    w.opaque(name);
}

/// A share with a file `file`, a directory `dir` and a symbolic link `link`.
async fn populated() -> Harness {
    let h = Harness::new();
    {
        let client = h.client41("populates").await;
        let root = client.compound().putrootfh().lookup("export");
        let made = root.open_file(client.id, 0, "owner", "file");
        made.close_file(0, StateId::CURRENT).run().await.ok();
        let root = client.compound().putrootfh().lookup("export");
        root.create_dir("dir").run().await.ok();
        let root = client.compound().putrootfh().lookup("export");
        let link = root.op(6, |w| {
            w.write(&5_u32);
            w.write("target");
            w.write("link");
            w.write(&Bitmap::EMPTY);
            w.write("");
        });
        link.run().await.ok();
    }
    h
}

/// At `/export/NAME`.
fn at<'h>(client: &Client41<'h>, name: &str) -> Compound<'h> {
    client.compound().putrootfh().lookup("export").lookup(name)
}

async fn handle(compound: Compound<'_>) -> FileHandle {
    let mut reply = compound.getfh().run().await;
    reply.ok();
    while reply.next().0 != 10 {}
    reply.body()
}

/// Makes the attribute `name` with this value; returns its handle.
async fn attribute(client: &Client41<'_>, of: &str, name: &str, value: &[u8]) -> FileHandle {
    let made = at(client, of)
        .openattr(true)
        .open_attr(name.as_bytes(), Some(0));
    let mut reply = made.getfh().run().await;
    reply.ok();
    let handle: FileHandle = last_body(&mut reply, 5);
    let write = client.compound().putfh(&handle).write_at(0, value);
    write.run().await.ok();
    handle
}

/// The body of the last of `before` results and one, of which OPEN is the last but one.
fn last_body(reply: &mut Reply, before: usize) -> FileHandle {
    reply.skip(before - 1);
    let _open: StateId = reply.ok_body();
    let _change: (bool, u64, u64) = (reply.body(), reply.body(), reply.body());
    let _flags: u32 = reply.body();
    let set: Bitmap = reply.body();
    assert!(
        set.minus(Bitmap::of(&[SIZE])).is_empty(),
        "only a size is set"
    );
    let _delegation: u32 = reply.body();
    reply.ok_body()
}

async fn value(client: &Client41<'_>, handle: &FileHandle) -> Bytes {
    let mut value = Vec::new();
    loop {
        let offset = value.len() as u64;
        let read = client.compound().putfh(handle).read_at(offset, 100_000);
        let mut reply = read.run().await;
        // A reply that is to be kept has room for part of a large value.
        let eof: bool = reply.skip(1).ok_body();
        value.extend(reply.body::<Bytes>());
        if eof {
            return Bytes::from(value);
        }
    }
}

/// The value of one attribute of fattr4.
async fn fact<T: crate::xdr::Decode>(compound: Compound<'_>, number: u32) -> T {
    let mut reply = compound.getattrs(&[number]).run().await;
    reply.ok();
    while reply.next().0 != 9 {}
    assert_eq!(reply.body::<Bitmap>(), Bitmap::of(&[number]));
    reply.body::<u32>();
    reply.body()
}

/// Names and, of one attribute that is 4 bytes long, values.
async fn entries(compound: Compound<'_>, wanted: u32) -> Vec<(Bytes, u32)> {
    let mut reply = compound.readdir(&[wanted]).run().await;
    reply.ok();
    while reply.next().0 != READDIR {}
    let _verifier: Verifier = reply.body();
    let mut entries = Vec::new();
    while reply.body() {
        let (_cookie, name): (u64, Bytes) = (reply.body(), reply.body());
        assert_eq!(reply.body::<Bitmap>(), Bitmap::of(&[wanted]));
        reply.body::<u32>();
        entries.push((name, reply.body()));
    }
    assert!(reply.body::<bool>(), "one page");
    entries
}

#[tokio::test]
async fn the_directory_is_there_when_something_is_in_it_or_it_is_wished_for() {
    let h = populated().await;
    let client = h.client41("a").await;
    for name in ["file", "dir"] {
        let find = at(&client, name).openattr(false);
        assert_eq!(find.status().await, Status::Noent);
        assert!(!fact::<bool>(at(&client, name), NAMED_ATTR).await);
        let made = at(&client, name).openattr(true);
        assert_eq!(fact::<u32>(made, TYPE).await, ATTRDIR);
        assert!(!fact::<bool>(at(&client, name), NAMED_ATTR).await);
        attribute(&client, name, "a", b"value").await;
        assert!(fact::<bool>(at(&client, name), NAMED_ATTR).await);
        at(&client, name).openattr(false).run().await.ok();
        at(&client, name).openattr(true).run().await.ok();
    }
    let root = client.compound().putrootfh().lookup("export");
    let mut listed = entries(root, NAMED_ATTR).await;
    listed.sort();
    let expected = [("dir", 1), ("file", 1), ("link", 0)];
    assert_eq!(listed, expected.map(|(name, has)| (Bytes::from(name), has)));
}

#[tokio::test]
async fn an_attribute_is_a_small_file() {
    let h = populated().await;
    let client = h.client41("a").await;
    for of in ["file", "dir"] {
        let a = attribute(&client, of, "com.apple.FinderInfo", b"hello").await;
        assert_eq!(value(&client, &a).await, "hello");
        let there = || client.compound().putfh(&a);
        assert_eq!(fact::<u32>(there(), TYPE).await, NAMEDATTR);
        there().write_at(7, b"!").run().await.ok();
        assert_eq!(value(&client, &a).await, "hello\0\0!");
        assert_eq!(fact::<u64>(there(), SIZE).await, 8);
        there().set_size(2).run().await.ok();
        assert_eq!(value(&client, &a).await, "he");
        there().set_size(3).run().await.ok();
        assert_eq!(value(&client, &a).await, "he\0");
        let mut part = there().read_at(1, 1).run().await;
        assert!(!part.skip(1).ok_body::<bool>());
        assert_eq!(part.body::<Bytes>(), "e");
        // COMMIT
        let commit = there().op(5, |w| {
            w.write(&0_u64);
            w.write(&0_u32);
        });
        commit.run().await.ok();
        // OPEN with size 0 of what is there.
        let again = at(&client, of)
            .openattr(false)
            .open_attr(b"com.apple.FinderInfo", Some(0));
        again.run().await.ok();
        assert_eq!(value(&client, &a).await, "");
        let found = at(&client, of).openattr(false);
        let found = handle(found.lookup("com.apple.FinderInfo")).await;
        assert_eq!(found, a);
    }
}

#[tokio::test]
async fn attributes_are_listed_renamed_and_removed() {
    let h = populated().await;
    let client = h.client41("a").await;
    let dir = || at(&client, "file").openattr(true);
    let odd = "n\u{e4}me with spaces";
    for (name, value) in [("a", "1"), ("b", "22"), (odd, "")] {
        attribute(&client, "file", name, value.as_bytes()).await;
    }
    let listed = |dir| async {
        let mut names = entries(dir, TYPE).await;
        names.sort();
        assert!(names.iter().all(|(_, kind)| *kind == NAMEDATTR));
        names.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(listed(dir()).await, ["a", "b", odd]);
    let renamed = dir().savefh().rename("a", "b").run().await;
    renamed.ok();
    assert_eq!(listed(dir()).await, ["b", odd]);
    let b = handle(dir().lookup("b")).await;
    assert_eq!(value(&client, &b).await, "1", "it replaces what is there");
    dir().savefh().rename("b", "b").run().await.ok();
    let removed = dir().remove(odd).run().await;
    removed.ok();
    assert_eq!(listed(dir()).await, ["b"]);
    assert_eq!(dir().remove(odd).status().await, Status::Noent);
    let away = dir().savefh().rename(odd, "c");
    assert_eq!(away.status().await, Status::Noent);
    assert_eq!(dir().lookup(odd).status().await, Status::Noent);
}

#[tokio::test]
async fn changes_are_seen_at_the_directory_and_at_the_object() {
    const CHANGE: u32 = 3;
    let h = populated().await;
    let client = h.client41("a").await;
    let dir = handle(at(&client, "file").openattr(true)).await;
    let changes = || async {
        let dir: u64 = fact(client.compound().putfh(&dir), CHANGE).await;
        let file: u64 = fact(at(&client, "file"), CHANGE).await;
        (dir, file)
    };
    let before = changes().await;
    let a = attribute(&client, "file", "a", b"").await;
    let made = changes().await;
    client
        .compound()
        .putfh(&a)
        .write_at(0, b"x")
        .run()
        .await
        .ok();
    let written = changes().await;
    client.compound().putfh(&dir).remove("a").run().await.ok();
    let removed = changes().await;
    for (old, new) in [(before, made), (made, written), (written, removed)] {
        assert!(old.0 < new.0 && old.1 < new.1);
    }
}

#[tokio::test]
async fn handles_and_numbers_are_their_own_and_last() {
    let h = populated().await;
    let client = h.client41("a").await;
    let file = handle(at(&client, "file")).await;
    let a = attribute(&client, "file", "a", b"x").await;
    let b = attribute(&client, "file", "b", b"y").await;
    let dir = handle(at(&client, "file").openattr(false)).await;
    let handles = [file, dir, a, b];
    let mut numbers = Vec::new();
    let fsid: (u64, u64) = fsid(client.compound().putfh(&handles[0])).await;
    for (i, handle) in handles.iter().enumerate() {
        assert!(handle.as_bytes().len() <= 128);
        assert!(!handles[..i].contains(handle));
        let number: u64 = fact(client.compound().putfh(handle), FILEID).await;
        assert!(number != 0 && !numbers.contains(&number));
        numbers.push(number);
        assert_eq!(self::fsid(client.compound().putfh(handle)).await, fsid);
    }
    // After a change of the shares, or a restart.
    let share = Arc::clone(h.server.exports().share(Harness::share().id).unwrap());
    h.server.set_exports(Exports::new(&Arc::from([share])));
    assert_eq!(value(&client, &handles[2]).await, "x");
    let again: u64 = fact(client.compound().putfh(&handles[3]), FILEID).await;
    assert_eq!(again, numbers[3]);
}

async fn fsid(compound: Compound<'_>) -> (u64, u64) {
    let mut reply = compound.getattrs(&[FSID]).run().await;
    reply.skip(1).ok_body::<Bitmap>();
    reply.body::<u32>();
    (reply.body(), reply.body())
}

#[tokio::test]
async fn the_way_up_leads_to_the_object() {
    let h = populated().await;
    let client = h.client41("a").await;
    let a = attribute(&client, "file", "a", b"x").await;
    for name in ["file", "dir"] {
        let object = handle(at(&client, name)).await;
        let up = at(&client, name).openattr(true).lookupp();
        assert_eq!(handle(up).await, object);
    }
    let up = client.compound().putfh(&a).lookupp();
    assert_eq!(up.status().await, Status::Notdir);
}

#[tokio::test]
async fn attributes_have_no_attributes() {
    let h = populated().await;
    let client = h.client41("a").await;
    let a = attribute(&client, "file", "a", b"x").await;
    let dir = handle(at(&client, "file").openattr(true)).await;
    for named in [a, dir] {
        let twice = client.compound().putfh(&named).openattr(true);
        assert_eq!(twice.status().await, Status::WrongType);
        let in_40 = h.compound(0).putfh(&named).openattr(true);
        assert_eq!(in_40.status().await, Status::Notsupp);
        assert!(!fact::<bool>(client.compound().putfh(&named), NAMED_ATTR).await);
    }
}

#[tokio::test]
async fn what_can_have_no_attributes_says_so() {
    let h = populated().await;
    let client = h.client41("a").await;
    for compound in [
        client.compound().putrootfh().openattr(true),
        at(&client, "link").openattr(true),
        h.compound(0).putrootfh().openattr(false),
    ] {
        assert_eq!(compound.status().await, Status::Notsupp);
    }
    let short = client.compound().putrootfh().op(19, |_| ());
    assert_eq!(short.status().await, Status::Badxdr);
}

#[tokio::test]
async fn only_open_makes_attributes_and_not_exclusively() {
    let h = populated().await;
    let client = h.client41("a").await;
    let dir = || at(&client, "file").openattr(true);
    assert_eq!(dir().create_dir("x").status().await, Status::WrongType);
    let a = attribute(&client, "file", "a", b"x").await;
    let below = client.compound().putfh(&a).create_dir("x");
    assert_eq!(below.status().await, Status::Notdir);
    let exclusive = dir().op(OPEN, |w| open_args(w, b"b", 3, 0, Some(How::Exclusive)));
    assert_eq!(exclusive.status().await, Status::Inval);
    let guarded =
        |name: &'static [u8]| dir().op(OPEN, |w| open_args(w, name, 3, 0, Some(How::Guarded)));
    assert_eq!(guarded(b"a").status().await, Status::Exist);
    guarded(b"c").run().await.ok();
    let missing = dir().open_attr(b"d", None);
    assert_eq!(missing.status().await, Status::Noent);
    assert_eq!(dir().lookup("b").status().await, Status::Noent);
}

#[tokio::test]
async fn attributes_stay_with_their_object() {
    let h = populated().await;
    let client = h.client41("a").await;
    attribute(&client, "file", "a", b"x").await;
    let from = || at(&client, "file").openattr(true).savefh();
    let to_dir = from().putrootfh().lookup("export");
    assert_eq!(to_dir.rename("a", "b").status().await, Status::Xdev);
    let to_other = from().putrootfh().lookup("export").lookup("dir");
    let to_other = to_other.openattr(true).rename("a", "b");
    assert_eq!(to_other.status().await, Status::Xdev);
    let into = client.compound().putrootfh().lookup("export").savefh();
    let into = into.lookup("file").openattr(true).rename("file", "b");
    assert_eq!(into.status().await, Status::Xdev);

    let a = || at(&client, "file").openattr(true).lookup("a").savefh();
    let same = a().putrootfh().lookup("export").lookup("file");
    assert_eq!(
        same.openattr(true).link("b").status().await,
        Status::Notsupp
    );
    let other = a().putrootfh().lookup("export").lookup("dir");
    assert_eq!(other.openattr(true).link("b").status().await, Status::Xdev);
    let out = a().putrootfh().lookup("export");
    assert_eq!(out.link("b").status().await, Status::Xdev);
    let in_ = at(&client, "file").savefh().openattr(true);
    assert_eq!(in_.link("b").status().await, Status::Xdev);
}

#[tokio::test]
async fn values_and_names_have_limits() {
    let h = populated().await;
    let client = h.client41("a").await;
    let a = attribute(&client, "file", "a", b"x").await;
    let there = || client.compound().putfh(&a);
    let full = vec![7; 65_536];
    there().write_at(0, &full).run().await.ok();
    assert_eq!(value(&client, &a).await, full);
    assert_eq!(there().write_at(65_536, b"x").status().await, Status::Fbig);
    assert_eq!(
        there().write_at(u64::MAX, b"x").status().await,
        Status::Fbig
    );
    assert_eq!(there().set_size(65_537).status().await, Status::Fbig);
    assert_eq!(value(&client, &a).await, full, "whole or not at all");
    let dir = || at(&client, "file").openattr(true);
    let longest = [b'n'; 255];
    dir().open_attr(&longest, Some(0)).run().await.ok();
    let too_long = [b'n'; 256];
    for (name, status) in [
        (&too_long[..], Status::Nametoolong),
        (b"", Status::Inval),
        (b"..", Status::Badname),
        (b"a/b", Status::Badname),
    ] {
        let open = dir().open_attr(name, Some(0));
        assert_eq!(open.status().await, status);
    }
    dir().open_attr(b"\xff\xfe", Some(0)).run().await.ok();
    let big = dir().open_attr(b"big", Some(65_537));
    assert_eq!(big.status().await, Status::Fbig);
    // SETATTR of a mode.
    let mode = there().op(34, |w| {
        w.write(&StateId::ANONYMOUS);
        w.write(&Bitmap::of(&[33]));
        w.write(&4_u32);
        w.write(&0o600_u32);
    });
    assert_eq!(mode.status().await, Status::Inval);
}

#[tokio::test]
async fn names_that_no_entry_can_have_are_not_shown() {
    let h = populated().await;
    let client = h.client41("a").await;
    let share = Arc::clone(h.server.exports().share(Harness::share().id).unwrap());
    let cred = Cred::root();
    let name = Name::new(b"file").unwrap();
    let file = share.fs.lookup(&cred, &share.fs.root(), name).await;
    let file = file.unwrap().handle;
    let set = |name: &'static [u8]| {
        let name = XattrName::new(name).unwrap();
        let value = Bytes::from_static(b"x");
        share
            .fs
            .set_xattr(&cred, &file, name, value, SetXattr::Create)
    };
    set(b"a/b").await.unwrap();
    let find = at(&client, "file").openattr(false);
    assert_eq!(find.status().await, Status::Noent);
    assert!(!fact::<bool>(at(&client, "file"), NAMED_ATTR).await);
    set(b"shown").await.unwrap();
    let listed = entries(at(&client, "file").openattr(false), TYPE).await;
    assert_eq!(listed, [(Bytes::from("shown"), NAMEDATTR)]);
}

#[tokio::test]
async fn what_is_removed_is_stale_also_to_who_has_it_open() {
    let h = populated().await;
    let client = h.client41("a").await;
    let open = at(&client, "file")
        .openattr(true)
        .open_attr(b"a", Some(1))
        .getfh();
    let mut reply = open.run().await;
    let stateid: StateId = reply.skip(4).ok_body();
    let a = handle(at(&client, "file").openattr(true).lookup("a")).await;
    let dir = at(&client, "file").openattr(false);
    dir.remove("a").run().await.ok();
    let write = client.compound().putfh(&a).write_file(stateid, "x");
    assert_eq!(write.status().await, Status::Stale);
    let attrs = client.compound().putfh(&a).getattrs(&[SIZE]);
    assert_eq!(attrs.status().await, Status::Stale);
    let close = client.compound().putfh(&a).close_file(0, stateid);
    close.run().await.ok();
}

#[tokio::test]
async fn share_reservations_and_locks_are_of_the_attribute_alone() {
    let h = populated().await;
    let client = h.client41("a").await;
    attribute(&client, "file", "a", b"x").await;
    let other = h.client41("b").await;
    let dir = |client| at(client, "file").openattr(true);
    let deny_write =
        |name: &'static str| dir(&other).op(OPEN, |w| open_args(w, name.as_bytes(), 1, 2, None));
    assert_eq!(deny_write("a").status().await, Status::ShareDenied);
    attribute(&other, "file", "b", b"y").await;
    let a = handle(dir(&client).lookup("a")).await;
    let open = async |client| -> StateId {
        let mut reply = dir(client).open_attr(b"a", None).run().await;
        reply.skip(4).ok_body()
    };
    let lock = async |client: &Client41<'_>, stateid| -> Status {
        let there = client.compound().putfh(&a);
        let lock = there.lock_file((stateid, 0), client.id, ("locker", 0));
        lock.status().await
    };
    let (mine, theirs) = (open(&client).await, open(&other).await);
    assert_eq!(lock(&client, mine).await, Status::Ok);
    assert_eq!(lock(&other, theirs).await, Status::Denied);
    // The file itself is locked by nobody.
    let file = client.compound().putrootfh().lookup("export");
    let file = file.open_file(client.id, 0, "owner", "file").getfh();
    let mut reply = file.run().await;
    let stateid: StateId = reply.skip(2).ok_body();
    let there = at(&client, "file");
    there
        .lock_file((stateid, 0), client.id, ("locker", 0))
        .run()
        .await
        .ok();
}

#[tokio::test]
async fn who_may_not_read_the_object_does_not_see_its_attributes() {
    let h = populated().await;
    let client = h.client41("a").await;
    attribute(&client, "file", "a", b"x").await;
    let mode = |mode: u32| {
        at(&client, "file").op(34, |w| {
            w.write(&StateId::ANONYMOUS);
            w.write(&Bitmap::of(&[33]));
            w.write(&4_u32);
            w.write(&mode);
        })
    };
    let stranger = h.as_user(2000);
    let stranger = stranger.client41("stranger").await;
    mode(0o600).run().await.ok();
    let find = at(&stranger, "file").openattr(false);
    assert_eq!(find.status().await, Status::Access);
    mode(0o644).run().await.ok();
    let a = handle(at(&stranger, "file").openattr(false).lookup("a")).await;
    assert_eq!(value(&stranger, &a).await, "x");
    let write = stranger.compound().putfh(&a).write_at(0, b"y");
    assert_eq!(write.status().await, Status::Access);
    let dir = || at(&stranger, "file").openattr(false);
    assert_eq!(
        dir().open_attr(b"new", Some(0)).status().await,
        Status::Access
    );
    assert_eq!(dir().remove("a").status().await, Status::Access);
    let made = at(&stranger, "dir").openattr(true);
    assert_eq!(made.status().await, Status::Access);
}

#[tokio::test]
async fn a_read_only_share_has_read_only_attributes() {
    let rw = populated().await;
    attribute(&rw.client41("a").await, "file", "a", b"x").await;
    let share = Arc::clone(rw.server.exports().share(Harness::share().id).unwrap());
    let share = dittofs_sdk::Share {
        read_only: true,
        ..dittofs_sdk::Share::clone(&share)
    };
    let h = Harness::exporting(Settings::default(), share);
    let client = h.client41("a").await;
    let dir = || at(&client, "file").openattr(true);
    let a = handle(dir().lookup("a")).await;
    assert_eq!(value(&client, &a).await, "x");
    let there = || client.compound().putfh(&a);
    assert_eq!(there().write_at(0, b"y").status().await, Status::Rofs);
    assert_eq!(dir().remove("a").status().await, Status::Rofs);
    assert_eq!(dir().open_attr(b"b", Some(0)).status().await, Status::Rofs);
    let made = at(&client, "dir").openattr(true);
    assert_eq!(made.status().await, Status::Rofs);
}

#[tokio::test]
async fn the_gate_of_the_share_is_that_of_its_attributes() {
    let h = populated().await;
    let client = h.client41("a").await;
    let a = attribute(&client, "file", "a", b"x").await;
    let share = Arc::clone(h.server.exports().share(Harness::share().id).unwrap());
    let elsewhere = dittofs_sdk::Share {
        clients: vec!["192.0.2.0/24".parse().unwrap()],
        ..dittofs_sdk::Share::clone(&share)
    };
    for shares in [vec![Arc::new(elsewhere)], Vec::new()] {
        h.server.set_exports(Exports::new(&shares.into()));
        let there = client.compound().putfh(&a);
        assert_eq!(there.status().await, Status::Stale);
    }
    h.server.set_exports(Exports::new(&Arc::from([share])));
    assert_eq!(value(&client, &a).await, "x");
}

/// A delegation of `/export/file`, granted to a client that can't be called.
async fn delegate(h: &Harness, client: &Client41<'_>) -> StateId {
    let share = Arc::clone(h.server.exports().share(Harness::share().id).unwrap());
    let cred = Cred::user(1000, 1000);
    let name = Name::new(b"file").unwrap();
    let found = share.fs.lookup(&cred, &share.fs.root(), name).await;
    let handle = found.unwrap().handle;
    let file = share.fs.open(&cred, &handle, OpenAccess::Read).await;
    let request = DelegationRequest {
        client: client.id,
        key: FileKey {
            share: share.id,
            handle,
        },
        kind: DelegationKind::Read,
        cred,
        file: file.unwrap(),
        access: OpenAccess::Read,
        change: 0,
        granted_by: None,
        most: 0,
        reclaim: true,
    };
    let files = &h.server.state.files;
    files.delegate(request, Instant::now()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_change_of_attributes_recalls_delegations_of_the_object() {
    let h = populated().await;
    let client = h.client41("a").await;
    let a = attribute(&client, "file", "a", b"x").await;
    let delegate_ = h.client41("delegate").await;
    let stateid = delegate(&h, &delegate_).await;
    assert_eq!(value(&client, &a).await, "x", "to read changes nothing");
    let dir = |client| at(client, "file").openattr(true);
    for change in [
        client.compound().putfh(&a).write_at(0, b"y"),
        client.compound().putfh(&a).set_size(0),
        dir(&client).open_attr(b"b", Some(0)),
        dir(&client).remove("a"),
        dir(&client).savefh().rename("a", "c"),
    ] {
        assert_eq!(change.status().await, Status::Delay);
    }
    // The delegate's own changes are not in its way.
    let own = delegate_.compound().putfh(&a).write_at(0, b"z");
    own.run().await.ok();
    let back = delegate_.compound().putrootfh().lookup("export");
    let back = back.lookup("file").with(8, &stateid);
    back.run().await.ok();
    dir(&client).remove("a").run().await.ok();
}

#[tokio::test]
async fn there_are_no_delegations_of_attributes() {
    const WANT_DELEGATION: u32 = 56;
    const WANT_READ: u32 = 0x100;
    const NOT_SUPP_FTYPE: u32 = 3;
    let h = populated().await;
    let client = h.client41("a").await;
    let a = attribute(&client, "file", "a", b"x").await;
    let want = client.compound().putfh(&a).op(WANT_DELEGATION, |w| {
        w.write(&WANT_READ);
        w.write(&4_u32);
    });
    let mut reply = want.run().await;
    let none: (u32, u32) = (reply.skip(1).ok_body(), reply.body());
    assert_eq!(none, (3, NOT_SUPP_FTYPE));
    // And an open with that wish.
    let open = at(&client, "file").openattr(true);
    let open = open.op(OPEN, |w| open_args(w, b"a", 1 | WANT_READ, 0, None));
    let mut reply = open.run().await;
    let _open: StateId = reply.skip(4).ok_body();
    let _change: (bool, u64, u64) = (reply.body(), reply.body(), reply.body());
    let _flags: u32 = reply.body();
    assert_eq!(reply.body::<Bitmap>(), Bitmap::EMPTY);
    let none: (u32, u32) = (reply.body(), reply.body());
    assert_eq!(none, (3, NOT_SUPP_FTYPE));
}

/// The file system takes a while to set a value; all parts written meanwhile are there.
#[tokio::test]
async fn writes_of_parts_do_not_lose_one_another() {
    const PARTS: usize = 20;
    let fs: Arc<dyn FileSystem> = Arc::new(Slow::new());
    let named = NamedAttributes::of(&fs).unwrap();
    let cred = Cred::root();
    let dir = dir_of(&fs.root()).unwrap();
    let name = Name::new(b"a").unwrap();
    let made = named
        .create(
            &cred,
            &dir,
            name,
            CreateHow::Guarded,
            &SetAttr::default(),
            OpenAccess::Both,
        )
        .await
        .unwrap();
    let file = &made.file;
    let writes = (0..PARTS).map(|n| {
        let file = Arc::clone(file);
        let data = Bytes::from(vec![n as u8; 10]);
        tokio::spawn(async move { file.write(n as u64 * 10, data, Stability::Unstable).await })
    });
    for write in writes.collect::<Vec<_>>() {
        let written = write.await.unwrap().unwrap();
        assert_eq!((written.count, written.stability), (10, Stability::File));
    }
    let read = file.read(0, 1000, dittofs_sdk::vfs::Buffer::default());
    let read = read.await.unwrap();
    assert_eq!(read.buffer.len(), PARTS * 10);
    for (n, part) in read.buffer.chunks(10).enumerate() {
        assert_eq!(part, vec![n as u8; 10]);
    }
}

#[tokio::test]
async fn forged_handles_lead_nowhere() {
    use dittofs_sdk::vfs::VfsError;

    let fs: Arc<dyn FileSystem> = Arc::new(Slow::new());
    let cred = Cred::root();
    let name = Name::new(b"fifo").unwrap();
    let made = fs.make(&cred, &fs.root(), name, &NewNode::Fifo, &SetAttr::default());
    let fifo = made.await.unwrap().node.handle;
    let named = NamedAttributes::of(&fs).unwrap();
    for (handle, error) in [
        (dir_of(&fifo).unwrap(), VfsError::BadHandle),
        (named.root(), VfsError::BadHandle),
        (fs.root(), VfsError::BadHandle),
        (Handle::new(&[1, 9, 9]).unwrap(), VfsError::BadHandle),
        (
            Handle::new(&[&[2], &[5; 16][..], fs.root().as_bytes()].concat()).unwrap(),
            VfsError::Stale,
        ),
    ] {
        assert_eq!(named.attr(&handle).await.err(), Some(error));
        let opened = named.open(&cred, &handle, OpenAccess::Read).await;
        assert!(opened.is_err());
    }
}
