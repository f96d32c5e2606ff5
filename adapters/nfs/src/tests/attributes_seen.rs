//! GETATTR takes the attributes that an operation of its COMPOUND has read, and no others.

use std::sync::Arc;

use dittofs_sdk::Share;
use dittofs_sdk::vfs::{CreateHow, Cred, FileSystem, Name, OpenAccess, SetAttr, VfsError};

use crate::settings::Settings;
use crate::status::Status;
use crate::testing::{Client41, Compound, Failing, Harness};
use crate::types::{Bitmap, StateId};
use crate::xdr::Reader;

const SIZE: u32 = 4;
const FILEID: u32 = 20;

/// A server of `fs`, in which there is an empty file `file`.
async fn over(fs: &Arc<Failing>) -> Harness {
    let (name, mode) = (Name::new(b"file").unwrap(), Some(0o666));
    let attr = SetAttr {
        mode,
        ..SetAttr::default()
    };
    let (root, how) = (fs.root(), CreateHow::Guarded);
    let made = fs.create(&Cred::root(), &root, name, how, &attr, OpenAccess::Read);
    assert!(made.await.is_ok());
    let share = Share {
        fs: Arc::<Failing>::clone(fs),
        ..Harness::share()
    };
    Harness::exporting(Settings::default(), share)
}

fn access(compound: Compound<'_>) -> Compound<'_> {
    compound.with(3, &0x3f_u32)
}

fn getattr(compound: Compound<'_>, attribute: u32) -> Compound<'_> {
    compound.with(9, &Bitmap::of(&[attribute]))
}

/// What a COMPOUND whose last operation is GETATTR of one number tells.
async fn told(compound: Compound<'_>) -> u64 {
    let reply = compound.run().await;
    reply.ok();
    let values = reply.bytes.slice(reply.bytes.len() - 8..);
    Reader::new(values).read().unwrap()
}

fn dir<'h>(client: &Client41<'h>) -> Compound<'h> {
    client.compound().putrootfh().lookup("export")
}

fn file<'h>(client: &Client41<'h>) -> Compound<'h> {
    dir(client).lookup("file")
}

#[tokio::test]
async fn what_lookup_and_access_have_read_is_not_read_again() {
    let fs = Arc::new(Failing::new());
    let h = over(&fs).await;
    let client = h.client41("a").await;
    for (compound, calls) in [
        (file(&client), 1),
        (file(&client).getfh(), 1),
        (access(file(&client)), 2),
        (access(file(&client)).op(32, |_| ()), 2),
    ] {
        fs.fail_after(calls, VfsError::Io);
        let compound = getattr(getattr(compound, FILEID), SIZE);
        assert_eq!(compound.status().await, Status::Ok, "{calls}");
        fs.recover();
    }
    // VERIFY is what comes after it relies on.
    fs.fail_after(1, VfsError::Io);
    let verify = file(&client).op(37, |w| {
        w.write(&Bitmap::of(&[SIZE]));
        w.write(&8_u32);
        w.write(&0_u64);
    });
    assert_eq!(verify.status().await, Status::Io);
}

#[tokio::test]
async fn what_has_changed_since_is_read_anew() {
    let fs = Arc::new(Failing::new());
    let h = over(&fs).await;
    let client = h.client41("a").await;
    let write = access(file(&client)).write_file(StateId::ANONYMOUS, "data");
    assert_eq!(told(getattr(write, SIZE)).await, 4);
    let shorter = access(file(&client)).op(34, |w| {
        w.write(&StateId::ANONYMOUS);
        w.write(&Bitmap::of(&[SIZE]));
        w.write(&8_u32);
        w.write(&2_u64);
    });
    assert_eq!(told(getattr(shorter, SIZE)).await, 2);
}

#[tokio::test]
async fn another_object_has_attributes_of_its_own() {
    let fs = Arc::new(Failing::new());
    let h = over(&fs).await;
    let client = h.client41("a").await;
    let of_dir = told(getattr(dir(&client), FILEID)).await;
    let of_file = told(getattr(file(&client), FILEID)).await;
    assert_ne!(of_dir, of_file);
    // SAVEFH in the directory, RESTOREFH in the file.
    let back = access(access(dir(&client)).op(32, |_| ()).lookup("file")).op(31, |_| ());
    assert_eq!(told(getattr(back, FILEID)).await, of_dir);
    let up = access(file(&client)).putrootfh().lookup("export");
    assert_eq!(told(getattr(up, FILEID)).await, of_dir);
    let down = access(dir(&client)).lookup("file");
    assert_eq!(told(getattr(down, FILEID)).await, of_file);
}
