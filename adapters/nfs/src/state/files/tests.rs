use bytes::Bytes;
use dittofs_sdk::vfs::{Attr, Buffer, Handle, Op, ReadOk, Stability, VfsError, Written};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

mod delegations;
mod waiting;

const V41: Caller = Caller::V41(ClientId(1));
const ME: u32 = 1000;
const OTHER: Caller = Caller::V41(ClientId(2));

/// A file that counts how many of it are open.
struct Counted {
    _open: Arc<()>,
}

impl File for Counted {
    fn attr(&self) -> Op<Attr> {
        Op::err(VfsError::Io)
    }
    fn read(&self, _: u64, _: u32, _: Buffer) -> Op<ReadOk> {
        Op::err(VfsError::Io)
    }
    fn write(&self, _: u64, _: Bytes, _: Stability) -> Op<Written> {
        Op::err(VfsError::Io)
    }
    fn commit(&self, _: u64, _: u64) -> Op<()> {
        Op::err(VfsError::Io)
    }
    fn truncate(&self, _: u64) -> Op<Attr> {
        Op::err(VfsError::Io)
    }
}

struct World {
    files: Files,
    open: Arc<()>,
}

fn world() -> World {
    let files = Files::new(1, RandomState::new());
    for client in 1..=2 {
        files.admit_client(ClientId(client), &Arc::default());
    }
    World {
        files,
        open: Arc::new(()),
    }
}

fn key(name: u8) -> FileKey {
    FileKey {
        share: Uuid::nil(),
        handle: Handle::new(&[name]).unwrap(),
    }
}

fn owner(client: u64, role: Role, name: u8) -> Owner {
    Owner {
        client: ClientId(client),
        role,
        name: Arc::from([name]),
    }
}

fn opener(client: u64, name: u8) -> Owner {
    owner(client, Role::Open, name)
}

fn locker(client: u64, name: u8) -> Owner {
    owner(client, Role::Lock, name)
}

fn bound(each: usize) -> Bound {
    Bound { each, all: 1000 }
}

fn want(offset: u64, length: u64, kind: LockKind) -> LockRequest {
    LockRequest {
        range: Range::new(offset, length).unwrap(),
        kind,
        limit: bound(100),
        waits: Waits {
            blocking: false,
            now: Instant::now(),
            lease: Duration::from_secs(90),
            tell: None,
        },
    }
}

impl World {
    fn try_open(
        &self,
        owner: Owner,
        file: u8,
        access: u32,
        deny: u32,
        limit: usize,
    ) -> Result<Opened, Status> {
        let caller = Caller::V41(owner.client);
        let share = Share::new(access, deny).unwrap();
        let request = OpenRequest {
            owner,
            key: key(file),
            user: ME,
            share,
            touch: Touch::of_open(share),
            file: Arc::new(Counted {
                _open: Arc::clone(&self.open),
            }),
            confirmed: true,
            limit: bound(limit),
        };
        self.files.open(caller, &request)
    }

    fn open(&self, owner: Owner, file: u8, access: u32, deny: u32) -> Result<StateId, Status> {
        let opened = self.try_open(owner, file, access, deny, 100)?;
        Ok(opened.stateid)
    }

    fn open_files(&self) -> usize {
        Arc::strong_count(&self.open) - 1
    }

    fn is_empty(&self) -> bool {
        let shards = self.files.shards.iter();
        self.open_files() == 0
            && self.files.index.totals().0 == 0
            && self.files.ranges() == 0
            && shards
                .map(|shard| shard.lock())
                .all(|shard| shard.files.len() == 0 && shard.states.is_empty())
    }
}

