//! The current stateid: what an operation of 4.1 leaves for those after it in its COMPOUND.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-16.2.3.1.2>

use crate::status::Status;
use crate::testing::{Client41, Compound, Harness};
use crate::types::{Bitmap, StateId};

const FREE_STATEID: u32 = 45;
const LOCKU: u32 = 14;
const RESTOREFH: u32 = 31;
const SAVEFH: u32 = 32;
const SETATTR: u32 = 34;

fn opened<'h>(client: &Client41<'h>) -> Compound<'h> {
    let compound = client.compound().putrootfh().lookup("export");
    compound.open_file(client.id, 0, "owner", "f")
}

fn closed(compound: Compound<'_>) -> Compound<'_> {
    compound.close_file(0, StateId::CURRENT)
}

fn locked<'h>(client: &Client41<'h>) -> Compound<'h> {
    opened(client).lock_file((StateId::CURRENT, 0), client.id, ("locker", 0))
}

fn unlocked(compound: Compound<'_>) -> Compound<'_> {
    compound.op(LOCKU, |w| {
        w.write(&2_u32);
        w.write(&0_u32);
        w.write(&StateId::CURRENT);
        w.write(&0_u64);
        w.write(&10_u64);
    })
}

#[tokio::test]
async fn an_open_serves_what_follows_it() {
    let h = Harness::new();
    let client = h.client41("a").await;
    closed(opened(&client)).run().await.ok();
    let written = opened(&client).write_file(StateId::CURRENT, "data");
    closed(written).run().await.ok();
    let cut = opened(&client).op(SETATTR, |w| {
        w.write(&StateId::CURRENT);
        w.write(&Bitmap::of(&[4]));
        w.opaque(&2_u64.to_be_bytes());
    });
    closed(cut).run().await.ok();
}

#[tokio::test]
async fn a_lock_takes_the_place_of_the_open() {
    let h = Harness::new();
    let client = h.client41("a").await;
    let written = locked(&client).write_file(StateId::CURRENT, "data");
    unlocked(written).run().await.ok();
    // What a lock left is no open, and so can't be closed.
    assert_eq!(closed(locked(&client)).status().await, Status::BadStateid);
}

#[tokio::test]
async fn an_open_is_not_freed() {
    let h = Harness::new();
    let client = h.client41("a").await;
    let freed = opened(&client).with(FREE_STATEID, &StateId::CURRENT);
    assert_eq!(freed.status().await, Status::LocksHeld);
}

#[tokio::test]
async fn it_goes_with_the_file_handle_and_comes_back_with_it() {
    let h = Harness::new();
    let client = h.client41("a").await;
    let away = opened(&client).putrootfh().lookup("export").lookup("f");
    assert_eq!(closed(away).status().await, Status::BadStateid);
    let saved = opened(&client).op(SAVEFH, |_| ());
    let back = saved.putrootfh().lookup("export").op(RESTOREFH, |_| ());
    closed(back).run().await.ok();
}

#[tokio::test]
async fn it_does_not_outlive_its_compound_nor_an_end_of_the_open() {
    let h = Harness::new();
    let client = h.client41("a").await;
    opened(&client).run().await.ok();
    let next = client.compound().putrootfh().lookup("export").lookup("f");
    assert_eq!(closed(next).status().await, Status::BadStateid);
    let twice = closed(closed(opened(&client)));
    assert_eq!(twice.status().await, Status::BadStateid);
}

#[tokio::test]
async fn version_0_has_none() {
    let h = Harness::new();
    let client = h.client40("a").await;
    let open = h.compound(0).putrootfh().lookup("export");
    let open = open.open_file(client, 1, "owner", "f");
    let written = open.write_file(StateId::CURRENT, "data");
    assert_eq!(written.status().await, Status::BadStateid);
}
