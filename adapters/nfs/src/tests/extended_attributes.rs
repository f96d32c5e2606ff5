//! Extended attributes as clients of 4.2 have them. RFC 8276.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use dittofs_sdk::Share;
use dittofs_sdk::vfs::XATTR_MAX;

use crate::settings::Settings;
use crate::status::Status;
use crate::testing::{Channel, Client41, Compound, Harness, Reply};
use crate::types::{Bitmap, StateId};
use crate::xdr::Writer;

const EITHER: u32 = 0;
const CREATE: u32 = 1;
const REPLACE: u32 = 2;

/// Cookie, count and flag of LISTXATTRS.
const FRAME: u32 = 8 + 4 + 4;

/// A server with `/export/f`, `/export/d` and the link `/export/l`.
async fn populated() -> Harness {
    let h = Harness::new();
    let client = h.client41("maker").await;
    let share = || client.compound().putrootfh().lookup("export");
    let mut made = share().open_file(client.id, 0, "o", "f").run().await;
    let stateid: StateId = made.skip(2).ok_body();
    let close = share().lookup("f").close_file(0, stateid);
    close.run().await.ok();
    share().create_dir("d").run().await.ok();
    let link = share().op(6, |w| {
        w.write(&5_u32);
        w.write("target");
        w.write("l");
        w.write(&Bitmap::EMPTY);
        w.write("");
    });
    link.run().await.ok();
    h
}

/// One more operation.
type Request = fn(Compound<'_>) -> Compound<'_>;

fn at<'h>(client: &Client41<'h>, name: &str) -> Compound<'h> {
    client.compound().putrootfh().lookup("export").lookup(name)
}

async fn value(client: &Client41<'_>, name: &str, attribute: &[u8]) -> Result<Bytes, Status> {
    let mut reply = at(client, name).get_xattr(attribute).run().await;
    match reply.status {
        Status::Ok => Ok(reply.skip(3).ok_body()),
        status => Err(status),
    }
}

/// Cookie, names and flag of a page.
fn page(reply: &mut Reply) -> (u64, Vec<Bytes>, bool) {
    (reply.skip(3).ok_body(), reply.body(), reply.body())
}

#[tokio::test]
async fn what_is_set_is_there_and_what_is_removed_is_not() {
    let h = populated().await;
    let client = h.client42("a").await;
    for object in ["f", "d"] {
        assert_eq!(value(&client, object, b"a").await, Err(Status::Noxattr));
        for (how, new, status) in [
            (REPLACE, "1", Status::Noxattr),
            (CREATE, "2", Status::Ok),
            (CREATE, "3", Status::Exist),
            (REPLACE, "4", Status::Ok),
            (EITHER, "5", Status::Ok),
        ] {
            let set = at(&client, object).set_xattr(how, b"a", new.as_bytes());
            assert_eq!(set.status().await, status, "{object} {new}");
            let now = value(&client, object, b"a").await;
            match status {
                Status::Ok => assert_eq!(now.unwrap(), new),
                _ => assert_ne!(now.unwrap_or_default(), new),
            }
        }
        let remove = || at(&client, object).remove_xattr(b"a");
        remove().run().await.ok();
        assert_eq!(remove().status().await, Status::Noxattr);
        assert_eq!(value(&client, object, b"a").await, Err(Status::Noxattr));
    }
}

#[tokio::test]
async fn a_change_moves_the_change_counter_as_it_says() {
    let h = populated().await;
    let client = h.client42("a").await;
    let change = async || {
        let mut got = at(&client, "f").with(9, &Bitmap::of(&[3])).run().await;
        let (_, values): (Bitmap, Bytes) = (got.skip(3).ok_body(), got.body());
        u64::from_be_bytes(values[..].try_into().unwrap())
    };
    for step in 0..3 {
        let before = change().await;
        let compound = at(&client, "f");
        let compound = match step {
            2 => compound.remove_xattr(b"a"),
            _ => compound.set_xattr(EITHER, b"a", &[step]),
        };
        let mut reply = compound.run().await;
        let _atomic: bool = reply.skip(3).ok_body();
        assert_eq!(reply.body::<u64>(), before);
        let after: u64 = reply.body();
        assert!(after > before);
        assert_eq!(change().await, after);
    }
}

#[tokio::test]
async fn values_are_any_bytes_up_to_the_largest() {
    let h = populated().await;
    let client = h.client42("a").await;
    let largest: Vec<u8> = (0..XATTR_MAX).map(|i| i as u8).collect();
    for value_to_set in [&b""[..], b"\0\xff", &largest] {
        let set = at(&client, "f").set_xattr(EITHER, b"a", value_to_set);
        set.run().await.ok();
        // Not kept for a retry: it would be too large for that.
        let mut reply = uncached(&client).get_xattr(b"a").run().await;
        let found: Bytes = reply.skip(3).ok_body();
        assert_eq!(found, value_to_set);
    }
    let more = vec![0; XATTR_MAX + 1];
    let set = at(&client, "f").set_xattr(EITHER, b"a", &more);
    assert_eq!(set.status().await, Status::Xattr2big);
    let kept = at(&client, "f").get_xattr(b"a").status().await;
    assert_eq!(kept, Status::RepTooBigToCache);
}

