//! Whatever a file system says, no operation answers with a status outside its list. The test
//! harness looks at every result of every COMPOUND of every test; here are those that only a
//! failing file system brings about.

use std::sync::Arc;

use dittofs_sdk::Share;
use dittofs_sdk::vfs::VfsError::{self, *};

use crate::settings::Settings;
use crate::status::Status;
use crate::testing::{Client41, Compound, Failing, Harness};
use crate::types::{Bitmap, ClientId, StateId};
use crate::xdr::Writer;

const ERRORS: [VfsError; 28] = [
    NotFound,
    AccessDenied,
    NotPermitted,
    Exists,
    NotDir,
    IsDir,
    IsSymlink,
    WrongType,
    NotEmpty,
    Invalid,
    NameTooLong,
    BadName,
    NoSpace,
    QuotaExceeded,
    ReadOnly,
    FileTooBig,
    TooManyLinks,
    CrossDevice,
    Stale,
    BadHandle,
    BadCookie,
    TooSmall,
    NotSupported,
    Busy,
    TryLater,
    Io,
    NoXattr,
    XattrTooBig,
];

/// Where an operation stands: the name in `/export` of the current object, if it is not the
/// share's root; and the operation.
struct Case(u32, &'static str, fn(&mut Writer));

fn no_attributes(w: &mut Writer) {
    w.write(&Bitmap::EMPTY);
    w.write("");
}

/// OPEN by client 0 up to openflag4.
fn open(w: &mut Writer) {
    for word in [0_u32, 3, 0] {
        w.write(&word);
    }
    w.write(&ClientId(0));
    w.write("owner");
}

fn claim(w: &mut Writer, name: &str) {
    w.write(&0_u32);
    w.write(name);
}

fn anonymous(w: &mut Writer) {
    w.write(&StateId::ANONYMOUS);
}

/// Attributes whose values come from the file system, in one way or another: type, change, size,
/// fsid, fileid, files_avail, mode, numlinks, owner, space_avail, time_modify.
const READABLE: [u32; 11] = [1, 3, 4, 8, 20, 21, 33, 35, 36, 42, 53];

const SAVEFH: u32 = 32;

const CASES: &[Case] = &[
    Case(3, "f", |w| w.write(&0x3f_u32)),
    Case(5, "f", |w| w.raw(&[0; 12])),
    Case(6, "", |w| {
        w.write(&2_u32);
        w.write("new");
        no_attributes(w);
    }),
    Case(6, "", |w| {
        w.write(&5_u32);
        w.write("target");
        w.write("new");
        no_attributes(w);
    }),
    Case(6, "", |w| {
        w.write(&7_u32);
        w.write("new");
        no_attributes(w);
    }),
    Case(9, "f", |w| w.write(&Bitmap::of(&READABLE))),
    Case(11, "", |w| w.write("link")),
    Case(15, "", |w| w.write("f")),
    Case(16, "d", |_| ()),
    Case(17, "f", |w| {
        w.write(&Bitmap::of(&[1]));
        w.opaque(&8_u32.to_be_bytes());
    }),
    Case(18, "", |w| {
        open(w);
        w.write(&0_u32);
        claim(w, "f");
    }),
    Case(18, "", |w| {
        open(w);
        w.raw(&[0, 0, 0, 1, 0, 0, 0, 1]);
        no_attributes(w);
        claim(w, "new");
    }),
    Case(18, "", |w| {
        open(w);
        w.raw(&[0, 0, 0, 1, 0, 0, 0, 2]);
        w.raw(&[7; 8]);
        claim(w, "new");
    }),
    Case(25, "f", |w| {
        anonymous(w);
        w.write(&0_u64);
        w.write(&8_u32);
    }),
    Case(26, "", |w| {
        w.raw(&[0; 16]);
        w.write(&4096_u32);
        w.write(&4096_u32);
        w.write(&Bitmap::of(&[1, 4, 33]));
    }),
    Case(27, "l", |_| ()),
    Case(28, "", |w| w.write("f")),
    Case(29, "", |w| {
        w.write("f");
        w.write("g");
    }),
    Case(33, "", |w| w.write("f")),
    Case(34, "f", |w| {
        anonymous(w);
        w.write(&Bitmap::of(&[4]));
        w.opaque(&7_u64.to_be_bytes());
    }),
    Case(34, "f", |w| {
        anonymous(w);
        w.write(&Bitmap::of(&[33]));
        w.opaque(&0o600_u32.to_be_bytes());
    }),
    Case(37, "f", |w| {
        w.write(&Bitmap::of(&[1]));
        w.opaque(&1_u32.to_be_bytes());
    }),
    Case(38, "f", |w| {
        anonymous(w);
        w.write(&0_u64);
        w.write(&2_u32);
        w.write("data");
    }),
];

/// Those of 4.2 alone.
const CASES_42: &[Case] = &[
    Case(59, "f", |w| {
        anonymous(w);
        w.write(&0_u64);
        w.write(&8_u64);
    }),
    Case(60, "t", |w| {
        anonymous(w);
        anonymous(w);
        w.raw(&[0; 3 * 8 + 3 * 4]);
    }),
    Case(62, "f", |w| {
        anonymous(w);
        w.write(&0_u64);
        w.write(&8_u64);
    }),
    Case(63, "f", |w| {
        anonymous(w);
        w.raw(&[0; 16]);
        w.write(&Bitmap::of(&[1, 4]));
    }),
    Case(68, "f", |w| {
        anonymous(w);
        w.write(&0_u64);
        w.write(&8_u32);
    }),
    Case(69, "f", |w| {
        anonymous(w);
        w.write(&0_u64);
        w.write(&1_u32);
    }),
    Case(71, "t", |w| {
        anonymous(w);
        anonymous(w);
        w.raw(&[0; 3 * 8]);
    }),
    Case(72, "f", |w| w.write("kept")),
    Case(73, "f", |w| {
        w.write(&0_u32);
        w.write("a");
        w.write("value");
    }),
    Case(74, "f", |w| {
        w.write(&0_u64);
        w.write(&4096_u32);
    }),
    Case(75, "f", |w| w.write("gone")),
];

fn make<'h>(compound: Compound<'h>, kind: u32, name: &str) -> Compound<'h> {
    compound.putrootfh().lookup("export").op(6, |w| {
        w.write(&kind);
        if kind == 5 {
            w.write("target");
        }
        w.write(name);
        no_attributes(w);
    })
}

