//! How an operation gets past clients whose leases ran out: what they have is in nobody's way.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-8.4.3>

use crate::compound::Cx;
use crate::state::Client;
use crate::state::files::Rival;
use crate::types::ClientId;

/// How often an operation is tried: each time something was in the way that may be taken away.
const ATTEMPTS: usize = 16;

/// What keeps an operation from being done.
pub enum Obstacle {
    /// These opens, locks or delegations.
    Rivals(Vec<Rival>),
    /// There are as many opens or locks as there may be.
    Full,
    /// Something else.
    Other,
}

/// Does an operation, taking away from silent clients what is in its way. `attempt` changes nothing
/// when it fails; `obstacle` tells what its error was about.
pub async fn past_silent<T, E>(
    cx: &Cx,
    attempt: impl Fn() -> Result<T, E>,
    obstacle: impl Fn(&E) -> Obstacle,
) -> Result<T, E> {
    for _ in 1..ATTEMPTS {
        let error = match attempt() {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let cleared = match obstacle(&error) {
            Obstacle::Rivals(rivals) => make_way(cx, &rivals).await,
            Obstacle::Full => make_room(cx).await,
            Obstacle::Other => false,
        };
        if !cleared {
            return Err(error);
        }
    }
    attempt()
}

/// Takes `rivals` away, if all of their owners are silent; false if not.
pub async fn make_way(cx: &Cx, rivals: &[Rival]) -> bool {
    let lease = cx.settings.lease();
    !rivals.is_empty() && cx.server.make_way(rivals, cx.now, lease).await
}

/// Ends the client that has been silent for the longest time; false if there is none.
pub async fn make_room(cx: &Cx) -> bool {
    let (state, lease) = (&cx.server.state, cx.settings.lease());
    let Some(client) = state.most_silent(cx.now, lease) else {
        return false;
    };
    let back = |client: &Client| !state.is_silent(client, cx.now, lease);
    cx.server.discard(&client, cx.now, back).await
}

/// Makes room for one more client, if the one of this number is about to be confirmed, need be and
/// possible.
pub async fn make_room_for_client(cx: &Cx, client: ClientId) {
    let state = &cx.server.state;
    if state.is_full(&cx.settings.limits()) && state.awaits_confirmation(client) {
        make_room(cx).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::settings::Settings;
    use crate::status::Status;
    use crate::testing::{Client41, Compound, Harness};
    use crate::types::{Bitmap, ClientId, StateId};

    /// Everybody becomes silent, until the next request.
    fn silence(h: &Harness) {
        h.server
            .pass(h.server.settings().lease() + Duration::from_secs(1));
    }

    /// OPEN of the file `f`, created if need be.
    fn open(compound: Compound<'_>, client: ClientId, (access, deny): (u32, u32)) -> Compound<'_> {
        compound.putrootfh().lookup("export").op(18, |w| {
            w.write(&0_u32);
            w.write(&access);
            w.write(&deny);
            w.write(&client);
            w.write("owner");
            w.write(&1_u32);
            w.write(&0_u32);
            w.write(&Bitmap::EMPTY);
            w.write("");
            w.write(&0_u32);
            w.write("f");
        })
    }

    async fn opened(client: &Client41<'_>, share: (u32, u32)) -> StateId {
        let mut reply = open(client.compound(), client.id, share).run().await;
        reply.skip(2).ok_body()
    }

    fn file<'h>(client: &Client41<'h>) -> Compound<'h> {
        client.compound().putrootfh().lookup("export").lookup("f")
    }

    /// What SEQUENCE tells the client.
    async fn told(client: &Client41<'_>) -> u32 {
        let bytes = client.compound().run().await.bytes;
        u32::from_be_bytes(*bytes[13 * 4..].first_chunk().unwrap())
    }

    #[tokio::test]
    async fn an_open_of_a_silent_client_gives_way_and_its_owner_learns_of_it() {
        let h = Harness::new();
        let (a, b) = (h.client41("a").await, h.client41("b").await);
        let lost = opened(&a, (3, 3)).await;
        silence(&h);
        opened(&b, (3, 0)).await;

        assert_eq!(told(&a).await, 0x10);
        let io = |stateid| file(&a).write_file(stateid, "x");
        assert_eq!(io(lost).status().await, Status::Expired);
        a.compound().with(45, &lost).run().await.ok();
        assert_eq!(told(&a).await, 0);
        assert_eq!(io(lost).status().await, Status::BadStateid);
        opened(&a, (1, 0)).await;
    }

    #[tokio::test]
    async fn who_comes_back_goes_on_with_what_nobody_wanted() {
        let h = Harness::new();
        let (a, b) = (h.client41("a").await, h.client41("b").await);
        let kept = opened(&a, (3, 0)).await;
        silence(&h);
        opened(&b, (3, 0)).await;
        silence(&h);
        assert_eq!(told(&a).await, 0);
        file(&a).write_file(kept, "x").run().await.ok();
    }

    #[tokio::test]
    async fn locks_give_way_and_their_open_stays() {
        let h = Harness::new();
        let (a, b) = (h.client41("a").await, h.client41("b").await);
        let open_a = opened(&a, (3, 0)).await;
        let mut locked = file(&a).lock_file((open_a, 0), a.id, ("l", 0)).run().await;
        let lost: StateId = locked.skip(3).ok_body();
        let open_b = opened(&b, (3, 0)).await;
        silence(&h);
        let test = file(&b).op(13, |w| {
            w.write(&2_u32);
            w.write(&0_u64);
            w.write(&1_u64);
            w.write(&b.id);
            w.write("l");
        });
        test.run().await.ok();
        assert_eq!(told(&a).await, 0, "asking takes nothing away");
        silence(&h);
        let again = file(&b).lock_file((open_b, 0), b.id, ("l", 0));
        again.run().await.ok();
        assert_eq!(told(&a).await, 0x10);
        assert_eq!(
            file(&a).write_file(lost, "x").status().await,
            Status::Expired
        );
        file(&a).write_file(open_a, "x").run().await.ok();
    }

    #[tokio::test]
    async fn io_without_an_open_gets_past_a_silent_client_too() {
        let h = Harness::new();
        let (a, b) = (h.client41("a").await, h.client41("b").await);
        opened(&a, (1, 2)).await;
        silence(&h);
        let write = || file(&b).write_file(StateId::ANONYMOUS, "x");
        write().run().await.ok();
        assert_eq!(told(&a).await, 0x10);
    }

    #[tokio::test]
    async fn a_client_that_is_not_silent_keeps_what_it_has() {
        let h = Harness::new();
        let (a, b) = (h.client41("a").await, h.client41("b").await);
        opened(&a, (3, 3)).await;
        h.server.pass(h.server.settings().lease() / 2);
        let denied = open(b.compound(), b.id, (1, 0)).status().await;
        assert_eq!(denied, Status::ShareDenied);
        assert_eq!(told(&a).await, 0);
    }

    #[tokio::test]
    async fn a_client_of_40_loses_its_lease_as_a_whole() {
        let h = Harness::new();
        let (a, b) = (h.client40("a").await, h.client41("b").await);
        let mut reply = open(h.compound(0), a, (3, 3)).getfh().run().await;
        let lost: StateId = reply.skip(2).ok_body();
        let confirm = h.compound(0).putrootfh().lookup("export").lookup("f");
        confirm.open_confirm(lost, 1).run().await.ok();
        silence(&h);
        h.compound(0).renew(a).run().await.ok();
        silence(&h);
        opened(&b, (3, 0)).await;
        assert_eq!(h.compound(0).renew(a).status().await, Status::Expired);
        let close = h.compound(0).putrootfh().lookup("export").lookup("f");
        let close = close.close_file(2, lost).status().await;
        assert_eq!(close, Status::Expired);
    }

    #[tokio::test]
    async fn silent_clients_make_room_for_others() {
        let h = Harness::with(Settings {
            max_clients: 2,
            max_opens: 1,
            ..Settings::default()
        });
        let a = h.client41("a").await;
        opened(&a, (3, 0)).await;
        silence(&h);
        let b = h.client41("b").await;
        opened(&b, (3, 0)).await;
        assert_eq!(a.compound().status().await, Status::Badsession);
        silence(&h);
        h.client41("c").await;
        silence(&h);
        h.client40("d").await;
        assert_eq!(b.compound().status().await, Status::Badsession);
    }
}
