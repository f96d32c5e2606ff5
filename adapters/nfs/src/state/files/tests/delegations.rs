//! What delegations keep from whom.

use dittofs_sdk::vfs::Cred;

use super::*;

use DelegationKind::{Read, Write};
use Touch::{Change, Look};

const SECOND: Duration = Duration::from_secs(1);

impl World {
    fn delegate_at(
        &self,
        client: u64,
        file: u8,
        kind: DelegationKind,
        now: Instant,
    ) -> Result<StateId, NoDelegation> {
        let request = DelegationRequest {
            client: ClientId(client),
            key: key(file),
            kind,
            cred: Cred::user(ME, ME),
            file: Arc::new(Counted {
                _open: Arc::clone(&self.open),
            }),
            access: OpenAccess::Both,
            change: 7,
            granted_by: None,
            most: 0,
            reclaim: false,
        };
        self.files.delegate(request, now)
    }

    fn delegate(
        &self,
        client: u64,
        file: u8,
        kind: DelegationKind,
    ) -> Result<StateId, NoDelegation> {
        self.delegate_at(client, file, kind, Instant::now())
    }

    /// Whose delegations are in the way.
    fn change(&self, file: u8, who: Option<u64>, touch: Touch) -> Result<(), Vec<u64>> {
        let changed = self.begin(file, who, touch, Instant::now());
        changed.map_err(|recalls| {
            let mut clients: Vec<_> = recalls.iter().map(|recall| recall.client.0).collect();
            clients.sort_unstable();
            clients
        })
    }

    fn begin(
        &self,
        file: u8,
        who: Option<u64>,
        touch: Touch,
        now: Instant,
    ) -> Result<(), Vec<Recall>> {
        let who = who.map(ClientId);
        self.files.begin_change(&key(file), who, touch, now)?;
        self.files.end_change(&key(file));
        Ok(())
    }

    fn returned(&self, caller: Caller, stateid: &StateId, file: u8) -> Result<(), Status> {
        self.files
            .return_delegation(caller, stateid, &key(file))
            .map(|_| ())
    }
}

#[test]
fn many_may_read_and_one_alone_may_write() {
    let w = world();
    assert!(w.delegate(1, 1, Read).is_ok());
    assert!(w.delegate(2, 1, Read).is_ok());
    assert_eq!(w.delegate(2, 1, Write), Err(NoDelegation::Upgrade));
    assert!(w.delegate(1, 2, Write).is_ok());
    assert_eq!(w.delegate(2, 2, Read), Err(NoDelegation::Contention));
    assert_eq!(w.delegate(2, 2, Write), Err(NoDelegation::Contention));
    assert_eq!(w.delegate(1, 2, Read), Err(NoDelegation::Downgrade));
    assert_eq!(w.delegate(1, 2, Write), Err(NoDelegation::Contention));
}

#[test]
fn only_opens_of_others_stand_against_a_delegation() {
    for (access, deny, reads, writes) in [
        (1, 0, true, false),
        (2, 0, false, false),
        (3, 0, false, false),
        (1, 1, false, false),
        (1, 2, true, false),
    ] {
        for (file, kind, granted) in [(1, Read, reads), (2, Write, writes)] {
            let w = world();
            w.open(opener(2, 1), file, access, deny).unwrap();
            assert_eq!(
                w.delegate(1, file, kind).is_ok(),
                granted,
                "{access} {deny}"
            );
            let w = world();
            w.open(opener(1, 1), file, access, deny).unwrap();
            assert!(w.delegate(1, file, kind).is_ok(), "it is the client's own");
        }
    }
}

#[test]
fn a_file_with_very_many_opens_is_not_delegated_for_writing() {
    let w = world();
    for name in 0..100 {
        w.open(opener(1, name), 1, 3, 0).unwrap();
    }
    assert_eq!(w.delegate(1, 1, Write), Err(NoDelegation::Contention));
}

