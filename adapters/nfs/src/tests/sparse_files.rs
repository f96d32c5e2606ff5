//! ALLOCATE, DEALLOCATE, SEEK and READ_PLUS: what lies where in a file.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-6>

use std::sync::Arc;

use bytes::Bytes;
use dittofs_memfs::{MemoryFs, Options};
use dittofs_sdk::Share;

use crate::settings::Settings;
use crate::status::Status;
use crate::testing::Segment::{self, Data, Hole};
use crate::testing::{BLOCK, Client41, Harness, Slow};
use crate::types::{Bitmap, StateId};

const DATA: u32 = 0;
const HOLE: u32 = 1;

async fn size(client: &Client41<'_>, name: &str) -> u64 {
    let getattr = client.file(name).with(9, &Bitmap::of(&[4]));
    let mut reply = getattr.run().await;
    let _: Bitmap = reply.skip(3).ok_body();
    let values: Bytes = reply.body();
    u64::from_be_bytes(values[..].try_into().unwrap())
}

async fn segments(
    client: &Client41<'_>,
    name: &str,
    stateid: StateId,
    (offset, count): (u64, u32),
) -> (bool, Vec<Segment>) {
    let read = client.file(name).read_plus(stateid, offset, count);
    read.run().await.segments(3)
}

async fn sought(
    client: &Client41<'_>,
    name: &str,
    stateid: StateId,
    (offset, what): (u64, u32),
) -> (bool, u64) {
    let mut reply = client.file(name).seek(stateid, offset, what).run().await;
    (reply.skip(3).ok_body(), reply.body())
}

fn sevens(len: u64) -> Bytes {
    Bytes::from(vec![7; len as usize])
}

/// A share whose files do not tell where their holes are.
fn without_holes() -> Harness {
    let share = Share {
        fs: Arc::new(Slow::new()),
        ..Harness::share()
    };
    Harness::exporting(Settings::default(), share)
}

#[tokio::test]
async fn allocation_grows_the_file_and_keeps_what_is_there() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let stateid = client.written("f", b"abc").await;
    let allocate = client.file("f").allocate(stateid, 1, 9);
    allocate.run().await.ok();
    assert_eq!(client.content("f").await, b"abc\0\0\0\0\0\0\0");
    client.file("f").allocate(stateid, 0, 5).run().await.ok();
    assert_eq!(size(&client, "f").await, 10);
}

#[tokio::test]
async fn allocated_room_is_nobody_elses() {
    let options = Options {
        max_bytes: 1 << 20,
        mode: 0o777,
        ..Options::default()
    };
    let share = Share {
        fs: Arc::new(MemoryFs::new(&options).unwrap()),
        ..Harness::share()
    };
    let h = Harness::exporting(Settings::default(), share);
    let client = h.client42("c").await;
    let stateid = client.written("f", b"").await;
    let too_much = client.file("f").allocate(stateid, 0, 2 << 20);
    assert_eq!(too_much.status().await, Status::Nospc);
    let half = client.file("f").allocate(stateid, 0, 512 << 10);
    half.run().await.ok();
    let other = client.written("g", b"").await;
    let rest = client.file("g").allocate(other, 0, 600 << 10);
    assert_eq!(rest.status().await, Status::Nospc);
}

#[tokio::test]
async fn what_is_deallocated_reads_as_zeros_and_the_size_stays() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let stateid = client.written("f", &[7; 20]).await;
    let punch = client.file("f").deallocate(stateid, 5, 10);
    punch.run().await.ok();
    let mut expected = [7; 20];
    expected[5..15].fill(0);
    assert_eq!(client.content("f").await, expected);
    let beyond = client.file("f").deallocate(stateid, 18, 1000);
    beyond.run().await.ok();
    expected[18..].fill(0);
    assert_eq!(client.content("f").await, expected);
}

