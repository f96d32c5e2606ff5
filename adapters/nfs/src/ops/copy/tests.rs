//! COPY that is over when it is answered, and COPY that is refused.

use std::sync::Arc;

use dittofs_sdk::Share;
use dittofs_sdk::vfs::VfsError;

use crate::settings::Settings;
use crate::status::Status;
use crate::testing::{Client41, Copied, CopyArgs, Failing, Harness};
use crate::types::{Bitmap, StateId, Verifier};

const ALL: CopyArgs = CopyArgs {
    from: 0,
    to: 0,
    count: 0,
    synchronous: false,
    elsewhere: false,
};

fn data(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 / 7) as u8).collect()
}

/// COPY from the file `a` to the file `b`.
async fn copied(client: &Client41<'_>, a: StateId, b: StateId, args: CopyArgs) -> Copied {
    client.copy(("a", a), ("b", b), args).run().await.copied(7)
}

async fn status(client: &Client41<'_>, a: StateId, b: StateId, args: CopyArgs) -> Status {
    client.copy(("a", a), ("b", b), args).status().await
}

#[tokio::test]
async fn a_range_is_copied_and_is_stable_after_commit() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let a = client.written("a", b"0123456789").await;
    let b = client.written("b", b"abcdefghij").await;
    let args = CopyArgs {
        from: 2,
        to: 7,
        count: 5,
        ..ALL
    };
    let got = copied(&client, a, b, args).await;
    assert_eq!((got.stateid, got.count, got.synchronous), (None, 5, true));
    assert_eq!(client.content("b").await, b"abcdefg23456");
    let mut commit = client.file("b").op(5, |w| w.raw(&[0; 12])).run().await;
    assert_eq!(commit.skip(3).ok_body::<Verifier>(), got.verifier);
}

#[tokio::test]
async fn no_count_is_all_to_the_end() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let content = data(3 << 20);
    let a = client.written("a", &content).await;
    let b = client.written("b", b"").await;
    let got = copied(&client, a, b, CopyArgs { from: 1, ..ALL }).await;
    assert_eq!(got.count, (3 << 20) - 1);
    assert!(client.content("b").await == content[1..]);
    let end = CopyArgs {
        from: 3 << 20,
        to: 7,
        ..ALL
    };
    assert_eq!(copied(&client, a, b, end).await.count, 0);
    assert_eq!(client.content("b").await.len(), (3 << 20) - 1);
}

#[tokio::test]
async fn what_is_beyond_the_source_or_the_largest_file_is_refused() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let a = client.written("a", b"0123456789").await;
    let b = client.written("b", b"").await;
    for (from, to, count, refusal) in [
        (11, 0, 0, Status::Inval),
        (11, 0, 1, Status::Inval),
        (5, 0, 6, Status::Inval),
        (0, 0, u64::MAX, Status::Inval),
        (u64::MAX, 0, 1, Status::Inval),
        (0, u64::MAX, 1, Status::Fbig),
        (0, u64::MAX / 2, 0, Status::Fbig),
    ] {
        let args = CopyArgs {
            from,
            to,
            count,
            ..ALL
        };
        assert_eq!(status(&client, a, b, args).await, refusal, "{from} {count}");
    }
    assert_eq!(client.content("b").await, b"");
}

#[tokio::test]
async fn a_file_is_not_copied_into_itself() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let a = client.written("a", b"0123456789").await;
    let args = CopyArgs {
        to: 10,
        count: 1,
        ..ALL
    };
    let same = client.copy(("a", a), ("a", a), args);
    assert_eq!(same.status().await, Status::Inval);
}

#[tokio::test]
async fn only_regular_files_are_copied() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let a = client.written("a", b"x").await;
    let share = || client.compound().putrootfh().lookup("export");
    share().create_dir("dir").run().await.ok();
    let link = share().op(6, |w| {
        w.write(&5_u32);
        w.write("a");
        w.write("link");
        w.write(&Bitmap::EMPTY);
        w.write("");
    });
    link.run().await.ok();
    let any = StateId::ANONYMOUS;
    for other in ["dir", "link"] {
        let from = client.copy((other, any), ("a", a), ALL);
        assert_eq!(from.status().await, Status::WrongType, "{other}");
        let to = client.copy(("a", a), (other, any), ALL);
        assert_eq!(to.status().await, Status::WrongType, "{other}");
    }
    let pseudo = client.file("a").op(32, |_| ()).putrootfh();
    let pseudo = pseudo.copy(a, any, ALL);
    assert_eq!(pseudo.status().await, Status::WrongType);
    let nothing = client.file("a").copy(any, a, ALL).status().await;
    assert_eq!(nothing, Status::Nofilehandle, "nothing is saved");
}

#[tokio::test]
async fn stateids_are_those_of_read_and_of_write() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let a = client.written("a", b"0123").await;
    let b = client.written("b", b"").await;
    let (any, bypass) = (StateId::ANONYMOUS, StateId::READ_BYPASS);
    for (from, to) in [(a, b), (any, any), (bypass, any)] {
        assert_eq!(status(&client, from, to, ALL).await, Status::Ok);
    }
    let unknown = StateId {
        seqid: 1,
        other: [9; 12],
    };
    for (from, to) in [(b, b), (a, a), (unknown, b), (a, unknown)] {
        assert_eq!(status(&client, from, to, ALL).await, Status::BadStateid);
    }
    // OPEN for reading alone, and denying others to write.
    let close = client.written("c", b"").await;
    client.file("c").close_file(0, close).run().await.ok();
    let deny = client.compound().putrootfh().lookup("export").op(18, |w| {
        for word in [0_u32, 1, 2] {
            w.write(&word);
        }
        w.write(&client.id);
        w.write("reader");
        w.write(&0_u32);
        w.write(&0_u32);
        w.write("c");
    });
    let reader: StateId = deny.run().await.skip(2).ok_body();
    let to = |to| client.copy(("a", a), ("c", to), ALL);
    assert_eq!(to(reader).status().await, Status::Openmode);
    assert_eq!(to(any).status().await, Status::Locked);
}