/// `/export/f` in a request whose reply is not kept, in a slot of its own.
fn uncached<'h>(client: &Client41<'h>) -> Compound<'h> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed) + 1;
    let compound = client.harness.compound(2);
    let compound = compound.sequence(client.session, number, 1, false);
    compound.putrootfh().lookup("export").lookup("f")
}

#[tokio::test]
async fn a_value_that_does_not_fit_the_channel_is_not_cut() {
    let h = populated().await;
    let client = h.client42("a").await;
    let set = at(&client, "f").set_xattr(EITHER, b"a", &[7; 4000]);
    set.run().await.ok();
    let (id, number) = {
        let mut reply = h.compound(2).exchange_id("b", 1, 0).run().await;
        (reply.ok_body(), reply.body())
    };
    let narrow = Channel {
        response: 2048,
        ..Channel::default()
    };
    let create = h.compound(2).create_session(id, number, &narrow);
    let session = create.run().await.ok_body();
    let get = h.compound(2).sequence(session, 1, 0, false);
    let get = get.putrootfh().lookup("export").lookup("f");
    assert_eq!(get.get_xattr(b"a").status().await, Status::RepTooBig);
    let list = h.compound(2).sequence(session, 2, 0, false);
    let list = list.putrootfh().lookup("export").lookup("f");
    // What the client allows is more than what the session does, and that is no error.
    list.list_xattrs(0, 1 << 20).run().await.ok();
}

#[tokio::test]
async fn names_are_any_bytes_but_nul_and_have_a_length() {
    let h = populated().await;
    let client = h.client42("a").await;
    let good: [&[u8]; 5] = [b"user.a", b"..", b"a/b", b"\xff\xfe", &[b'n'; 255]];
    for name in good {
        let set = at(&client, "f").set_xattr(CREATE, name, b"x");
        set.run().await.ok();
        assert_eq!(value(&client, "f", name).await.unwrap(), "x");
    }
    let bad: [(&[u8], Status, Status); 3] = [
        (b"", Status::Inval, Status::Inval),
        (b"a\0b", Status::Badchar, Status::Inval),
        (&[b'n'; 256], Status::Nametoolong, Status::Nametoolong),
    ];
    for (name, changing, reading) in bad {
        let set = at(&client, "f").set_xattr(EITHER, name, b"x");
        assert_eq!(set.status().await, changing);
        let remove = at(&client, "f").remove_xattr(name);
        assert_eq!(remove.status().await, changing);
        assert_eq!(value(&client, "f", name).await, Err(reading));
    }
    let mut listed = at(&client, "f").list_xattrs(0, 4096).run().await;
    let listed: BTreeSet<Bytes> = page(&mut listed).1.into_iter().collect();
    assert_eq!(listed, good.map(Bytes::copy_from_slice).into());
}

#[tokio::test]
async fn a_thousand_names_are_listed_in_pages_of_any_size_while_others_come_and_go() {
    const COUNT: usize = 1000;
    let h = populated().await;
    let client = h.client42("a").await;
    let name = |i: usize| format!("attribute number {i}").into_bytes();
    for i in 0..COUNT {
        let set = at(&client, "f").set_xattr(CREATE, &name(i), b"x");
        set.run().await.ok();
    }
    let expected: BTreeSet<Bytes> = (0..COUNT).map(|i| name(i).into()).collect();
    for max_count in [FRAME + 4 + 24, 200, 4096, 1 << 16] {
        let (mut cookie, mut seen, mut turn) = (0, BTreeSet::new(), 0);
        loop {
            let list = uncached(&client).list_xattrs(cookie, max_count);
            let mut reply = list.run().await;
            let (next, names, eof) = page(&mut reply);
            let used = names.iter().map(|name| 4 + name.len().next_multiple_of(4));
            assert!(used.sum::<usize>() + FRAME as usize <= max_count as usize);
            for name in names {
                assert!(seen.insert(name), "once");
            }
            if eof {
                break;
            }
            cookie = next;
            // One that is none of these.
            turn += 1;
            if turn % 16 == 1 {
                let made = at(&client, "f").set_xattr(EITHER, b"o", b"");
                made.run().await.ok();
            } else if turn % 16 == 9 {
                at(&client, "f").remove_xattr(b"o").run().await.ok();
            }
        }
        seen.remove(&Bytes::from_static(b"o"));
        assert_eq!(seen, expected);
        let gone = at(&client, "f").remove_xattr(b"o").status().await;
        assert!(matches!(gone, Status::Ok | Status::Noxattr), "{gone:?}");
    }
}