#[tokio::test]
async fn ranges_that_cannot_be_are_refused() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let stateid = client.written("f", b"abc").await;
    for (offset, length, refusal) in [
        (0, 0, Status::Inval),
        (u64::MAX, 1, Status::Fbig),
        (1, i64::MAX as u64, Status::Fbig),
        (u64::MAX, u64::MAX, Status::Fbig),
    ] {
        for op in [59, 62] {
            let call = client.file("f").op(op, |w| {
                w.write(&stateid);
                w.write(&offset);
                w.write(&length);
            });
            assert_eq!(call.status().await, refusal, "{op}: {offset} {length}");
        }
    }
    assert_eq!(client.content("f").await, b"abc");
}

#[tokio::test]
async fn stateids_are_those_of_write() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let close = client.written("f", b"abc").await;
    client.file("f").close_file(0, close).run().await.ok();
    // OPEN for reading alone, and denying others to write.
    let deny = client.compound().putrootfh().lookup("export").op(18, |w| {
        for word in [0_u32, 1, 2] {
            w.write(&word);
        }
        w.write(&client.id);
        w.write("reader");
        w.write(&0_u32);
        w.write(&0_u32);
        w.write("f");
    });
    let reader: StateId = deny.run().await.skip(2).ok_body();
    for (stateid, refusal) in [
        (reader, Status::Openmode),
        (StateId::ANONYMOUS, Status::Access),
        (close, Status::BadStateid),
    ] {
        let allocate = client.file("f").allocate(stateid, 0, 1);
        assert_eq!(allocate.status().await, refusal);
        let punch = client.file("f").deallocate(stateid, 0, 1);
        assert_eq!(punch.status().await, refusal);
    }
    for stateid in [reader, StateId::ANONYMOUS, StateId::READ_BYPASS] {
        assert_eq!(sought(&client, "f", stateid, (0, HOLE)).await, (true, 3));
        let (eof, _) = segments(&client, "f", stateid, (0, 10)).await;
        assert!(eof);
    }
}

#[tokio::test]
async fn only_regular_files_have_ranges() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let share = || client.compound().putrootfh().lookup("export");
    share().create_dir("dir").run().await.ok();
    let any = StateId::ANONYMOUS;
    for at in [client.compound().putrootfh(), client.file("dir")] {
        assert_eq!(at.allocate(any, 0, 1).status().await, Status::WrongType);
    }
    let punch = client.file("dir").deallocate(any, 0, 1);
    assert_eq!(punch.status().await, Status::WrongType);
    for at in [
        client.file("dir").seek(any, 0, DATA),
        client.file("dir").read_plus(any, 0, 1),
    ] {
        assert_eq!(at.status().await, Status::Isdir);
    }
}

#[tokio::test]
async fn data_and_holes_are_found_from_any_place() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let stateid = client.holey("f").await;
    for (offset, what, found) in [
        (0, DATA, (false, 0)),
        (5, DATA, (false, 5)),
        (0, HOLE, (false, BLOCK)),
        (BLOCK, HOLE, (false, BLOCK)),
        (BLOCK + 9, HOLE, (false, BLOCK + 9)),
        (BLOCK + 9, DATA, (false, 2 * BLOCK)),
        (2 * BLOCK, HOLE, (true, 3 * BLOCK)),
    ] {
        let got = sought(&client, "f", stateid, (offset, what)).await;
        assert_eq!(got, found, "{what} from {offset}");
    }
    client
        .file("f")
        .deallocate(stateid, 2 * BLOCK, BLOCK)
        .run()
        .await
        .ok();
    let got = sought(&client, "f", stateid, (BLOCK, DATA)).await;
    assert_eq!(got, (true, 3 * BLOCK), "none is left");
}

#[tokio::test]
async fn nothing_is_found_beyond_the_end() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let stateid = client.written("f", b"abc").await;
    for (offset, what, refusal) in [
        (3, DATA, Status::Nxio),
        (3, HOLE, Status::Nxio),
        (9, HOLE, Status::Nxio),
        (u64::MAX, DATA, Status::Inval),
        (0, 2, Status::UnionNotsupp),
    ] {
        let seek = client.file("f").seek(stateid, offset, what);
        assert_eq!(seek.status().await, refusal);
    }
}

