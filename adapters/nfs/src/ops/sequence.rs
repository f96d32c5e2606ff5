//! SEQUENCE: what every request that uses a session begins with.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.46>

use crate::compound::{Cx, Operation};
use crate::state::{Begun, Principal, RequestInfo};
use crate::status::Status;
use crate::types::SessionId;
use crate::xdr::xdr_struct;

/// Number of the operation.
pub const NUMBER: u32 = 53;
/// Size of its result in bytes: number, status and body.
const RESULT: usize = 44;

xdr_struct! {
    /// SEQUENCE4args
    #[derive(Debug)]
    pub struct Args {
        /// The session.
        pub session: SessionId,
        /// Number of this request in its slot.
        pub sequence: u32,
        /// The slot.
        pub slot: u32,
        /// Highest slot that the client has in use.
        pub highest_slot: u32,
        /// Whether the reply is to be kept for a retry.
        pub cache_this: bool,
    } => decode
}

xdr_struct! {
    /// SEQUENCE4resok
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Ok {
        /// The session.
        pub session: SessionId,
        /// Number of this request in its slot.
        pub sequence: u32,
        /// The slot.
        pub slot: u32,
        /// Highest slot that the server accepts.
        pub highest_slot: u32,
        /// Highest slot that the server would like to see used.
        pub target_highest_slot: u32,
        /// SEQ4_STATUS_* bits.
        pub status_flags: u32,
    } => encode
}

/// Decides about a request with `announced` operations before any of them runs. Its reply begins at
/// `start`.
pub fn begin(cx: &Cx, announced: usize, start: usize, args: &Args) -> Result<Begun, Status> {
    let settings = &cx.settings;
    let info = RequestInfo {
        size: cx.call.size,
        announced,
        reply: cx.reply.position().saturating_sub(start) + RESULT,
        digest: cx.call.digest,
        principal: Principal::from(&cx.call.auth),
        link: &cx.call.connection.link,
    };
    let limits = settings.limits();
    cx.server
        .state
        .session_of(cx.minor(), args.session)?
        .begin(&info, args, &limits, cx.now)
}

impl Operation for Args {
    type Ok = Ok;
    type Err = Status;

    /// Never run as an ordinary operation: the plan takes the first one out, and a later one is
    /// NFS4ERR_SEQUENCE_POS before it runs.
    async fn run(self, _cx: &mut Cx) -> Result<Ok, Status> {
        Err(Status::SequencePos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::create_session::ChannelAttrs;
    use crate::settings::Settings;
    use crate::testing::{Channel, Client41, Compound, Harness};

    async fn client_of<'h>(h: &'h Harness, fore: &Channel) -> Client41<'h> {
        let (id, number) = h.exchange_id("a", 1).await;
        let create = h.compound(1).create_session(id, number, fore);
        let session = create.run().await.ok_body();
        Client41::new(h, id, session)
    }