#[test]
fn an_open_of_another_waits_for_a_delegation_that_it_stands_against() {
    for (kind, access, deny, waits) in [
        (Read, 1, 0, false),
        (Read, 1, 2, false),
        (Read, 1, 1, true),
        (Read, 3, 0, true),
        (Write, 1, 0, true),
    ] {
        let w = world();
        let delegation = w.delegate(1, 1, kind).unwrap();
        let open = || w.open(opener(2, 1), 1, access, deny).map(|_| ());
        let expected = if waits { Err(Status::Delay) } else { Ok(()) };
        assert_eq!(open(), expected, "{kind:?} {access} {deny}");
        assert!(w.open(opener(1, 1), 1, 1, 0).is_ok(), "the client's own");
        w.returned(V41, &delegation, 1).unwrap();
        if deny == 0 {
            assert_eq!(open(), Ok(()));
        }
    }
}

#[test]
fn a_reservation_refuses_before_a_delegation_delays() {
    let w = world();
    w.open(opener(1, 1), 1, 1, 2).unwrap();
    w.delegate(1, 1, Read).unwrap();
    let refused = w.open(opener(2, 1), 1, 2, 0);
    assert_eq!(refused.unwrap_err(), Status::ShareDenied);
    assert!(w.files.refuses(&key(1), Share::new(2, 0).unwrap()));
}

#[test]
fn a_delegation_is_in_everybodys_way_but_its_clients() {
    let w = world();
    w.delegate(1, 1, Read).unwrap();
    w.delegate(2, 1, Read).unwrap();
    assert_eq!(w.change(1, Some(1), Look), Ok(()));
    assert_eq!(w.change(1, Some(1), Change), Err(vec![2]));
    assert_eq!(w.change(1, None, Change), Err(vec![1, 2]));
    w.delegate(1, 2, Write).unwrap();
    assert_eq!(w.change(2, Some(2), Look), Err(vec![1]));
    assert_eq!(w.change(2, Some(1), Change), Ok(()));
    assert_eq!(w.change(3, None, Change), Ok(()));
}

#[test]
fn a_recall_begins_once_and_is_overdue_after_its_time() {
    let w = world();
    let start = Instant::now();
    let delegation = w.delegate(1, 1, Read).unwrap();
    let recalled = |now| w.begin(1, None, Change, now).unwrap_err();
    let [first] = &recalled(start)[..] else {
        panic!("one delegation");
    };
    assert_eq!((first.first, first.stateid), (true, delegation));
    assert!(!recalled(start + SECOND)[0].first);
    assert!(w.files.is_recalled(first.id));

    let overdue = |now| w.files.overdue(now, SECOND * 90);
    assert!(overdue(start + SECOND * 89).is_empty());
    let [late] = overdue(start + SECOND * 91)[..] else {
        panic!("it is overdue");
    };
    assert_eq!((late.client, late.since), (ClientId(1), SECOND * 91));
    drop(w.files.revoke(late.id, Revoked::Recallable));
    assert!(!w.files.is_recalled(first.id));
    assert!(overdue(start + SECOND * 91).is_empty());
    assert_eq!(w.change(1, None, Change), Ok(()));
    assert_eq!(w.files.test(V41, &delegation), Status::DelegRevoked);
    assert_eq!(w.returned(V41, &delegation, 1), Err(Status::DelegRevoked));
    // Where no delegation is meant, one that was revoked is none.
    let close = w.files.close(V41, &delegation, &key(1)).map(|_| ());
    assert_eq!(close, Err(Status::BadStateid));
    let write = want(0, 1, LockKind::Write);
    let more = w.files.lock_more(V41, &delegation, &key(1), write);
    assert_eq!(more, Err(Status::BadStateid.into()));
    let unlock = w.files.unlock(V41, &delegation, &key(1), write.range, 9);
    assert_eq!(unlock, Err(Status::BadStateid));
    let owner = w.files.owner_of(V41, &delegation);
    assert_eq!(owner, Err(Status::BadStateid));
    assert_eq!(w.files.free(V41, &delegation), Ok(()));
    assert_eq!(w.files.test(V41, &delegation), Status::BadStateid);
    assert!(w.is_empty());
}