#[test]
fn a_second_open_of_one_owner_widens_the_first() {
    let w = world();
    let first = w.open(opener(1, 1), 1, 1, 0).unwrap();
    let second = w.open(opener(1, 1), 1, 2, 0).unwrap();
    assert_eq!((first.seqid, second.seqid), (1, 2));
    assert_eq!(first.other, second.other);
    let io = |stateid: &StateId, access| w.files.io(V41, stateid, &key(1), access, ME).map(|_| ());
    assert_eq!(io(&second, OpenAccess::Write), Ok(()));
    assert_eq!(io(&first, OpenAccess::Read), Err(Status::OldStateid));
    let latest = StateId { seqid: 0, ..first };
    assert_eq!(io(&latest, OpenAccess::Read), Ok(()));
    let ahead = StateId { seqid: 3, ..first };
    assert_eq!(io(&ahead, OpenAccess::Read), Err(Status::BadStateid));
}

#[test]
fn reservations_stand_against_all_opens_their_owners_included() {
    let w = world();
    w.open(opener(1, 1), 1, 1, 2).unwrap();
    assert_eq!(w.open(opener(2, 1), 1, 2, 0), Err(Status::ShareDenied));
    assert_eq!(w.open(opener(2, 1), 1, 1, 1), Err(Status::ShareDenied));
    assert!(w.open(opener(2, 1), 1, 1, 0).is_ok());
    assert_eq!(w.open(opener(1, 1), 1, 3, 0), Err(Status::ShareDenied));
    assert!(w.files.denies(&key(1), OpenAccess::Write));
    assert!(!w.files.denies(&key(1), OpenAccess::Read));
    assert!(!w.files.denies(&key(2), OpenAccess::Write));
}

#[test]
fn a_denied_widening_leaves_the_open_as_it_was() {
    let w = world();
    let mine = w.open(opener(1, 1), 1, 1, 0).unwrap();
    w.open(opener(2, 1), 1, 1, 2).unwrap();
    assert_eq!(w.open(opener(1, 1), 1, 2, 0), Err(Status::ShareDenied));
    assert!(
        w.files
            .io(V41, &mine, &key(1), OpenAccess::Read, ME)
            .is_ok()
    );
    let write = w.files.io(V41, &mine, &key(1), OpenAccess::Write, ME);
    assert_eq!(write.map(|_| ()), Err(Status::Openmode));
}

#[test]
fn an_open_for_writing_serves_no_read_of_its_own() {
    let w = world();
    let stateid = w.open(opener(1, 1), 1, 2, 0).unwrap();
    let (client, file) = w
        .files
        .io(V41, &stateid, &key(1), OpenAccess::Read, ME)
        .unwrap();
    assert_eq!(client, ClientId(1));
    assert!(file.is_none());
}

#[test]
fn another_user_does_not_profit_from_a_stateid() {
    let w = world();
    let stateid = w.open(opener(1, 1), 1, 3, 0).unwrap();
    let file = |user| {
        let found = w.files.io(V41, &stateid, &key(1), OpenAccess::Write, user);
        found.unwrap().1
    };
    assert!(file(ME).is_some());
    assert!(file(ME + 1).is_none());
}

#[test]
fn stateids_are_good_for_their_client_and_file_only() {
    let w = world();
    let stateid = w.open(opener(1, 1), 1, 3, 0).unwrap();
    let io = |caller, file| {
        let found = w
            .files
            .io(caller, &stateid, &key(file), OpenAccess::Read, ME);
        found.map(|_| ())
    };
    assert_eq!(io(V41, 1), Ok(()));
    assert_eq!(io(OTHER, 1), Err(Status::BadStateid));
    assert_eq!(io(V41, 2), Err(Status::BadStateid));
    assert_eq!(w.files.test(V41, &stateid), Status::Ok);
    assert_eq!(w.files.test(OTHER, &stateid), Status::BadStateid);
    assert_eq!(w.files.test(V41, &StateId::ANONYMOUS), Status::BadStateid);
}

