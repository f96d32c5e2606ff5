//! Every value of every attribute is one of its type, on every kind of object. RFC 8881 §5.8,
//! RFC 7530 §5.8.

use std::sync::Arc;

use bytes::Bytes;
use dittofs_sdk::Share;

use crate::attr;
use crate::compound::{Cx, Operation};
use crate::ops::fixture::{Fixture, share};
use crate::ops::getattr;
use crate::testing::{Failing, Harness};
use crate::types::{Bitmap, FileHandle, Minor, StateId};
use crate::xdr::Reader;

/// All that can be read of the current object, value by value.
async fn values(cx: &mut Cx, minor: Minor) -> (Bitmap, Reader) {
    let start = cx.reply.position();
    let wanted = attr::readable(minor);
    getattr::Args { wanted }.run(cx).await.unwrap();
    let body = Bytes::copy_from_slice(&cx.reply.as_slice()[start..]);
    let mut reader = Reader::new(body);
    let present = reader.read().unwrap();
    assert_eq!(present, wanted);
    (present, Reader::new(reader.read().unwrap()))
}

/// Reads one value and holds it to what its type and its description say.
fn judge(number: u32, reader: &mut Reader) {
    match number {
        // bitmap4
        0 | 75 => {
            let set: Bitmap = reader.read().unwrap();
            assert!(!set.has_unknown() && !set.is_empty());
        }
        1 => assert!((1..=9).contains(&reader.read::<u32>().unwrap())),
        // FH4_PERSISTENT; and NFS4_OK, as there was no error.
        2 | 11 => assert_eq!(reader.read::<u32>(), Ok(0)),
        // bool
        5 | 6 | 7 | 9 | 15 | 16 | 17 | 18 | 26 | 34 | 82 => {
            assert!(reader.read::<u32>().unwrap() <= 1);
        }
        // fsid4 has two long words, specdata4 two short ones.
        8 => assert!(reader.fixed::<16>().is_ok()),
        41 => assert!(reader.fixed::<8>().is_ok()),
        12 => aces(reader),
        13 => assert_eq!(reader.read::<u32>().unwrap() & !0xf, 0),
        19 => assert!(!reader.read::<FileHandle>().unwrap().as_bytes().is_empty()),
        // Numbers of objects are never 0, nor is what they or one request may be at most.
        20 | 27 | 30 | 31 | 55 => assert_ne!(reader.read::<u64>(), Ok(0)),
        3 | 4 | 21 | 22 | 23 | 38 | 39 | 40 | 42 | 43 | 44 | 45 | 78 => {
            reader.read::<u64>().unwrap();
        }
        // fs_locations4: a path whose parts are names, and nowhere else.
        24 => {
            let parts: u32 = reader.read().unwrap();
            for _ in 0..parts {
                let part: Bytes = reader.read().unwrap();
                assert!(!part.is_empty() && !part.contains(&b'/'));
            }
            assert_eq!(reader.read::<u32>(), Ok(0));
        }
        // A lease is not over at once, and what there is has a name.
        10 | 28 | 29 | 35 => assert_ne!(reader.read::<u32>(), Ok(0)),
        // 0, or what a block has.
        77 => assert!(reader.read::<u32>().unwrap() <= 1 << 20),
        33 => assert!(reader.read::<u32>().unwrap() <= 0o7777),
        36 | 37 => {
            let name: Bytes = reader.read().unwrap();
            assert!(!name.is_empty() && name.iter().all(u8::is_ascii_digit));
        }
        // nfstime4
        47 | 50..=53 => {
            reader.read::<i64>().unwrap();
            assert!(reader.read::<u32>().unwrap() < 1_000_000_000);
        }
        // nfsacl41
        58 => {
            assert_eq!(reader.read::<u32>().unwrap() & !7, 0);
            aces(reader);
        }
        // FSCHARSET_CAP4_*
        76 => assert_eq!(reader.read::<u32>().unwrap() & !3, 0),
        // change_attr_type4
        79 => assert!(reader.read::<u32>().unwrap() <= 4),
        // open_arguments4: five bitmaps.
        86 => {
            for _ in 0..5 {
                assert!(!reader.read::<Bitmap>().unwrap().is_empty());
            }
        }
        number => panic!("say what values attribute {number} may have"),
    }
}

fn aces(reader: &mut Reader) {
    for _ in 0..reader.read::<u32>().unwrap() {
        assert!(reader.read::<u32>().unwrap() <= 1, "ALLOW or DENY");
        assert_eq!(reader.read::<u32>().unwrap() & !0x4b, 0);
        assert_eq!(reader.read::<u32>().unwrap() & !0x001f_07ff, 0);
        let who: Bytes = reader.read().unwrap();
        assert!(who.ends_with(b"@") || who.iter().all(u8::is_ascii_digit));
    }
}

