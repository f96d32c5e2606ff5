//! What an operator may get wrong: one clear line and a non-zero exit or a 4xx, and nothing is lost.

use std::fs;
use std::net::TcpListener;

use anyhow::{Result, ensure};
use dittofs_tests::site::{ANY_PORT, PATIENCE, Site, bytes};
use serde_json::json;

/// Of SQLite, in bytes.
const PAGE: usize = 4096;

#[test]
fn an_unknown_setting_is_refused_everywhere() -> Result<()> {
    let site = Site::new()?;
    site.serve_in_vain(["--set", "hello.nonsense=1"])?
        .complains(2, &["hello.nonsense"])?;
    site.serve_in_vain(["--set", "goodbye.greeting=1"])?
        .complains(2, &["goodbye", "found: hello"])?;

    let _host = site.serve(ANY_PORT)?;
    site.dfsctl(["adapter", "settings", "hello", "update", "--nonsense", "1"])?
        .complains(2, &["--nonsense"])?;
    site.dfsctl([
        "adapter",
        "settings",
        "hello",
        "reset",
        "--setting",
        "nonsense",
    ])?
    .complains(1, &["nonsense"])?;
    let (code, problem) = site.rest(
        "PATCH",
        "/api/v1/adapters/hello/settings",
        r#"{"nonsense":1}"#,
    )?;
    ensure!(
        code == 400 && problem.contains("nonsense"),
        "{code} {problem}"
    );
    ensure!(
        site.ask(&["adapter", "settings", "hello", "show"])?["version"] == json!(0),
        "nothing was written"
    );
    Ok(())
}

#[test]
fn a_value_out_of_range_is_refused_everywhere() -> Result<()> {
    let site = Site::new()?;
    site.serve_in_vain(["--set", "hello.greeting="])?
        .complains(2, &["hello.greeting"])?;

    let _host = site.serve(ANY_PORT)?;
    let long = "x".repeat(1025);
    site.dfsctl([
        "adapter",
        "settings",
        "hello",
        "update",
        "--greeting",
        &long,
    ])?
    .complains(1, &["greeting"])?;
    site.dfsctl([
        "adapter", "settings", "hello", "update", "--listen", "nowhere",
    ])?
    .complains(1, &["listen"])?;
    for body in [
        r#"{"greeting":""}"#,
        r#"{"greeting":5}"#,
        r#"{"greeting":null}"#,
    ] {
        let (code, problem) = site.rest("PATCH", "/api/v1/adapters/hello/settings", body)?;
        ensure!(
            code == 422 && problem.contains("greeting"),
            "{body}: {code} {problem}"
        );
    }
    // The good half of a bad change is not taken.
    let half = r#"{"greeting":"half","listen":"nowhere"}"#;
    ensure!(
        site.rest("PATCH", "/api/v1/adapters/hello/settings", half)?
            .0
            == 422
    );
    ensure!(site.greeting()? == "hello\n");
    Ok(())
}

#[test]
fn a_body_that_is_no_json_or_too_long_is_refused() -> Result<()> {
    let site = Site::new()?;
    let _host = site.serve(ANY_PORT)?;
    for body in ["", "{", "[]", "nul\0"] {
        let (code, problem) = site.rest("PATCH", "/api/v1/adapters/hello/settings", body)?;
        ensure!(code == 400, "{body:?}: {code} {problem}");
    }
    let long = format!(r#"{{"greeting":"{}"}}"#, "x".repeat(2 << 20));
    ensure!(
        site.rest("PATCH", "/api/v1/adapters/hello/settings", &long)?
            .0
            == 413
    );
    ensure!(site.rest("GET", "/api/v1/adapters/goodbye", "")?.0 == 404);
    ensure!(site.greeting()? == "hello\n");
    Ok(())
}

#[test]
fn a_share_on_a_missing_directory_is_refused() -> Result<()> {
    let site = Site::new()?;
    let missing = site.path("missing");
    let share = format!("/x={}", missing.display());
    let text = missing.display().to_string();
    site.serve_in_vain(["--share", &share])?
        .complains(2, &["/x", &text])?;
    ensure!(!missing.exists(), "it is not made by mistake");

    let _host = site.serve(ANY_PORT)?;
    site.dfsctl(["share", "create", "/x", "--path", &text])?
        .complains(1, &[&text])?;
    let body = json!({ "name": "/x", "backend": { "type": "local", "path": missing } }).to_string();
    let (code, problem) = site.rest("POST", "/api/v1/shares", &body)?;
    ensure!(
        (400..500).contains(&code) && problem.contains(&text),
        "{code} {problem}"
    );
    ensure!(site.ask(&["share", "list"])? == json!([]));
    Ok(())
}

#[test]
fn a_busy_port_of_the_host_is_named() -> Result<()> {
    let site = Site::new()?;
    let busy = TcpListener::bind("127.0.0.1:0")?;
    let address = busy.local_addr()?.to_string();
    for flag in ["--api", "--metrics"] {
        let finished = site.serve_in_vain([ANY_PORT[0], ANY_PORT[1], flag, &address])?;
        finished.complains(1, &[&address])?;
        ensure!(
            !site.state().join("run.json").exists(),
            "no host announces itself"
        );
    }
    Ok(())
}

#[test]
fn a_busy_port_of_an_adapter_fails_that_adapter_only() -> Result<()> {
    let site = Site::new()?;
    let busy = TcpListener::bind("127.0.0.1:0")?;
    let address = busy.local_addr()?.to_string();
    let _host = site.serve(["--set", &format!("hello.listen={address}")])?;
    let adapter = site.ask(&["adapter", "show", "hello"])?;
    let reason = adapter["reason"].as_str().unwrap_or_default();
    ensure!(
        adapter["state"] == json!("failed") && reason.contains(&address),
        "{adapter}"
    );
    site.dfsctl(["status"])?
        .complains(1, &["hello", &address])?;
    drop(busy);
    ensure!(site.ask(&["adapter", "enable", "hello"])?["running"] == json!(true));
    ensure!(site.greeting()? == "hello\n");
    Ok(())
}

#[test]
fn a_second_host_on_the_same_state_directory_leaves_the_first_alone() -> Result<()> {
    let site = Site::new()?;
    let first = site.serve(ANY_PORT)?;
    let state = site.state().display().to_string();
    site.serve_in_vain(ANY_PORT)?
        .complains(1, &[&state, &first.id().to_string()])?;
    ensure!(site.greeting()? == "hello\n");
    Ok(())
}

#[test]
fn a_corrupt_database_is_named_and_left_as_it_is() -> Result<()> {
    let site = Site::new()?;
    fs::create_dir(site.state())?;
    let database = site.state().join("state.db");
    let garbage = b"this is no database at all, whatever the host may hope".repeat(100);
    fs::write(&database, &garbage)?;
    let text = database.display().to_string();
    site.serve_in_vain(ANY_PORT)?
        .complains(1, &[&text, "corrupt"])?;
    ensure!(
        bytes(&database)? == garbage,
        "it may be all that is left to repair"
    );

    // The same behind a header that is good, as after a disk's fault.
    fs::remove_file(&database)?;
    site.serve(ANY_PORT)?.terminate(PATIENCE)?;
    let mut broken = bytes(&database)?;
    ensure!(broken.len() > 2 * PAGE, "{} bytes", broken.len());
    broken.iter_mut().skip(PAGE).for_each(|byte| *byte ^= 0xa5);
    fs::write(&database, &broken)?;
    site.serve_in_vain(ANY_PORT)?
        .complains(1, &[&text, "corrupt"])?;
    ensure!(bytes(&database)? == broken);
    Ok(())
}
