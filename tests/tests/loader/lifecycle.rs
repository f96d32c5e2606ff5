//! An instance's life, from both sides of the border.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;

use dittofs_sdk::Applied;
use dittofs_sdk::host::{Instance, Plugin};
use dittofs_sdk::serde_json::{Value, json};
use dittofs_sdk::tokio;

use crate::host::{settings, start};
use crate::libraries::hello;

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
