//! The built `dfsctl` against a host that answers from a list: what it asks, prints and exits with.

// In the helpers of a test, too, a panic is how it fails.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod stub;

use std::net::TcpListener;

use serde_json::{Value, json};
use stub::{Run, Stub, TOKEN, command};

fn schema() -> Value {
    json!({ "type": "object", "properties": {
        "lease_time": { "type": "integer", "minimum": 10, "maximum": 3600, "default": 90,
            "description": "How long a client may be silent.",
            "x-unit": "s", "x-group": "Timeouts", "x-applies": "live" },
        "blocked": { "type": "array", "items": { "type": "string" }, "default": [] },
        "loud": { "type": "boolean", "default": false },
    }})
}

fn settings(lease_time: u32) -> Value {
    json!({ "version": 3, "values": { "lease_time": lease_time, "blocked": [], "loud": false },
        "applied": { "lease_time": "live" } })
}

fn adapter(running: bool) -> Value {
    let (state, reason) = if running {
        ("running", Value::Null)
    } else {
        ("failed", json!("port 7 is busy"))
    };
    json!({ "type": "hello", "version": "0.1.0", "sdk": "1.0", "description": "Greets",
        "enabled": true, "running": running, "state": state, "reason": reason, "settings_version": 3 })
}

fn share() -> Value {
    json!({ "id": "00000000-0000-0000-0000-000000000001", "name": "/a/b", "backend": { "type": "memory" },
        "read_only": true, "squash": "all", "anonymous_uid": 65534, "anonymous_gid": 65534,
        "clients": ["10.0.0.0/8"], "origin": "stored" })
}

fn host() -> Stub {
    Stub::new(&[
        (
            "GET /health",
            200,
            json!({ "status": "healthy", "service": "dittofs", "version": "9.8", "uptime_seconds": 5 }),
        ),
        ("GET /health/ready", 200, json!({ "ready": true })),
        ("GET /api/v1/adapters", 200, json!([adapter(true)])),
        ("GET /api/v1/adapters/hello", 200, adapter(true)),
        ("PUT /api/v1/adapters/hello", 200, adapter(true)),
        (
            "GET /api/v1/adapters/hello/inspect/greetings",
            200,
            json!({ "total": 3 }),
        ),
        ("POST /api/v1/adapters/hello/restart", 200, adapter(true)),
        ("GET /api/v1/adapters/hello/settings/schema", 200, schema()),
        ("GET /api/v1/adapters/hello/settings", 200, settings(30)),
        ("PATCH /api/v1/adapters/hello/settings", 200, settings(30)),
        (
            "PATCH /api/v1/adapters/hello/settings?dry_run=true",
            200,
            settings(30),
        ),
        (
            "POST /api/v1/adapters/hello/settings/reset",
            200,
            settings(90),
        ),
        (
            "POST /api/v1/adapters/hello/settings/reset?setting=lease_time",
            200,
            settings(90),
        ),
        ("GET /api/v1/shares", 200, json!([share()])),
        ("GET /api/v1/shares/a%2Fb", 200, share()),
        ("POST /api/v1/shares", 201, share()),
        ("DELETE /api/v1/shares/a%2Fb", 204, Value::Null),
    ])
}

/// The last request that changes something.
fn change(host: &Stub) -> (String, Value) {
    let asked = host
        .asked()
        .into_iter()
        .rfind(|asked| !asked.line.starts_with("GET "))
        .unwrap();
    (asked.line, asked.body)
}

fn ok(run: &Run) {
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
}

/// One line on stderr, and that exit code.
fn refused(run: &Run, code: i32, parts: &[&str]) {
    assert_eq!(
        (run.code, run.stderr.lines().count()),
        (Some(code), 1),
        "{run:?}"
    );
    for part in parts {
        assert!(run.stderr.contains(part), "{part} not in {run:?}");
    }
}

#[test]
fn update_sends_only_what_was_named_in_its_type_with_the_local_token() {
    let host = host();
    let words = [
        "adapter",
        "settings",
        "hello",
        "update",
        "--lease-time",
        "30",
        "--blocked",
        "a,b",
        "--loud",
        "true",
    ];
    let run = host.dfsctl(&words);
    ok(&run);
    let expected = json!({ "lease_time": 30, "blocked": ["a", "b"], "loud": true });
    assert_eq!(
        change(&host),
        ("PATCH /api/v1/adapters/hello/settings".to_owned(), expected)
    );
    assert!(
        run.stdout.contains("lease_time  =  30 s") && run.stdout.contains("in force"),
        "{run:?}"
    );
    let bearer = Some(format!("Bearer {TOKEN}"));
    assert!(
        host.asked()
            .iter()
            .all(|asked| asked.authorization == bearer)
    );
}