#[tokio::test]
async fn a_page_that_could_hold_no_name_is_too_small() {
    let h = populated().await;
    let client = h.client42("a").await;
    let list = async |max_count| at(&client, "f").list_xattrs(0, max_count).run().await;
    assert_eq!(list(FRAME - 1).await.status, Status::Toosmall);
    assert_eq!(page(&mut list(FRAME).await), (0, Vec::new(), true));
    let set = at(&client, "f").set_xattr(CREATE, b"12345", b"x");
    set.run().await.ok();
    for max_count in [0, FRAME, FRAME + 11] {
        assert_eq!(list(max_count).await.status, Status::Toosmall);
    }
    let (_, names, eof) = page(&mut list(FRAME + 12).await);
    assert_eq!((names, eof), (vec![Bytes::from_static(b"12345")], true));
}

#[tokio::test]
async fn only_files_and_directories_of_shares_have_any() {
    let h = populated().await;
    let client = h.client42("a").await;
    let requests: [Request; 4] = [
        |at| at.get_xattr(b"a"),
        |at| at.set_xattr(EITHER, b"a", b"x"),
        |at| at.remove_xattr(b"a"),
        |at| at.list_xattrs(0, 4096),
    ];
    for (i, request) in requests.into_iter().enumerate() {
        let root = request(client.compound().putrootfh());
        assert_eq!(root.status().await, Status::Notsupp, "{i}");
        // A list of nothing is true, and what tools that go through a tree expect.
        let link = if i == 3 {
            Status::Ok
        } else {
            Status::WrongType
        };
        assert_eq!(request(at(&client, "l")).status().await, link, "{i}");
        let named = at(&client, "f").with(19, &true);
        assert_eq!(request(named).status().await, Status::WrongType, "{i}");
        let nothing = request(client.compound());
        assert_eq!(nothing.status().await, Status::Nofilehandle, "{i}");
    }
}

#[tokio::test]
async fn a_read_only_share_keeps_what_it_has() {
    let rw = populated().await;
    let set = at(&rw.client42("a").await, "f").set_xattr(CREATE, b"a", b"x");
    set.run().await.ok();
    let share = Arc::clone(rw.server.exports().share(Harness::share().id).unwrap());
    let share = Share {
        read_only: true,
        ..Share::clone(&share)
    };
    let h = Harness::exporting(Settings::default(), share);
    let client = h.client42("a").await;
    let set = at(&client, "f").set_xattr(EITHER, b"a", b"y");
    assert_eq!(set.status().await, Status::Rofs);
    let remove = at(&client, "f").remove_xattr(b"a");
    assert_eq!(remove.status().await, Status::Rofs);
    assert_eq!(value(&client, "f", b"a").await.unwrap(), "x");
    let mut asked = at(&client, "f").with(3, &0x1c0_u32).run().await;
    assert_eq!(asked.skip(3).ok_body::<u32>(), 0x1c0);
    assert_eq!(asked.body::<u32>(), 0x140, "nothing may be changed");
}

#[tokio::test]
async fn permissions_are_those_of_the_object_and_access_says_so() {
    const READ: u32 = 0x40;
    const WRITE: u32 = 0x80;
    const LIST: u32 = 0x100;
    let h = populated().await;
    let client = h.client42("a").await;
    let set = at(&client, "f").set_xattr(CREATE, b"a", b"x");
    set.run().await.ok();
    let stranger = h.as_user(2000);
    let stranger = stranger.client42("stranger").await;
    for (mode, granted) in [
        (0o600, 0),
        (0o644, READ | LIST),
        (0o602, WRITE),
        (0o666, READ | WRITE | LIST),
    ] {
        let chmod = at(&client, "f").op(34, |w| {
            w.write(&StateId::ANONYMOUS);
            w.write(&Bitmap::of(&[33]));
            w.write(&4_u32);
            w.write::<u32>(&mode);
        });
        chmod.run().await.ok();
        let asked = at(&stranger, "f").with(3, &(READ | WRITE | LIST));
        let mut asked = asked.run().await;
        assert_eq!(asked.skip(3).ok_body::<u32>(), READ | WRITE | LIST);
        assert_eq!(asked.body::<u32>(), granted, "{mode:o}");
        let requests: [(u32, Request); 4] = [
            (READ, |at| at.get_xattr(b"a")),
            (WRITE, |at| at.set_xattr(REPLACE, b"a", b"y")),
            (WRITE, |at| {
                at.set_xattr(CREATE, b"b", b"y").remove_xattr(b"b")
            }),
            (LIST, |at| at.list_xattrs(0, 4096)),
        ];
        for (bit, request) in requests {
            let status = if granted & bit == 0 {
                Status::Access
            } else {
                Status::Ok
            };
            let done = request(at(&stranger, "f")).status().await;
            assert_eq!(done, status, "{mode:o} {bit:x}");
        }
    }
}

