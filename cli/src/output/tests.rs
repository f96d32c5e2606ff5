use serde_json::json;

use super::*;
use crate::schema;

const PLAIN: bool = false;

fn fields() -> Vec<Field> {
    schema::fields(&json!({ "properties": {
        "lease_time": { "type": "integer", "default": 90, "x-unit": "s", "x-group": "Timeouts", "x-applies": "live" },
        "grace_period": { "type": "integer", "default": 90, "x-unit": "s", "x-group": "Timeouts", "x-applies": "next-grace" },
        "max_clients": { "type": "integer", "default": 10, "x-group": "Limits", "x-applies": "live" },
        "blocked": { "type": "array", "items": { "type": "string" }, "default": [], "x-group": "Limits" },
    }}))
}

fn settings() -> Settings {
    serde_json::from_value(json!({
        "version": 7,
        "values": { "lease_time": 30, "grace_period": 20, "max_clients": 10, "blocked": [] },
        "overrides": { "lease_time": 12 },
        "applied": { "grace_period": "next-grace", "lease_time": "overridden" },
    }))
    .unwrap()
}

fn adapters() -> Vec<Adapter> {
    serde_json::from_value(json!([
        { "type": "hello", "version": "0.1.0", "description": "Greets", "sdk": "1.0", "enabled": true,
          "running": true, "state": "running", "health": { "status": "serving" }, "settings_version": 1 },
        { "type": "torn", "enabled": true, "running": false, "state": "failed", "reason": "torn.so: truncated\n\u{1b}[2J" },
        { "type": "slow", "version": "2.0.0", "sdk": "1.0", "enabled": false, "running": true, "state": "running",
          "health": { "status": "degraded", "message": "no room" }, "overrides": ["listen", "enabled"] },
    ]))
    .unwrap()
}

fn shares() -> Vec<Share> {
    serde_json::from_value(json!([
        { "id": "00000000-0000-0000-0000-000000000001", "name": "/export", "backend": { "type": "local", "path": "/srv/a b", "attribute_cache_ms": 250 },
          "read_only": false, "squash": "root", "anonymous_uid": 65534, "anonymous_gid": 65534, "clients": [], "origin": "stored" },
        { "id": "00000000-0000-0000-0000-000000000002", "name": "/s", "backend": { "type": "memory" },
          "read_only": true, "squash": "none", "anonymous_uid": 1, "anonymous_gid": 2,
          "clients": ["10.0.0.0/8", "::1/128"], "origin": "command-line", "error": "no such directory" },
    ]))
    .unwrap()
}

#[test]
fn settings_are_shown_by_group_with_what_differs_marked() {
    let text = settings_text("hello", &settings(), &fields(), PLAIN);
    let expected = "\
hello, settings version 7 (* changed, ! overridden for this run)
   SETTING       VALUE                                   APPLIES

Limits
   blocked       none                                  restart
   max_clients   10                                      live

Timeouts
*  grace_period  20 s (default: 90 s)                    next-grace (pending)
!  lease_time    12 s (stored: 30 s, default: 90 s)      live
";
    assert_eq!(squeeze_columns(&text), squeeze_columns(expected), "{text}");
}

/// Columns are as wide as their contents; which is comfy-table's affair.
fn squeeze_columns(text: &str) -> String {
    text.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n")
        .collect()
}

#[test]
fn columns_are_aligned() {
    let text = adapters_grid(&adapters()).text(PLAIN);
    let columns: Vec<_> = text
        .lines()
        .map(|line| line.find("1.0").or(line.find("SDK")).or(line.find('-')))
        .collect();
    assert!(text.lines().all(|line| line.trim_end() == line), "{text}");
    assert_eq!(columns[0], columns[3], "{text}");
}