#[test]
fn update_takes_global_flags_and_the_other_spelling() {
    let host = host();
    let run = host.dfsctl(&[
        "adapter",
        "hello",
        "settings",
        "update",
        "--lease-time=30",
        "-o",
        "json",
        "--dry-run",
        "-v",
    ]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(
        change(&host).0,
        "PATCH /api/v1/adapters/hello/settings?dry_run=true"
    );
    assert_eq!(
        serde_json::from_str::<Value>(&run.stdout).unwrap(),
        settings(30)
    );
    assert!(run.stderr.contains("settings?dry_run=true: 200"), "{run:?}");
}

#[test]
fn help_of_update_is_made_of_the_schema() {
    let run = host().dfsctl(&["adapter", "settings", "hello", "update", "--help"]);
    ok(&run);
    for part in [
        "Timeouts:",
        "--lease-time <N>",
        "How long a client may be silent.",
        "--loud <true|false>",
        "--dry-run",
    ] {
        assert!(run.stdout.contains(part), "{part} not in {}", run.stdout);
    }
}

#[test]
fn a_wrong_value_or_flag_is_a_usage_error_and_changes_nothing() {
    let host = host();
    for (words, named) in [
        (["--lease-time", "5"], "--lease-time"),
        (["--lease-time", "soon"], "--lease-time"),
        (["--loud", "very"], "--loud"),
        (["--louder", "true"], "--louder"),
    ] {
        let run = host.dfsctl(&[&["adapter", "settings", "hello", "update"], &words[..]].concat());
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(
            run.stderr.lines().next().unwrap().contains(named),
            "{run:?}"
        );
    }
    assert!(
        host.asked()
            .iter()
            .all(|asked| asked.line.starts_with("GET "))
    );
}

#[test]
fn a_refusal_is_one_line_that_names_the_field() {
    let problem = json!({ "type": "about:blank", "title": "Unprocessable Content", "status": 422,
        "detail": "1 field", "errors": { "lease_time": "must be at most grace_period" } });
    let host = Stub::new(&[
        ("GET /api/v1/adapters/hello/settings/schema", 200, schema()),
        ("PATCH /api/v1/adapters/hello/settings", 422, problem),
    ]);
    let run = host.dfsctl(&[
        "adapter",
        "settings",
        "hello",
        "update",
        "--lease-time",
        "30",
    ]);
    refused(
        &run,
        1,
        &["error: lease_time: must be at most grace_period"],
    );
    refused(
        &host.dfsctl(&["adapter", "show", "hallo"]),
        1,
        &["no GET /api/v1/adapters/hallo"],
    );
}

#[test]
fn settings_are_shown_and_reset() {
    let host = host();
    let run = host.dfsctl(&["adapter", "settings", "hello", "show"]);
    ok(&run);
    assert!(run.stdout.contains("30 s (default: 90 s)"), "{run:?}");
    let run = host.dfsctl(&[
        "adapter",
        "settings",
        "hello",
        "reset",
        "--setting",
        "lease_time",
    ]);
    ok(&run);
    assert_eq!(
        change(&host).0,
        "POST /api/v1/adapters/hello/settings/reset?setting=lease_time"
    );
    assert!(run.stdout.contains("lease_time  =  90 s"), "{run:?}");
    ok(&host.dfsctl(&["adapter", "settings", "hello", "reset"]));
    assert_eq!(
        change(&host).0,
        "POST /api/v1/adapters/hello/settings/reset"
    );
}

#[test]
fn adapters_are_listed_and_switched() {
    let host = host();
    let run = host.dfsctl(&["adapter", "list", "-o", "yaml"]);
    ok(&run);
    assert!(run.stdout.contains("- type: hello"), "{run:?}");
    ok(&host.dfsctl(&["adapter", "enable", "hello"]));
    assert_eq!(
        change(&host),
        (
            "PUT /api/v1/adapters/hello".to_owned(),
            json!({ "enabled": true })
        )
    );
    ok(&host.dfsctl(&["adapter", "disable", "hello"]));
    assert_eq!(change(&host).1, json!({ "enabled": false }));
    let run = host.dfsctl(&["adapter", "inspect", "hello", "greetings"]);
    assert_eq!(run.stdout, "total: 3\n", "{run:?}");
    ok(&host.dfsctl(&["adapter", "restart", "hello"]));
    assert_eq!(change(&host).0, "POST /api/v1/adapters/hello/restart");
}

#[test]
fn an_adapter_that_does_not_start_is_a_failure_with_its_reason() {
    let host = Stub::new(&[("PUT /api/v1/adapters/hello", 200, adapter(false))]);
    refused(
        &host.dfsctl(&["adapter", "enable", "hello"]),
        1,
        &["hello does not run", "port 7 is busy"],
    );
}

#[test]
fn shares_are_made_and_removed() {
    let host = host();
    let words = [
        "share",
        "create",
        "/a/b",
        "--memory",
        "--read-only",
        "--squash",
        "all",
        "--clients",
        "10.0.0.0/8,::1/128",
    ];
    ok(&host.dfsctl(&words));
    let expected = json!({ "name": "/a/b", "backend": { "type": "memory" }, "read_only": true, "squash": "all",
        "anonymous_uid": 65534, "anonymous_gid": 65534, "clients": ["10.0.0.0/8", "::1/128"] });
    assert_eq!(change(&host), ("POST /api/v1/shares".to_owned(), expected));
    ok(&host.dfsctl(&["share", "create", "/a/b", "--path", "some/where"]));
    let here = std::env::current_dir().unwrap().join("some/where");
    assert_eq!(
        change(&host).1["backend"],
        json!({ "type": "local", "path": here, "attribute_cache_ms": 0 })
    );
    let words = ["share", "create", "/a/b", "--path", "/d"];
    ok(&host.dfsctl(&[&words[..], &["--attribute-cache", "250"]].concat()));
    assert_eq!(
        change(&host).1["backend"],
        json!({ "type": "local", "path": "/d", "attribute_cache_ms": 250 })
    );
    ok(&host.dfsctl(&["share", "show", "/a/b"]));
    ok(&host.dfsctl(&["share", "remove", "/a/b"]));
    assert_eq!(change(&host).0, "DELETE /api/v1/shares/a%2Fb");
}

#[test]
fn status_is_a_failure_while_the_host_is_not_ready() {
    let run = host().dfsctl(&["status"]);
    ok(&run);
    assert!(
        run.stdout.contains("9.8") && run.stdout.contains("hello") && run.stdout.contains("/a/b"),
        "{run:?}"
    );
    let host = Stub::new(&[
        (
            "GET /health",
            503,
            json!({ "status": "unhealthy", "service": "dittofs", "version": "1", "uptime_seconds": 5 }),
        ),
        (
            "GET /health/ready",
            503,
            json!({ "ready": false, "reasons": ["hello failed: port 7 is busy"] }),
        ),
        ("GET /api/v1/adapters", 200, json!([adapter(false)])),
        ("GET /api/v1/shares", 200, json!([])),
    ]);
    refused(
        &host.dfsctl(&["status"]),
        1,
        &["not ready", "port 7 is busy"],
    );
}

#[test]
fn without_a_host_the_address_and_the_way_to_start_one_are_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let run = Run::new(command(&["status", "--server", &server]));
    refused(&run, 1, &[&server, "connection refused", "dittofs serve"]);
    let empty = tempfile::tempdir().unwrap();
    let mut none = command(&["status"]);
    none.arg("--state-dir").arg(empty.path());
    refused(
        &Run::new(none),
        1,
        &[empty.path().to_str().unwrap(), "dittofs serve"],
    );
}

