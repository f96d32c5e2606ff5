//! CLONE and IO_ADVISE.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-15.13>,
//! <https://www.rfc-editor.org/rfc/rfc7862#section-15.5>

use std::sync::Arc;

use dittofs_sdk::Share;

use crate::ops::fixture::Fixture;
use crate::ops::{clone, savefh};
use crate::settings::Settings;
use crate::status::Status;
use crate::testing::{BLOCK, Client41, Harness, Slow};
use crate::types::{Bitmap, Minor, StateId};

use crate::compound::Operation as _;

const ALL: [u64; 3] = [0, 0, 0];

async fn cloned(client: &Client41<'_>, a: StateId, b: StateId, range: [u64; 3]) -> Status {
    let call = client.clone_file(("a", a), ("b", b), range);
    call.status().await
}

#[tokio::test]
async fn a_clone_has_the_same_content_until_it_is_written() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let a = client.holey("a").await;
    let b = client.written("b", b"").await;
    assert_eq!(cloned(&client, a, b, ALL).await, Status::Ok);
    let original = client.content("a").await;
    assert!(client.content("b").await == original);
    client.file("b").write_file(b, "x").run().await.ok();
    assert!(client.content("a").await == original);
    let range = [2 * BLOCK, 5 * BLOCK, BLOCK];
    assert_eq!(cloned(&client, a, b, range).await, Status::Ok);
    let content = client.content("b").await;
    assert_eq!(content.len() as u64, 6 * BLOCK);
    assert!(content[5 * BLOCK as usize..].iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn ranges_that_cannot_be_shared_are_refused() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let a = client.holey("a").await;
    let b = client.written("b", b"abc").await;
    for (range, refusal) in [
        ([1, 0, BLOCK], Status::Inval),
        ([0, 1, BLOCK], Status::Inval),
        ([0, 0, 1], Status::Inval),
        ([0, 0, 4 * BLOCK], Status::Inval),
        ([4 * BLOCK, 0, 0], Status::Inval),
        ([0, 0, u64::MAX], Status::Inval),
        ([u64::MAX, 0, 1], Status::Inval),
        ([0, (1 << 63) - BLOCK, 0], Status::Fbig),
    ] {
        assert_eq!(cloned(&client, a, b, range).await, refusal, "{range:?}");
    }
    assert_eq!(client.content("b").await, b"abc");
    let itself = |range| client.clone_file(("a", a), ("a", a), range);
    let overlapping = itself([0, BLOCK, 2 * BLOCK]);
    assert_eq!(overlapping.status().await, Status::Inval);
    itself([0, BLOCK, BLOCK]).run().await.ok();
    let content = client.content("a").await;
    assert!(content.iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn the_stateids_are_those_of_read_and_write() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let a = client.holey("a").await;
    let b = client.written("b", b"").await;
    let (any, bypass) = (StateId::ANONYMOUS, StateId::READ_BYPASS);
    for (from, to) in [(a, b), (any, any), (bypass, any)] {
        assert_eq!(cloned(&client, from, to, ALL).await, Status::Ok);
    }
    for (from, to) in [(b, b), (a, a)] {
        assert_eq!(cloned(&client, from, to, ALL).await, Status::BadStateid);
    }
    let unsaved = client.file("b").clone_range(a, b, ALL);
    assert_eq!(unsaved.status().await, Status::Nofilehandle);
    let share = client.compound().putrootfh().lookup("export");
    share.create_dir("dir").run().await.ok();
    for (from, to) in [("dir", "b"), ("a", "dir")] {
        let call = client.clone_file((from, any), (to, any), ALL);
        assert_eq!(call.status().await, Status::WrongType);
    }
}

#[tokio::test]
async fn files_of_two_shares_have_nothing_to_share() {
    let fixture = Fixture::new();
    fixture.file("export", "file").await;
    fixture.file("deep/down", "file").await;
    let mut cx = fixture.at(Minor::V42, "export/file").await;
    savefh::Args {}.run(&mut cx).await.unwrap();
    cx.current = fixture.at(Minor::V42, "deep/down/file").await.current;
    let args = clone::Args {
        source: StateId::ANONYMOUS,
        target: StateId::ANONYMOUS,
        source_offset: 0,
        target_offset: 0,
        count: 0,
    };
    assert_eq!(args.run(&mut cx).await, Err(Status::Xdev));
}

#[tokio::test]
async fn a_file_system_that_shares_nothing_says_so() {
    let share = Share {
        fs: Arc::new(Slow::new()),
        ..Harness::share()
    };
    let h = Harness::exporting(Settings::default(), share);
    let client = h.client42("c").await;
    let a = client.written("a", b"abc").await;
    let b = client.written("b", b"").await;
    assert_eq!(cloned(&client, a, b, ALL).await, Status::Notsupp);
    assert_eq!(advised(&client, "a", a, &[1, 4]).await, Bitmap::of(&[0]));
}

async fn advised(client: &Client41<'_>, name: &str, stateid: StateId, hints: &[u32]) -> Bitmap {
    let advise = client.file(name).op(63, |w| {
        w.write(&stateid);
        w.write(&5_u64);
        w.write(&0_u64);
        w.write(&Bitmap::of(hints));
    });
    advise.run().await.skip(3).ok_body()
}

#[tokio::test]
async fn the_advice_that_is_taken_is_told() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let open = client.written("f", b"abc").await;
    for (hints, taken) in [
        (&[][..], &[0][..]),
        (&[0], &[0]),
        (&[1], &[1]),
        (&[1, 3, 4, 6], &[1, 4]),
        (&[2], &[0]),
        (&[3, 7], &[3, 7]),
        (&[8, 9], &[8]),
        (&[10, 11, 77], &[0]),
        (&[5], &[5]),
    ] {
        assert_eq!(advised(&client, "f", open, hints).await, Bitmap::of(taken));
    }
    for stateid in [StateId::ANONYMOUS, StateId::READ_BYPASS] {
        let taken = advised(&client, "f", stateid, &[6]).await;
        assert_eq!(taken, Bitmap::of(&[6]));
    }
    let unknown = StateId {
        seqid: 1,
        other: [9; 12],
    };
    let bad = client.file("f").op(63, |w| {
        w.write(&unknown);
        w.raw(&[0; 16]);
        w.write(&Bitmap::of(&[1]));
    });
    assert_eq!(bad.status().await, Status::BadStateid);
}
