//! SETCLIENTID_CONFIRM: the second step of a 4.0 client's introduction.
//! <https://www.rfc-editor.org/rfc/rfc7530#section-16.34>

use super::courtesy::make_room_for_client;
use crate::compound::{Cx, Operation};
use crate::state::Principal;
use crate::status::Status;
use crate::types::{ClientId, Verifier};
use crate::xdr::xdr_struct;

xdr_struct! {
    /// SETCLIENTID_CONFIRM4args
    #[derive(Debug)]
    pub struct Args {
        /// The client's number.
        pub client: ClientId,
        /// What SETCLIENTID said.
        pub confirm: Verifier,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        make_room_for_client(cx, self.client).await;
        let principal = Principal::from(&cx.call.auth);
        let limits = cx.settings.limits();
        let files =
            cx.server
                .state
                .confirm(self.client, self.confirm, principal, cx.now, &limits)?;
        drop(files);
        let client = cx.server.state.clients.find(self.client);
        let client = client.ok_or(Status::StaleClientid)?;
        client.seen_at(cx.call.peer);
        // On record before anybody can rely on it (RFC 7530 §9.6.3.4).
        cx.server.record(client.name()).await?;
        cx.server.callbacks.introduced(&client);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Harness;

    async fn introduce(h: &Harness, incarnation: u64) -> (ClientId, Verifier) {
        let mut reply = h.compound(0).setclientid("a", incarnation).run().await;
        (reply.ok_body(), reply.body())
    }

    async fn confirm(h: &Harness, (client, verifier): (ClientId, Verifier)) -> Status {
        h.compound(0)
            .setclientid_confirm(client, verifier)
            .status()
            .await
    }

    #[tokio::test]
    async fn a_confirmation_and_its_retry_succeed() {
        let h = Harness::new();
        let new = introduce(&h, 1).await;
        assert_eq!(
            h.compound(0).renew(new.0).status().await,
            Status::StaleClientid
        );
        assert_eq!(confirm(&h, new).await, Status::Ok);
        assert_eq!(confirm(&h, new).await, Status::Ok);
        h.compound(0).renew(new.0).run().await.ok();
    }

    #[tokio::test]
    async fn what_was_not_said_is_stale() {
        let h = Harness::new();
        let (id, verifier) = introduce(&h, 1).await;
        assert_eq!(
            confirm(&h, (id, Verifier([1; 8]))).await,
            Status::StaleClientid
        );
        assert_eq!(
            confirm(&h, (ClientId(7), verifier)).await,
            Status::StaleClientid
        );
        assert_eq!(confirm(&h, (id, verifier)).await, Status::Ok);
    }

    #[tokio::test]
    async fn another_user_can_not_confirm() {
        let h = Harness::new();
        let new = introduce(&h, 1).await;
        assert_eq!(confirm(&h.as_user(2000), new).await, Status::ClidInuse);
        assert_eq!(confirm(&h, new).await, Status::Ok);
        assert_eq!(confirm(&h.as_user(2000), new).await, Status::ClidInuse);
    }

    #[tokio::test]
    async fn the_same_incarnation_keeps_its_number_when_callbacks_move() {
        let h = Harness::new();
        let first = introduce(&h, 1).await;
        assert_eq!(confirm(&h, first).await, Status::Ok);
        let second = introduce(&h, 1).await;
        assert_eq!(second.0, first.0);
        assert_ne!(second.1, first.1);
        assert_eq!(
            confirm(&h, first).await,
            Status::Ok,
            "the confirmed record stays until then"
        );
        assert_eq!(confirm(&h, second).await, Status::Ok);
        assert_eq!(confirm(&h, first).await, Status::StaleClientid);
        h.compound(0).renew(first.0).run().await.ok();
    }

    #[tokio::test]
    async fn a_new_incarnation_replaces_the_old_one_when_it_is_confirmed() {
        let h = Harness::new();
        let old = introduce(&h, 1).await;
        assert_eq!(confirm(&h, old).await, Status::Ok);
        let dropped = introduce(&h, 2).await;
        let new = introduce(&h, 3).await;
        assert_ne!(new.0, old.0);
        assert_ne!(new.0, dropped.0);
        assert_eq!(confirm(&h, dropped).await, Status::StaleClientid);
        h.compound(0).renew(old.0).run().await.ok();
        assert_eq!(confirm(&h, new).await, Status::Ok);
        assert_eq!(h.compound(0).renew(old.0).status().await, Status::Expired);
    }
}