#[test]
fn a_stateid_of_a_delegation_serves_for_what_it_is_for() {
    let w = world();
    let read = w.delegate(1, 1, Read).unwrap();
    let write = w.delegate(1, 2, Write).unwrap();
    let io = |stateid: &StateId, file, access, user| {
        let found = w.files.io(V41, stateid, &key(file), access, user);
        found.map(|(client, file)| (client.0, file.is_some()))
    };
    assert_eq!(io(&read, 1, OpenAccess::Read, ME), Ok((1, true)));
    let refused = io(&read, 1, OpenAccess::Write, ME);
    assert_eq!(refused, Err(Status::Openmode));
    assert_eq!(io(&write, 2, OpenAccess::Write, ME), Ok((1, true)));
    assert_eq!(io(&write, 2, OpenAccess::Read, ME + 1), Ok((1, false)));
    assert_eq!(io(&write, 1, OpenAccess::Read, ME), Err(Status::BadStateid));
    let stranger = w.files.io(OTHER, &read, &key(1), OpenAccess::Read, ME);
    assert_eq!(stranger.err(), Some(Status::BadStateid));
    let locked = want(0, 5, LockKind::Read);
    let locked = w
        .files
        .lock_first(V41, &read, &key(1), &locker(1, 1), locked);
    assert_eq!(locked, Err(Status::BadStateid.into()));
    assert_eq!(w.files.test(V41, &read), Status::Ok);
    assert_eq!(w.files.free(V41, &read), Err(Status::LocksHeld));
    let closed = w.files.close(V41, &read, &key(1));
    assert_eq!(closed.err(), Some(Status::BadStateid));
}

#[test]
fn a_delegation_is_returned_by_its_client_for_its_file_with_its_counter() {
    let w = world();
    let delegation = w.delegate(1, 1, Read).unwrap();
    let newer = StateId {
        seqid: 2,
        ..delegation
    };
    for (caller, stateid, file, status) in [
        (OTHER, &delegation, 1, Status::BadStateid),
        (V41, &delegation, 2, Status::BadStateid),
        (V41, &newer, 1, Status::BadStateid),
        (V41, &StateId::ANONYMOUS, 1, Status::BadStateid),
    ] {
        assert_eq!(w.returned(caller, stateid, file), Err(status));
    }
    let recent = StateId {
        seqid: 0,
        ..delegation
    };
    assert_eq!(w.returned(V41, &recent, 1), Ok(()));
    assert_eq!(w.returned(V41, &recent, 1), Err(Status::BadStateid));
    let open = w.open(opener(1, 1), 1, 1, 0).unwrap();
    assert_eq!(w.returned(V41, &open, 1), Err(Status::BadStateid));
}

#[test]
fn who_was_in_the_way_gets_none_for_a_while() {
    let w = world();
    let start = Instant::now();
    let delegation = w.delegate_at(1, 1, Read, start).unwrap();
    assert!(w.begin(1, Some(2), Change, start).is_err());
    w.returned(V41, &delegation, 1).unwrap();
    let again = |now| w.delegate_at(1, 1, Read, now);
    assert_eq!(again(start + SECOND), Err(NoDelegation::Contention));
    let again = again(start + SECOND * 60).unwrap();
    w.returned(V41, &again, 1).unwrap();
    let later = start + SECOND * 120;
    assert!(
        w.delegate_at(2, 1, Read, later).is_ok(),
        "it was given back unasked"
    );
}

