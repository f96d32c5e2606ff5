//! The program as an operator runs it: its output, its exit codes, and that nothing is lost.

// Clippy exempts test functions from these; here their helpers are tests as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use dittofs_api::{RUN_FILE, RunInfo};
use dittofs_tests::process::Process;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_mins(1);

/// A directory with adapters to find, and room for the rest.
fn ground(adapters: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("adapters")).unwrap();
    let test = std::env::current_exe().unwrap();
    for file in adapters {
        let built = test.parent().unwrap().join(format!("lib{file}.so"));
        fs::copy(
            built,
            dir.path().join(format!("adapters/lib{file}_adapter.so")),
        )
        .unwrap();
    }
    dir
}

const HELLO: &str = "dittofs_adapter_hello";
const PROBE: &str = "dittofs_test_probe";

fn dittofs(ground: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dittofs"));
    command
        .env_clear()
        .arg("serve")
        .arg("--state-dir")
        .arg(ground.join("state"))
        .arg("--adapter-dir")
        .arg(ground.join("adapters"))
        .args(["--api", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]);
    command
}

fn start(ground: &Path, arguments: &[&str]) -> Process {
    let mut command = dittofs(ground);
    let mut process = Process::start(command.args(arguments), ground.join("log")).unwrap();
    process
        .wait_for_line(LIMIT, |line| line == "ready")
        .unwrap();
    process
}

/// Runs a host that must not start; its one line on stderr that is no log line.
#[track_caller]
fn refused(command: &mut Command, code: i32) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(code), "{stderr}");
    assert_eq!(stdout, b"", "not ready");
    let lines: Vec<&str> = stderr
        .lines()
        .filter(|line| line.starts_with("dittofs: "))
        .collect();
    assert_eq!(lines.len(), 1, "{stderr}");
    lines[0].to_owned()
}

#[test]
fn a_host_announces_itself_serves_and_ends_in_order() {
    let ground = ground(&[HELLO]);
    let mut host = start(
        ground.path(),
        &["--set", "hello.listen=127.0.0.1:0", "--share", "/m=memory"],
    );
    let path = ground.path().join("state").join(RUN_FILE);
    let run: RunInfo = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(run.pid, host.id());
    let metrics = format!("http://{}/metrics", run.metrics.unwrap());
    let text = ureq::get(&metrics)
        .call()
        .unwrap()
        .body_mut()
        .read_to_string()
        .unwrap();
    assert!(text.contains("dittofs_build_info{commit="), "{text}");
    let token = fs::read_to_string(&run.token_file).unwrap();
    let shares = ureq::get(&format!("http://{}/api/v1/shares", run.api))
        .header("authorization", &format!("Bearer {}", token.trim()))
        .call()
        .unwrap()
        .body_mut()
        .read_to_string()
        .unwrap();
    assert!(shares.contains("\"name\":\"/m\""), "{shares}");
    assert_eq!(
        host.terminate(LIMIT).unwrap().code(),
        Some(0),
        "{}",
        host.log()
    );
    assert!(!path.exists());
    assert!(
        host.log().contains("adapter hello stopped"),
        "{}",
        host.log()
    );
}

#[test]
fn a_second_host_on_the_state_directory_is_refused() {
    let ground = ground(&[]);
    let first = start(ground.path(), &[]);
    let line = refused(&mut dittofs(ground.path()), 1);
    assert!(
        line.contains(&format!("pid {}", first.id())) && line.contains("--state-dir"),
        "{line}"
    );
    // The first one is untouched.
    assert!(ground.path().join("state").join(RUN_FILE).exists());
}

#[test]
fn a_busy_port_is_named() {
    let ground = ground(&[]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--api", "--metrics"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dittofs"));
        let other = if flag == "--api" {
            "--metrics"
        } else {
            "--api"
        };
        command
            .env_clear()
            .arg("serve")
            .arg("--state-dir")
            .arg(ground.path().join("state"));
        let line = refused(command.args([flag, &address, other, "127.0.0.1:0"]), 1);
        assert!(
            line.contains(flag) && line.contains(&address) && line.contains("in use"),
            "{line}"
        );
    }
}

