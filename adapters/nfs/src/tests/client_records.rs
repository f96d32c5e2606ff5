//! What a client's introduction finds and makes, case by case: EXCHANGE_ID and CREATE_SESSION in
//! 4.1, SETCLIENTID and SETCLIENTID_CONFIRM in 4.0.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.35.4>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-16.33.5>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-16.34.5>

use crate::ops::exchange_id::{CONFIRMED_R, UPD_CONFIRMED_REC_A};
use crate::status::Status;
use crate::testing::{Channel, Harness};
use crate::types::{ClientId, Verifier};

/// What stands on record before EXCHANGE_ID, for incarnation 1 of user 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Record {
    None,
    Unconfirmed,
    Confirmed,
    /// And a session.
    InUse,
}

/// What comes of EXCHANGE_ID.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// A number that is not confirmed.
    New,
    /// That of the record, confirmed.
    Same,
    Refused(Status),
}

async fn record(h: &Harness, record: Record) -> Option<ClientId> {
    if record == Record::None {
        return None;
    }
    let (id, number) = h.exchange_id("a", 1).await;
    if record == Record::Unconfirmed {
        return Some(id);
    }
    let session = h.create_session(id, number).await;
    if record == Record::Confirmed {
        let end = h.compound(1).destroy_session(session);
        end.run().await.ok();
    }
    Some(id)
}

#[tokio::test]
async fn an_exchange_of_ids_has_nine_cases() {
    use Found::{New, Refused, Same};
    use Record::{Confirmed, InUse, None, Unconfirmed};
    const ME: u32 = 1000;
    const OTHER: u32 = 2000;
    for (number, before, incarnation, user, update, expected) in [
        (1, None, 1, ME, false, New),
        (2, Confirmed, 1, ME, false, Same),
        (2, InUse, 1, ME, false, Same),
        (3, Confirmed, 1, OTHER, false, New),
        (3, InUse, 1, OTHER, false, Refused(Status::ClidInuse)),
        (3, InUse, 2, OTHER, false, Refused(Status::ClidInuse)),
        (4, Unconfirmed, 1, ME, false, New),
        (4, Unconfirmed, 2, ME, false, New),
        (4, Unconfirmed, 1, OTHER, false, New),
        (5, Confirmed, 2, ME, false, New),
        (5, InUse, 2, ME, false, New),
        (6, Confirmed, 1, ME, true, Same),
        (6, InUse, 1, ME, true, Same),
        (7, None, 1, ME, true, Refused(Status::Noent)),
        (7, Unconfirmed, 1, ME, true, Refused(Status::Noent)),
        (7, Unconfirmed, 2, OTHER, true, Refused(Status::Noent)),
        (8, Confirmed, 2, ME, true, Refused(Status::NotSame)),
        (8, InUse, 2, OTHER, true, Refused(Status::NotSame)),
        (9, Confirmed, 1, OTHER, true, Refused(Status::Perm)),
        (9, InUse, 1, OTHER, true, Refused(Status::Perm)),
    ] {
        let h = Harness::new();
        let old = record(&h, before).await;
        let flags = if update { UPD_CONFIRMED_REC_A } else { 0 };
        let caller = h.as_user(user);
        let exchange = caller.compound(1).exchange_id("a", incarnation, flags);
        let mut reply = exchange.run().await;
        let found = if reply.status == Status::Ok {
            let (id, sequence, flags): (ClientId, u32, u32) =
                (reply.ok_body(), reply.body(), reply.body());
            if flags & CONFIRMED_R != 0 {
                assert_eq!(Some(id), old);
                Same
            } else {
                assert_ne!(Some(id), old);
                // It can be confirmed, whatever was there before.
                caller.create_session(id, sequence).await;
                New
            }
        } else {
            Refused(reply.status)
        };
        let case = format!("case {number}: {before:?}, {incarnation}, {user}, {update}");
        assert_eq!(found, expected, "{case}");
        // What it did not replace is as it was.
        if let (Record::Confirmed | Record::InUse, Same | Refused(_)) = (before, &found) {
            let again = h.exchange_id("a", 1).await;
            assert_eq!(Some(again.0), old, "{case}");
        }
    }
}

#[tokio::test]
async fn a_replaced_number_of_41_can_not_be_confirmed() {
    let h = Harness::new();
    let (first, number) = h.exchange_id("a", 1).await;
    let (second, _) = h.exchange_id("a", 2).await;
    let create = |id| {
        h.compound(1)
            .create_session(id, number, &Channel::default())
    };
    assert_eq!(create(first).status().await, Status::StaleClientid);
    create(second).run().await.ok();
}

async fn introduce(h: &Harness, incarnation: u64) -> (ClientId, Verifier) {
    let mut reply = h.compound(0).setclientid("a", incarnation).run().await;
    (reply.ok_body(), reply.body())
}

async fn confirm(h: &Harness, (id, word): (ClientId, Verifier)) -> Status {
    h.compound(0).setclientid_confirm(id, word).status().await
}

#[tokio::test]
async fn of_several_introductions_of_40_only_the_last_can_be_confirmed() {
    let h = Harness::new();
    let first = introduce(&h, 1).await;
    let second = introduce(&h, 1).await;
    assert!(first.0 != second.0 && first.1 != second.1);
    assert_eq!(confirm(&h, first).await, Status::StaleClientid);
    assert_eq!(confirm(&h, second).await, Status::Ok);

    // A new incarnation waits beside the confirmed one, and is replaced by the one after it.
    let third = introduce(&h, 2).await;
    let fourth = introduce(&h, 3).await;
    assert!(third.0 != second.0 && fourth.0 != third.0 && fourth.0 != second.0);
    h.compound(0).renew(second.0).run().await.ok();
    assert_eq!(confirm(&h, third).await, Status::StaleClientid);
    h.compound(0).renew(second.0).run().await.ok();
    assert_eq!(confirm(&h, fourth).await, Status::Ok);
    assert_ne!(h.compound(0).renew(second.0).status().await, Status::Ok);
    assert_eq!(confirm(&h, second).await, Status::StaleClientid);
}

#[tokio::test]
async fn an_update_of_40_keeps_the_number_and_the_last_of_several_counts() {
    let h = Harness::new();
    let made = introduce(&h, 1).await;
    assert_eq!(confirm(&h, made).await, Status::Ok);
    let first = introduce(&h, 1).await;
    let second = introduce(&h, 1).await;
    assert_eq!((first.0, second.0), (made.0, made.0));
    assert!(made.1 != first.1 && first.1 != second.1);
    assert_eq!(confirm(&h, first).await, Status::StaleClientid);
    // Until it is confirmed, the confirmation of what is in force may still be repeated.
    assert_eq!(confirm(&h, made).await, Status::Ok);
    for _ in 0..2 {
        assert_eq!(confirm(&h, second).await, Status::Ok);
    }
    assert_eq!(confirm(&h, made).await, Status::StaleClientid);
}

#[tokio::test]
async fn nobody_else_confirms_an_introduction_of_40_or_its_update() {
    let h = Harness::new();
    let other = h.as_user(2000);
    let made = introduce(&h, 1).await;
    assert_eq!(confirm(&other, made).await, Status::ClidInuse);
    assert_eq!(confirm(&h, made).await, Status::Ok);
    assert_eq!(confirm(&other, made).await, Status::ClidInuse);
    let update = introduce(&h, 1).await;
    assert_eq!(confirm(&other, update).await, Status::ClidInuse);
    h.compound(0).renew(made.0).run().await.ok();
    assert_eq!(confirm(&h, update).await, Status::Ok);
}
