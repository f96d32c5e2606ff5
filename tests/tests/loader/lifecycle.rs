//! An instance's life, from both sides of the border.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::time::Duration;

use dittofs_sdk::host::{Instance, Plugin};
use dittofs_sdk::serde_json::{Value, json};
use dittofs_sdk::{Applied, Error, FieldError, Health, tokio};

use crate::libraries::{hello, probe};
use crate::this::host::{settings, start};

fn greeting(instance: &Instance) -> String {
    let view = instance.inspect("greetings").unwrap();
    let address: SocketAddr = view["address"].as_str().unwrap().parse().unwrap();
    let mut line = String::new();
    BufReader::new(TcpStream::connect(address).unwrap())
        .read_line(&mut line)
        .unwrap();
    line
}

#[tokio::test]
async fn hello_greets_counts_and_takes_a_new_greeting_live() {
    let plugin = Plugin::load(&hello()).unwrap();
    let (host, instance) = start(&plugin, json!({"listen": "127.0.0.1:0"})).await;
    let instance = instance.unwrap();
    assert_eq!(greeting(&instance), "hello\n");

    let changed = settings(
        &plugin,
        json!({"listen": "127.0.0.1:0", "greeting": "welcome"}),
    );
    assert_eq!(instance.reconfigure(&changed).await, Ok(Applied::default()));
    assert_eq!(greeting(&instance), "welcome\n");

    assert_eq!(host.counted.0.load(Ordering::Relaxed), 2);
    assert_eq!(instance.inspect("greetings").unwrap()["total"], 2);
    assert_eq!(instance.inspect("nothing"), None::<Value>);
    host.line("INFO dittofs_adapter_hello: greeting address=127.0.0.1:");
    instance.stop().await;
}

#[tokio::test]
async fn an_adapter_does_what_it_is_told_and_says_so() {
    let (_host, instance) = start(&probe(), json!({})).await;
    let instance = instance.unwrap();
    let args = json!({ "id": 7, "why": null });
    let echo = instance.act("echo", &args).await;
    assert_eq!(echo, Ok(Some(json!({ "args": args }))));
    assert_eq!(instance.act("dance", &Value::Null).await, Ok(None));
    let failed = instance.act("fail", &Value::Null).await;
    assert_eq!(failed, Err(Error::failed("as told")));
    instance.stop().await;

    let (_host, instance) = start(&probe(), json!({ "panic_in": "act" })).await;
    let instance = instance.unwrap();
    let panicked = instance.act("echo", &args).await.unwrap_err();
    assert!(panicked.to_string().contains("panicked"), "{panicked}");
    instance.stop().await;

    // One that was built without any such thing.
    let hello = Plugin::load(&hello()).unwrap();
    let (_host, instance) = start(&hello, json!({"listen": "127.0.0.1:0"})).await;
    let instance = instance.unwrap();
    assert_eq!(instance.act("echo", &args).await, Ok(None));
    instance.stop().await;
}

#[tokio::test]
async fn two_adapters_run_at_once_and_each_speaks_to_its_own_host() {
    let (hello, probe) = (Plugin::load(&hello()).unwrap(), probe());
    let (hello_host, hello) = start(&hello, json!({"listen": "127.0.0.1:0"})).await;
    let (probe_host, probe) = start(&probe, json!({})).await;
    hello_host.line("greeting address");
    probe_host.line("INFO dittofs_test_probe: started answer=42");
    assert!(!hello_host.has_line("probe") && !probe_host.has_line("greeting"));

    probe.unwrap().stop().await;
    assert_eq!(
        greeting(&hello.unwrap()),
        "hello\n",
        "one goes on when the other stops"
    );
}

#[tokio::test]
async fn two_instances_of_one_library_each_speak_to_their_own_host() {
    let plugin = probe();
    let (first_host, first) = start(&plugin, json!({})).await;
    let (second_host, second) = start(&plugin, json!({})).await;
    first.unwrap().stop().await;
    first_host.line("stopped");
    assert!(!second_host.has_line("stopped"));
    drop(second);
    second_host.line("stopped");
}