    fn create_dir<'h>(compound: Compound<'h>, name: &str) -> Compound<'h> {
        compound.putrootfh().lookup("export").op(6, |w| {
            w.write(&2_u32);
            w.write(name);
            w.write(&crate::types::Bitmap::EMPTY);
            w.write("");
        })
    }

    fn second_creates(h: &Harness, session: SessionId) -> Compound<'_> {
        create_dir(h.compound(1).sequence(session, 2, 0, true), "d")
    }

    fn second_looks(h: &Harness, session: SessionId) -> Compound<'_> {
        h.compound(1).sequence(session, 2, 0, true).putrootfh()
    }

    #[tokio::test]
    async fn a_retry_is_answered_byte_for_byte_on_any_connection() {
        let h = Harness::new();
        let client = h.client41("a").await;
        let first = second_creates(&h, client.session).run().await;
        first.ok();
        let other = h.reconnected();
        assert_eq!(
            second_creates(&other, client.session).run().await.bytes,
            first.bytes
        );
        // Run again it would fail.
        let again = create_dir(h.compound(1).sequence(client.session, 3, 0, true), "d");
        assert_eq!(again.status().await, Status::Exist);
    }

    #[tokio::test]
    async fn a_retry_that_was_not_to_be_kept_fails_after_sequence() {
        let h = Harness::new();
        let client = h.client41("a").await;
        let request = || {
            h.compound(1)
                .sequence(client.session, 2, 0, false)
                .putrootfh()
        };
        request().run().await.ok();
        let reply = request().run().await;
        assert_eq!((reply.status, reply.count), (Status::RetryUncachedRep, 2));
    }

    #[tokio::test]
    async fn an_unknown_operation_stays_unknown_in_a_retry() {
        let h = Harness::new();
        let client = h.client41("a").await;
        let request = || {
            h.compound(1)
                .sequence(client.session, 2, 0, false)
                .op(9999, |_| ())
        };
        assert_eq!(request().status().await, Status::OpIllegal);
        assert_eq!(request().status().await, Status::OpIllegal);
    }

    #[tokio::test]
    async fn sequence_alone_can_always_be_retried() {
        let h = Harness::new();
        let client = h.client41("a").await;
        let request = || {
            h.compound(1)
                .tag("keep")
                .sequence(client.session, 2, 0, false)
        };
        let first = request().run().await;
        first.ok();
        assert_eq!(request().run().await.bytes, first.bytes);
    }

    #[tokio::test]
    async fn another_request_under_the_same_number_is_a_false_retry() {
        let h = Harness::new();
        let client = h.client41("a").await;
        second_looks(&h, client.session).run().await.ok();
        assert_eq!(
            second_looks(&h, client.session).getfh().status().await,
            Status::SeqFalseRetry
        );
        assert_eq!(
            second_looks(&h.as_user(2000), client.session)
                .status()
                .await,
            Status::SeqFalseRetry,
            "the same bytes of another user"
        );
        second_looks(&h, client.session).run().await.ok();
    }

    #[test]
    fn requests_are_told_apart_by_all_their_bytes_and_large_ones_by_some_of_every_page() {
        let h = Harness::new();
        let differ = |length: usize, step: usize| {
            let mut args = vec![7; length];
            let first = h.server.digest(&args);
            for at in (0..length).step_by(step) {
                args[at] = 8;
                assert_ne!(h.server.digest(&args), first, "byte {at} of {length}");
                args[at] = 7;
            }
            assert_eq!(h.server.digest(&args), first);
            first
        };
        differ(1, 1);
        differ(16 * 1024, 97);
        assert_ne!(differ(1 << 20, 4096), differ((1 << 20) + 4, 4096));
    }

    #[tokio::test]
    async fn what_does_not_fit_is_refused_by_its_own_name() {
        let h = Harness::new();
        let fore = Channel {
            request: 400,
            operations: 3,
            requests: 2,
            ..Channel::default()
        };
        let client = client_of(&h, &fore).await;
        let session = client.session;
        let at = |sequence, slot, highest| {
            h.compound(1)
                .sequence_up_to(session, sequence, slot, highest, false)
        };
        assert_eq!(at(2, 0, 0).status().await, Status::SeqMisordered);
        assert_eq!(at(0, 0, 0).status().await, Status::SeqMisordered);
        assert_eq!(at(1, 2, 1).status().await, Status::Badslot);
        assert_eq!(at(1, 0, 2).status().await, Status::BadHighSlot);
        assert_eq!(
            at(1, 0, 0).putrootfh().getfh().getfh().status().await,
            Status::TooManyOps
        );
        assert_eq!(
            at(1, 0, 0).tag(&"t".repeat(400)).status().await,
            Status::ReqTooBig
        );
        let stranger = h.compound(1).sequence(SessionId([9; 16]), 1, 0, false);
        assert_eq!(stranger.status().await, Status::Badsession);
        // Nothing of that moved a slot.
        at(1, 0, 1).run().await.ok();
        at(1, 1, 1).run().await.ok();
    }

    #[tokio::test]
    async fn the_result_tells_how_many_slots_there_are() {
        let h = Harness::new();
        let client = client_of(
            &h,
            &Channel {
                requests: 5,
                ..Channel::default()
            },
        )
        .await;
        let reply = h
            .compound(1)
            .sequence(client.session, 1, 3, false)
            .run()
            .await;
        let words: Vec<u32> = reply
            .bytes
            .chunks(4)
            .map(|word| u32::from_be_bytes(word.try_into().unwrap()))
            .collect();
        // Number and status, session, then: number, slot, highest, target, flags.
        assert_eq!(words[3..5], [NUMBER, 0]);
        assert_eq!(words[9..], [1, 3, 4, 4, 0]);
    }

    #[tokio::test]
    async fn a_reply_beyond_the_channel_or_the_cache_is_refused_before_it_is_made() {
        let h = Harness::new();
        let fore = Channel {
            response: 160,
            cached: 100,
            ..Channel::default()
        };
        let client = client_of(&h, &fore).await;
        let session = client.session;
        let many = |sequence, cache| {
            let compound = h.compound(1).sequence(session, sequence, 0, cache);
            (0..12).fold(compound, |compound, _| compound.putrootfh())
        };
        assert_eq!(many(1, true).status().await, Status::RepTooBigToCache);
        assert_eq!(many(2, false).status().await, Status::RepTooBig);
    }

    /// Highest slot and target of a SEQUENCE alone.
    async fn slots_told(sequence: Compound<'_>) -> [u32; 2] {
        let bytes = sequence.run().await.bytes;
        let word = |at: usize| u32::from_be_bytes(*bytes[at * 4..].first_chunk().unwrap());
        assert_eq!(word(0), 0, "refused");
        [word(11), word(12)]
    }

    #[tokio::test]
    async fn a_session_grows_and_shrinks_with_the_setting_while_it_is_used() {
        let settings = |slots| Settings {
            v4_max_session_slots: slots,
            ..Settings::default()
        };
        let h = Harness::with(settings(4));
        let client = client_of(&h, &Channel::default()).await;
        let at = |number, slot| h.compound(1).sequence(client.session, number, slot, false);
        assert_eq!(slots_told(at(1, 0)).await, [3, 3]);
        assert_eq!(at(1, 7).status().await, Status::Badslot);

        // Eight is what the client asked for, and so the most that it can use.
        h.server.set_settings(settings(64));
        assert_eq!(slots_told(at(2, 0)).await, [7, 3]);
        assert_eq!(slots_told(at(3, 0)).await, [7, 7]);
        at(1, 7).run().await.ok();

        // The slots stay until their client must know, and a request under way keeps its own.
        h.server.set_settings(settings(2));
        assert_eq!(slots_told(at(4, 0)).await, [7, 1]);
        at(2, 7).run().await.ok();
        assert_eq!(slots_told(at(5, 0)).await, [7, 1]);
        assert_eq!(slots_told(at(6, 0)).await, [1, 1]);
        assert_eq!(at(3, 7).status().await, Status::Badslot);
        at(1, 1).run().await.ok();

        // Withdrawn slots rest for a lease.
        h.server.set_settings(settings(64));
        assert_eq!(slots_told(at(7, 0)).await, [1, 1]);
    }

    #[tokio::test]
    async fn scarce_memory_means_fewer_slots() {
        let h = Harness::with(Settings {
            replay_cache_bytes: 1 << 20,
            ..Settings::default()
        });
        let asked = Channel {
            cached: 16 * 1024,
            requests: 64,
            ..Channel::default()
        };
        let mut granted = Vec::new();
        for owner in ["a", "b", "c", "d"] {
            let (id, number) = h.exchange_id(owner, 1).await;
            let create = h.compound(1).create_session(id, number, &asked);
            let mut reply = create.run().await;
            let (_session, _number, _flags): (SessionId, u32, u32) =
                (reply.ok_body(), reply.body(), reply.body());
            let fore: ChannelAttrs = reply.body();
            granted.push(fore.requests);
        }
        assert!(
            granted.is_sorted_by(|a, b| a >= b) && granted[0] < 64,
            "{granted:?}"
        );
        assert!(granted.iter().all(|slots| *slots > 0));
    }

    #[tokio::test]
    async fn whatever_the_limit_a_reply_keeps_it_and_what_did_not_fit_was_not_done() {
        let h = Harness::new();
        for response in 80..420 {
            let fore = Channel {
                response,
                cached: response,
                ..Channel::default()
            };
            let name = format!("d{response}");
            let (id, number) = h.exchange_id(&name, 1).await;
            let create = h.compound(1).create_session(id, number, &fore);
            let session = create.run().await.ok_body();
            let compound = h.compound(1).sequence(session, 1, 0, true);
            let reply = create_dir(compound, &name).getfh().run().await;
            let most = response as usize - 24;
            assert!(reply.bytes.len() <= most, "{response}: {reply:?}");
            assert!(
                reply.status == Status::RepTooBig || reply.status == Status::Ok,
                "{reply:?}"
            );
            let exists = h
                .compound(0)
                .putrootfh()
                .lookup("export")
                .lookup(&name)
                .status()
                .await;
            assert_eq!(
                exists,
                if reply.status == Status::Ok {
                    Status::Ok
                } else {
                    Status::Noent
                }
            );
        }
    }

    #[tokio::test]
    async fn a_cache_too_small_for_sequence_itself_is_no_cache() {
        let h = Harness::new();
        let fore = Channel {
            cached: 10,
            ..Channel::default()
        };
        let client = client_of(&h, &fore).await;
        let at = |cache| h.compound(1).sequence(client.session, 1, 0, cache);
        assert_eq!(at(true).status().await, Status::RepTooBigToCache);
        at(false).run().await.ok();
    }

    #[tokio::test]
    async fn a_second_sequence_is_out_of_place() {
        let h = Harness::new();
        let client = h.client41("a").await;
        let reply = client
            .compound()
            .sequence(client.session, 3, 0, false)
            .run()
            .await;
        assert_eq!((reply.status, reply.count), (Status::SequencePos, 2));
    }

    #[tokio::test]
    async fn without_it_other_operations_are_in_no_session() {
        let h = Harness::new();
        assert_eq!(
            h.compound(1).putrootfh().status().await,
            Status::OpNotInSession
        );
    }
}