#[tokio::test]
async fn data_and_holes_are_read_in_their_order() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let stateid = client.holey("f").await;
    let all = 3 * BLOCK;
    let range = (BLOCK - 5, BLOCK as u32 + 10);
    let got = segments(&client, "f", stateid, range).await;
    let expected = vec![
        Data(BLOCK - 5, sevens(5)),
        Hole(BLOCK, BLOCK),
        Data(2 * BLOCK, sevens(5)),
    ];
    assert_eq!(got, (false, expected));
    for (offset, count, eof, expected) in [
        (
            BLOCK - 3,
            10,
            false,
            vec![Data(BLOCK - 3, sevens(3)), Hole(BLOCK, 7)],
        ),
        (BLOCK + 1, 5, false, vec![Hole(BLOCK + 1, 5)]),
        (
            2 * BLOCK - 2,
            3,
            false,
            vec![Hole(2 * BLOCK - 2, 2), Data(2 * BLOCK, sevens(1))],
        ),
        (all - 1, 1, true, vec![Data(all - 1, sevens(1))]),
        (all - 1, 100, true, vec![Data(all - 1, sevens(1))]),
        (all, 1, true, vec![]),
        (u64::MAX, 9, true, vec![]),
        (0, 0, false, vec![]),
        (all, 0, true, vec![]),
    ] {
        let got = segments(&client, "f", stateid, (offset, count)).await;
        assert_eq!(got, (eof, expected), "{count} at {offset}");
    }
}

#[tokio::test]
async fn a_hole_at_the_end_is_the_end() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let stateid = client.holey("f").await;
    client
        .file("f")
        .deallocate(stateid, 2 * BLOCK, BLOCK)
        .run()
        .await
        .ok();
    for (count, eof) in [(2 * BLOCK, true), (2 * BLOCK + 1, true), (BLOCK, false)] {
        let got = segments(&client, "f", stateid, (BLOCK, count as u32)).await;
        let hole = Hole(BLOCK, count.min(2 * BLOCK));
        assert_eq!(got, (eof, vec![hole]));
    }
    let empty = client.written("empty", b"").await;
    assert_eq!(
        segments(&client, "empty", empty, (0, 9)).await,
        (true, vec![])
    );
}

#[tokio::test]
async fn stored_zeros_are_a_hole() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let stateid = client.written("f", &[0; 100]).await;
    let got = segments(&client, "f", stateid, (10, 20)).await;
    assert_eq!(got, (false, vec![Hole(10, 20)]));
}

#[tokio::test]
async fn many_pieces_are_answered_in_part() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let stateid = client.written("f", b"").await;
    for at in 0..80 {
        let write = client.file("f").op(38, |w| {
            w.write(&stateid);
            w.write(&(at * 2 * BLOCK));
            w.write(&0_u32);
            w.write("x");
        });
        write.run().await.ok();
    }
    let file = client.file("f");
    let read = file.read_plus(stateid, 0, 1 << 20).run().await.segments(3);
    let mut next = 0;
    for segment in &read.1 {
        let (at, len) = match segment {
            Data(at, data) => (*at, data.len() as u64),
            Hole(at, len) => (*at, *len),
        };
        assert_eq!(at, next);
        next = at + len;
    }
    assert!(!read.0 && read.1.len() <= 64 && next > 0);
}

#[tokio::test]
async fn a_file_system_that_tells_of_no_holes_has_one_at_the_end() {
    let h = without_holes();
    let client = h.client42("c").await;
    let stateid = client.written("f", b"abc\0\0").await;
    assert_eq!(sought(&client, "f", stateid, (0, HOLE)).await, (true, 5));
    assert_eq!(sought(&client, "f", stateid, (2, DATA)).await, (false, 2));
    let beyond = client.file("f").seek(stateid, 5, HOLE);
    assert_eq!(beyond.status().await, Status::Nxio);
    let got = segments(&client, "f", stateid, (0, 10)).await;
    assert_eq!(got, (true, vec![Data(0, Bytes::from_static(b"abc\0\0"))]));
    for call in [
        client.file("f").allocate(stateid, 0, 1),
        client.file("f").deallocate(stateid, 0, 1),
    ] {
        assert_eq!(call.status().await, Status::Notsupp);
    }
}
