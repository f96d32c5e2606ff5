//! Carries out one command.

use std::ffi::OsString;
use std::io::Write as _;

use clap::{ColorChoice, CommandFactory as _};
use dittofs_api::{
    API_PREFIX, Adapter, Fields, Grace, HealthStatus, Settings, SettingsSchema, Share,
    adapter_path, component, share_path,
};
use ureq::http::Method;

use crate::args::Cli;
use crate::client::Client;
use crate::error::Error;
use crate::flags::{self, Update};
use crate::output::{Changes, Output, Status};
use crate::ready::{Ready, Request};
use crate::schema;

/// Does what `ready` says and prints the answer.
pub(crate) fn run(ready: Ready) -> Result<(), Error> {
    match ready {
        Ready::Completion(shell) => completion(shell),
        Ready::Version => Ok(writeln!(
            std::io::stdout(),
            "dfsctl {}",
            env!("CARGO_PKG_VERSION")
        )?),
        Ready::Ask(client, output, request) => ask(&client, output, request),
    }
}

fn ask(client: &Client, output: Output, request: Request) -> Result<(), Error> {
    match request {
        Request::Status => status(client, output),
        Request::Adapters => output.adapters(&adapters(client)?),
        Request::Adapter(name) => output.adapter(&client.read(&adapter_path(&name))?),
        Request::Enable(name, enabled) => enable(client, output, &name, enabled),
        Request::Restart(name) => {
            let path = format!("{}/restart", adapter_path(&name));
            running(output, &client.send(&Method::POST, &path, None::<&()>)?)
        }
        Request::Inspect(name, view) => {
            let path = format!("{}/inspect/{}", adapter_path(&name), component(&view));
            output.view(&client.read(&path)?)
        }
        Request::Settings(name) => {
            let schema: SettingsSchema =
                client.read(&format!("{}/settings/schema", adapter_path(&name)))?;
            let settings: Settings = client.read(&format!("{}/settings", adapter_path(&name)))?;
            output.settings(&name, &settings, &schema::fields(&schema))
        }
        Request::Update(name, words) => update(client, output, &name, &words),
        Request::Reset(name, setting) => reset(client, output, &name, setting.as_deref()),
        Request::Shares => output.shares(&shares(client)?),
        Request::Share(name) => output.share(&client.read(&share_path(&name))?),
        Request::Create(share) => {
            let path = format!("{API_PREFIX}/shares");
            output.share(&client.send(&Method::POST, &path, Some(&share))?)
        }
        Request::Remove(name) => {
            client.send::<()>(&Method::DELETE, &share_path(&name), None::<&()>)?;
            output.done(&format!("{name} is no longer exported"))
        }
        Request::Grace => output.grace(&grace(client)?),
        Request::EndGrace => end_grace(client, output),
        Request::Clients(protocol) => {
            let path = format!("{API_PREFIX}/clients{}", of_protocol(protocol.as_deref()));
            output.clients(&client.read::<Vec<dittofs_api::Client>>(&path)?)
        }
        Request::Disconnect(id, protocol) => {
            let (id_part, query) = (component(&id), of_protocol(protocol.as_deref()));
            let path = format!("{API_PREFIX}/clients/{id_part}{query}");
            client.send::<()>(&Method::DELETE, &path, None::<&()>)?;
            output.done(&format!("{id} has lost its opens and locks"))
        }
        Request::Copies(protocol) => {
            let path = format!("{API_PREFIX}/copies{}", of_protocol(protocol.as_deref()));
            output.copies(&client.read::<Vec<dittofs_api::CopyJob>>(&path)?)
        }
        Request::CancelCopy(id, protocol) => {
            let (id_part, query) = (component(&id), of_protocol(protocol.as_deref()));
            let path = format!("{API_PREFIX}/copies/{id_part}{query}");
            client.send::<()>(&Method::DELETE, &path, None::<&()>)?;
            output.done(&format!("{id} goes on no longer"))
        }
    }
}

fn grace(client: &Client) -> Result<Grace, Error> {
    client.read(&format!("{API_PREFIX}/grace"))
}