#[test]
fn adapters_say_why_they_do_not_serve() {
    let text = squeeze_columns(&adapters_grid(&adapters()).text(PLAIN));
    let expected = "\
NAME VERSION SDK ENABLED STATE NOTE
hello 0.1.0 1.0 yes running
torn - - yes failed torn.so: truncated \u{fffd}[2J
slow 2.0.0 1.0 no running, degraded no room
";
    assert_eq!(text, expected);
    let one = squeeze_columns(&adapter_grid(&adapters()[2]).text(PLAIN));
    assert!(
        one.contains("overridden for this run: listen, enabled"),
        "{one}"
    );
}

#[test]
fn what_is_wrong_is_red_where_colours_are_wanted() {
    let text = adapters_grid(&adapters()).text(true);
    let red: Vec<bool> = text
        .lines()
        .map(|line| line.starts_with("\u{1b}[31m"))
        .collect();
    assert_eq!(red, [false, false, true, true]);
}

#[test]
fn shares_say_what_they_export_and_to_whom() {
    let text = squeeze_columns(&shares_grid(&shares()).text(PLAIN));
    let expected = "\
NAME SOURCE ACCESS SQUASH CLIENTS ORIGIN NOTE
/export /srv/a b read-write root all stored
/s memory read-only none 10.0.0.0/8,::1/128 command-line no such directory
";
    assert_eq!(text, expected);
    let one = squeeze_columns(&share_grid(&shares()[1]).text(PLAIN));
    assert!(
        one.contains("anonymous: 1:2") && one.contains("not exported: no such directory"),
        "{one}"
    );
    assert!(!one.contains("attribute cache"), "{one}");
    let one = squeeze_columns(&share_grid(&shares()[0]).text(PLAIN));
    assert!(one.contains("\nattribute cache: 250 ms\n"), "{one}");
}

#[test]
fn a_change_says_when_it_takes_effect() {
    let (settings, fields) = (settings(), fields());
    let names = ["grace_period", "lease_time", "max_clients"]
        .map(str::to_owned)
        .to_vec();
    let changes = Changes {
        adapter: "hello",
        settings: &settings,
        fields: &fields,
        names,
        dry_run: false,
    };
    let expected = "\
grace_period = 20 s at the next grace period
lease_time = 30 s once the host runs without its override
max_clients = 10 in force
";
    assert_eq!(squeeze_columns(&changes_text(&changes, PLAIN)), expected);
    let changes = Changes {
        dry_run: true,
        names: vec!["max_clients".to_owned()],
        ..changes
    };
    assert_eq!(
        squeeze_columns(&changes_text(&changes, PLAIN)),
        "max_clients = 10\naccepted, not changed (dry run)\n"
    );
}

#[test]
fn status_shows_the_host_then_its_adapters_and_shares() {
    let health = serde_json::from_value(
        json!({ "status": "healthy", "service": "dittofs", "version": "0.1.0", "uptime_seconds": 3725 }),
    );
    let ready = Ready {
        ready: false,
        reasons: vec!["torn failed".to_owned()],
    };
    let server = "http://127.0.0.1:1".to_owned();
    let status = Status {
        server,
        health: health.unwrap(),
        ready,
        adapters: adapters(),
        shares: shares(),
    };
    let text = squeeze_columns(&status_text(&status, PLAIN));
    for line in [
        "host: http://127.0.0.1:1",
        "up: 1 h 2 min",
        "state: not ready: torn failed",
        "Adapters",
        "Shares",
    ] {
        assert!(
            text.lines().any(|have| have == line),
            "{line} not in {text}"
        );
    }
}

#[test]
fn json_and_yaml_are_what_the_host_sent() {
    let (sent, no_table) = (shares(), || panic!("not a table"));
    let json = Output {
        format: Format::Json,
        color: false,
    }
    .text(&sent, no_table)
    .unwrap();
    assert_eq!(serde_json::from_str::<Vec<Share>>(&json).unwrap(), sent);
    let yaml = Output {
        format: Format::Yaml,
        color: false,
    }
    .text(&sent, no_table)
    .unwrap();
    assert_eq!(serde_yaml_ng::from_str::<Vec<Share>>(&yaml).unwrap(), sent);
}

#[test]
fn a_grace_period_is_shown_with_what_is_left_of_it() {
    let grace: Grace = serde_json::from_value(json!({
        "active": true, "remaining_seconds": 61, "total_duration": 90, "expected_clients": 3,
        "reclaimed_clients": 1, "started_at": "2026-01-01T00:00:00Z", "protocol": "hello",
    }))
    .unwrap();
    let expected = "\
active:     yes
protocol:   hello
started:    2026-01-01T00:00:00Z
remaining:  1 min 1 s
total:      1 min 30 s
reclaimed:  1 of 3 clients
";
    assert_eq!(grace_grid(&grace).text(PLAIN), expected);
    assert_eq!(grace_grid(&Grace::default()).text(PLAIN), "active:  no\n");
}

#[test]
fn clients_are_shown_with_what_they_have() {
    let clients: Vec<Client> = serde_json::from_value(json!([
        { "client_id": "01", "protocol": "hello", "version": "1", "address": "127.0.0.1:700", "owner": "a\u{1b}b",
          "state": "active", "lease_left_seconds": 30, "sessions": 1, "opens": 2, "locks": 3, "unknown": 4 },
    ]))
    .unwrap();
    let text = clients_grid(&clients).text(PLAIN);
    assert!(text.starts_with("ID  PROTOCOL  ADDRESS"), "{text}");
    assert!(text.contains("01  hello 1   127.0.0.1:700"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn copies_are_shown_with_how_far_they_are() {
    let copies: Vec<CopyJob> = serde_json::from_value(json!([
        { "copy_id": "0a", "protocol": "hello", "client_id": "01", "source": "/s#2", "target": "/s#3",
          "bytes_done": 512 << 20, "bytes_total": 1_u64 << 30, "state": "running", "error": null, "age_seconds": 7 },
        { "copy_id": "0b", "state": "failed", "error": "no space" },
    ]))
    .unwrap();
    let text = copies_grid(&copies).text(PLAIN);
    let expected =
        "0a  hello     01      /s#2    /s#3    512.0 MiB  1.0 GiB  running           7 s";
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("failed: no space"), "{text}");
}