#[tokio::test]
async fn settings_are_checked_by_the_adapter_and_errors_name_the_field() {
    let plugin = probe();
    assert_eq!(plugin.check(&settings(&plugin, json!({"even": 2}))), Ok(()));
    assert_eq!(
        plugin.check(&settings(&plugin, json!({"even": 1}))),
        Err(vec![FieldError::new("even", "must be even")])
    );
    let (_, refused) = start(&plugin, json!({"evn": 2})).await;
    assert_eq!(
        refused.err().unwrap().to_string(),
        "evn: there is no such setting; did you mean even?"
    );
    assert_eq!(
        plugin.schema().unwrap()["properties"]["even"]["type"],
        "integer"
    );
}

#[tokio::test]
async fn what_an_instance_answers_arrives() {
    let plugin = probe();
    let (host, instance) = start(&plugin, json!({})).await;
    let instance = instance.unwrap();
    assert_eq!(
        instance.health(),
        Health::Degraded("only a probe".to_owned())
    );
    assert_eq!(
        instance.reconfigure(&plugin.defaults().unwrap()).await,
        Ok(Applied {
            pending_restart: vec!["even".to_owned()]
        })
    );
    assert_eq!(host.counted.0.load(Ordering::Relaxed), 3);
    let state = instance.export_state().await.unwrap().unwrap();
    assert_eq!((state.format, &state.bytes[..]), (1, &b"value"[..]));
    assert_eq!(host.kept.lock()["key"], "value");
    instance.stop().await;

    let successor = plugin
        .start(host, &plugin.defaults().unwrap(), Some(state))
        .await
        .unwrap();
    assert_eq!(successor.inspect("prior"), Some(json!(b"value")));
    successor.stop().await;
}

#[tokio::test]
async fn the_log_filter_changes_live() {
    let plugin = probe();
    let (host, instance) = start(&plugin, json!({})).await;
    let instance = instance.unwrap();
    let settings = plugin.defaults().unwrap();

    host.silent.store(true, Ordering::Relaxed);
    instance.log_filter_changed();
    instance.reconfigure(&settings).await.unwrap();
    assert!(!host.has_line("reconfigured"));

    host.silent.store(false, Ordering::Relaxed);
    instance.log_filter_changed();
    instance.reconfigure(&settings).await.unwrap();
    host.line("DEBUG dittofs_test_probe: reconfigured");
    instance.stop().await;
}

#[tokio::test]
async fn a_panic_in_start_or_in_the_check_is_an_error_and_is_reported() {
    for place in ["start", "payload", "check"] {
        let (host, instance) = start(&probe(), json!({"panic_in": place})).await;
        let error = instance.err().unwrap().to_string();
        let what = if place == "payload" {
            "no text"
        } else {
            "as told in"
        };
        assert!(error.contains(what), "{place}: {error}");
        if place == "start" {
            let line = host.line("panic: thread probe-");
            assert!(
                line.contains("lib.rs:") && line.contains("as told in start"),
                "{line}"
            );
        }
    }
}

#[tokio::test]
async fn a_panic_while_running_is_an_error_and_the_instance_goes_on() {
    let plugin = probe();
    for place in [
        "reconfigure",
        "drain",
        "export",
        "health",
        "task",
        "stop",
        "drop",
    ] {
        let (host, instance) = start(&plugin, json!({"panic_in": place})).await;
        let instance = instance.unwrap();
        let settings = settings(&plugin, json!({"panic_in": place}));
        let reconfigured = instance.reconfigure(&settings).await;
        assert_eq!(
            reconfigured.is_err(),
            place == "reconfigure",
            "{reconfigured:?}"
        );
        assert_eq!(
            matches!(instance.health(), Health::Failed(_)),
            place == "health"
        );
        assert_eq!(instance.inspect("panic"), None);
        let exported = instance.export_state().await;
        assert_eq!(matches!(exported, Err(Error::Failed(_))), place == "export");
        instance.drain(Duration::from_secs(20)).await;
        assert!(
            instance.inspect("shares").is_some(),
            "it goes on after {place}"
        );
        instance.stop().await;
        host.line(&format!("as told in {place}"));
    }
}

#[tokio::test]
async fn an_instance_that_hangs_does_not_hold_the_host() {
    let plugin = probe();
    let (host, instance) = start(&plugin, json!({"hang_in": "drain"})).await;
    let instance = instance.unwrap();
    instance.drain(Duration::from_millis(1)).await;
    instance.stop().await;
    host.line("stopped");
}