#[tokio::test]
async fn the_current_stateid_is_the_targets_and_the_saved_one_the_sources() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let close = client.written("a", b"0123").await;
    client.file("a").close_file(0, close).run().await.ok();
    let current = StateId::CURRENT;
    let at = client.compound().putrootfh().lookup("export");
    let at = at.open_file(client.id, 0, "o", "a").op(32, |_| ());
    let at = at.putrootfh().lookup("export");
    let at = at
        .open_file(client.id, 0, "o", "b")
        .copy(current, current, ALL);
    at.run().await.ok();
    assert_eq!(client.content("b").await, b"0123");
    let at = client.file("a").op(32, |_| ()).putrootfh();
    let at = at.lookup("export").lookup("b").copy(current, current, ALL);
    assert_eq!(at.status().await, Status::BadStateid);
}

#[tokio::test]
async fn no_file_of_another_server_is_copied() {
    let h = Harness::new();
    let client = h.client42("c").await;
    let a = client.written("a", b"0123").await;
    let b = client.written("b", b"").await;
    let elsewhere = CopyArgs {
        elsewhere: true,
        ..ALL
    };
    let refused = status(&client, a, b, elsewhere).await;
    assert_eq!(refused, Status::OffloadDenied);
}

#[tokio::test]
async fn what_has_to_be_answered_at_once_is_copied_as_far_as_that_goes() {
    let h = Harness::with(Settings {
        copy_threshold: 1 << 20,
        ..Settings::default()
    });
    // It can't be called.
    let client = h.client42("c").await;
    let content = data((1 << 20) + 5);
    let a = client.written("a", &content).await;
    let b = client.written("b", b"").await;
    for synchronous in [false, true] {
        let args = CopyArgs { synchronous, ..ALL };
        let got = copied(&client, a, b, args).await;
        assert_eq!((got.stateid, got.count), (None, 1 << 20));
        assert!(got.synchronous);
    }
    let rest = CopyArgs {
        from: 1 << 20,
        to: 1 << 20,
        ..ALL
    };
    assert_eq!(copied(&client, a, b, rest).await.count, 5);
    assert!(client.content("b").await == content);
}

#[tokio::test]
async fn what_was_copied_before_a_failure_counts() {
    let fs = Arc::new(Failing::new());
    let share = Share {
        fs: fs.clone(),
        ..Harness::share()
    };
    let h = Harness::exporting(Settings::default(), share);
    let client = h.client42("c").await;
    let a = client.written("a", &data((6 << 20) + 1)).await;
    let b = client.written("b", b"").await;
    // Memory shares no storage then, and copies four MiB at once.
    let odd = CopyArgs { from: 1, ..ALL };
    let mut outcomes = Vec::new();
    for calls in 0..24 {
        fs.fail_after(calls, VfsError::NoSpace);
        let mut reply = client.copy(("a", a), ("b", b), odd).run().await;
        fs.recover();
        outcomes.push(match reply.status {
            Status::Ok => Ok(reply.copied(7).count),
            status => Err(status),
        });
    }
    // What LOOKUP makes of it.
    outcomes.retain(|outcome| *outcome != Err(Status::Io));
    outcomes.dedup();
    let expected = [Err(Status::Nospc), Ok(4 << 20), Ok(6 << 20)];
    assert_eq!(outcomes, expected);
}

#[tokio::test]
async fn files_of_two_shares_are_copied() {
    let h = Harness::new();
    let client = h.client42("c").await;
    client.written("a", b"0123").await;
    let first = h.server.exports().share(Harness::share().id).cloned();
    let second = Share {
        id: uuid::Uuid::from_u128(8),
        name: "/other".into(),
        ..Harness::share()
    };
    let both: dittofs_sdk::Shares = Arc::from([first.unwrap(), Arc::new(second)]);
    h.server.set_exports(crate::exports::Exports::new(&both));
    let open = client.compound().putrootfh().lookup("other");
    let open = open.open_file(client.id, 0, "owner", "b");
    let b: StateId = open.run().await.skip(2).ok_body();
    let at = client.file("a").op(32, |_| ()).putrootfh();
    let copy = at.lookup("other").lookup("b");
    let mut copy = copy.copy(StateId::ANONYMOUS, b, ALL).run().await;
    assert_eq!(copy.copied(7).count, 4);
}

#[tokio::test]
async fn nothing_is_copied_into_a_share_that_is_read_only() {
    let h = Harness::new();
    let client = h.client42("c").await;
    client.written("a", b"0123").await;
    client.written("b", b"").await;
    let share = h.server.exports().share(Harness::share().id).cloned();
    let share = Share {
        read_only: true,
        ..Share::clone(&share.unwrap())
    };
    let shares: dittofs_sdk::Shares = Arc::from([Arc::new(share)]);
    h.server.set_exports(crate::exports::Exports::new(&shares));
    let any = StateId::ANONYMOUS;
    assert_eq!(status(&client, any, any, ALL).await, Status::Rofs);
}
