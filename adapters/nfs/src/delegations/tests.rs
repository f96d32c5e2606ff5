//! Delegations over the wire: clients that are called over the loopback interface.

mod foreign;

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::*;

mod life;

use crate::callback::tests::{World, client40, results, sequence};
use crate::settings::Settings;
use crate::state::files::DelegationKind;
use crate::status::Status;
use crate::testing::{Called, Client41, Compound, Harness, Peer, Reply};
use crate::types::{Bitmap, FileHandle, StateId};
use crate::xdr::{Reader, Writer};

const READ: u32 = 1;
const BOTH: u32 = 3;
const WANT_READ: u32 = 0x100;
const WANT_WRITE: u32 = 0x200;
const WANT_ANY: u32 = 0x300;

/// OPEN_DELEGATE_NONE, READ, WRITE and NONE_EXT.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Nothing,
    Read(StateId),
    Write(StateId),
    Not(u32),
}

impl Got {
    fn stateid(&self) -> StateId {
        match self {
            Self::Read(stateid) | Self::Write(stateid) => *stateid,
            other => panic!("{other:?}"),
        }
    }
}

/// OPEN of a file in the share, created if need be.
fn open<'h>(at: Compound<'h>, (access, deny): (u32, u32), name: &str) -> Compound<'h> {
    opens(at, (access, deny), |w| {
        w.write(&0_u32);
        w.write(name);
    })
}

fn opens(
    at: Compound<'_>,
    (access, deny): (u32, u32),
    claim: impl FnOnce(&mut Writer),
) -> Compound<'_> {
    at.op(18, |w| {
        w.write(&0_u32);
        w.write(&access);
        w.write(&deny);
        w.write(&0_u64);
        w.write("owner");
        if access & 0xff == BOTH {
            w.write(&1_u32);
            w.write(&0_u32);
            w.write(&Bitmap::of(&[33]));
            w.write(&4_u32);
            w.write(&0o666_u32);
        } else {
            w.write(&0_u32);
        }
        claim(w);
    })
}

fn share<'h>(client: &Client41<'h>) -> Compound<'h> {
    client.compound().putrootfh().lookup("export")
}

fn file<'h>(client: &Client41<'h>, name: &str) -> Compound<'h> {
    share(client).lookup(name)
}

/// Passes over SEQUENCE's successors and reads OPEN's result.
fn opened(reply: &mut Reply, before: usize) -> (StateId, Got) {
    let stateid: StateId = reply.skip(before).ok_body();
    let _change: (bool, u64, u64) = (reply.body(), reply.body(), reply.body());
    let _flags: u32 = reply.body();
    let _attrs: Bitmap = reply.body();
    (stateid, granted(reply))
}

fn granted(reply: &mut Reply) -> Got {
    granted_for(reply, false)
}

/// Whether it is wanted back at once is told too.
fn granted_for(reply: &mut Reply, recalled: bool) -> Got {
    match reply.body::<u32>() {
        0 => Got::Nothing,
        kind @ (1 | 2) => {
            let stateid = reply.body();
            assert_eq!(reply.body::<bool>(), recalled, "wanted back");
            if kind == 2 {
                assert_eq!(reply.body::<u32>(), 1, "NFS_LIMIT_SIZE");
                assert_eq!(reply.body::<u64>(), 0, "a close writes back");
            }
            let ace: (u32, u32) = (reply.body(), reply.body());
            assert_eq!(ace, (0, 0), "allowed");
            assert_ne!(reply.body::<u32>(), 0, "the opener may open");
            assert_eq!(reply.body::<Bytes>(), "1000");
            if kind == 1 {
                Got::Read(stateid)
            } else {
                Got::Write(stateid)
            }
        }
        3 => {
            let why = reply.body();
            if matches!(why, 1 | 2) {
                assert!(!reply.body::<bool>(), "nobody is told later");
            }
            Got::Not(why)
        }
        other => panic!("type {other}"),
    }
}

async fn get(client: &Client41<'_>, access: u32, name: &str) -> (StateId, Got) {
    let mut reply = open(share(client), (access, 0), name).run().await;
    opened(&mut reply, 2)
}