#[test]
fn a_token_that_was_given_is_the_one_that_is_sent() {
    let host = host();
    let mut run = command(&["share", "list", "--token", "mine"]);
    run.env("DITTOFS_SERVER", host.address.to_string());
    ok(&Run::new(run));
    assert_eq!(
        host.asked()[0].authorization.as_deref(),
        Some("Bearer mine")
    );
    let run = Run::new(command(&[
        "share",
        "list",
        "--server",
        &host.address.to_string(),
        "--token",
        "a\nb",
    ]));
    refused(&run, 2, &["--token"]);
}

#[test]
fn an_answer_without_end_is_cut_and_a_redirect_is_not_followed() {
    let host = Stub::new(&[
        ("GET /api/v1/shares", 200, json!("x".repeat(17 << 20))),
        ("GET /api/v1/adapters", 307, Value::Null),
    ]);
    refused(
        &host.dfsctl(&["share", "list"]),
        1,
        &["longer than 16777216 bytes"],
    );
    refused(&host.dfsctl(&["adapter", "list"]), 1, &["307"]);
    assert_eq!(host.asked().len(), 2);
}

#[test]
fn an_answer_of_something_else_is_a_failure() {
    let host = Stub::new(&[("GET /api/v1/shares", 200, json!({ "hello": "world" }))]);
    refused(
        &host.dfsctl(&["share", "list"]),
        1,
        &["GET http://127.0.0.1", "/api/v1/shares"],
    );
}

#[test]
fn completion_and_version_need_no_host() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = Run::new(command(&["completion", shell]));
        ok(&run);
        assert!(
            run.stdout.contains("dfsctl") && run.stdout.contains("restart"),
            "{shell}"
        );
    }
    let run = Run::new(command(&["version"]));
    ok(&run);
    assert!(run.stdout.starts_with("dfsctl "), "{run:?}");
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    for words in [
        &["adapter", "lst"][..],
        &["share", "create", "/x"],
        &[
            "share",
            "create",
            "/x",
            "--memory",
            "--attribute-cache",
            "1",
        ],
        &[
            "share",
            "create",
            "/x",
            "--path",
            "/d",
            "--attribute-cache",
            "60001",
        ],
        &["status", "-o", "xml"],
        &[],
        &["--server", "ftp://x", "status"],
    ] {
        let run = Run::new(command(words));
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{run:?}");
        assert!(!run.stderr.is_empty());
    }
}