#[test]
fn a_corrupt_database_is_named_and_left_as_it_is() {
    let ground = ground(&[]);
    let path = ground.path().join("state/state.db");
    fs::create_dir(ground.path().join("state")).unwrap();
    fs::write(&path, "not a database").unwrap();
    let line = refused(&mut dittofs(ground.path()), 1);
    assert!(
        line.contains("state.db") && line.contains("restore"),
        "{line}"
    );
    assert_eq!(fs::read(&path).unwrap(), b"not a database");
}

#[test]
fn wrong_flags_are_named() {
    let ground = ground(&[HELLO]);
    let missing = format!("/a={}", ground.path().join("missing").display());
    for (arguments, mentions) in [
        (["--set", "hello.greetin=x"], "hello.greetin"),
        (["--set", "hello.greeting="], "hello.greeting"),
        (["--set", "hallo.greeting=x"], "found: hello"),
        (["--set", "hello"], "ADAPTER.FIELD=VALUE"),
        (["--share", "a=memory"], "starts with /"),
        (["--share", &missing], "no such directory"),
        (["--log", "loud"], "loud"),
        (["--config", "/nonexistent"], "/nonexistent"),
    ] {
        let line = refused(dittofs(ground.path()).args(arguments), 2);
        assert!(line.contains(mentions), "{arguments:?}: {line}");
    }
    let unknown = dittofs(ground.path()).arg("--nothing").output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn serving_a_directory_makes_it_and_needs_an_adapter_that_serves() {
    let ground = ground(&[HELLO]);
    let dir = ground.path().join("data/export");
    let mut host = start(
        ground.path(),
        &[dir.to_str().unwrap(), "--set", "hello.listen=127.0.0.1:0"],
    );
    assert!(dir.is_dir());
    assert_eq!(host.terminate(LIMIT).unwrap().code(), Some(0));

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = dittofs(ground.path());
    let line = refused(
        command
            .arg(&dir)
            .args(["--set", &format!("hello.listen={address}")]),
        1,
    );
    assert!(
        line.contains("no adapter serves") && line.contains(&address),
        "{line}"
    );
}

#[test]
fn an_adapter_that_finishes_no_work_is_stopped_at_once_by_a_second_signal() {
    let ground = ground(&[PROBE]);
    let mut host = start(ground.path(), &["--set", "probe.hang_in=drain"]);
    let pid = Pid::from_raw(host.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    host.wait_for_line(LIMIT, |line| line.contains("stopping"))
        .unwrap();
    assert_eq!(
        host.terminate(LIMIT).unwrap().code(),
        Some(130),
        "{}",
        host.log()
    );
}

#[test]
fn an_adapter_that_finishes_no_work_is_stopped_after_its_time() {
    let ground = ground(&[PROBE]);
    let mut host = start(ground.path(), &["--set", "probe.hang_in=drain"]);
    assert_eq!(
        host.terminate(LIMIT).unwrap().code(),
        Some(0),
        "{}",
        host.log()
    );
}

#[test]
fn a_host_on_postgresql_keeps_its_settings_there() {
    let ground = ground(&[HELLO]);
    let postgres = dittofs_tests::postgres::Postgres::start().unwrap();
    let config = ground.path().join("dittofs.toml");
    let text = format!(
        "shares = ['/m=memory']\n[database]\nurl = '{}'\n[settings.hello]\nlisten = '127.0.0.1:0'\n",
        postgres.url()
    );
    fs::write(&config, text).unwrap();
    for version in [1, 2] {
        let mut host = start(ground.path(), &["--config", config.to_str().unwrap()]);
        let run = fs::read(ground.path().join("state").join(RUN_FILE)).unwrap();
        let run: RunInfo = serde_json::from_slice(&run).unwrap();
        let token = fs::read_to_string(&run.token_file).unwrap();
        let answer = ureq::patch(&format!(
            "http://{}/api/v1/adapters/hello/settings",
            run.api
        ))
        .header("authorization", &format!("Bearer {}", token.trim()))
        .send(format!("{{\"greeting\": \"number {version}\"}}"))
        .unwrap()
        .body_mut()
        .read_to_string()
        .unwrap();
        assert!(
            answer.contains(&format!("\"version\":{version}")),
            "{answer}"
        );
        assert_eq!(
            host.terminate(LIMIT).unwrap().code(),
            Some(0),
            "{}",
            host.log()
        );
    }
    assert!(!ground.path().join("state/state.db").exists());
}
