//! `dfsctl` and a real host, from end to end, with an adapter that neither of the two knows.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use dittofs_tests::site::{ANY_PORT, PATIENCE, Site, greeting};
use serde_json::{Value, json};

fn field<'a>(value: &'a Value, pointer: &str) -> Result<&'a Value> {
    value
        .pointer(pointer)
        .with_context(|| format!("no {pointer} in {value}"))
}

#[test]
fn a_host_is_found_through_its_state_directory() -> Result<()> {
    let site = Site::new()?;
    let mut host = site.serve(ANY_PORT)?;
    let status = site.ask(&["status"])?;
    ensure!(*field(&status, "/ready/ready")? == json!(true), "{status}");
    ensure!(
        *field(&status, "/adapters/0/type")? == json!("hello"),
        "{status}"
    );
    ensure!(
        *field(&status, "/adapters/0/state")? == json!("running"),
        "{status}"
    );
    let table = site.dfsctl(["status"])?;
    ensure!(
        table.stdout.contains("hello") && table.stdout.contains("running"),
        "{table:?}"
    );

    let ended = host.terminate(PATIENCE)?;
    ensure!(ended.code() == Some(0), "{ended}: {}", host.log());
    site.dfsctl(["status"])?
        .complains(1, &["no host runs", "dittofs serve"])
}

#[test]
fn flags_come_from_the_schema_and_a_change_is_live_and_lasts() -> Result<()> {
    let site = Site::new()?;
    let mut host = site.serve(ANY_PORT)?;
    let help = site.dfsctl(["adapter", "settings", "hello", "update", "--help"])?;
    for part in [
        "--greeting <TEXT>",
        "--listen <TEXT>",
        "What is sent to everybody who connects.",
    ] {
        ensure!(
            help.code == Some(0) && help.stdout.contains(part),
            "{part}: {help:?}"
        );
    }
    ensure!(site.greeting()? == "hello\n");
    site.ask(&[
        "adapter",
        "settings",
        "hello",
        "update",
        "--greeting",
        "good day",
        "--dry-run",
    ])?;
    ensure!(site.greeting()? == "hello\n", "a dry run changes nothing");
    let answer = site.ask(&[
        "adapter",
        "hello",
        "settings",
        "update",
        "--greeting",
        "good day",
    ])?;
    ensure!(
        answer["applied"] == json!({ "greeting": "live" }),
        "{answer}"
    );
    ensure!(site.greeting()? == "good day\n");

    host.terminate(PATIENCE)?;
    let _host = site.serve(ANY_PORT)?;
    ensure!(site.greeting()? == "good day\n", "it outlives the host");
    let shown = site.dfsctl(["adapter", "settings", "hello", "show"])?;
    ensure!(
        shown.stdout.contains("good day (default: hello)"),
        "{shown:?}"
    );
    site.ask(&[
        "adapter",
        "settings",
        "hello",
        "reset",
        "--setting",
        "greeting",
    ])?;
    ensure!(site.greeting()? == "hello\n");
    Ok(())
}

#[test]
fn what_the_command_line_of_the_host_decides_is_shown_and_wins() -> Result<()> {
    let site = Site::new()?;
    let _host = site.serve(
        ANY_PORT
            .iter()
            .chain(&["--set", "hello.greeting=from the command line"]),
    )?;
    let answer = site.ask(&[
        "adapter",
        "settings",
        "hello",
        "update",
        "--greeting",
        "stored",
    ])?;
    ensure!(
        answer["applied"]["greeting"] == json!("overridden"),
        "{answer}"
    );
    ensure!(site.greeting()? == "from the command line\n");
    let shown = site.dfsctl(["adapter", "settings", "hello", "show"])?;
    let line = shown
        .stdout
        .lines()
        .find(|line| line.contains("greeting"))
        .context("no greeting")?;
    ensure!(
        line.starts_with('!')
            && line.contains("from the command line (stored: stored, default: hello)"),
        "{line}"
    );
    Ok(())
}

#[test]
fn an_adapter_is_stopped_and_started_and_that_lasts() -> Result<()> {
    let site = Site::new()?;
    let mut host = site.serve(ANY_PORT)?;
    let view = site.ask(&["adapter", "inspect", "hello", "greetings"])?;
    let address: SocketAddr = serde_json::from_value(view["address"].clone())?;
    let stopped = site.ask(&["adapter", "disable", "hello"])?;
    ensure!(
        stopped["state"] == json!("stopped") && stopped["enabled"] == json!(false),
        "{stopped}"
    );
    ensure!(greeting(address).is_err(), "nobody listens there any more");

    host.terminate(PATIENCE)?;
    let _host = site.serve(ANY_PORT)?;
    let still = site.ask(&["adapter", "show", "hello"])?;
    ensure!(still["running"] == json!(false), "{still}");
    ensure!(site.ask(&["adapter", "enable", "hello"])?["running"] == json!(true));
    ensure!(site.greeting()? == "hello\n");
    ensure!(site.ask(&["adapter", "restart", "hello"])?["running"] == json!(true));
    ensure!(site.greeting()? == "hello\n");
    Ok(())
}

#[test]
fn a_share_is_made_lasts_and_is_removed() -> Result<()> {
    let site = Site::new()?;
    let mut host = site.serve(ANY_PORT)?;
    let words = [
        "share",
        "create",
        "/a/b",
        "--memory",
        "--read-only",
        "--squash",
        "all",
        "--clients",
        "10.0.0.0/8",
    ];
    let made = site.ask(&words)?;
    ensure!(
        made["name"] == json!("/a/b") && made["origin"] == json!("stored"),
        "{made}"
    );
    let directory = site.path("exported");
    std::fs::create_dir(&directory)?;
    let path = directory.to_str().context("path")?;
    let words = ["share", "create", "/dir", "--path", path];
    let exported = site.ask(&[&words[..], &["--attribute-cache", "250"]].concat())?;
    ensure!(
        exported["backend"]["attribute_cache_ms"] == json!(250),
        "{exported}"
    );

    host.terminate(PATIENCE)?;
    let _host = site.serve(ANY_PORT.iter().chain(&["--share", "/mine=memory"]))?;
    let kept = site.ask(&["share", "show", "/a/b"])?;
    ensure!(
        kept["clients"] == json!(["10.0.0.0/8"]) && kept["squash"] == json!("all"),
        "{kept}"
    );
    let kept = site.ask(&["share", "show", "/dir"])?;
    ensure!(
        kept == exported,
        "its id is in file handles: {kept} {exported}"
    );
    let all = site.ask(&["share", "list"])?;
    let names: Vec<&Value> = all
        .as_array()
        .context("no list")?
        .iter()
        .map(|share| &share["name"])
        .collect();
    ensure!(
        names == [&json!("/a/b"), &json!("/dir"), &json!("/mine")],
        "{all}"
    );
    ensure!(site.dfsctl(["share", "remove", "/a/b"])?.code == Some(0));
    site.dfsctl(["share", "show", "/a/b"])?
        .complains(1, &["/a/b"])
}