#[test]
fn an_undone_open_leaves_no_trace_and_an_undone_widening_the_former_stateid() {
    let w = world();
    let new = w.try_open(opener(1, 1), 1, 3, 0, 100).unwrap();
    drop(w.files.undo_open(new));
    assert!(w.is_empty());
    assert!(!w.files.has_state(ClientId(1)));

    let first = w.open(opener(1, 1), 1, 1, 0).unwrap();
    let wider = w.try_open(opener(1, 1), 1, 2, 2, 100).unwrap();
    drop(w.files.undo_open(wider));
    assert!(!w.files.denies(&key(1), OpenAccess::Write));
    let close = w.files.close(V41, &first, &key(1)).unwrap();
    drop(close);
    assert!(w.is_empty());
}

#[test]
fn a_downgrade_lets_others_in_and_closes_what_is_not_used() {
    let w = world();
    w.open(opener(1, 1), 1, 1, 0).unwrap();
    let both = w.open(opener(1, 1), 1, 3, 2).unwrap();
    let to = Share::new(1, 0).unwrap();
    let (read, closed) = w.files.downgrade(V41, &both, &key(1), to).unwrap();
    drop(closed);
    assert_eq!(read.seqid, 3);
    assert!(w.open(opener(2, 1), 1, 3, 0).is_ok());
    let write = w.files.io(V41, &read, &key(1), OpenAccess::Write, ME);
    assert_eq!(write.map(|_| ()), Err(Status::Openmode));
    let wider = Share::new(3, 2).unwrap();
    let again = w.files.downgrade(V41, &read, &key(1), wider);
    assert_eq!(again.map(|_| ()).unwrap_err(), Status::Inval);
}

#[test]
fn what_reads_and_what_writes_are_closed_one_by_one() {
    let w = world();
    let serving = |stateid: &StateId, access| {
        let (_, file) = w.files.io(V41, stateid, &key(1), access, ME).unwrap();
        file.map(|file| Arc::as_ptr(&file).addr())
    };
    let read = w.open(opener(1, 1), 1, 1, 0).unwrap();
    let reader = serving(&read, OpenAccess::Read);
    let each = w.open(opener(1, 1), 1, 2, 0).unwrap();
    let writer = serving(&each, OpenAccess::Write);
    assert_eq!(serving(&each, OpenAccess::Read), reader);
    assert!(reader.is_some() && writer.is_some() && reader != writer);
    assert_eq!(w.open_files(), 2);
    let to = Share::new(2, 0).unwrap();
    let (write, closed) = w.files.downgrade(V41, &each, &key(1), to).unwrap();
    drop(closed);
    assert_eq!(w.open_files(), 1);
    assert_eq!(serving(&write, OpenAccess::Write), writer);
    assert_eq!(serving(&write, OpenAccess::Read), None);
    let both = w.open(opener(1, 1), 1, 3, 0).unwrap();
    assert_eq!(w.open_files(), 1);
    let all = serving(&both, OpenAccess::Read);
    assert!(all.is_some() && all == serving(&both, OpenAccess::Write));
    drop(w.files.close(V41, &both, &key(1)).unwrap());
    assert!(w.is_empty());
}

#[test]
fn close_takes_the_locks_along() {
    let w = world();
    let open = w.open(opener(1, 1), 1, 3, 0).unwrap();
    let write = want(0, 10, LockKind::Write);
    let lock = w
        .files
        .lock_first(V41, &open, &key(1), &locker(1, 1), write)
        .unwrap();
    assert_eq!(w.files.free(V41, &lock), Err(Status::LocksHeld));
    let (invalid, closed) = w.files.close(V41, &open, &key(1)).unwrap();
    drop(closed);
    assert_eq!(invalid, StateId::INVALID);
    assert!(w.is_empty());
    // macOS unlocks after CLOSE.
    let range = Range::new(0, 10).unwrap();
    let unlocked = w.files.unlock(V41, &lock, &key(1), range, 100);
    assert_eq!(unlocked, Err(Status::BadStateid));
}

