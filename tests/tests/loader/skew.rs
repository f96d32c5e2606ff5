//! Every minor version of the SDK works with every other, in both directions.

use std::fs;

use dittofs_sdk::host::Plugin;
use dittofs_sdk::serde_json::json;
use dittofs_sdk::tokio;
use dittofs_sdk_next::host::Plugin as NextPlugin;

use crate::libraries::{built, hello, refusal, replace};
use crate::traps::sdk;
use crate::{next, this};

#[tokio::test]
async fn a_newer_host_runs_an_older_adapter_and_finds_what_that_lacks_missing() {
    let plugin = NextPlugin::load(&hello()).unwrap();
    assert_eq!(plugin.manifest().sdk, (1, 3));
    assert_eq!(plugin.addition(), None);

    let (host, instance) = next::host::start(&plugin, json!({"listen": "127.0.0.1:0"})).await;
    host.line("greeting address");
    instance.unwrap().stop().await;
}

#[tokio::test]
async fn an_older_host_runs_a_newer_adapter() {
    let plugin = Plugin::load(&built("dittofs_test_hello_next")).unwrap();
    assert_eq!(plugin.manifest().sdk, (1, 4));

    let (host, instance) = this::host::start(&plugin, json!({"listen": "127.0.0.1:0"})).await;
    host.line("greeting address");
    instance.unwrap().stop().await;
}

#[test]
fn a_newer_host_uses_what_a_newer_adapter_adds() {
    let plugin = NextPlugin::load(&built("dittofs_test_hello_next")).unwrap();
    assert_eq!(plugin.addition().as_deref(), Some("added"));
}

/// Whatever came before: each is compared by itself.
#[test]
fn an_older_adapter_and_a_newer_one_are_loaded_into_one_host() {
    for library in [hello(), built("dittofs_test_hello_next"), hello()] {
        NextPlugin::load(&library).unwrap();
    }
}

#[test]
fn a_border_that_is_not_that_of_the_version_it_claims_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("libliar_adapter.so");
    let mut content = fs::read(built("dittofs_test_hello_next")).unwrap();
    replace(&mut content, &sdk(1, 4), &sdk(1, 3));
    fs::write(&path, content).unwrap();

    let line = refusal(&path);
    for part in [
        "its border differs",
        "says SDK 1.3",
        "this host has SDK 1.3",
        "rebuild",
    ] {
        assert!(line.contains(part), "{line}");
    }
}