async fn try_open(client: &Client41<'_>, access: u32, name: &str) -> Status {
    open(share(client), (access, 0), name).status().await
}

/// A file that nobody has open.
async fn make(client: &Client41<'_>, name: &str) {
    let (stateid, got) = get(client, BOTH | 0x400, name).await;
    assert_eq!(got, Got::Not(0));
    let closed = file(client, name).close_file(0, stateid);
    closed.run().await.ok();
}

fn give_back<'h>(client: &Client41<'h>, name: &str, stateid: StateId) -> Compound<'h> {
    file(client, name).with(8, &stateid)
}

/// A recall that comes now: its stateid and whether the file is about to be cut.
async fn recalled(peer: &mut Peer, client: &Client41<'_>, status: Status) -> (StateId, bool) {
    let mut called = peer.called().await;
    let (slot, number, _) = sequence(&mut called, client.session);
    pass_referrals(&mut called);
    assert_eq!(called.word(), 4);
    let recall = (called.args.read().unwrap(), called.args.read().unwrap());
    let _file: FileHandle = called.args.read().unwrap();
    peer.answer(&called, |w| {
        results(w, client.session, (slot, number), (4, status));
    })
    .await;
    recall
}

fn pass_referrals(called: &mut Called) {
    for _ in 0..called.word() {
        called.args.fixed::<16>().unwrap();
        for _ in 0..called.word() {
            called.args.fixed::<8>().unwrap();
        }
    }
}

fn ask(server: &Arc<Server>, compound: &Compound<'_>) -> JoinHandle<Reply> {
    serve(server, compound.bytes())
}

fn serve(server: &Arc<Server>, bytes: Vec<u8>) -> JoinHandle<Reply> {
    let h = Harness::of(Arc::clone(server));
    tokio::spawn(async move { Reply::new(h.serve(&bytes).await) })
}

async fn world() -> World {
    World::of(Settings::default()).await
}

#[tokio::test]
async fn a_client_gets_what_it_wants_or_the_reason_why_not() {
    let w = world().await;
    let (a, _peer_a) = w.client("a").await;
    let (b, _peer_b) = w.client("b").await;
    let silent = w.h.client41("c").await;
    for name in ["r", "w", "x", "y", "z", "n"] {
        make(&a, name).await;
    }
    assert!(matches!(get(&a, READ, "r").await.1, Got::Read(_)));
    assert!(matches!(
        get(&b, READ | WANT_READ, "r").await.1,
        Got::Read(_)
    ));
    assert_eq!(
        get(&b, READ | WANT_READ, "r").await.1,
        Got::Not(1),
        "it has one"
    );
    assert_eq!(get(&b, READ, "r").await.1, Got::Nothing, "it did not ask");
    assert_eq!(get(&b, READ | WANT_WRITE, "r").await.1, Got::Not(5));
    assert!(matches!(get(&a, BOTH, "w").await.1, Got::Write(_)));
    assert_eq!(get(&a, READ | WANT_READ, "w").await.1, Got::Not(6));
    assert!(matches!(
        get(&a, READ | WANT_ANY, "x").await.1,
        Got::Read(_)
    ));
    assert!(matches!(
        get(&a, BOTH | WANT_ANY, "y").await.1,
        Got::Write(_)
    ));
    assert!(matches!(
        get(&a, BOTH | WANT_READ, "z").await.1,
        Got::Read(_)
    ));
    let unreachable = get(&silent, READ | WANT_READ, "n").await.1;
    assert_eq!(unreachable, Got::Not(2));
    assert!(matches!(
        get(&a, READ | WANT_READ, "n").await.1,
        Got::Read(_)
    ));
}