#[test]
fn a_lock_stateid_serves_io_and_is_freed_without_locks() {
    let w = world();
    let open = w.open(opener(1, 1), 1, 3, 0).unwrap();
    let lock = w
        .files
        .lock_first(
            V41,
            &open,
            &key(1),
            &locker(1, 1),
            want(0, 10, LockKind::Read),
        )
        .unwrap();
    assert!(
        w.files
            .io(V41, &lock, &key(1), OpenAccess::Write, ME)
            .is_ok()
    );
    let more = w
        .files
        .lock_more(V41, &lock, &key(1), want(10, 10, LockKind::Read))
        .unwrap();
    assert_eq!(more.seqid, 2);
    assert_eq!(w.files.free(V41, &open), Err(Status::LocksHeld));
    let all = Range::new(0, u64::MAX).unwrap();
    let unlocked = w.files.unlock(V41, &more, &key(1), all, 100).unwrap();
    assert_eq!(unlocked.seqid, 3);
    assert_eq!(w.files.free(V41, &unlocked), Ok(()));
    assert_eq!(w.files.test(V41, &unlocked), Status::BadStateid);
    assert_eq!(w.files.test(V41, &open), Status::Ok);
}

#[test]
fn many_ranges_are_let_go_of_step_by_step() {
    let w = world();
    let open = w.open(opener(1, 1), 1, 3, 0).unwrap();
    let wide = Bound {
        each: 10_000,
        all: 10_000,
    };
    let want = |offset| LockRequest {
        limit: wide,
        ..want(offset, 1, LockKind::Write)
    };
    let me = locker(1, 1);
    let first = w.files.lock_first(V41, &open, &key(1), &me, want(0));
    let mut lock = first.unwrap();
    // Two steps and a half.
    for number in 1..2560 {
        let more = w.files.lock_more(V41, &lock, &key(1), want(2 * number));
        lock = more.unwrap();
    }
    assert_eq!(w.files.ranges(), 2560);
    let middle = Range::new(2, 2 * 2558).unwrap();
    let unlocked = w.files.unlock(V41, &lock, &key(1), middle, wide.each);
    assert_eq!(unlocked.unwrap().seqid, lock.seqid + 1);
    assert_eq!(w.files.ranges(), 2, "the first and the last");
    assert_eq!(w.files.held(ClientId(1)).ranges, 2);
}

#[test]
fn a_denied_lock_names_whose_and_where() {
    let w = world();
    let mine = w.open(opener(1, 1), 1, 3, 0).unwrap();
    let theirs = w.open(opener(2, 1), 1, 3, 0).unwrap();
    w.files
        .lock_first(
            V41,
            &mine,
            &key(1),
            &locker(1, 7),
            want(4, u64::MAX, LockKind::Write),
        )
        .unwrap();
    let expected = Conflict {
        range: Range::new(4, u64::MAX).unwrap(),
        kind: LockKind::Write,
        owner: locker(1, 7),
    };
    let wanted = want(0, 5, LockKind::Read);
    let denied = w
        .files
        .lock_first(OTHER, &theirs, &key(1), &locker(2, 7), wanted);
    assert_eq!(denied, Err(LockError::Denied(expected.clone())));
    assert!(
        !w.files.has_owner(&locker(2, 7)),
        "a denied lock leaves no stateid"
    );
    let test = |owner, except: &[ClientId]| {
        let wanted = (wanted.range, wanted.kind);
        w.files.lock_conflict(&key(1), &owner, wanted, except)
    };
    assert_eq!(test(locker(2, 7), &[ClientId(2)]), Some(expected));
    assert_eq!(test(locker(2, 7), &[ClientId(1)]), None);
    assert_eq!(test(locker(1, 7), &[]), None);
}

