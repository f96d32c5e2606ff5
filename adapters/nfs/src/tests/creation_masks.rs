//! `mode_umask`: the mode that was asked for and the creation mask of who asks, apart from each other,
//! so that the mask does not count where a directory says what its entries are to have. RFC 8275.

use bytes::Bytes;
use dittofs_sdk::vfs::{Acl, Cred, Name, PosixAcl, PosixAcls};

use crate::settings::Settings;
use crate::status::Status;
use crate::testing::{Client41, Compound, Failing, Harness, Reply};
use crate::types::{Bitmap, StateId};
use crate::xdr::Writer;

const MODE: u32 = 33;
const MODE_UMASK: u32 = 81;

/// createmode4
const UNCHECKED: u32 = 0;
const GUARDED: u32 = 1;
const EXCLUSIVE4_1: u32 = 3;

/// fattr4 of these attributes, each of which is a word or two.
fn fattr(w: &mut Writer, mask: &[u32], words: &[u32]) {
    w.write(&Bitmap::of(mask));
    w.write(&(4 * words.len() as u32));
    for word in words {
        w.write(word);
    }
}

fn masked(w: &mut Writer, mode: u32, umask: u32) {
    fattr(w, &[MODE_UMASK], &[mode, umask]);
}

fn at<'h>(client: &Client41<'h>, dir: &str) -> Compound<'h> {
    let at = client.compound().putrootfh().lookup("export");
    if dir.is_empty() { at } else { at.lookup(dir) }
}

fn open<'h>(
    compound: Compound<'h>,
    how: u32,
    name: &str,
    attributes: impl FnOnce(&mut Writer),
) -> Compound<'h> {
    compound.op(18, |w| {
        w.write(&0_u32);
        w.write(&3_u32);
        w.write(&0_u32);
        w.write(&0_u64);
        w.write("owner");
        w.write(&1_u32);
        w.write(&how);
        if how == EXCLUSIVE4_1 {
            w.write(&7_u64);
        }
        attributes(w);
        w.write(&0_u32);
        w.write(name);
    })
}

fn mkdir<'h>(
    compound: Compound<'h>,
    name: &str,
    attributes: impl FnOnce(&mut Writer),
) -> Compound<'h> {
    compound.op(6, |w| {
        w.write(&2_u32);
        w.write(name);
        attributes(w);
    })
}

/// attrset of OPEN.
fn set_by_open(reply: &mut Reply, before: usize) -> Bitmap {
    let _: StateId = reply.skip(before).ok_body();
    let _: (bool, u64, u64) = (reply.body(), reply.body(), reply.body());
    let _: u32 = reply.body();
    reply.body()
}

async fn mode_of(client: &Client41<'_>, dir: &str, name: &str) -> u32 {
    let got = at(client, dir).lookup(name).with(9, &Bitmap::of(&[MODE]));
    let mut got = got.run().await;
    let before = if dir.is_empty() { 3 } else { 4 };
    let (_, values): (Bitmap, Bytes) = (got.skip(before).ok_body(), got.body());
    u32::from_be_bytes(values[..].try_into().unwrap())
}

/// `/export/plain`, and `/export/shared`, whose entries inherit that the group may write them.
async fn with_default_list() -> Harness {
    let h = Harness::new();
    let client = h.client42("maker").await;
    for name in ["plain", "shared"] {
        let made = mkdir(at(&client, ""), name, |w| fattr(w, &[MODE], &[0o777]));
        made.run().await.ok();
    }
    let share = h
        .server
        .exports()
        .share(Harness::share().id)
        .unwrap()
        .clone();
    let cred = Cred::user(1000, 1000);
    let name = Name::new(b"shared").unwrap();
    let node = share.fs.lookup(&cred, &share.fs.root(), name).await;
    let acls = PosixAcls {
        access: PosixAcl::of_mode(0o777),
        default: Some(PosixAcl::of_mode(0o775)),
    };
    let set = share
        .fs
        .set_acl(&cred, &node.unwrap().handle, &Acl::Posix(acls));
    set.await.unwrap();
    h
}

#[tokio::test]
async fn the_mask_counts_unless_the_directory_has_a_default_list() {
    let h = with_default_list().await;
    let client = h.client42("a").await;
    for (dir, file, sub) in [("plain", 0o640, 0o750), ("shared", 0o664, 0o775)] {
        for (how, name) in [(UNCHECKED, "u"), (GUARDED, "g"), (EXCLUSIVE4_1, "e")] {
            let made = open(at(&client, dir), how, name, |w| masked(w, 0o666, 0o027));
            let mut made = made.run().await;
            assert!(set_by_open(&mut made, 3).contains(MODE_UMASK));
            assert_eq!(mode_of(&client, dir, name).await, file, "{dir}/{name}");
        }
        let made = mkdir(at(&client, dir), "sub", |w| masked(w, 0o777, 0o027));
        let mut made = made.run().await;
        let _: (bool, u64, u64) = (made.skip(3).ok_body(), made.body(), made.body());
        assert_eq!(made.body::<Bitmap>(), Bitmap::of(&[MODE_UMASK]));
        assert_eq!(mode_of(&client, dir, "sub").await, sub, "{dir}/sub");
    }
    // Inherited once more, and a mode without a mask limits what is inherited.
    let deep = at(&client, "shared").lookup("sub");
    let deep = open(deep, GUARDED, "deep", |w| masked(w, 0o666, 0o077));
    deep.run().await.ok();
    let found = at(&client, "shared").lookup("sub").lookup("deep");
    let mut found = found.with(9, &Bitmap::of(&[MODE])).run().await;
    let (_, values): (Bitmap, Bytes) = (found.skip(5).ok_body(), found.body());
    assert_eq!(values, 0o664_u32.to_be_bytes()[..]);
}