#[tokio::test]
async fn switched_off_overall_or_for_a_share_nobody_gets_any() {
    let w = world().await;
    let (a, _peer) = w.client("a").await;
    make(&a, "f").await;
    for settings in [
        Settings {
            delegations_enabled: false,
            ..Settings::default()
        },
        Settings {
            shares_without_delegations: vec!["/export".into()],
            ..Settings::default()
        },
    ] {
        w.h.server.set_settings(settings);
        assert_eq!(get(&a, READ | WANT_READ, "f").await.1, Got::Not(2));
    }
    w.h.server.set_settings(Settings {
        shares_without_delegations: vec!["/other".into()],
        max_delegations: 1,
        ..Settings::default()
    });
    assert!(matches!(get(&a, READ, "f").await.1, Got::Read(_)));
    make(&a, "g").await;
    assert_eq!(get(&a, READ | WANT_READ, "g").await.1, Got::Not(2));
}

#[tokio::test]
async fn an_open_waits_for_a_delegation_to_come_back_and_then_is_done() {
    let w = world().await;
    let (a, mut peer) = w.client("a").await;
    let b = w.h.client41("b").await;
    make(&a, "f").await;
    let stateid = get(&a, READ, "f").await.1.stateid();
    let waiting = ask(&w.h.server, &open(share(&b), (BOTH, 0), "f"));
    let recall = recalled(&mut peer, &a, Status::Ok).await;
    assert_eq!(recall, (stateid, false));
    give_back(&a, "f", stateid).run().await.ok();
    let mut reply = waiting.await.unwrap();
    // Either it waited long enough, or it is done when it is asked again.
    if reply.status == Status::Delay {
        reply = open(share(&b), (BOTH, 0), "f").run().await;
    }
    assert_eq!(opened(&mut reply, 2).1, Got::Nothing);
    let again = get(&a, READ | WANT_READ, "f").await.1;
    assert_eq!(again, Got::Not(1), "others write");
}

