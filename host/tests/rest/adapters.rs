//! Adapters' lives as an operator sees and directs them.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use crate::bench::{Ground, Host};

const ANY_PORT: &str = "hello.listen=127.0.0.1:0";

async fn address(host: &Host) -> String {
    let view = host
        .get("/adapters/hello/inspect/greetings")
        .await
        .expect(200);
    view["address"].as_str().unwrap().to_owned()
}

fn greeting(address: &str) -> String {
    let mut line = String::new();
    BufReader::new(TcpStream::connect(address).unwrap())
        .read_line(&mut line)
        .unwrap();
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn a_found_adapter_runs_and_shows_itself() {
    let ground = Ground::new(&["hello"]);
    let host = ground.host(&[ANY_PORT]).await;
    let reply = host.get("/adapters/hello").await;
    assert_eq!(reply.etag.as_deref(), Some("\"0\""));
    let adapter = reply.expect(200);
    assert_eq!(host.get("/adapters").await.expect(200), json!([adapter]));
    assert_eq!(
        host.get("/adapters/hello/status").await.expect(200),
        adapter
    );
    for (field, value) in [
        ("type", json!("hello")),
        ("state", json!("running")),
        ("running", json!(true)),
        ("enabled", json!(true)),
        ("sdk", json!("1.3")),
        ("overrides", json!(["listen"])),
    ] {
        assert_eq!(adapter[field], value, "{field}");
    }
    assert_eq!(greeting(&address(&host).await), "hello\n");
    host.get("/adapters/hello/inspect/nothing")
        .await
        .expect(404);
    let metrics = host.metrics();
    assert!(
        metrics.contains("dittofs_hello_greetings_total 1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("dittofs_adapter_state{adapter=\"hello\",state=\"running\"} 1"),
        "{metrics}"
    );
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_adapter_stops_listening_and_stays_disabled() {
    let ground = Ground::new(&["hello"]);
    let host = ground.host(&[ANY_PORT]).await;
    let old = address(&host).await;
    let adapter = host
        .call("PUT", "/adapters/hello", json!({"enabled": false}))
        .await
        .expect(200);
    assert_eq!(
        (&adapter["state"], &adapter["enabled"]),
        (&json!("stopped"), &json!(false))
    );
    assert!(TcpStream::connect(old).is_err());
    host.get("/adapters/hello/inspect/greetings")
        .await
        .expect(409);
    host.call("POST", "/adapters/hello/restart", Value::Null)
        .await
        .expect(409);
    host.end().await;

    let host = ground.host(&[ANY_PORT]).await;
    let adapter = host.get("/adapters/hello").await.expect(200);
    assert_eq!(
        (&adapter["state"], &adapter["enabled"]),
        (&json!("loaded"), &json!(false))
    );
    host.get("/adapters/hello/settings").await.expect(200);
    let adapter = host
        .call("PUT", "/adapters/hello", json!({"enabled": true}))
        .await
        .expect(200);
    assert_eq!(adapter["state"], "running");
    assert_eq!(greeting(&address(&host).await), "hello\n");
    host.call("PUT", "/adapters/hello", json!({"enable": true}))
        .await
        .expect(400);
    let stale = [("if-match", "\"9\"")];
    host.send("PUT", "/adapters/hello", Some("{}".to_owned()), &stale)
        .await
        .expect(412);
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_the_listener_and_hands_state_on() {
    let ground = Ground::new(&["hello", "probe"]);
    let host = ground.host(&[ANY_PORT]).await;
    let old = address(&host).await;
    host.call("POST", "/adapters/hello/restart", Value::Null)
        .await
        .expect(200);
    assert_eq!(address(&host).await, old);
    assert_eq!(greeting(&old), "hello\n");

    assert_eq!(
        host.get("/adapters/probe/inspect/prior").await.expect(200),
        Value::Null
    );
    host.call("POST", "/adapters/probe/restart", Value::Null)
        .await
        .expect(200);
    assert_eq!(
        host.get("/adapters/probe/inspect/prior").await.expect(200),
        json!(b"value")
    );
    assert_eq!(
        host.app
            .core
            .db
            .kv_get("probe", "key")
            .await
            .unwrap()
            .unwrap(),
        b"value"
    );
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_library_is_taken_at_restart_and_a_broken_one_is_not() {
    let ground = Ground::new(&["hello"]);
    let host = ground.host(&[ANY_PORT]).await;
    let library = ground.library("hello");
    let whole = std::fs::read(&library).unwrap();

    std::fs::remove_file(&library).unwrap();
    std::fs::write(&library, "no library").unwrap();
    let problem = host
        .call("POST", "/adapters/hello/restart", Value::Null)
        .await
        .expect(409);
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains(library.to_str().unwrap()) && detail.contains("goes on"),
        "{detail}"
    );
    assert_eq!(greeting(&address(&host).await), "hello\n");

    let mut file = std::fs::File::create(&library).unwrap();
    file.write_all(&whole).unwrap();
    file.write_all(b"another build").unwrap();
    drop(file);
    host.call("POST", "/adapters/hello/restart", Value::Null)
        .await
        .expect(200);
    assert_eq!(greeting(&address(&host).await), "hello\n");
    let copies = std::fs::read_dir(ground.path().join("adapters"))
        .unwrap()
        .count();
    assert_eq!(copies, 2);
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_adapter_that_fails_leaves_the_others_serving_and_its_reason_is_kept() {
    let ground = Ground::new(&["hello", "probe"]);
    std::fs::write(
        ground.path().join("found/libbroken_adapter_broken.so"),
        "text",
    )
    .unwrap();
    let host = ground.host(&[ANY_PORT, "probe.panic_in=start"]).await;
    let broken = host.get("/adapters/broken").await.expect(200);
    assert_eq!(broken["state"], "failed");
    assert!(
        broken["reason"]
            .as_str()
            .unwrap()
            .contains("libbroken_adapter_broken.so"),
        "{broken}"
    );
    host.get("/adapters/broken/settings").await.expect(409);
    host.call("POST", "/adapters/broken/restart", Value::Null)
        .await
        .expect(409);

    let probe = host.get("/adapters/probe").await.expect(200);
    assert_eq!(probe["state"], "failed");
    assert!(
        probe["reason"]
            .as_str()
            .unwrap()
            .contains("as told in start"),
        "{probe}"
    );
    assert!(
        host.metrics()
            .contains("dittofs_adapter_start_failures_total{adapter=\"probe\"} 1")
    );

    assert_eq!(
        host.get("/adapters/hello").await.expect(200)["state"],
        "running"
    );
    let ready = host.raw("GET", "/health/ready", None, &[]).await;
    assert_eq!(ready.status, 503);
    assert_eq!(
        ready.body["reasons"].as_array().unwrap().len(),
        2,
        "{ready:?}"
    );
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_panics_is_counted_and_the_instance_goes_on() {
    let ground = Ground::new(&["probe"]);
    let host = ground.host(&["probe.panic_in=task"]).await;
    let counted = "dittofs_adapter_panics_total{adapter=\"probe\"} 1";
    while !host.metrics().contains(counted) {
        tokio::task::yield_now().await;
    }
    let probe = host.get("/adapters/probe").await.expect(200);
    assert_eq!(probe["state"], "running");
    assert_eq!(
        probe["health"],
        json!({"status": "degraded", "message": "only a probe"})
    );
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_port_fails_the_adapter_with_the_address_until_it_is_free() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ground = Ground::new(&["hello"]);
    let host = ground.host(&[&format!("hello.listen={address}")]).await;
    let hello = host.get("/adapters/hello").await.expect(200);
    assert_eq!(hello["state"], "failed");
    let reason = hello["reason"].as_str().unwrap();
    assert!(
        reason.contains(&address) && reason.contains("another address"),
        "{reason}"
    );
    drop(taken);
    let hello = host
        .call("POST", "/adapters/hello/restart", Value::Null)
        .await
        .expect(200);
    assert_eq!(hello["state"], "running");
    host.end().await;
}
