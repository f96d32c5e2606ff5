//! Tests of the configuration as a whole.

use super::*;
use clap::Parser;
use serde_json::json;

fn none(_: &str) -> Option<OsString> {
    None
}

fn serve(args: &[&str]) -> Serve {
    let flags = Flags::try_parse_from(["dittofs", "serve"].iter().chain(args)).unwrap();
    match flags.command {
        Command::Serve(serve) => *serve,
        Command::AdapterCheck { .. } => unreachable!(),
    }
}

fn with_file(text: &str, args: &[&str], env: Env<'_>) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dittofs.toml");
    std::fs::write(&path, text).unwrap();
    let mut flags = serve(args);
    flags.config = Some(path);
    Config::load(flags, env)
}

#[test]
fn without_anything_the_defaults_hold() {
    let config = Config::load(serve(&["--state-dir", "/s"]), &none).unwrap();
    assert_eq!(
        config.api,
        Listen {
            address: "127.0.0.1:8080".parse().unwrap(),
            is_default: true
        }
    );
    assert_eq!(config.metrics.address, "127.0.0.1:9090".parse().unwrap());
    assert_eq!(
        config.adapter_dirs.last().unwrap(),
        Path::new("/usr/lib/dittofs/adapters")
    );
    assert_eq!(config.log.text(), "info");
    assert_eq!(config.database, None);
    assert!(config.shares.is_empty());
}

#[test]
fn the_command_line_goes_before_the_environment_and_that_before_the_file() {
    let file =
        "api = '127.0.0.1:1'\nmetrics = '127.0.0.1:1'\nlog = 'error'\nadapter_dirs = ['/file']\n";
    let env = |name: &str| match name {
        "DITTOFS_API" | "DITTOFS_METRICS" => Some("127.0.0.1:2".into()),
        "DITTOFS_ADAPTER_DIRS" => Some("/env1:/env2".into()),
        _ => None,
    };
    let config = with_file(file, &["--api", "127.0.0.1:3", "--state-dir", "/s"], &env).unwrap();
    assert_eq!(config.api.address.port(), 3);
    assert_eq!(config.metrics.address.port(), 2);
    assert_eq!(config.log.text(), "error");
    assert_eq!(
        config.adapter_dirs,
        [Path::new("/env1"), Path::new("/env2")]
    );
    assert!(!config.api.is_default);
}

#[test]
fn settings_of_all_sources_are_joined() {
    let file = "[settings.hello]\ngreeting = 'file'\ncount = 3\n";
    let config = with_file(
        file,
        &["--set", "hello.greeting=a=b.c", "--set", "x.y=1"],
        &none,
    )
    .unwrap();
    assert_eq!(
        config.settings["hello"]["greeting"],
        Given::Text("a=b.c".to_owned())
    );
    assert_eq!(config.settings["hello"]["count"], Given::Value(json!(3)));
    assert_eq!(config.settings["x"]["y"], Given::Text("1".to_owned()));
}

#[test]
fn a_directory_is_exported_to_this_machine_alone() {
    let config = Config::load(serve(&["/d", "--share", "/b=memory"]), &none).unwrap();
    let names: Vec<&str> = config
        .shares
        .iter()
        .map(|share| share.name.as_str())
        .collect();
    assert_eq!(names, ["/b", "/export"]);
    let clients: Vec<String> = config.shares[1]
        .clients
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(clients, ["127.0.0.0/8", "::1/128"]);
}

#[test]
fn a_share_of_the_command_line_replaces_one_of_the_file() {
    let config = with_file(
        "shares = ['/a=/file', '/b=/file']",
        &["--share", "/a=/flag"],
        &none,
    )
    .unwrap();
    assert_eq!(config.shares[0].backend, Backend::local("/flag"));
    assert_eq!(config.shares[1].backend, Backend::local("/file"));
}

#[test]
fn every_source_may_bound_the_attribute_cache_of_a_share() {
    let env =
        |name: &str| (name == "DITTOFS_SHARES").then(|| "/b=/env,attribute_cache=2 /c=/env".into());
    let config = with_file(
        "shares = ['/a=/file,attribute_cache=1']",
        &["--share", "/d=/flag,ro,attribute_cache=60000"],
        &env,
    )
    .unwrap();
    let bounds: Vec<u32> = config
        .shares
        .iter()
        .map(|share| match &share.backend {
            Backend::Local {
                attribute_cache, ..
            } => attribute_cache.millis(),
            Backend::Memory => unreachable!(),
        })
        .collect();
    assert_eq!(bounds, [1, 2, 0, 60_000]);
}

#[test]
fn a_database_is_postgres_or_an_absolute_path() {
    let url = |text: &str| {
        with_file(&format!("[database]\nurl = '{text}'"), &[], &none).map(|c| c.database)
    };
    assert_eq!(
        url("sqlite:///a/b.db").unwrap(),
        Some(Location::Sqlite("/a/b.db".into()))
    );
    assert_eq!(
        url("postgres://u@h/d").unwrap(),
        Some(Location::Postgres("postgres://u@h/d".to_owned()))
    );
    assert!(
        url("mysql://h/d")
            .unwrap_err()
            .key
            .ends_with("database.url")
    );
}

#[test]
fn errors_in_the_file_name_the_key() {
    for (text, key, mentions) in [
        ("apii = ''", "apii", "no such key"),
        ("[database]\nurll = ''", "database.urll", "no such key"),
        ("api = 5", "api", "string"),
        ("api = 'here'", "api", "127.0.0.1:8080"),
        ("metrics = '1.2.3.4'", "metrics", "port"),
        ("shares = ['/a']", "shares", "/NAME=DIR"),
        ("shares = ['/a=/x', '/a=/y']", "shares", "twice"),
        (
            "shares = ['/a=/x,attribute_cache=60001']",
            "shares",
            "attribute_cache",
        ),
        (
            "shares = ['/a=memory,attribute_cache=1']",
            "shares",
            "only a directory",
        ),
        ("settings = 3", "settings", "map"),
        ("[settings]\nhello = 3", "settings.hello", "table"),
        ("log = 'loud'", "log", "no level"),
        ("a = 1\nb = = 2", "line 2", ""),
    ] {
        let error = with_file(text, &[], &none).err().unwrap();
        assert!(error.key.ends_with(key), "{text}: {error}");
        assert!(error.message.contains(mentions), "{text}: {error}");
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
    }
}

#[test]
fn errors_on_the_command_line_name_the_flag() {
    for (args, key) in [
        (&["--set", "nodot=1"][..], "--set"),
        (&["--share", "x"], "--share"),
        (&["--share", "/x=/d,attribute_cache=-1"], "--share"),
        (&["/d", "--share", "/export=/x"], "--share"),
        (&["--log", "loud"], "--log"),
        (&["--config", "/nonexistent.toml"], "/nonexistent.toml"),
    ] {
        let error = Config::load(serve(args), &none).err().unwrap();
        assert_eq!(error.key, key, "{error}");
    }
    assert!(Flags::try_parse_from(["dittofs", "serve", "--api", "nowhere"]).is_err());
}