/// A COMPOUND that uses a file.
type Use = fn(&Client41<'_>, &str, StateId) -> Vec<u8>;

#[tokio::test]
async fn each_access_of_others_is_delayed_until_the_file_is_free() {
    let w = world().await;
    let (a, mut peer) = w.client("a").await;
    let b = w.h.client42("b").await;
    let anonymous = StateId::ANONYMOUS;
    let accesses: [(&str, u32, Use); 10] = [
        ("setattr", READ, |b, name, _| {
            let at = file(b, name).op(34, |w| {
                w.write(&StateId::ANONYMOUS);
                w.write(&Bitmap::of(&[33]));
                w.write(&4_u32);
                w.write(&0o600_u32);
            });
            at.bytes()
        }),
        ("setxattr", READ, |b, name, _| {
            file(b, name).set_xattr(0, b"a", b"x").bytes()
        }),
        ("removexattr", READ, |b, name, _| {
            // There is one by then.
            let at = file(b, name);
            at.set_xattr(0, b"a", b"x").remove_xattr(b"a").bytes()
        }),
        ("write", READ, |b, name, stateid| {
            file(b, name).write_file(stateid, "x").bytes()
        }),
        ("read", WANT_WRITE | BOTH, |b, name, stateid| {
            let at = file(b, name).op(25, |w| {
                w.write(&stateid);
                w.write(&0_u64);
                w.write(&1_u32);
            });
            at.bytes()
        }),
        ("lockt", WANT_WRITE | BOTH, |b, name, _| {
            let at = file(b, name).op(13, |w| {
                w.write(&1_u32);
                w.write(&0_u64);
                w.write(&1_u64);
                w.write(&0_u64);
                w.write("l");
            });
            at.bytes()
        }),
        ("link", READ, |b, name, _| {
            let at = file(b, name).op(32, |_| ()).putrootfh().lookup("export");
            at.with(11, &Bytes::from_static(b"linked")).bytes()
        }),
        ("rename", READ, |b, name, _| {
            let at = share(b).op(32, |_| ());
            at.op(29, |w| {
                w.write(name);
                w.write("renamed");
            })
            .bytes()
        }),
        ("replace", READ, |b, name, _| {
            let at = share(b).op(32, |_| ());
            at.op(29, |w| {
                w.write("renamed");
                w.write(name);
            })
            .bytes()
        }),
        ("remove", READ, |b, name, _| {
            share(b)
                .with(28, &Bytes::copy_from_slice(name.as_bytes()))
                .bytes()
        }),
    ];
    for (name, access, encode) in accesses {
        make(&a, name).await;
        let stateid = get(&a, access, name).await.1.stateid();
        let attempt = async || Reply::new(w.h.serve(&encode(&b, name, anonymous)).await).status;
        assert_eq!(attempt().await, Status::Delay, "{name}");
        assert_eq!(recalled(&mut peer, &a, Status::Ok).await.0, stateid);
        assert_eq!(
            attempt().await,
            Status::Delay,
            "{name}, and no further recall"
        );
        give_back(&a, name, stateid).run().await.ok();
        assert_eq!(attempt().await, Status::Ok, "{name}");
    }
}

#[tokio::test]
async fn what_the_client_does_itself_its_delegation_is_not_in_the_way_of() {
    let w = world().await;
    let (a, _peer) = w.client("a").await;
    make(&a, "f").await;
    let stateid = get(&a, READ, "f").await.1.stateid();
    assert_eq!(try_open(&a, BOTH, "f").await, Status::Ok);
    let write = file(&a, "f").write_file(StateId::ANONYMOUS, "x");
    write.run().await.ok();
    let removed = share(&a).with(28, &Bytes::from_static(b"f"));
    removed.run().await.ok();
    assert_eq!(
        w.h.server
            .state
            .files
            .overdue(Instant::now(), Duration::ZERO)
            .len(),
        0
    );
    let tested = a.compound().with(55, &vec![stateid]).run().await.ok_body();
    assert_eq!((1_u32, tested), (1, 1_u32));
}

#[tokio::test]
async fn data_are_read_and_written_under_a_delegation_when_all_opens_are_closed() {
    let w = world().await;
    let (a, _peer) = w.client("a").await;
    let (open, got) = get(&a, BOTH, "f").await;
    let Got::Write(stateid) = got else {
        panic!("for writing");
    };
    file(&a, "f").close_file(0, open).run().await.ok();
    file(&a, "f").write_file(stateid, "data").run().await.ok();
    let read = file(&a, "f").op(25, |w| {
        w.write(&stateid);
        w.write(&0_u64);
        w.write(&10_u32);
    });
    let mut read = read.run().await;
    let (eof, data): (bool, Bytes) = (read.skip(3).ok_body(), read.body());
    assert!(eof && data == "data");
    make(&a, "g").await;
    let reading = get(&a, READ | WANT_READ, "g").await.1.stateid();
    let refused = file(&a, "g").write_file(reading, "x").status().await;
    assert_eq!(refused, Status::Openmode);
}

#[tokio::test]
async fn opens_are_made_known_under_a_delegation_while_it_is_recalled() {
    let w = world().await;
    let (a, mut peer) = w.client("a").await;
    let b = w.h.client41("b").await;
    make(&a, "f").await;
    let stateid = get(&a, READ, "f").await.1.stateid();
    assert_eq!(try_open(&b, BOTH, "f").await, Status::Delay);
    recalled(&mut peer, &a, Status::Ok).await;

    let by_name = opens(share(&a), (READ, 0), |w| {
        w.write(&2_u32);
        w.write(&stateid);
        w.write("f");
    });
    assert_eq!(opened(&mut by_name.run().await, 2).1, Got::Nothing);
    let by_handle = |client: &Client41<'_>, access, stateid: StateId| {
        opens(file(client, "f"), (access, 0), |w| {
            w.write(&5_u32);
            w.write(&stateid);
        })
        .bytes()
    };
    let ask = async |bytes: Vec<u8>| Reply::new(w.h.serve(&bytes).await).status;
    assert_eq!(ask(by_handle(&a, READ, stateid)).await, Status::Ok);
    assert_eq!(ask(by_handle(&b, READ, stateid)).await, Status::BadStateid);
    assert_eq!(
        ask(by_handle(&a, READ, StateId::ANONYMOUS)).await,
        Status::BadStateid
    );
    let before = opens(share(&a), (READ, 0), |w| {
        w.write(&3_u32);
        w.write("f");
    });
    assert_eq!(before.status().await, Status::Notsupp);
    give_back(&a, "f", stateid).run().await.ok();
    assert_eq!(ask(by_handle(&a, READ, stateid)).await, Status::BadStateid);
}