#[test]
fn who_held_very_much_leaves_nothing_and_stands_in_nobodys_way() {
    const RANGES: u64 = 5000;
    let w = world();
    for end in ["close", "revoke", "release"] {
        let mine = w.open(opener(1, 1), 1, 3, 0).unwrap();
        for i in 0..RANGES {
            let wanted = LockRequest {
                limit: Bound {
                    each: usize::MAX,
                    all: usize::MAX,
                },
                ..want(2 * i, 1, LockKind::Write)
            };
            w.files
                .lock_first(V41, &mine, &key(1), &locker(1, 1), wanted)
                .unwrap();
        }
        assert_eq!(w.files.ranges() as u64, RANGES);
        match end {
            "close" => drop(w.files.close(V41, &mine, &key(1)).unwrap()),
            "revoke" => drop(w.files.revoke_client(ClientId(1), Revoked::Expired)),
            _ => drop(w.files.release_client(ClientId(1))),
        }
        assert_eq!(w.files.ranges(), 0, "{end}");
        let theirs = w.open(opener(2, 1), 1, 3, 0).unwrap();
        let all = want(0, u64::MAX, LockKind::Write);
        w.files
            .lock_first(OTHER, &theirs, &key(1), &locker(2, 1), all)
            .unwrap();
        w.files.close(OTHER, &theirs, &key(1)).unwrap();
        let files = w.files.leftovers().into_iter();
        let files = files.filter(|(name, count)| *name == "open files" && *count != 0);
        assert_eq!(files.count(), 0, "{end}");
    }
}

#[test]
fn a_lock_needs_an_open_of_its_kind_and_of_its_client() {
    let w = world();
    let read = w.open(opener(1, 1), 1, 1, 0).unwrap();
    let try_lock = |owner: Owner, kind| {
        w.files
            .lock_first(V41, &read, &key(1), &owner, want(0, 1, kind))
            .map(|_| ())
    };
    assert_eq!(
        try_lock(locker(1, 1), LockKind::Write),
        Err(Status::Openmode.into())
    );
    assert_eq!(
        try_lock(locker(2, 1), LockKind::Read),
        Err(Status::Inval.into())
    );
    assert_eq!(try_lock(locker(1, 1), LockKind::Read), Ok(()));
}

#[test]
fn a_lock_owner_is_released_once_it_holds_nothing() {
    let w = world();
    let open = w.open(opener(1, 1), 1, 3, 0).unwrap();
    let me = locker(1, 1);
    let lock = w
        .files
        .lock_first(V41, &open, &key(1), &me, want(0, 1, LockKind::Write))
        .unwrap();
    assert_eq!(w.files.release_lock_owner(&me), Err(Status::LocksHeld));
    let range = Range::new(0, 1).unwrap();
    w.files.unlock(V41, &lock, &key(1), range, 100).unwrap();
    assert_eq!(w.files.release_lock_owner(&me), Ok(()));
    assert_eq!(w.files.test(V41, &lock), Status::BadStateid);
    assert_eq!(
        w.files.release_lock_owner(&me),
        Ok(()),
        "unknown ones are free"
    );
}

#[test]
fn limits_hold_per_client_and_in_the_words_of_the_minor_version() {
    let w = world();
    for file in 0..3 {
        w.try_open(opener(1, 1), file, 1, 0, 3).unwrap();
    }
    let refused = w.try_open(opener(1, 1), 9, 1, 0, 3).map(|_| ());
    assert_eq!(refused, Err(Status::Delay));
    assert!(
        w.try_open(opener(1, 1), 0, 1, 0, 3).is_ok(),
        "no further open"
    );
    assert!(w.try_open(opener(2, 1), 9, 1, 0, 3).is_ok());
    assert_eq!(Caller::V40.exhausted(), Status::Resource);
}

