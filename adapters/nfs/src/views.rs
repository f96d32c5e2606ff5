//! What the server shows of its inside to operators, and what it does for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dittofs_sdk::Error;
use serde_json::{Value, json};

use crate::server::Server;
use crate::state::Client;
use crate::state::copies::{Phase, Stop};
use crate::state::files::Revoked;
use crate::types::ClientId;

impl Server {
    /// A view of the inside; `None` for an unknown one.
    pub fn view(&self, what: &str, now: Instant) -> Option<Value> {
        match what {
            "grace" => Some(self.grace_view(now)),
            "clients" => Some(self.clients_view(now)),
            "copies" => Some(self.copies_view(now)),
            "state" => Some(self.state_view()),
            _ => None,
        }
    }

    /// Does something; `None` for an unknown wish.
    pub async fn act(&self, what: &str, args: &Value) -> Result<Option<Value>, Error> {
        match what {
            "grace-end" => {
                if !self.end_grace().await {
                    return Err(Error::failed(
                        "records of clients can't be written: see the log; it is tried again",
                    ));
                }
                Ok(Some(Value::Null))
            }
            "client-evict" => {
                let client = self.named(args)?;
                self.evict(&client).await?;
                Ok(Some(Value::Null))
            }
            "copy-cancel" => {
                self.cancel_copy(args).await?;
                Ok(Some(Value::Null))
            }
            _ => Ok(None),
        }
    }

    /// Ends a copy in the background. Its client is told, and learns that it may copy by itself.
    async fn cancel_copy(&self, args: &Value) -> Result<(), Error> {
        let id = args.get("id").and_then(Value::as_str).unwrap_or_default();
        let number = u64::from_str_radix(id, 16).ok();
        let job = number.and_then(|number| self.state.copies.numbered(number));
        let job = job.ok_or_else(|| Error::failed(format!("there is no copy {id:?}")))?;
        if let Phase::Ended(_) = job.phase() {
            return Err(Error::failed(format!("the copy {id:?} has ended")));
        }
        job.stop(Stop::Operator);
        job.ended().await;
        Ok(())
    }

    /// Takes away all that a client has, though its lease may be valid (RFC 8881 §8.5, RFC 7530 §9.8). It is
    /// told, and may have more.
    async fn evict(&self, client: &Client) -> Result<(), Error> {
        if !self.suspect(client).await {
            return Err(Error::failed(
                "the client's record can't be written: see the log",
            ));
        }
        // Files are closed here, after all locks of the state are released.
        drop(self.state.files.revoke_client(client.id, Revoked::Admin));
        self.delegations.returned();
        self.acknowledged(client).await;
        Ok(())
    }

    fn named(&self, args: &Value) -> Result<Arc<Client>, Error> {
        let id = args.get("id").and_then(Value::as_str).unwrap_or_default();
        let client = u64::from_str_radix(id, 16)
            .ok()
            .and_then(|id| self.state.clients.find(ClientId(id)));
        client.ok_or_else(|| Error::failed(format!("there is no client {id:?}")))
    }

    fn grace_view(&self, now: Instant) -> Value {
        let report = self.state.grace.report(now);
        json!({
            "active": report.active,
            "remaining_seconds": seconds_up(report.remaining),
            "total_duration": report.total.as_secs(),
            "age_seconds": report.age.as_secs(),
            "expected_clients": report.expected,
            "reclaimed_clients": report.done,
        })
    }

    fn clients_view(&self, now: Instant) -> Value {
        let lease = self.settings().lease();
        let mut clients = self.state.clients.all();
        clients.sort_unstable_by_key(|client| client.id.0);
        let clients = clients.iter().map(|client| {
            let held = self.state.files.held(client.id);
            let state = if self.state.is_silent(client, now, lease) {
                "courtesy"
            } else {
                "active"
            };
            json!({
                "client_id": format!("{:016x}", client.id.0),
                "version": format!("4.{}", client.minor as u32),
                "address": client.address().map(|address| address.to_string()).unwrap_or_default(),
                "owner": String::from_utf8_lossy(&client.owner),
                "state": state,
                "lease_left_seconds": seconds_up(lease.saturating_sub(client.silence(now))),
                "sessions": client.session_count(),
                "opens": held.opens,
                "locks": held.ranges,
                "delegations": held.delegations,
                "revoked": self.state.files.losses(client.id),
            })
        });
        clients.collect()
    }