fn end_grace(client: &Client, output: Output) -> Result<(), Error> {
    match grace(client)?.protocol {
        Some(adapter) => {
            let path = format!("{}/grace/end", adapter_path(&adapter));
            output.grace(&client.send(&Method::POST, &path, None::<&()>)?)
        }
        None => Err(Error::Failed("there is no grace period to end".to_owned())),
    }
}

fn of_protocol(protocol: Option<&str>) -> String {
    protocol.map_or_else(String::new, |name| format!("?protocol={}", component(name)))
}

fn adapters(client: &Client) -> Result<Vec<Adapter>, Error> {
    client.read(&format!("{API_PREFIX}/adapters"))
}

fn shares(client: &Client) -> Result<Vec<Share>, Error> {
    client.read(&format!("{API_PREFIX}/shares"))
}

fn status(client: &Client, output: Output) -> Result<(), Error> {
    let status = Status {
        server: client.server().to_owned(),
        health: client.probe("/health")?,
        ready: client.probe("/health/ready")?,
        adapters: adapters(client)?,
        shares: shares(client)?,
    };
    output.status(&status)?;
    if !status.ready.ready {
        return Err(Error::Failed(format!(
            "the host is not ready: {}",
            status.ready.reasons.join("; ")
        )));
    }
    match status.health.status {
        HealthStatus::Healthy => Ok(()),
        HealthStatus::Unhealthy => Err(Error::Failed(
            "the host is unhealthy: see its log".to_owned(),
        )),
    }
}

fn enable(client: &Client, output: Output, name: &str, enabled: bool) -> Result<(), Error> {
    let update = dittofs_api::AdapterUpdate {
        enabled: Some(enabled),
    };
    let adapter = client.send(&Method::PUT, &adapter_path(name), Some(&update))?;
    if enabled {
        running(output, &adapter)
    } else {
        output.adapter(&adapter)
    }
}

/// An adapter that was to start: that it does not run is a failure.
fn running(output: Output, adapter: &Adapter) -> Result<(), Error> {
    output.adapter(adapter)?;
    if adapter.running {
        return Ok(());
    }
    let reason = adapter
        .reason
        .as_deref()
        .unwrap_or("the host gave no reason");
    Err(Error::Failed(format!(
        "{} does not run: {reason}",
        adapter.kind
    )))
}

fn update(client: &Client, output: Output, name: &str, words: &[OsString]) -> Result<(), Error> {
    let path = format!("{}/settings", adapter_path(name));
    let schema: SettingsSchema = client.read(&format!("{path}/schema"))?;
    let fields = schema::fields(&schema);
    let color = if output.color {
        ColorChoice::Auto
    } else {
        ColorChoice::Never
    };
    let Update { values, dry_run } = flags::parse(name, &fields, words, color)?;
    let query = if dry_run { "?dry_run=true" } else { "" };
    let settings: Settings =
        client.send(&Method::PATCH, &format!("{path}{query}"), Some(&values))?;
    let names = values.keys().cloned().collect();
    output.changes(&Changes {
        adapter: name,
        settings: &settings,
        fields: &fields,
        names,
        dry_run,
    })
}

fn reset(client: &Client, output: Output, name: &str, setting: Option<&str>) -> Result<(), Error> {
    let path = format!("{}/settings", adapter_path(name));
    let schema: SettingsSchema = client.read(&format!("{path}/schema"))?;
    let fields = schema::fields(&schema);
    let before: Settings = client.read(&path)?;
    let query = setting
        .map(|setting| format!("?setting={}", component(setting)))
        .unwrap_or_default();
    let settings: Settings = client.send(
        &Method::POST,
        &format!("{path}/reset{query}"),
        None::<&Fields>,
    )?;
    let changed = |(name, value): (&String, &serde_json::Value)| {
        (before.values.get(name) != Some(value)).then(|| name.clone())
    };
    let names = settings.values.iter().filter_map(changed).collect();
    output.changes(&Changes {
        adapter: name,
        settings: &settings,
        fields: &fields,
        names,
        dry_run: false,
    })
}

fn completion(shell: clap_complete::Shell) -> Result<(), Error> {
    // Into memory first: clap_complete panics when a pipe closes.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "dfsctl", &mut script);
    Ok(std::io::stdout().write_all(&script)?)
}