#[test]
fn nobody_gets_a_delegation_of_what_is_being_changed() {
    let w = world();
    let change = |file| {
        w.files
            .begin_change(&key(file), None, Change, Instant::now())
    };
    change(1).unwrap();
    change(1).unwrap();
    assert_eq!(w.delegate(1, 1, Read), Err(NoDelegation::Contention));
    w.files.end_change(&key(1));
    assert_eq!(w.delegate(1, 1, Read), Err(NoDelegation::Contention));
    w.files.end_change(&key(1));
    assert!(w.is_empty());
    assert!(w.files.begin_unguarded_change());
    assert_eq!(w.delegate(1, 1, Read), Err(NoDelegation::Resource));
    w.files.end_unguarded_change();
    assert!(w.delegate(1, 1, Read).is_ok());
    assert!(!w.files.begin_unguarded_change());
}

#[test]
fn others_are_told_of_ever_later_changes() {
    let w = world();
    let delegation = w.delegate(1, 1, Write).unwrap();
    assert!(
        w.files
            .writer_elsewhere(&key(1), Some(ClientId(1)))
            .is_none()
    );
    assert!(w.files.writer_elsewhere(&key(2), None).is_none());
    let writer = w
        .files
        .writer_elsewhere(&key(1), Some(ClientId(2)))
        .unwrap();
    assert_eq!((writer.client, writer.granted), (ClientId(1), 7));
    let next = |now| w.files.next_change(&writer, now);
    assert_eq!(next(7), Some(8));
    assert_eq!(next(7), Some(9));
    assert_eq!(next(20), Some(20));
    assert_eq!(next(20), Some(21));
    w.returned(V41, &delegation, 1).unwrap();
    assert_eq!(next(30), None, "the file system knows best");
}

#[test]
fn an_open_under_a_delegation_shows_one_that_is_good() {
    let w = world();
    let delegation = w.delegate(1, 1, Read).unwrap();
    w.begin(1, None, Change, Instant::now()).unwrap_err();
    let shown = |caller, file| w.files.delegated(caller, &delegation, &key(file));
    assert_eq!(shown(V41, 1), Ok((ClientId(1), Read)));
    assert_eq!(shown(V41, 2), Err(Status::BadStateid));
    assert_eq!(shown(OTHER, 1), Err(Status::BadStateid));
    let open = w.open(opener(1, 1), 1, 1, 0).unwrap();
    let open = w.files.delegated(V41, &open, &key(1));
    assert_eq!(open, Err(Status::BadStateid));
}

#[test]
fn what_a_client_reclaims_it_gets_whatever_happened_lately() {
    let w = world();
    let now = Instant::now();
    let delegation = w.delegate_at(1, 1, Read, now).unwrap();
    w.begin(1, None, Change, now).unwrap_err();
    w.returned(V41, &delegation, 1).unwrap();
    let request = DelegationRequest {
        client: ClientId(1),
        key: key(1),
        kind: Read,
        cred: Cred::user(ME, ME),
        file: Arc::new(Counted {
            _open: Arc::clone(&w.open),
        }),
        access: OpenAccess::Read,
        change: 0,
        granted_by: None,
        most: 0,
        reclaim: true,
    };
    let again = w.files.delegate(request, now).unwrap();
    let recall = w.files.recall(V41, &again, now).unwrap();
    assert!(recall.first && w.files.is_recalled(recall.id));
}

#[test]
fn a_client_that_is_released_leaves_no_delegation() {
    let w = world();
    w.delegate(1, 1, Read).unwrap();
    w.delegate(1, 2, Write).unwrap();
    w.begin(1, None, Change, Instant::now()).unwrap_err();
    assert!(w.files.has_state(ClientId(1)) && w.files.has_delegation(ClientId(1)));
    assert!(!w.files.has_state(ClientId(2)));
    drop(w.files.release_client(ClientId(1)));
    assert!(w.is_empty());
    assert_eq!(w.files.delegations(Read) + w.files.delegations(Write), 0);
    assert_eq!(w.delegate(1, 9, Read), Err(NoDelegation::Resource));

    let lost = w.delegate(2, 3, Read).unwrap();
    drop(w.files.expire_client(ClientId(2)));
    assert!(w.is_empty());
    assert_eq!(w.files.test(Caller::V40, &lost), Status::Expired);
}
