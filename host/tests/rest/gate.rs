//! Who may do what, and what every request is held to.

use serde_json::json;

use crate::bench::Ground;

#[tokio::test]
async fn health_needs_no_token_and_all_else_does() {
    let ground = Ground::new(&[]);
    let host = ground.host(&[]).await;
    for path in ["/health", "/api/v1/health"] {
        let health = host.raw("GET", path, None, &[]).await.expect(200);
        assert_eq!(
            (&health["status"], &health["service"]),
            (&json!("healthy"), &json!("dittofs"))
        );
    }
    assert_eq!(
        host.raw("GET", "/health/ready", None, &[])
            .await
            .expect(200),
        json!({"ready": true})
    );
    for headers in [
        &[][..],
        &[("authorization", "Bearer other")],
        &[("authorization", "Basic the-token")],
        &[("authorization", "the-token")],
    ] {
        for path in [
            "/api/v1/adapters",
            "/api/v1/shares",
            "/api/v1/log",
            "/api/v1/nothing",
        ] {
            host.raw("GET", path, None, headers).await.expect(401);
        }
    }
    host.end().await;
}

#[tokio::test]
async fn a_host_that_stops_is_not_ready() {
    let ground = Ground::new(&[]);
    let host = ground.host(&[]).await;
    host.serving.send_replace(false);
    let ready = host.raw("GET", "/health/ready", None, &[]).await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.body["ready"], false);
    host.end().await;
}

#[tokio::test]
async fn a_broken_database_is_unhealthy() {
    let ground = Ground::new(&[]);
    let host = ground.host(&[]).await;
    host.app.core.db.close().await;
    let health = host.raw("GET", "/health", None, &[]).await;
    assert_eq!(
        (health.status.as_u16(), &health.body["status"]),
        (503, &json!("unhealthy"))
    );
}

#[tokio::test]
async fn unknown_paths_methods_and_bodies_are_refused() {
    let ground = Ground::new(&[]);
    let host = ground.host(&[]).await;
    host.get("/nothing").await.expect(404);
    host.get("/adapters/nothing").await.expect(404);
    host.call("PATCH", "/shares", json!({})).await.expect(405);
    host.send("POST", "/shares", Some("{".to_owned()), &[])
        .await
        .expect(400);
    let detail = host
        .call("POST", "/shares", json!({"nam": "/a"}))
        .await
        .expect(400)["detail"]
        .to_string();
    assert!(detail.contains("nam"), "{detail}");
    let long = format!("\"{}\"", "x".repeat(1 << 20));
    host.send("POST", "/shares", Some(long), &[])
        .await
        .expect(413);
    host.end().await;
}

#[tokio::test]
async fn the_log_filter_is_read_and_changed() {
    let ground = Ground::new(&[]);
    let host = ground.host(&[]).await;
    assert_eq!(
        host.get("/log").await.expect(200),
        json!({"filter": "info"})
    );
    host.call("PUT", "/log", json!({"filter": "warn,x=debug"}))
        .await
        .expect(200);
    assert!(host.app.core.log.enabled("x", tracing::Level::DEBUG, "t"));
    let problem = host
        .call("PUT", "/log", json!({"filter": "loud"}))
        .await
        .expect(422);
    assert!(problem["errors"]["filter"].is_string(), "{problem}");
    assert_eq!(
        host.get("/log").await.expect(200),
        json!({"filter": "warn,x=debug"})
    );
    host.end().await;
}
