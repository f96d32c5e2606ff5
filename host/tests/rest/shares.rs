//! Shares, and what running adapters see of them.

use dittofs_host::shares::{Backend, ShareSpec};
use serde_json::{Value, json};

use crate::bench::{Ground, Host};

async fn seen(host: &Host) -> Value {
    host.get("/adapters/probe/inspect/shares").await.expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_is_made_seen_by_adapters_kept_and_removed() {
    let ground = Ground::new(&["probe"]);
    let dir = ground.path().join("srv");
    std::fs::create_dir(&dir).unwrap();
    let host = ground.host(&[]).await;
    let body = json!({
        "name": "/data/a b",
        "backend": {"type": "local", "path": dir},
        "read_only": true,
        "squash": "all",
        "clients": ["10.1.2.3/8", "::1"],
    });
    let made = host.call("POST", "/shares", body.clone()).await.expect(201);
    assert_eq!(made["clients"], json!(["10.0.0.0/8", "::1/128"]));
    assert_eq!(
        (&made["origin"], &made["squash"]),
        (&json!("stored"), &json!("all"))
    );
    assert_eq!(host.get("/shares/data%2Fa%20b").await.expect(200), made);
    assert_eq!(seen(&host).await, json!(["/data/a b"]));
    host.call("POST", "/shares", body).await.expect(409);
    host.end().await;

    let host = ground.host(&[]).await;
    assert_eq!(
        host.get("/shares").await.expect(200),
        json!([made]),
        "with the same id"
    );
    assert_eq!(seen(&host).await, json!(["/data/a b"]));
    assert_eq!(
        host.send("DELETE", "/shares/data%2Fa%20b", None, &[])
            .await
            .status,
        204
    );
    host.send("DELETE", "/shares/data%2Fa%20b", None, &[])
        .await
        .expect(404);
    assert_eq!(seen(&host).await, json!([]));
    assert!(dir.is_dir());
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_the_part() {
    let ground = Ground::new(&[]);
    let host = ground.host(&[]).await;
    std::fs::write(ground.path().join("file"), "").unwrap();
    let memory = json!({"type": "memory"});
    let local = |path: String| json!({"type": "local", "path": path});
    let below = |name: &str| ground.path().join(name).display().to_string();
    for (body, field, mentions) in [
        (
            json!({"name": "/a", "backend": local(below("missing"))}),
            "backend.path",
            "no such directory",
        ),
        (
            json!({"name": "/a", "backend": local(below("file"))}),
            "backend.path",
            "not a directory",
        ),
        (
            json!({"name": "/a", "backend": local("srv".to_owned())}),
            "backend.path",
            "starts with /",
        ),
        (
            json!({"name": "/a", "backend": {"type": "local", "path": "/", "attribute_cache_ms": 60_001}}),
            "backend.attribute_cache_ms",
            "60001 is not within 0 and 60000 milliseconds; give 0",
        ),
        (
            json!({"name": "a", "backend": memory}),
            "name",
            "starts with /",
        ),
        (
            json!({"name": "/a/../b", "backend": memory}),
            "name",
            "neither . nor ..",
        ),
        (
            json!({"name": "/a", "backend": memory, "clients": ["x"]}),
            "clients",
            "CIDR",
        ),
    ] {
        let problem = host.call("POST", "/shares", body.clone()).await.expect(422);
        let said = problem["errors"][field].as_str().unwrap_or_default();
        assert!(said.contains(mentions), "{body}: {problem}");
    }
    for backend in [
        json!({"type": "tape"}),
        json!({"type": "memory", "attribute_cache_ms": 0}),
        json!({"type": "local", "path": "/", "attribute_cache_ms": -1}),
    ] {
        let body = json!({"name": "/a", "backend": backend});
        host.call("POST", "/shares", body).await.expect(400);
    }
    host.call(
        "POST",
        "/shares",
        json!({"name": "/a/b", "backend": memory}),
    )
    .await
    .expect(201);
    host.call("POST", "/shares", json!({"name": "/a", "backend": memory}))
        .await
        .expect(409);
    host.get("/shares/%zz").await.expect(400);
    host.get("/shares/none").await.expect(404);
    assert_eq!(
        host.get("/shares")
            .await
            .expect(200)
            .as_array()
            .unwrap()
            .len(),
        1
    );
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_one_run_hides_a_stored_one_keeps_its_id_and_is_not_stored() {
    let ground = Ground::new(&[]);
    let dir = ground.path().join("srv");
    std::fs::create_dir(&dir).unwrap();
    let mut spec = ShareSpec::new("/run".parse().unwrap(), Backend::local(&dir));
    spec.read_only = true;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let host = ground.host(&[]).await;
        assert_eq!(host.get("/shares").await.expect(200), json!([]));
        host.app
            .core
            .shares
            .add_for_this_run(spec.clone())
            .await
            .unwrap();
        let share = host.get("/shares/run").await.expect(200);
        assert_eq!(
            (&share["origin"], &share["read_only"]),
            (&json!("command-line"), &json!(true))
        );
        host.send("DELETE", "/shares/run", None, &[])
            .await
            .expect(409);
        ids.push(share["id"].clone());
        host.end().await;
    }
    assert_eq!(ids[0], ids[1], "file handles survive");

    let host = ground.host(&[]).await;
    let body = json!({"name": "/run", "backend": {"type": "local", "path": dir}});
    let stored = host.call("POST", "/shares", body).await.expect(201);
    host.app.core.shares.add_for_this_run(spec).await.unwrap();
    let shown = host.get("/shares/run").await.expect(200);
    assert_eq!(
        (&shown["id"], &shown["read_only"]),
        (&stored["id"], &json!(true))
    );
    host.end().await;
    let host = ground.host(&[]).await;
    assert_eq!(host.get("/shares/run").await.expect(200), stored);
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bound_of_the_attribute_cache_is_shown_kept_and_no_part_of_the_id() {
    let ground = Ground::new(&[]);
    let dir = ground.path().join("srv");
    std::fs::create_dir(&dir).unwrap();
    let local = |name: &str, backend: Value| json!({"name": name, "backend": backend});
    let host = ground.host(&[]).await;
    let body = local("/a", json!({"type": "local", "path": dir}));
    let unbounded = host.call("POST", "/shares", body).await.expect(201);
    assert_eq!(unbounded["backend"]["attribute_cache_ms"], json!(0));
    let backend = json!({"type": "local", "path": dir, "attribute_cache_ms": 60_000});
    let made = host
        .call("POST", "/shares", local("/b", backend.clone()))
        .await
        .expect(201);
    assert_eq!(made["backend"], backend, "of the same directory");
    host.end().await;

    let host = ground.host(&[]).await;
    let kept = host.get("/shares").await.expect(200);
    assert_eq!(kept, json!([unbounded, made]));
    for text in [
        format!("/b={},attribute_cache=250", dir.display()),
        format!("/b={}", dir.display()),
    ] {
        let spec: ShareSpec = text.parse().unwrap();
        host.app.core.shares.add_for_this_run(spec).await.unwrap();
        let shown = host.get("/shares/b").await.expect(200);
        assert_eq!(shown["id"], made["id"], "handles stay valid");
        let bound = if text.contains("250") { 250 } else { 0 };
        assert_eq!(shown["backend"]["attribute_cache_ms"], json!(bound));
    }
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_share_whose_directory_is_gone_is_kept_with_the_reason() {
    let ground = Ground::new(&["probe"]);
    let dir = ground.path().join("srv");
    std::fs::create_dir(&dir).unwrap();
    let host = ground.host(&[]).await;
    let body = json!({"name": "/a", "backend": {"type": "local", "path": dir}});
    let made = host.call("POST", "/shares", body).await.expect(201);
    host.call(
        "POST",
        "/shares",
        json!({"name": "/m", "backend": {"type": "memory"}}),
    )
    .await
    .expect(201);
    host.end().await;

    std::fs::remove_dir(&dir).unwrap();
    let host = ground.host(&[]).await;
    let shown = host.get("/shares/a").await.expect(200);
    assert!(
        shown["error"].as_str().unwrap().contains("create it first"),
        "{shown}"
    );
    assert_eq!(seen(&host).await, json!(["/m"]), "the others are exported");
    host.end().await;

    std::fs::create_dir(&dir).unwrap();
    let host = ground.host(&[]).await;
    assert_eq!(host.get("/shares/a").await.expect(200), made);
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_starts_empty_and_so_under_a_new_id() {
    let ground = Ground::new(&[]);
    let host = ground.host(&[]).await;
    let body = json!({"name": "/m", "backend": {"type": "memory"}});
    let made = host.call("POST", "/shares", body).await.expect(201);
    host.end().await;
    let host = ground.host(&[]).await;
    assert_ne!(host.get("/shares/m").await.expect(200)["id"], made["id"]);
    host.end().await;
}
