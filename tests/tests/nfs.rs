//! The NFS adapter in a real host, as an operator sees it: its settings and its metrics.

// Clippy exempts test functions; here their helpers are tests as well.
#![allow(clippy::indexing_slicing)]

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use dittofs_tests::compound::{Answer, Client, MINOR_VERS_MISMATCH};
use dittofs_tests::site::{PATIENCE, Site, bytes};
use serde_json::{Value, json};

const SETTINGS: &str = "/api/v1/adapters/nfs/settings";
const LISTEN: [&str; 2] = ["--set", "nfs.listen=127.0.0.1:0"];

fn client(site: &Site) -> Result<Client> {
    let view = site.ask(&["adapter", "inspect", "nfs", "address"])?;
    let address: SocketAddr = serde_json::from_value(view["address"].clone())?;
    Client::connect(address)
}

fn refused() -> Answer {
    Answer {
        status: MINOR_VERS_MISMATCH,
        tag: "echo".to_owned(),
        results: 0,
    }
}

/// Whether 4.0, 4.1 and 4.2 are served, each by a COMPOUND on this connection.
fn served(client: &mut Client) -> Result<[bool; 3]> {
    let is_served = |answer: Answer| {
        ensure!(
            answer == refused() || (answer.status == 0 && answer.results == 1),
            "{answer:?}"
        );
        Ok(answer != refused())
    };
    Ok([
        is_served(client.v40()?)?,
        is_served(client.v41()?)?,
        is_served(client.v42()?)?,
    ])
}

fn range(settings: &Value) -> (Option<u64>, Option<u64>) {
    let field = |name| settings["values"][name].as_u64();
    (field("v4_min_minor_version"), field("v4_max_minor_version"))
}

/// A change through REST that must be accepted; answers the settings.
fn change(site: &Site, method: &str, path: &str, body: &Value) -> Result<Value> {
    let (code, answer) = site.rest(method, &format!("{SETTINGS}{path}"), &body.to_string())?;
    ensure!(code == 200, "{method} {path} {body}: {code} {answer}");
    Ok(serde_json::from_str(&answer)?)
}

/// A change through REST that must be refused because of `field`, in these words.
fn refuses(site: &Site, body: &Value, field: &str, words: &str) -> Result<()> {
    for method in ["PATCH", "PUT"] {
        let (code, problem) = site.rest(method, SETTINGS, &body.to_string())?;
        ensure!(code == 422, "{method} {body}: {code} {problem}");
        let problem: Value = serde_json::from_str(&problem)?;
        let said = problem["errors"][field].as_str().context("no such field");
        let said = said.with_context(|| problem.to_string())?;
        ensure!(said.contains(words), "{problem}");
    }
    Ok(())
}

#[test]
fn the_range_of_versions_is_live_through_rest() -> Result<()> {
    let site = Site::of("nfs")?;
    let _host = site.serve(LISTEN)?;
    let mut client = client(&site)?;
    let read = change(&site, "GET", "", &json!(null))?;
    ensure!(range(&read) == (Some(0), Some(2)), "{read}");
    let schema = change(&site, "GET", "/schema", &json!(null))?;
    let highest = &schema["properties"]["v4_max_minor_version"];
    ensure!(
        highest["maximum"] == 2 && highest["default"] == 2,
        "{highest}"
    );
    let defaults = change(&site, "GET", "/defaults", &json!(null))?;
    ensure!(
        defaults["defaults"]["v4_min_minor_version"] == 0,
        "{defaults}"
    );
    let bounds = &defaults["ranges"]["v4_max_minor_version"];
    ensure!(bounds["min"] == 0 && bounds["max"] == 2, "{defaults}");

    ensure!(served(&mut client)? == [true; 3]);
    let answer = change(&site, "PATCH", "", &json!({ "v4_max_minor_version": 0 }))?;
    ensure!(
        answer["applied"]["v4_max_minor_version"] == "live",
        "{answer}"
    );
    ensure!(served(&mut client)? == [true, false, false]);
    let only_41 = json!({ "v4_min_minor_version": 1, "v4_max_minor_version": 1 });
    let answer = change(&site, "PUT", "", &only_41)?;
    ensure!(range(&answer) == (Some(1), Some(1)), "{answer}");
    ensure!(served(&mut client)? == [false, true, false]);

    refuses(
        &site,
        &json!({ "v4_max_minor_version": 3 }),
        "v4_max_minor_version",
        "2",
    )?;
    let empty = json!({ "v4_min_minor_version": 1, "v4_max_minor_version": 0 });
    refuses(&site, &empty, "v4_min_minor_version", "at most")?;
    ensure!(
        served(&mut client)? == [false, true, false],
        "a refusal changes nothing"
    );

    change(
        &site,
        "POST",
        "/reset?setting=v4_min_minor_version",
        &json!(null),
    )?;
    ensure!(served(&mut client)? == [true, true, false]);
    change(&site, "PATCH", "", &json!({ "v4_max_minor_version": 0 }))?;
    let reset = change(&site, "POST", "/reset", &json!(null))?;
    ensure!(range(&reset) == (Some(0), Some(2)), "{reset}");
    ensure!(served(&mut client)? == [true; 3]);
    ensure!(client.compound(2, &[24])? != refused());
    ensure!(client.compound(3, &[24])? == refused());
    Ok(())
}