#[test]
fn limits_hold_over_all_clients() {
    let w = world();
    let few = Bound { each: 100, all: 2 };
    let open = w.open(opener(1, 1), 1, 3, 0).unwrap();
    let request = |client| OpenRequest {
        owner: opener(client, 1),
        key: key(2),
        user: ME,
        share: Share::new(3, 0).unwrap(),
        touch: Touch::Change,
        file: Arc::new(Counted {
            _open: Arc::clone(&w.open),
        }),
        confirmed: true,
        limit: few,
    };
    let try_open = |client| w.files.open(OTHER, &request(client)).map(|_| ());
    assert_eq!(try_open(2), Ok(()));
    assert_eq!(try_open(1), Err(Status::Delay));
    assert!(w.files.opens_exhausted(2) && !w.files.opens_exhausted(3));

    let lock = |at| {
        let wanted = LockRequest {
            limit: few,
            ..want(at, 1, LockKind::Write)
        };
        w.files
            .lock_first(V41, &open, &key(1), &locker(1, 1), wanted)
            .map(|_| ())
    };
    assert_eq!([lock(0), lock(2)], [Ok(()), Ok(())]);
    assert_eq!(lock(4), Err(Status::Delay.into()));
    assert!(w.files.ranges_exhausted(2));

    drop(w.files.release_client(ClientId(1)));
    assert_eq!(w.files.index.totals(), (1, 0, 1));
    assert_eq!(try_open(2), Ok(()));
}

#[test]
fn who_stands_against_an_open_a_lock_or_an_access_is_known() {
    let w = world();
    let open = w.open(opener(1, 1), 1, 3, 2).unwrap();
    w.open(opener(2, 1), 1, 1, 0).unwrap();
    let request = |access, deny| OpenRequest {
        owner: opener(2, 2),
        key: key(1),
        user: ME,
        share: Share::new(access, deny).unwrap(),
        touch: Touch::Change,
        file: Arc::new(Counted {
            _open: Arc::clone(&w.open),
        }),
        confirmed: true,
        limit: bound(9),
    };
    let clients = |rivals: Vec<Rival>| {
        let mut clients: Vec<u64> = rivals.iter().map(|rival| rival.client.0).collect();
        clients.sort_unstable();
        clients
    };
    let against = |access, deny| clients(w.files.open_rivals(&request(access, deny)));
    assert_eq!(against(1, 0), [] as [u64; 0]);
    assert_eq!(against(2, 0), [1]);
    assert_eq!(against(1, 1), [1, 2]);
    assert_eq!(clients(w.files.denying(&key(1), OpenAccess::Write)), [1]);
    assert_eq!(w.files.denying(&key(1), OpenAccess::Read), []);

    let write = want(0, 5, LockKind::Write);
    let locked = w
        .files
        .lock_first(V41, &open, &key(1), &locker(1, 1), write);
    assert!(locked.is_ok());
    let rivals = |owner: Owner, at| {
        let range = Range::new(at, 1).unwrap();
        clients(w.files.lock_rivals(&key(1), &owner, range, LockKind::Read))
    };
    assert_eq!(rivals(locker(2, 1), 4), [1]);
    assert_eq!(rivals(locker(2, 1), 5), [] as [u64; 0]);
    assert_eq!(rivals(locker(1, 1), 4), [] as [u64; 0]);
}

#[test]
fn an_unconfirmed_open_is_of_no_use_until_it_is_confirmed() {
    let w = world();
    let request = OpenRequest {
        owner: opener(1, 1),
        key: key(1),
        user: ME,
        share: Share::new(3, 0).unwrap(),
        touch: Touch::Change,
        file: Arc::new(Counted {
            _open: Arc::clone(&w.open),
        }),
        confirmed: false,
        limit: bound(10),
    };
    let opened = w.files.open(Caller::V40, &request).unwrap().stateid;
    let io = |stateid: &StateId| {
        w.files
            .io(Caller::V40, stateid, &key(1), OpenAccess::Read, ME)
            .map(|_| ())
    };
    assert_eq!(io(&opened), Err(Status::BadStateid));
    let confirmed = w.files.confirm(&opened, &key(1)).unwrap();
    assert_eq!(confirmed.seqid, 2);
    assert_eq!(io(&confirmed), Ok(()));
    assert_eq!(
        w.files.confirm(&confirmed, &key(1)),
        Err(Status::BadStateid)
    );
}