/// GETATTR of change counter and size.
fn getattr<'h>(client: &Client41<'h>, name: &str) -> Compound<'h> {
    file(client, name).with(9, &Bitmap::of(&[3, 4]))
}

fn attrs(reply: &mut Reply) -> (u64, u64) {
    let _mask: Bitmap = reply.skip(3).ok_body();
    let mut values = Reader::new(reply.body());
    (values.read().unwrap(), values.read().unwrap())
}

/// Answers CB_GETATTR, which must be the next message, with change counter and size.
async fn tell(peer: &mut Peer, client: &Client41<'_>, change: u64, size: u64) {
    let mut called = peer.called().await;
    let (slot, number, _) = sequence(&mut called, client.session);
    assert_eq!((called.word(), called.word()), (0, 3));
    let _file: FileHandle = called.args.read().unwrap();
    assert_eq!(called.args.read::<Bitmap>().unwrap(), Bitmap::of(&[3, 4]));
    peer.answer(&called, |w| {
        results(w, client.session, (slot, number), (3, Status::Ok));
        w.write(&Bitmap::of(&[3, 4]));
        w.write(&16_u32);
        w.write(&change);
        w.write(&size);
    })
    .await;
}

#[tokio::test]
async fn who_may_write_without_telling_is_asked_for_size_and_change_counter() {
    let w = world().await;
    let (a, mut peer) = w.client("a").await;
    let b = w.h.client41("b").await;
    let stateid = get(&a, BOTH, "f").await.1.stateid();
    let (change, size) = attrs(&mut getattr(&a, "f").run().await);
    assert_eq!(size, 0, "and nobody was asked");

    let told = async |peer: &mut Peer, change, size| {
        let asked = ask(&w.h.server, &getattr(&b, "f"));
        tell(peer, &a, change, size).await;
        attrs(&mut asked.await.unwrap())
    };
    assert_eq!(told(&mut peer, change, 0).await, (change, 0), "not changed");
    let (first, size) = told(&mut peer, change + 1, 5).await;
    assert!(first > change && size == 5);
    let (second, size) = told(&mut peer, change + 1, 5).await;
    assert!(second > first && size == 5, "perhaps changed again");
    let (third, size) = told(&mut peer, change, 7).await;
    assert!(third > second && size == 7, "its size has changed");

    // Entries of a directory are files too.
    let readdir = |client: &Client41<'_>| {
        let at = share(client).op(26, |w| {
            w.write(&0_u64);
            w.write(&0_u64);
            w.write(&0_u32);
            w.write(&4096_u32);
            w.write(&Bitmap::of(&[4]));
        });
        at.bytes()
    };
    let size_in = |reply: &mut Reply| {
        reply.skip(2);
        assert_eq!(reply.next(), (26, Status::Ok));
        let _verifier: u64 = reply.body();
        assert!(reply.body::<bool>());
        let _cookie: u64 = reply.body();
        assert_eq!(reply.body::<Bytes>(), "f");
        let _mask: Bitmap = reply.body();
        let _length: u32 = reply.body();
        reply.body::<u64>()
    };
    let listing = serve(&w.h.server, readdir(&b));
    tell(&mut peer, &a, change, 9).await;
    assert_eq!(size_in(&mut listing.await.unwrap()), 9);

    give_back(&a, "f", stateid).run().await.ok();
    let (last, size) = attrs(&mut getattr(&b, "f").run().await);
    assert_eq!(size, 0, "nothing was ever written");
    assert!(last > change, "what others saw was a change");
}