#[tokio::test]
async fn what_has_none_is_not_asked_about_them_and_older_minor_versions_do_not_know_the_bits() {
    let h = populated().await;
    let (older, newer) = (h.client41("a").await, h.client42("b").await);
    for bit in [0x40_u32, 0x80, 0x100] {
        let asked = at(&older, "f").with(3, &bit);
        assert_eq!(asked.status().await, Status::Inval);
        for (object, supported) in [("f", bit), ("d", bit), ("l", 0)] {
            let mut asked = at(&newer, object).with(3, &bit).run().await;
            assert_eq!(asked.skip(3).ok_body::<u32>(), supported, "{object}");
        }
        let mut root = newer.compound().putrootfh().with(3, &bit).run().await;
        assert_eq!(root.skip(1).ok_body::<u32>(), 0, "the pseudo root");
    }
    let unknown = at(&newer, "f").with(3, &0x200_u32);
    assert_eq!(unknown.status().await, Status::Inval);
}

#[tokio::test]
async fn every_object_says_whether_its_file_system_has_any() {
    let h = populated().await;
    let client = h.client42("a").await;
    let says = async |compound: Compound<'_>, before: usize| {
        let mut reply = compound.with(9, &Bitmap::of(&[82])).run().await;
        let (present, values): (Bitmap, Bytes) = (reply.skip(before).ok_body(), reply.body());
        assert_eq!(present, Bitmap::of(&[82]));
        values == [0, 0, 0, 1][..]
    };
    assert!(!says(client.compound().putrootfh(), 1).await, "pseudo root");
    for object in ["f", "d", "l"] {
        assert!(says(at(&client, object), 3).await, "{object}");
    }
}

#[tokio::test]
async fn they_are_the_named_attributes_of_openattr() {
    let h = populated().await;
    let client = h.client42("a").await;
    let set = at(&client, "f").set_xattr(CREATE, b"a", b"from 4.2");
    set.run().await.ok();
    let read = at(&client, "f").with(19, &false).lookup("a").op(25, |w| {
        w.write(&StateId::ANONYMOUS);
        w.write(&0_u64);
        w.write(&100_u32);
    });
    let mut read = read.run().await;
    let (eof, data): (bool, Bytes) = (read.skip(5).ok_body(), read.body());
    assert!(eof && data == "from 4.2");
    let write = at(&client, "f").with(19, &false).lookup("a");
    let write = write.write_file(StateId::ANONYMOUS, "FROM");
    write.run().await.ok();
    assert_eq!(value(&client, "f", b"a").await.unwrap(), "FROM 4.2");
    let remove = at(&client, "f").remove_xattr(b"a");
    remove.run().await.ok();
    let gone = at(&client, "f").with(19, &false).status().await;
    assert_eq!(gone, Status::Noent);
}

#[tokio::test]
async fn a_retry_is_answered_from_its_slot() {
    let h = populated().await;
    let client = h.client42("a").await;
    let request = |number, name: &[u8]| {
        let compound = h.compound(2).sequence(client.session, number, 1, true);
        let compound = compound.putrootfh().lookup("export").lookup("f");
        match number {
            1 => compound.set_xattr(CREATE, name, b"x"),
            _ => compound.remove_xattr(name),
        }
    };
    for number in [1, 2] {
        let first = request(number, b"a").run().await;
        first.ok();
        // Executed again it would fail.
        assert_eq!(request(number, b"a").run().await.bytes, first.bytes);
    }
}

#[tokio::test]
async fn what_can_not_be_read_is_bad_xdr() {
    let h = populated().await;
    let client = h.client42("a").await;
    let set = at(&client, "f").set_xattr(3, b"a", b"x");
    assert_eq!(set.status().await, Status::Badxdr, "there is no fourth way");
    let long = at(&client, "f").op(72, |w: &mut Writer| w.write(&1000_u32));
    assert_eq!(long.status().await, Status::Badxdr);
}

#[tokio::test]
async fn what_the_operator_blocks_is_not_supported() {
    let h = Harness::with(Settings {
        blocked_operations: vec!["SETXATTR".into()],
        ..Settings::default()
    });
    let client = h.client42("a").await;
    let share = || client.compound().putrootfh().lookup("export");
    let set = share().set_xattr(EITHER, b"a", b"x");
    assert_eq!(set.status().await, Status::Notsupp);
    share().list_xattrs(0, 4096).run().await.ok();
}