#[test]
fn a_client_gets_nothing_after_its_release() {
    let w = world();
    drop(w.files.release_client(ClientId(1)));
    assert_eq!(w.open(opener(1, 1), 1, 3, 0), Err(Status::Expired));
    let now = Instant::now();
    let me = opener(1, 1);
    let owners = &w.files.owners;
    let sequence = owners.sequence(&me, now, Duration::ZERO, 9, |_| false);
    assert_eq!(sequence.map(|_| ()), Err(Status::Expired));
    assert!(w.is_empty());
}

#[test]
fn requests_under_way_leave_nothing_behind_a_release() {
    for _ in 0..20 {
        let w = world();
        std::thread::scope(|scope| {
            for name in 0..4 {
                let w = &w;
                scope.spawn(move || {
                    for file in 0..50 {
                        let Ok(open) = w.open(opener(1, name), file, 3, 0) else {
                            return;
                        };
                        let write = want(0, 1, LockKind::Write);
                        let me = locker(1, name);
                        let _ = w.files.lock_first(V41, &open, &key(file), &me, write);
                    }
                });
            }
            scope.spawn(|| drop(w.files.release_client(ClientId(1))));
        });
        assert!(w.is_empty());
        assert!(!w.files.has_state(ClientId(1)));
    }
}

#[test]
fn a_lease_that_ran_out_is_told_to_clients_of_40() {
    let w = world();
    let open = w.open(opener(1, 1), 1, 3, 0).unwrap();
    drop(w.files.expire_client(ClientId(1)));
    let io = |caller| {
        let found = w.files.io(caller, &open, &key(1), OpenAccess::Read, ME);
        found.map(|_| ())
    };
    assert_eq!(io(Caller::V40), Err(Status::Expired));
    assert_eq!(w.files.owner_of(Caller::V40, &open), Err(Status::Expired));
    assert_eq!(io(V41), Err(Status::BadStateid));
}

#[test]
fn what_is_revoked_stands_against_nobody_and_is_known_until_it_is_acknowledged() {
    let w = world();
    let open = w.open(opener(1, 1), 1, 3, 3).unwrap();
    let kept = w.open(opener(1, 2), 2, 3, 0).unwrap();
    let write = want(0, 10, LockKind::Write);
    let lock = w
        .files
        .lock_first(V41, &open, &key(1), &locker(1, 1), write);
    let lock = lock.unwrap();
    drop(
        w.files
            .revoke(w.files.ids.read(V41, &open).unwrap(), Revoked::Expired),
    );
    assert_eq!((w.open_files(), w.files.ranges()), (1, 0));
    assert_eq!(
        w.files.losses(ClientId(1)),
        2,
        "the lock went with its open"
    );

    let other = w.open(opener(2, 1), 1, 3, 3).unwrap();
    let lock_of_other = w
        .files
        .lock_first(OTHER, &other, &key(1), &locker(2, 1), write);
    assert!(lock_of_other.is_ok());

    let io = |caller, stateid| {
        let found = w.files.io(caller, stateid, &key(1), OpenAccess::Read, ME);
        found.map(|_| ())
    };
    assert_eq!(io(V41, &open), Err(Status::Expired));
    assert_eq!(io(V41, &lock), Err(Status::Expired));
    assert_eq!(io(OTHER, &open), Err(Status::BadStateid));
    let close = w.files.close(V41, &open, &key(1));
    assert_eq!(close.map(|_| ()), Err(Status::Expired));
    assert_eq!(w.files.test(V41, &lock), Status::Expired);
    assert_eq!(w.files.test(V41, &kept), Status::Ok);
    // A numbered operation of 4.0 finds its owner, so that the number is used up.
    assert_eq!(w.files.owner_of(Caller::V40, &open), Ok(opener(1, 1)));

    assert_eq!(w.files.free(OTHER, &open), Err(Status::BadStateid));
    assert_eq!(w.files.free(V41, &open), Ok(()));
    assert_eq!(w.files.free(V41, &open), Err(Status::BadStateid));
    assert_eq!(w.files.test(V41, &open), Status::BadStateid);
    assert_eq!(w.files.free(V41, &lock), Ok(()));
    assert_eq!(w.files.losses(ClientId(1)), 0);
}

