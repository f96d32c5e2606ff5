//! Others who use a delegated file without asking the server.

use dittofs_sdk::Share;
use dittofs_sdk::vfs::Reaction::Delay;
use dittofs_sdk::vfs::Touch;

use super::*;
use crate::testing::{Failing, Slow};

async fn over(fs: Arc<dyn dittofs_sdk::vfs::FileSystem>) -> World {
    let share = Share {
        fs,
        ..Harness::share()
    };
    let h = Harness::exporting(Settings::default(), share);
    let address = h.listen().await;
    World { h, address }
}

#[tokio::test]
async fn others_have_it_recalled_and_wait_until_it_is_back() {
    let fs = Arc::new(Slow::new());
    let w = over(fs.clone()).await;
    let (a, mut peer) = w.client("a").await;
    for (access, harmless, touch) in [
        (READ, Touch::READ, Touch::META),
        (BOTH, Touch::default(), Touch::READ),
    ] {
        let name = if access == READ { "r" } else { "w" };
        make(&a, name).await;
        let stateid = get(&a, access, name).await.1.stateid();
        assert_eq!(fs.watches(), 1);
        assert_eq!(fs.touched_elsewhere(harmless), []);
        assert_eq!(fs.touched_elsewhere(touch), [Delay]);
        let recall = recalled(&mut peer, &a, Status::Ok).await;
        assert_eq!(recall, (stateid, false));
        // Whoever comes back to ask has to wait, and is not the reason for a second recall.
        assert_eq!(fs.touched_elsewhere(touch), [Delay]);
        give_back(&a, name, stateid).run().await.ok();
        assert_eq!(fs.watches(), 0);
        assert_eq!(get(&a, access | WANT_ANY, name).await.1, Got::Not(1));
    }
}

#[tokio::test]
async fn who_comes_while_it_is_granted_has_it_recalled_too() {
    let fs = Arc::new(Slow::new());
    let w = over(fs.clone()).await;
    let (a, mut peer) = w.client("a").await;
    make(&a, "f").await;
    fs.touch_new_watches(Touch::WRITE);
    let stateid = get(&a, READ, "f").await.1.stateid();
    let recall = recalled(&mut peer, &a, Status::Ok).await;
    assert_eq!(recall, (stateid, false));
}

#[tokio::test]
async fn the_watch_ends_with_the_client() {
    let fs = Arc::new(Slow::new());
    let w = over(fs.clone()).await;
    let (a, _peer) = w.client("a").await;
    make(&a, "f").await;
    assert!(matches!(get(&a, READ, "f").await.1, Got::Read(_)));
    assert_eq!(fs.watches(), 1);
    let server = &w.h.server;
    server.pass(Duration::from_hours(30 * 24));
    server.end_leases(server.now()).await;
    assert_eq!(fs.watches(), 0);
}

#[tokio::test]
async fn what_no_one_else_can_be_seen_to_use_is_delegated_all_the_same() {
    let w = over(Arc::new(Failing::new())).await;
    let (a, _peer) = w.client("a").await;
    make(&a, "f").await;
    assert!(matches!(get(&a, READ, "f").await.1, Got::Read(_)));
}