    /// Copies in the background; those that have ended, until their clients have acknowledged it.
    fn copies_view(&self, now: Instant) -> Value {
        let copies = self.state.copies.all().into_iter().map(|job| {
            let (state, error) = match job.phase() {
                Phase::Running => ("running", None),
                Phase::Stopping(_) => ("stopping", None),
                Phase::Ended(Ok(())) => ("completed", None),
                Phase::Ended(Err(status)) => ("failed", Some(status.name())),
            };
            let order = &job.order;
            json!({
                "copy_id": format!("{:016x}", job.id()),
                "client_id": format!("{:016x}", order.client.0),
                "source": order.source.to_string(),
                "target": order.target.to_string(),
                "bytes_done": job.done(),
                "bytes_total": order.total,
                "state": state,
                "error": error,
                "age_seconds": now.saturating_duration_since(job.began).as_secs(),
            })
        });
        copies.collect()
    }

    fn state_view(&self) -> Value {
        let census = self.state.census();
        json!({
            "clients": census.clients,
            "sessions": census.sessions,
            "opens": census.opens,
            "stateids": census.states,
            "files": census.files,
            "locks": census.ranges,
            "delegations": census.delegations,
            "owners": census.owners,
            "revoked": census.losses,
        })
    }
}

/// Whole seconds; what is left of one counts.
fn seconds_up(time: Duration) -> u64 {
    time.as_millis().div_ceil(1000) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;
    use crate::testing::{Client41, Harness};
    use crate::types::StateId;

    async fn opened(client: &Client41<'_>) -> StateId {
        let open = client.compound().putrootfh().lookup("export");
        let mut reply = open.open_file(client.id, 0, "owner", "f").run().await;
        reply.skip(2).ok_body()
    }

    #[tokio::test]
    async fn clients_are_shown_with_what_they_have() {
        let h = Harness::new();
        let a = h.client41("a").await;
        opened(&a).await;
        h.client40("b").await;
        let now = Instant::now();
        let clients = h.server.view("clients", now).unwrap();
        let [first, second] = clients.as_array().unwrap().as_slice() else {
            panic!("{clients}");
        };
        assert_eq!(first["client_id"], format!("{:016x}", a.id.0));
        assert_eq!(
            (&first["version"], &first["owner"]),
            (&json!("4.1"), &json!("a"))
        );
        assert_eq!(
            (&first["opens"], &first["sessions"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(first["state"], "active");
        assert!(first["address"].as_str().unwrap().starts_with("127.0.0.1"));
        assert_eq!(
            (&second["version"], &second["opens"]),
            (&json!("4.0"), &json!(0))
        );
        let late = h.server.view("clients", now + Duration::from_hours(1));
        assert_eq!(late.unwrap()[0]["state"], "courtesy");
        let state = h.server.view("state", now).unwrap();
        assert_eq!((&state["clients"], &state["opens"]), (&json!(2), &json!(1)));
    }

    #[tokio::test]
    async fn a_client_that_is_evicted_loses_all_is_told_and_may_begin_anew() {
        let h = Harness::new();
        let a = h.client41("a").await;
        let lost = opened(&a).await;
        let id = json!({ "id": format!("{:016x}", a.id.0) });
        h.server.act("client-evict", &id).await.unwrap().unwrap();
        let reply = a.compound().run().await.bytes;
        assert_eq!(reply[13 * 4..14 * 4], 0x20_u32.to_be_bytes());
        let file = || a.compound().putrootfh().lookup("export").lookup("f");
        let write = file().write_file(lost, "x");
        assert_eq!(write.status().await, Status::AdminRevoked);
        a.compound().with(45, &lost).run().await.ok();
        let new = opened(&a).await;
        file().write_file(new, "x").run().await.ok();
    }

    #[tokio::test]
    async fn what_is_unknown_is_no_act_and_no_view() {
        let h = Harness::new();
        assert_eq!(h.server.act("dance", &Value::Null).await, Ok(None));
        assert_eq!(h.server.view("dance", Instant::now()), None);
        for args in [Value::Null, json!({ "id": "7" }), json!({ "id": "x" })] {
            assert!(h.server.act("client-evict", &args).await.is_err());
        }
    }
}