#[test]
fn all_of_a_client_can_be_revoked_and_it_may_begin_anew() {
    let w = world();
    let open = w.open(opener(1, 1), 1, 3, 3).unwrap();
    w.open(opener(1, 2), 2, 3, 0).unwrap();
    drop(w.files.revoke_client(ClientId(1), Revoked::Admin));
    assert!(w.is_empty() && !w.files.has_state(ClientId(1)));
    assert_eq!(w.files.test(V41, &open), Status::AdminRevoked);
    assert!(w.open(opener(1, 1), 1, 3, 3).is_ok());
    drop(w.files.release_client(ClientId(1)));
    assert_eq!(w.files.test(V41, &open), Status::BadStateid);
}

#[test]
fn an_owner_of_40_with_locks_in_a_file_is_not_new_there() {
    let w = world();
    let open = w.open(opener(1, 1), 1, 3, 0).unwrap();
    let lock = |caller, at| {
        let wanted = want(at, 1, LockKind::Write);
        w.files
            .lock_first(caller, &open, &key(1), &locker(1, 1), wanted)
    };
    let first = lock(Caller::V40, 0).unwrap();
    assert_eq!(lock(Caller::V40, 1), Err(Status::BadSeqid.into()));
    let all = Range::new(0, u64::MAX).unwrap();
    let none = w.files.unlock(Caller::V40, &first, &key(1), all, 100);
    assert_eq!(none.map(|stateid| stateid.seqid), Ok(2));
    assert_eq!(lock(Caller::V40, 1).map(|stateid| stateid.seqid), Ok(3));
    assert!(lock(V41, 2).is_ok());
}

proptest! {
    #[test]
    fn nothing_of_a_client_is_left_after_its_release(
        steps in prop::collection::vec((0..4_u8, 1..3_u64, 0..3_u8, 0..3_u8, 1..4_u32, 0..40_u64), 0..60)
    ) {
        let w = world();
        let mut opens: Vec<(u64, u8, StateId)> = Vec::new();
        let mut locks: Vec<(u64, u8, StateId)> = Vec::new();
        for (what, client, file, name, access, at) in steps {
            let caller = Caller::V41(ClientId(client));
            let latest = |states: &[(u64, u8, StateId)]| {
                let found = states.iter().find(|state| state.0 == client && state.1 == file);
                found.map(|state| StateId { seqid: 0, ..state.2 })
            };
            match (what, latest(&opens), latest(&locks)) {
                (0, ..) => {
                    let deny = u32::from(name == 2);
                    if let Ok(stateid) = w.open(opener(client, name), file, access, deny) {
                        opens.push((client, file, stateid));
                    }
                }
                (1, Some(open), _) => {
                    let wanted = want(at, 4, if access == 1 { LockKind::Read } else { LockKind::Write });
                    let me = locker(client, name);
                    if let Ok(stateid) = w.files.lock_first(caller, &open, &key(file), &me, wanted) {
                        locks.push((client, file, stateid));
                    }
                }
                (2, _, Some(lock)) => {
                    let range = Range::new(at, 3).unwrap();
                    let _ = w.files.unlock(caller, &lock, &key(file), range, 100);
                }
                (3, Some(open), _) => drop(w.files.close(caller, &open, &key(file))),
                _ => {}
            }
        }
        drop(w.files.release_client(ClientId(1)));
        prop_assert!(!w.files.has_state(ClientId(1)));
        prop_assert_eq!(w.files.index.ranges(ClientId(1)), 0);
        drop(w.files.release_client(ClientId(2)));
        prop_assert!(w.is_empty());
    }
}