#[test]
fn the_range_of_versions_is_set_by_flags_and_outlives_the_host() -> Result<()> {
    let site = Site::of("nfs")?;
    let mut host = site.serve(LISTEN)?;
    let update = ["adapter", "settings", "nfs", "update"];
    let flags = ["--v4-min-minor-version", "1", "--v4-max-minor-version", "1"];
    let answer = site.ask(&[&update[..], &flags].concat())?;
    let live = json!({ "v4_min_minor_version": "live", "v4_max_minor_version": "live" });
    ensure!(answer["applied"] == live, "{answer}");
    ensure!(served(&mut client(&site)?)? == [false, true, false]);
    site.dfsctl(update.iter().chain(&["--v4-max-minor-version", "3"]))?
        .complains(2, &["v4-max-minor-version"])?;
    site.dfsctl(update.iter().chain(&["--v4-max-minor-version", "0"]))?
        .complains(1, &["v4_max_minor_version"])?;

    host.terminate(PATIENCE)?;
    let _host = site.serve(LISTEN)?;
    ensure!(served(&mut client(&site)?)? == [false, true, false]);
    let shown = site.dfsctl(["adapter", "settings", "nfs", "show"])?;
    let line = shown
        .stdout
        .lines()
        .find(|line| line.contains("v4_min_minor_version"))
        .with_context(|| format!("{shown:?}"))?;
    ensure!(line.contains("1 (default: 0)"), "{line}");
    Ok(())
}

/// The value of a series, by its name and labels as Prometheus shows them.
fn metric(site: &Site, series: &str) -> Result<Option<f64>> {
    let run: Value = serde_json::from_slice(&bytes(&site.state().join("run.json"))?)?;
    let address = run["metrics"].as_str().context("no address")?;
    let text = ureq::get(format!("http://{address}/metrics"))
        .call()?
        .body_mut()
        .read_to_string()?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    Ok(value.map(str::parse).transpose()?)
}

#[test]
fn metrics_are_moved_by_requests_and_go_on_after_a_restart() -> Result<()> {
    let site = Site::of("nfs")?;
    let _host = site.serve(LISTEN)?;
    let lost = "dittofs_nfs_sequence_errors_total{error_type=\"bad_session\"}";
    let roots = "dittofs_nfs_requests_total{procedure=\"PUTROOTFH\",status=\"NFS4ERR_OK\"}";
    let times = "dittofs_nfs_request_duration_milliseconds_count{procedure=\"PUTROOTFH\"}";
    ensure!(metric(&site, lost)? == Some(0.0), "there from the start");
    for round in 1..=2 {
        let round = f64::from(round);
        let mut client = client(&site)?;
        client.lost_session()?;
        ensure!(client.v40()?.status == 0);
        client.compound(3, &[24])?;
        for series in [
            "dittofs_nfs_sequence_total",
            lost,
            roots,
            times,
            "dittofs_nfs_minor_version_mismatch_total",
            "dittofs_nfs_connections_accepted_total",
        ] {
            let value = metric(&site, series)?;
            ensure!(value == Some(round), "{series}: {value:?} in round {round}");
        }
        ensure!(metric(&site, "dittofs_nfs_active_connections")? == Some(1.0));
        site.ask(&["adapter", "restart", "nfs"])?;
        ensure!(metric(&site, "dittofs_nfs_active_connections")? == Some(0.0));
    }
    Ok(())
}