#[tokio::test]
async fn what_was_there_before_keeps_its_mode() {
    let h = with_default_list().await;
    let client = h.client42("a").await;
    let first = open(at(&client, "plain"), GUARDED, "f", |w| masked(w, 0o600, 0));
    first.run().await.ok();
    let again = open(at(&client, "plain"), UNCHECKED, "f", |w| {
        masked(w, 0o666, 0);
    });
    let mut again = again.run().await;
    assert_eq!(set_by_open(&mut again, 3), Bitmap::EMPTY);
    assert_eq!(mode_of(&client, "plain", "f").await, 0o600);
}

#[tokio::test]
async fn where_there_are_no_lists_the_mask_counts() {
    let share = dittofs_sdk::Share {
        fs: std::sync::Arc::new(Failing::new()),
        ..Harness::share()
    };
    let h = Harness::exporting(Settings::default(), share);
    let client = h.client42("a").await;
    let file = open(at(&client, ""), GUARDED, "f", |w| masked(w, 0o4666, 0o022));
    file.run().await.ok();
    let dir = mkdir(at(&client, ""), "d", |w| masked(w, 0o1777, 0o022));
    dir.run().await.ok();
    assert_eq!(mode_of(&client, "", "f").await, 0o4644);
    assert_eq!(mode_of(&client, "", "d").await, 0o1755);
}

#[tokio::test]
async fn it_stands_alone_and_has_nine_bits() {
    let h = with_default_list().await;
    let client = h.client42("a").await;
    let bad: [(&[u32], &[u32]); 4] = [
        (&[MODE, MODE_UMASK], &[0o644, 0o666, 0o022]),
        (&[74, MODE_UMASK], &[0o644, 0o777, 0o666, 0o022]),
        (&[MODE_UMASK], &[0o666, 0o1022]),
        (&[MODE_UMASK], &[0o10666, 0o022]),
    ];
    for (mask, words) in bad {
        let file = open(at(&client, "plain"), GUARDED, "f", |w| {
            fattr(w, mask, words);
        });
        assert_eq!(file.status().await, Status::Inval, "{mask:?} {words:?}");
        let dir = mkdir(at(&client, "plain"), "d", |w| fattr(w, mask, words));
        assert_eq!(dir.status().await, Status::Inval, "{mask:?} {words:?}");
    }
    let short = mkdir(at(&client, "plain"), "d", |w| {
        fattr(w, &[MODE_UMASK], &[0o666]);
    });
    assert_eq!(short.status().await, Status::Badxdr);
}

#[tokio::test]
async fn it_is_for_what_is_created_and_can_not_be_read() {
    let h = with_default_list().await;
    let client = h.client42("a").await;
    let setattr = at(&client, "plain").op(34, |w| {
        w.write(&StateId::ANONYMOUS);
        masked(w, 0o777, 0o022);
    });
    assert_eq!(setattr.status().await, Status::Inval);
    let wanted = Bitmap::of(&[MODE, MODE_UMASK]);
    let getattr = at(&client, "plain").with(9, &wanted);
    assert_eq!(getattr.status().await, Status::Inval);
    let readdir = at(&client, "").op(26, |w| {
        w.raw(&[0; 16]);
        w.write(&4096_u32);
        w.write(&4096_u32);
        w.write(&wanted);
    });
    assert_eq!(readdir.status().await, Status::Inval);
    for verify in [17, 37] {
        let verify = at(&client, "plain").op(verify, |w| masked(w, 0o777, 0o022));
        assert_eq!(verify.status().await, Status::Inval);
    }
}

#[tokio::test]
async fn minor_versions_before_do_not_have_it() {
    let h = with_default_list().await;
    let client = h.client41("a").await;
    let file = open(at(&client, "plain"), GUARDED, "f", |w| {
        masked(w, 0o666, 0o022);
    });
    assert_eq!(file.status().await, Status::Attrnotsupp);
    let dir = h.compound(0).putrootfh().lookup("export");
    let dir = mkdir(dir, "d", |w| masked(w, 0o777, 0o022));
    assert_eq!(dir.status().await, Status::Attrnotsupp);
    // What can't be had is passed over.
    let wanted = Bitmap::of(&[MODE, MODE_UMASK]);
    at(&client, "plain").with(9, &wanted).run().await.ok();
}