#[tokio::test]
async fn what_a_delegate_does_not_answer_it_has_to_give_back() {
    let w = World::of(Settings {
        callback_timeout: 1,
        ..Settings::default()
    })
    .await;
    let (a, mut peer) = w.client("a").await;
    let b = w.h.client41("b").await;
    let stateid = get(&a, BOTH, "f").await.1.stateid();
    let asked = ask(&w.h.server, &getattr(&b, "f"));
    let mut called = peer.called().await;
    let (slot, number, _) = sequence(&mut called, a.session);
    peer.answer(&called, |w| {
        results(w, a.session, (slot, number), (3, Status::Badhandle));
    })
    .await;
    assert_eq!(recalled(&mut peer, &a, Status::Ok).await.0, stateid);
    give_back(&a, "f", stateid).run().await.ok();
    let status = asked.await.unwrap().status;
    assert!(matches!(status, Status::Ok | Status::Delay), "{status:?}");
    getattr(&b, "f").run().await.ok();
}

#[tokio::test]
async fn what_does_not_come_back_is_taken_away_and_its_client_told() {
    let w = world().await;
    let (a, mut peer) = w.client("a").await;
    let b = w.h.client41("b").await;
    make(&a, "f").await;
    let stateid = get(&a, READ, "f").await.1.stateid();
    assert_eq!(try_open(&b, BOTH, "f").await, Status::Delay);
    recalled(&mut peer, &a, Status::Ok).await;
    let later = |seconds| Instant::now() + Duration::from_secs(seconds);
    sweep(&w.h.server, later(80)).await;
    assert_eq!(try_open(&b, BOTH, "f").await, Status::Delay);
    sweep(&w.h.server, later(91)).await;
    assert_eq!(try_open(&b, BOTH, "f").await, Status::Ok);

    let flags = async || {
        let reply = a.compound().run().await;
        u32::from_be_bytes(*reply.bytes.last_chunk().unwrap())
    };
    assert_eq!(flags().await, 0x40, "SEQ4_STATUS_RECALLABLE_STATE_REVOKED");
    let returned = give_back(&a, "f", stateid).status().await;
    assert_eq!(returned, Status::DelegRevoked);
    make(&a, "g").await;
    let owing = get(&a, READ | WANT_READ, "g").await.1;
    assert_eq!(owing, Got::Not(2), "it has to know first");
    a.compound().with(45, &stateid).run().await.ok();
    assert_eq!(flags().await, 0);
    assert!(matches!(get(&a, READ, "g").await.1, Got::Read(_)));
}

#[tokio::test]
async fn a_recall_is_repeated_until_it_is_understood_and_ends_if_there_is_nothing_to_give() {
    let w = world().await;
    let (a, mut peer) = w.client("a").await;
    let b = w.h.client41("b").await;
    make(&a, "f").await;
    let stateid = get(&a, READ, "f").await.1.stateid();
    assert_eq!(try_open(&b, BOTH, "f").await, Status::Delay);
    for _ in 0..3 {
        recalled(&mut peer, &a, Status::BadStateid).await;
    }
    let files = &w.h.server.state.files;
    w.until(|| files.delegations(DelegationKind::Read) == 0)
        .await;
    assert_eq!(try_open(&b, BOTH, "f").await, Status::Ok);
    let returned = give_back(&a, "f", stateid).status().await;
    assert_eq!(returned, Status::DelegRevoked);
}

#[tokio::test]
async fn a_change_that_asked_nobody_recalls_what_was_granted() {
    let w = world().await;
    let (a, mut peer) = w.client("a").await;
    make(&a, "f").await;
    let stateid = get(&a, READ, "f").await.1.stateid();
    let handle: FileHandle = file(&a, "f").getfh().run().await.skip(3).ok_body();
    let (_, rest) = handle.as_bytes().split_at(2);
    let (share, inner) = rest.split_at(16);
    let key = FileKey {
        share: uuid::Uuid::from_slice(share).unwrap(),
        handle: dittofs_sdk::vfs::Handle::new(inner).unwrap(),
    };
    changed_elsewhere(&w.h.server, key);
    assert_eq!(recalled(&mut peer, &a, Status::Ok).await.0, stateid);
    give_back(&a, "f", stateid).run().await.ok();
}

