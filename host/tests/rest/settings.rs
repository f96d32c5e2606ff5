//! Settings of a real adapter.

use serde_json::{Value, json};

use crate::bench::Ground;

const PATH: &str = "/adapters/hello/settings";

#[tokio::test(flavor = "multi_thread")]
async fn a_change_carries_its_version_and_survives_the_host() {
    let ground = Ground::new(&["hello"]);
    let host = ground.host(&["hello.listen=127.0.0.1:0"]).await;
    let read = host.get(PATH).await;
    assert_eq!(read.etag.as_deref(), Some("\"0\""));
    let read = read.expect(200);
    assert_eq!(
        (&read["version"], &read["values"]["greeting"]),
        (&json!(0), &json!("hello"))
    );
    assert_eq!(read["overrides"], json!({"listen": "127.0.0.1:0"}));
    assert_eq!(read["values"]["listen"], "127.0.0.1:12050");
    let effective = host.get(&format!("{PATH}?effective")).await.expect(200);
    assert_eq!(effective["values"]["listen"], "127.0.0.1:0");

    let fresh = [("if-match", "\"0\"")];
    let change = Some(json!({"greeting": "ho"}).to_string());
    let reply = host.send("PATCH", PATH, change.clone(), &fresh).await;
    assert_eq!(reply.etag.as_deref(), Some("\"1\""));
    assert_eq!(reply.expect(200)["applied"], json!({"greeting": "live"}));
    host.send("PATCH", PATH, change, &fresh).await.expect(412);
    host.send(
        "PATCH",
        PATH,
        Some("{}".to_owned()),
        &[("if-match", "W/\"x\"")],
    )
    .await
    .expect(412);
    host.send("PATCH", PATH, Some("{}".to_owned()), &[("if-match", "*")])
        .await
        .expect(200);
    host.end().await;

    let host = ground.host(&[]).await;
    let read = host.get(PATH).await.expect(200);
    assert_eq!(
        (&read["version"], &read["values"]["greeting"]),
        (&json!(2), &json!("ho"))
    );
    assert_eq!(read.get("overrides"), None, "an override is for one run");
    let history = host.get(&format!("{PATH}/history")).await.expect(200);
    let versions: Vec<&Value> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["version"])
        .collect();
    assert_eq!(versions, [2, 1]);
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_the_field() {
    let ground = Ground::new(&["hello", "probe"]);
    let host = ground.host(&["hello.listen=127.0.0.1:0"]).await;
    for (path, body, status, field) in [
        (PATH, json!({"greeting": ""}), 422, "greeting"),
        (PATH, json!({"greeting": 5}), 422, "greeting"),
        (PATH, json!({"listen": "nowhere"}), 422, "listen"),
        (PATH, json!({"greetin": "x"}), 400, "greetin"),
        ("/adapters/probe/settings", json!({"even": 3}), 422, "even"),
    ] {
        let problem = host.call("PATCH", path, body.clone()).await.expect(status);
        assert!(problem["errors"][field].is_string(), "{body}: {problem}");
    }
    host.call("PATCH", PATH, json!([])).await.expect(400);
    host.call("PATCH", &format!("{PATH}?dry_run=perhaps"), json!({}))
        .await
        .expect(400);
    host.call("PATCH", "/adapters/none/settings", json!({}))
        .await
        .expect(404);
    assert_eq!(host.get(PATH).await.expect(200)["version"], 0);
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn put_replaces_reset_resets_and_a_dry_run_does_neither() {
    let ground = Ground::new(&["hello"]);
    let host = ground.host(&["hello.listen=127.0.0.1:0"]).await;
    host.call(
        "PATCH",
        PATH,
        json!({"greeting": "a", "listen": "127.0.0.1:9"}),
    )
    .await
    .expect(200);
    let dry = host
        .call(
            "PUT",
            &format!("{PATH}?dry_run=true"),
            json!({"greeting": "b"}),
        )
        .await
        .expect(200);
    assert_eq!(
        (&dry["version"], &dry["values"]["greeting"]),
        (&json!(1), &json!("b"))
    );
    assert_eq!(host.get(PATH).await.expect(200)["values"]["greeting"], "a");
    let put = host
        .call("PUT", PATH, json!({"greeting": "c"}))
        .await
        .expect(200);
    assert_eq!(
        put["values"],
        json!({"greeting": "c", "listen": "127.0.0.1:12050"})
    );
    let one = host
        .call(
            "POST",
            &format!("{PATH}/reset?setting=greeting"),
            Value::Null,
        )
        .await
        .expect(200);
    assert_eq!(one["values"]["greeting"], "hello");
    host.call(
        "POST",
        &format!("{PATH}/reset?setting=greetin"),
        Value::Null,
    )
    .await
    .expect(400);
    host.call("POST", &format!("{PATH}/reset"), Value::Null)
        .await
        .expect(200);
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_and_defaults_are_the_adapters_own() {
    let ground = Ground::new(&["hello"]);
    let host = ground.host(&["hello.listen=127.0.0.1:0"]).await;
    let schema = host.get(&format!("{PATH}/schema")).await.expect(200);
    assert_eq!(schema["properties"]["greeting"]["x-applies"], "live");
    let defaults = host.get(&format!("{PATH}/defaults")).await.expect(200);
    assert_eq!(defaults["defaults"]["greeting"], "hello");
    host.get(&format!("{PATH}/nothing")).await.expect(404);
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconfigure_that_panics_leaves_the_old_values_stored() {
    let ground = Ground::new(&["probe"]);
    let host = ground.host(&[]).await;
    let path = "/adapters/probe/settings";
    let problem = host
        .call("PATCH", path, json!({"panic_in": "reconfigure"}))
        .await
        .expect(409);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("as told in reconfigure"),
        "{problem}"
    );
    let read = host.get(path).await.expect(200);
    assert_eq!(
        (&read["version"], &read["values"]["panic_in"]),
        (&json!(0), &json!(""))
    );
    assert_eq!(
        host.get("/adapters/probe").await.expect(200)["state"],
        "running"
    );
    host.end().await;
}