/// The operation after as many others as put it in its place; with the object as the saved one,
/// too.
fn stand<'h>(compound: Compound<'h>, Case(number, at, arguments): &Case) -> Compound<'h> {
    let compound = compound.putrootfh().lookup("export");
    let compound = match (*number, *at) {
        (11, _) => other_saved(compound),
        (60 | 71, name) => other_saved(compound).lookup(name),
        (29, _) => compound.op(SAVEFH, |_| ()),
        (_, "") => compound,
        (_, name) => compound.lookup(name),
    };
    compound.op(*number, arguments)
}

/// Something to copy.
async fn write(client: &Client41<'_>, name: &str) {
    let write = client.file(name).write_file(StateId::ANONYMOUS, "data");
    write.run().await.ok();
}

/// At the share's root, with the file `f` as the saved object.
fn other_saved(compound: Compound<'_>) -> Compound<'_> {
    let saved = compound.lookup("f").op(SAVEFH, |_| ());
    saved.putrootfh().lookup("export")
}

#[tokio::test]
async fn whatever_the_file_system_says() {
    let fs = Arc::new(Failing::new());
    let share = Share {
        fs: fs.clone(),
        ..Harness::share()
    };
    let h = Harness::exporting(Settings::default(), share);
    let client = h.client41("a").await;
    let newer = h.client42("b").await;
    let mut seen = std::collections::BTreeSet::new();
    for error in ERRORS {
        for calls in 0..14 {
            for case in CASES.iter().chain(CASES_42) {
                fs.recover();
                for (kind, name) in [(2, "d"), (5, "l")] {
                    make(h.compound(0), kind, name).run().await;
                }
                for name in ["f", "t"] {
                    let file = client.compound().putrootfh().lookup("export");
                    let file = file.open_file(client.id, 0, "owner", name);
                    let stateid: StateId = file.run().await.skip(2).ok_body();
                    let close = client.file(name).close_file(0, stateid);
                    close.run().await.ok();
                }
                write(&client, "f").await;
                for name in ["kept", "gone"] {
                    let file = newer.compound().putrootfh().lookup("export").lookup("f");
                    file.set_xattr(0, name.as_bytes(), b"x").run().await.ok();
                }
                let mut compounds = vec![newer.compound()];
                if case.0 < 59 {
                    compounds.extend([h.compound(0), client.compound()]);
                }
                for compound in compounds {
                    fs.fail_after(calls, error);
                    let status = stand(compound, case).status().await;
                    seen.insert((case.0, status));
                    fs.recover();
                }
            }
        }
    }
    // The cases get as far as the operations that they mean.
    for case in CASES.iter().chain(CASES_42) {
        assert!(seen.contains(&(case.0, Status::Ok)), "{}", case.0);
    }
}
