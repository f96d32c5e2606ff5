//! What this server does not offer, it refuses by name and without a guess at the arguments: they
//! are read to the last word, so that a malformed request is told from an unsupported one.

use crate::status::Status;
use crate::testing::Harness;
use crate::types::{Bitmap, ClientId, FileHandle, StateId};
use crate::xdr::Writer;

type Arguments = fn(&mut Writer);

fn stateid(w: &mut Writer) {
    w.write(&StateId {
        seqid: 1,
        other: [7; 12],
    });
}

/// Operations of 4.1 that are not offered (RFC 8881 §17), with good arguments.
const NOT_OFFERED: [(u32, Arguments); 6] = [
    // DELEGPURGE
    (7, |w| w.write(&ClientId(1))),
    // GETDEVICEINFO, GETDEVICELIST
    (47, |w| {
        w.raw(&[0; 16]);
        w.write(&1_u32);
        w.write(&4096_u32);
        w.write(&Bitmap::EMPTY);
    }),
    (48, |w| {
        w.write(&1_u32);
        w.write(&16_u32);
        w.write(&0_u64);
        w.raw(&[0; 8]);
    }),
    // LAYOUTCOMMIT, LAYOUTGET, LAYOUTRETURN
    (49, |w| {
        w.write(&0_u64);
        w.write(&1_u64);
        w.write(&false);
        stateid(w);
        w.write(&false);
        w.write(&false);
        w.write(&1_u32);
        w.write("");
    }),
    (50, |w| {
        w.write(&false);
        w.write(&1_u32);
        w.write(&1_u32);
        for _ in 0..3 {
            w.write(&1_u64);
        }
        stateid(w);
        w.write(&4096_u32);
    }),
    (51, |w| {
        w.write(&false);
        w.write(&1_u32);
        w.write(&3_u32);
        w.write(&3_u32);
    }),
];

/// Operations of 4.2 that are not offered (RFC 7862 §13), with good arguments.
const NOT_OFFERED_42: [(u32, Arguments); 4] = [
    // COPY_NOTIFY
    (61, |w| {
        stateid(w);
        place(w);
    }),
    // LAYOUTERROR, LAYOUTSTATS
    (64, |w| {
        w.write(&0_u64);
        w.write(&1_u64);
        stateid(w);
        w.write(&1_u32);
        w.raw(&[0xff; 24]);
    }),
    (65, |w| {
        w.write(&0_u64);
        w.write(&1_u64);
        stateid(w);
        w.raw(&[0; 32 + 16]);
        w.write(&1_u32);
        w.write("");
    }),
    // WRITE_SAME
    (70, |w| {
        stateid(w);
        w.write(&2_u32);
        w.raw(&[0; 4 * 8 + 4 + 8]);
        w.write("xyz");
    }),
];

/// netloc4
fn place(w: &mut Writer) {
    w.write(&3_u32);
    w.write("tcp");
    w.write("192.0.2.1.8.1");
}

#[tokio::test]
async fn each_is_not_supported_and_half_of_one_is_bad_xdr() {
    let h = Harness::new();
    let of_41 = h.client41("a").await;
    let of_42 = h.client42("b").await;
    let of_41 = NOT_OFFERED.map(|operation| (&of_41, operation));
    let of_42 = NOT_OFFERED_42.map(|operation| (&of_42, operation));
    for (client, (number, arguments)) in of_41.into_iter().chain(of_42) {
        let whole = client.compound().putrootfh().op(number, arguments);
        let mut reply = whole.run().await;
        assert_eq!(reply.skip(1).next(), (number, Status::Notsupp));
        let half = client.compound().putrootfh().op(number, |w| {
            let mut all = Writer::default();
            arguments(&mut all);
            w.raw(&all.as_slice()[4..]);
        });
        // Four bytes short.
        assert_eq!(half.status().await, Status::Badxdr, "{number}");
    }
}

#[tokio::test]
async fn there_is_no_directory_delegation_and_that_is_no_error() {
    let h = Harness::new();
    let client = h.client41("a").await;
    let mut reply = client
        .compound()
        .putrootfh()
        .op(46, |w| {
            w.write(&true);
            w.write(&Bitmap::EMPTY);
            for _ in 0..2 {
                w.write(&0_u64);
                w.write(&0_u32);
            }
            w.write(&Bitmap::EMPTY);
            w.write(&Bitmap::EMPTY);
        })
        .run()
        .await;
    let unavailable: (u32, bool) = (reply.skip(1).ok_body(), reply.body());
    assert_eq!(unavailable, (1, false), "GDD4_UNAVAIL, and no signal");
}

#[tokio::test]
async fn no_stateid_is_a_delegation() {
    let h = Harness::new();
    let client = h.client41("a").await;
    let open = client.compound().putrootfh().lookup("export");
    let returned = open
        .open_file(client.id, 0, "owner", "f")
        .with(8, &StateId::CURRENT);
    assert_eq!(returned.status().await, Status::BadStateid);
}

#[tokio::test]
async fn the_public_handle_is_the_root() {
    let h = Harness::new();
    let public = h.compound(0).op(23, |_| ()).getfh();
    let root = h.compound(0).putrootfh().getfh();
    let handle: FileHandle = public.run().await.skip(1).ok_body();
    assert_eq!(handle, root.run().await.skip(1).ok_body());
}