#[tokio::test]
async fn an_open_that_cuts_the_file_says_so_to_the_delegate() {
    let w = world().await;
    let (a, mut peer) = w.client("a").await;
    let b = w.h.client41("b").await;
    let stateid = get(&a, BOTH, "f").await.1.stateid();
    let cut = share(&b).op(18, |w| {
        w.write(&0_u32);
        w.write(&BOTH);
        w.write(&0_u32);
        w.write(&0_u64);
        w.write("owner");
        w.write(&1_u32);
        w.write(&0_u32);
        w.write(&Bitmap::of(&[4]));
        w.write(&8_u32);
        w.write(&0_u64);
        w.write(&0_u32);
        w.write("f");
    });
    assert_eq!(cut.status().await, Status::Delay);
    assert_eq!(recalled(&mut peer, &a, Status::Ok).await, (stateid, true));
}

#[tokio::test]
async fn a_delegation_can_be_wanted_without_an_open() {
    let w = world().await;
    let (a, _peer) = w.client("a").await;
    make(&a, "f").await;
    make(&a, "g").await;
    let want = async |name, want: u32| {
        let at = file(&a, name).op(56, |w| {
            w.write(&want);
            w.write(&4_u32);
        });
        let mut reply = at.run().await;
        reply.skip(3);
        assert_eq!(reply.next(), (56, Status::Ok));
        granted(&mut reply)
    };
    let Got::Read(stateid) = want("f", WANT_READ).await else {
        panic!("for reading");
    };
    assert!(matches!(want("g", WANT_ANY).await, Got::Write(_)));
    assert_eq!(want("f", WANT_WRITE).await, Got::Not(5));
    let read = file(&a, "f").op(25, |w| {
        w.write(&stateid);
        w.write(&0_u64);
        w.write(&1_u32);
    });
    read.run().await.ok();
    give_back(&a, "f", stateid).run().await.ok();
}

#[tokio::test]
async fn delegations_of_a_client_end_with_it() {
    let w = world().await;
    let (a, _peer) = w.client("a").await;
    make(&a, "f").await;
    get(&a, READ, "f").await;
    assert_eq!(a.compound().with(7, &a.id).status().await, Status::Notsupp);
    let state = &w.h.server.state;
    let client = state.clients.find(a.id).unwrap();
    drop(state.discard(&client, Instant::now()));
    for kind in DelegationKind::ALL {
        assert_eq!(state.files.delegations(kind), 0);
    }
}

#[tokio::test]
async fn a_40_client_gets_delegations_and_learns_from_renew_when_it_can_not_be_called() {
    let w = World::of(Settings {
        callback_timeout: 1,
        ..Settings::default()
    })
    .await;
    let (client, mut peer) = client40(&w).await;
    let at = || w.h.compound(0).putrootfh().lookup("export");
    let mut first = at().open_file(client, 0, "o", "f").run().await;
    let (unconfirmed, got) = opened(&mut first, 2);
    assert_eq!(got, Got::Nothing, "it is to be confirmed");
    let confirm = at().lookup("f").open_confirm(unconfirmed, 1);
    confirm.run().await.ok();
    let mut second = at().open_file(client, 2, "o", "f").run().await;
    let (_, got) = opened(&mut second, 2);
    let Got::Write(stateid) = got else {
        panic!("{got:?}");
    };
    w.h.compound(0).renew(client).run().await.ok();
    let attributes = at().lookup("f").with(9, &Bitmap::of(&[3, 4]));
    attributes.run().await.ok();

    // Nobody says who removes: the client's own delegation is in its way.
    let remove = || at().with(28, &Bytes::from_static(b"f"));
    assert_eq!(remove().status().await, Status::Delay);
    let mut called = peer.called().await;
    assert_eq!((called.word(), called.word(), called.word()), (0, 1, 1));
    assert_eq!(called.word(), 4);
    assert_eq!(called.args.read::<StateId>().unwrap(), stateid);
    drop(peer);
    w.until(|| !w.reaches(client)).await;
    let renewed = w.h.compound(0).renew(client).status().await;
    assert_eq!(renewed, Status::CbPathDown);
    at().lookup("f").with(8, &stateid).run().await.ok();
    w.h.compound(0).renew(client).run().await.ok();
    remove().run().await.ok();
}