#[tokio::test]
async fn every_value_is_one_of_its_type() {
    let fixture = Fixture::new();
    fixture.populate().await;
    let shares = ["", "export", "ro", "deep", "deep/down"];
    let kinds = ["file", "dir", "symlink", "block", "char", "fifo", "socket"];
    let objects = kinds.map(|kind| format!("export/{kind}"));
    for minor in [Minor::V40, Minor::V41, Minor::V42] {
        for path in shares.into_iter().chain(objects.iter().map(String::as_str)) {
            let mut cx = fixture.at(minor, path).await;
            let (present, mut reader) = values(&mut cx, minor).await;
            for number in present.iter() {
                judge(number, &mut reader);
            }
            reader.finish().unwrap();
        }
    }
}

#[tokio::test]
async fn limits_are_those_of_the_share() {
    let fixture = Fixture::new();
    fixture.populate().await;
    let mut cx = fixture.at(Minor::V41, "deep/down").await;
    let mut one = async |number: u32| {
        let start = cx.reply.position();
        let wanted = Bitmap::of(&[number]);
        getattr::Args { wanted }.run(&mut cx).await.unwrap();
        let body = Bytes::copy_from_slice(&cx.reply.as_slice()[start..]);
        let mut reader = Reader::new(body);
        assert_eq!(reader.read(), Ok(wanted));
        Reader::new(reader.read().unwrap())
    };
    // The narrowest limit here is the space of the share.
    let avail: u64 = one(42).await.read().unwrap();
    for number in [38, 39] {
        assert_eq!(one(number).await.read(), Ok(avail));
    }
    let (free, total): (u64, u64) = (one(43).await.read().unwrap(), one(44).await.read().unwrap());
    assert_eq!(one(40).await.read(), Ok(total - free));
    let mut path = one(24).await;
    assert_eq!(path.read::<u32>(), Ok(2));
    assert_eq!(path.read::<Bytes>().unwrap(), "deep");
    assert_eq!(path.read::<Bytes>().unwrap(), "down");
}

/// change_attr_type4 (RFC 7862 §12.2.3)
#[tokio::test]
async fn what_the_change_counter_promises_is_what_the_file_system_keeps() {
    const MONOTONIC_INCR: u32 = 0;
    const UNDEFINED: u32 = 4;
    let uncounted = Arc::new(Failing::new());
    let fixture = Fixture::with([
        share("/counts"),
        Share {
            fs: uncounted,
            ..share("/promises-nothing")
        },
    ]);
    for (path, kept) in [
        ("", UNDEFINED),
        ("counts", MONOTONIC_INCR),
        ("promises-nothing", UNDEFINED),
    ] {
        let mut cx = fixture.at(Minor::V42, path).await;
        let start = cx.reply.position();
        let wanted = Bitmap::of(&[79]);
        getattr::Args { wanted }.run(&mut cx).await.unwrap();
        let body = Bytes::copy_from_slice(&cx.reply.as_slice()[start..]);
        let mut reader = Reader::new(body);
        assert_eq!(reader.read(), Ok(wanted));
        assert_eq!(
            reader.read::<Bytes>().unwrap(),
            kept.to_be_bytes()[..],
            "{path}"
        );
    }
}

/// space_freed (RFC 7862 §12.2.2)
#[tokio::test]
async fn removing_one_of_two_names_frees_nothing() {
    let h = Harness::new();
    let client = h.client42("a").await;
    let share = || client.compound().putrootfh().lookup("export");
    let open = share().open_file(client.id, 0, "o", "f");
    let mut made = open.write_file(StateId::CURRENT, "data").run().await;
    let _: StateId = made.skip(2).ok_body();
    let freed = async || {
        let mut got = share()
            .lookup("f")
            .with(9, &Bitmap::of(&[45, 78]))
            .run()
            .await;
        let (_, values): (Bitmap, Bytes) = (got.skip(3).ok_body(), got.body());
        let mut values = Reader::new(values);
        let (used, freed): (u64, u64) = (values.read().unwrap(), values.read().unwrap());
        assert!(used > 0 && (freed == 0 || freed == used));
        freed
    };
    assert_ne!(freed().await, 0);
    let link = share()
        .lookup("f")
        .op(32, |_| ())
        .putrootfh()
        .lookup("export");
    link.op(11, |w| w.write("g")).run().await.ok();
    assert_eq!(freed().await, 0);
    share().op(28, |w| w.write("g")).run().await.ok();
    assert_ne!(freed().await, 0);
}

/// clone_blksize (RFC 7862 §12.2.1)
#[tokio::test]
async fn clones_are_made_of_whole_blocks_and_where_there_are_none_of_nothing() {
    let fixture = Fixture::new();
    fixture.populate().await;
    for path in ["", "export", "export/file"] {
        let mut cx = fixture.at(Minor::V42, path).await;
        let start = cx.reply.position();
        let wanted = Bitmap::of(&[77]);
        getattr::Args { wanted }.run(&mut cx).await.unwrap();
        let body = Bytes::copy_from_slice(&cx.reply.as_slice()[start..]);
        let mut reader = Reader::new(body);
        assert_eq!(reader.read(), Ok(wanted));
        let block: [u8; 4] = reader.read::<Bytes>().unwrap()[..].try_into().unwrap();
        let block = u32::from_be_bytes(block);
        assert_eq!(block.is_power_of_two(), !path.is_empty(), "{path}: {block}");
    }
}
