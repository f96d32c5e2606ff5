//! Every answer as a table, JSON or YAML.

use std::io::Write as _;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use dittofs_api::{
    Adapter, AdapterHealthStatus, AdapterState, Applied, Backend, Client, CopyJob, Grace, Health,
    Ready, Settings, Share,
};
use serde::Serialize;
use serde_json::Value;

use crate::args::Format;
use crate::error::Error;
use crate::schema::Field;
use crate::text::{duration, one_line, plain, shown, size};

/// Where answers go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) color: bool,
}

/// What `status` shows.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    pub(crate) server: String,
    pub(crate) health: Health,
    pub(crate) ready: Ready,
    pub(crate) adapters: Vec<Adapter>,
    pub(crate) shares: Vec<Share>,
}

/// Settings after a change.
#[derive(Debug)]
pub(crate) struct Changes<'a> {
    pub(crate) adapter: &'a str,
    pub(crate) settings: &'a Settings,
    pub(crate) fields: &'a [Field],
    /// What was changed.
    pub(crate) names: Vec<String>,
    /// Whether it was only asked about.
    pub(crate) dry_run: bool,
}

impl Output {
    pub(crate) fn status(self, status: &Status) -> Result<(), Error> {
        self.print(status, || status_text(status, self.color))
    }

    pub(crate) fn adapters(self, adapters: &[Adapter]) -> Result<(), Error> {
        self.print(&adapters, || adapters_grid(adapters).text(self.color))
    }

    pub(crate) fn adapter(self, adapter: &Adapter) -> Result<(), Error> {
        self.print(adapter, || adapter_grid(adapter).text(self.color))
    }

    pub(crate) fn settings(
        self,
        adapter: &str,
        settings: &Settings,
        fields: &[Field],
    ) -> Result<(), Error> {
        self.print(settings, || {
            settings_text(adapter, settings, fields, self.color)
        })
    }

    pub(crate) fn changes(self, changes: &Changes<'_>) -> Result<(), Error> {
        self.print(changes.settings, || changes_text(changes, self.color))
    }

    pub(crate) fn shares(self, shares: &[Share]) -> Result<(), Error> {
        self.print(&shares, || shares_grid(shares).text(self.color))
    }

    pub(crate) fn share(self, share: &Share) -> Result<(), Error> {
        self.print(share, || share_grid(share).text(self.color))
    }

    pub(crate) fn grace(self, grace: &Grace) -> Result<(), Error> {
        self.print(grace, || grace_grid(grace).text(self.color))
    }

    pub(crate) fn clients(self, clients: &[Client]) -> Result<(), Error> {
        self.print(&clients, || clients_grid(clients).text(self.color))
    }

    pub(crate) fn copies(self, copies: &[CopyJob]) -> Result<(), Error> {
        self.print(&copies, || copies_grid(copies).text(self.color))
    }

    /// Of a form that only the adapter knows, so that YAML is as near to a table as it gets.
    pub(crate) fn view(self, view: &Value) -> Result<(), Error> {
        let format = if self.format == Format::Table {
            Format::Yaml
        } else {
            self.format
        };
        Self { format, ..self }.print(view, String::new)
    }

    /// For people only: a program sees it from the exit code.
    pub(crate) fn done(self, message: &str) -> Result<(), Error> {
        match self.format {
            Format::Table => Ok(writeln!(std::io::stdout(), "{}", one_line(message))?),
            Format::Json | Format::Yaml => Ok(()),
        }
    }

    fn print(self, answer: &impl Serialize, table: impl FnOnce() -> String) -> Result<(), Error> {
        let text = self.text(answer, table)?;
        Ok(std::io::stdout().write_all(text.as_bytes())?)
    }

    fn text(
        self,
        answer: &impl Serialize,
        table: impl FnOnce() -> String,
    ) -> Result<String, Error> {
        let failed = |error: &dyn std::fmt::Display| {
            Error::Failed(format!("cannot print the answer: {error}"))
        };
        match self.format {
            Format::Table => Ok(table()),
            Format::Json => serde_json::to_string_pretty(answer)
                .map(|text| text + "\n")
                .map_err(|e| failed(&e)),
            Format::Yaml => serde_yaml_ng::to_string(answer).map_err(|e| failed(&e)),
        }
    }
}

/// Aligned columns.
#[derive(Debug, Default)]
struct Grid {
    header: Vec<&'static str>,
    rows: Vec<(Tone, Vec<String>)>,
}

/// How a row stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    Plain,
    Strong,
    Bad,
}

impl Grid {
    fn new(header: &[&'static str]) -> Self {
        Self {
            header: header.to_vec(),
            rows: Vec::new(),
        }
    }

    fn row<const N: usize>(&mut self, tone: Tone, cells: [String; N]) {
        self.rows.push((tone, cells.into()));
    }

    fn text(&self, color: bool) -> String {
        self.lines(color).concat()
    }

    /// One line for the header, if there is one, and for each row.
    fn lines(&self, color: bool) -> Vec<String> {
        let mut table = Table::new();
        table.load_style(NOTHING);
        if !self.header.is_empty() {
            table.set_header(&self.header);
        }
        for (_, cells) in &self.rows {
            table.add_row(cells.iter().map(|cell| one_line(cell)));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let tones = self.rows.iter().map(|(tone, _)| *tone);
        let tones =
            std::iter::repeat_n(Tone::Plain, usize::from(!self.header.is_empty())).chain(tones);
        table
            .lines()
            .zip(tones)
            .map(|(line, tone)| tone.paint(line.trim_end(), color))
            .collect()
    }
}

impl Tone {
    fn paint(self, line: &str, color: bool) -> String {
        match self {
            Self::Strong if color => format!("\u{1b}[1m{line}\u{1b}[0m\n"),
            Self::Bad if color => format!("\u{1b}[31m{line}\u{1b}[0m\n"),
            _ => format!("{line}\n"),
        }
    }
}

fn status_text(status: &Status, color: bool) -> String {
    let mut host = Grid::default();
    let ready = if status.ready.ready {
        "ready".to_owned()
    } else {
        format!("not ready: {}", status.ready.reasons.join("; "))
    };
    host.row(Tone::Plain, ["host:".to_owned(), status.server.clone()]);
    host.row(
        Tone::Plain,
        ["version:".to_owned(), status.health.version.clone()],
    );
    host.row(
        Tone::Plain,
        ["up:".to_owned(), duration(status.health.uptime_seconds)],
    );
    let tone = if status.ready.ready {
        Tone::Strong
    } else {
        Tone::Bad
    };
    host.row(tone, ["state:".to_owned(), ready]);
    host.row(
        Tone::Plain,
        ["health:".to_owned(), word(&status.health.status)],
    );
    let adapters = adapters_grid(&status.adapters).text(color);
    let shares = shares_grid(&status.shares).text(color);
    format!(
        "{}\nAdapters\n{adapters}\nShares\n{shares}",
        host.text(color)
    )
}

fn adapters_grid(adapters: &[Adapter]) -> Grid {
    let mut grid = Grid::new(&["NAME", "VERSION", "SDK", "ENABLED", "STATE", "NOTE"]);
    for adapter in adapters {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let cells = [
            adapter.kind.clone(),
            or_dash(&adapter.version),
            or_dash(&adapter.sdk),
            yes_no(adapter.enabled),
            state(adapter),
            note(adapter),
        ];
        grid.row(tone(adapter), cells);
    }
    grid
}

fn adapter_grid(adapter: &Adapter) -> Grid {
    let mut grid = Grid::default();
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            grid.row(
                if name == "state" {
                    tone(adapter)
                } else {
                    Tone::Plain
                },
                [format!("{name}:"), value],
            );
        }
    };
    fact("name", Some(adapter.kind.clone()));
    fact("description", Some(adapter.description.clone()));
    fact("state", Some(state(adapter)));
    fact("note", Some(note(adapter)));
    fact("enabled", Some(yes_no(adapter.enabled)));
    fact("version", adapter.version.clone());
    fact("SDK", adapter.sdk.clone());
    fact("library", adapter.library.clone());
    fact(
        "settings version",
        Some(adapter.settings_version.to_string()),
    );
    fact(
        "overridden for this run",
        Some(adapter.overrides.join(", ")),
    );
    grid
}

/// The state; that of a running adapter in its own word if it is not well.
fn state(adapter: &Adapter) -> String {
    let unwell = adapter
        .health
        .as_ref()
        .filter(|health| health.status != AdapterHealthStatus::Serving);
    unwell.map_or_else(
        || word(&adapter.state),
        |health| format!("{}, {}", word(&adapter.state), word(&health.status)),
    )
}

fn note(adapter: &Adapter) -> String {
    let message = adapter
        .health
        .as_ref()
        .and_then(|health| health.message.as_ref());
    adapter
        .reason
        .as_ref()
        .or(message)
        .cloned()
        .unwrap_or_default()
}

fn tone(adapter: &Adapter) -> Tone {
    let unwell = adapter
        .health
        .as_ref()
        .is_some_and(|health| health.status != AdapterHealthStatus::Serving);
    if unwell || adapter.state == AdapterState::Failed {
        Tone::Bad
    } else {
        Tone::Plain
    }
}

fn shares_grid(shares: &[Share]) -> Grid {
    let mut grid = Grid::new(&[
        "NAME", "SOURCE", "ACCESS", "SQUASH", "CLIENTS", "ORIGIN", "NOTE",
    ]);
    for share in shares {
        let cells = [
            share.name.clone(),
            source(&share.backend),
            access(share),
            word(&share.squash),
            clients(share),
            word(&share.origin),
            share.error.clone().unwrap_or_default(),
        ];
        grid.row(
            if share.error.is_some() {
                Tone::Bad
            } else {
                Tone::Plain
            },
            cells,
        );
    }
    grid
}

fn share_grid(share: &Share) -> Grid {
    let mut grid = Grid::default();
    let mut fact = |name: &str, value: String| grid.row(Tone::Plain, [format!("{name}:"), value]);
    fact("name", share.name.clone());
    fact("id", share.id.to_string());
    fact("source", source(&share.backend));
    if let Backend::Local {
        attribute_cache_ms, ..
    } = &share.backend
    {
        fact("attribute cache", format!("{attribute_cache_ms} ms"));
    }
    fact("access", access(share));
    fact("squash", word(&share.squash));
    fact(
        "anonymous",
        format!("{}:{}", share.anonymous_uid, share.anonymous_gid),
    );
    fact("clients", clients(share));
    fact("origin", word(&share.origin));
    if let Some(error) = &share.error {
        grid.row(Tone::Bad, ["not exported:".to_owned(), error.clone()]);
    }
    grid
}

fn grace_grid(grace: &Grace) -> Grid {
    let mut grid = Grid::default();
    let mut fact = |name: &str, value: String| grid.row(Tone::Plain, [format!("{name}:"), value]);
    fact("active", yes_no(grace.active));
    if grace.active {
        fact("protocol", grace.protocol.clone().unwrap_or_default());
        fact("started", grace.started_at.clone().unwrap_or_default());
        fact("remaining", duration(grace.remaining_seconds));
        fact("total", duration(grace.total_duration));
        let (done, all) = (grace.reclaimed_clients, grace.expected_clients);
        fact("reclaimed", format!("{done} of {all} clients"));
    }
    grid
}

fn clients_grid(clients: &[Client]) -> Grid {
    let mut grid = Grid::new(&[
        "ID",
        "PROTOCOL",
        "ADDRESS",
        "OWNER",
        "STATE",
        "LEASE",
        "SESSIONS",
        "OPENS",
        "LOCKS",
        "DELEGATIONS",
    ]);
    for client in clients {
        let cells = [
            client.client_id.clone(),
            format!("{} {}", client.protocol, client.version),
            client.address.clone(),
            client.owner.clone(),
            client.state.clone(),
            duration(client.lease_left_seconds),
            client.sessions.to_string(),
            client.opens.to_string(),
            client.locks.to_string(),
            client.delegations.to_string(),
        ];
        grid.row(Tone::Plain, cells);
    }
    grid
}

fn copies_grid(copies: &[CopyJob]) -> Grid {
    let mut grid = Grid::new(&[
        "ID", "PROTOCOL", "CLIENT", "SOURCE", "TARGET", "DONE", "OF", "STATE", "AGE",
    ]);
    for copy in copies {
        let state = match &copy.error {
            Some(error) => format!("{}: {error}", copy.state),
            None => copy.state.clone(),
        };
        let cells = [
            copy.copy_id.clone(),
            copy.protocol.clone(),
            copy.client_id.clone(),
            copy.source.clone(),
            copy.target.clone(),
            size(copy.bytes_done),
            size(copy.bytes_total),
            state,
            duration(copy.age_seconds),
        ];
        grid.row(Tone::Plain, cells);
    }
    grid
}

fn source(backend: &Backend) -> String {
    match backend {
        Backend::Local { path, .. } => path.clone(),
        Backend::Memory {} => "memory".to_owned(),
    }
}

fn access(share: &Share) -> String {
    if share.read_only {
        "read-only"
    } else {
        "read-write"
    }
    .to_owned()
}

fn clients(share: &Share) -> String {
    if share.clients.is_empty() {
        "all".to_owned()
    } else {
        share.clients.join(",")
    }
}

fn settings_text(adapter: &str, settings: &Settings, fields: &[Field], color: bool) -> String {
    let mut grid = Grid::new(&["", "SETTING", "VALUE", "APPLIES"]);
    for field in fields {
        let (tone, mark, value) = current(settings, field);
        grid.row(
            tone,
            [
                mark.to_owned(),
                field.name.clone(),
                value,
                applies(settings, field),
            ],
        );
    }
    let mut lines = grid.lines(color).into_iter();
    let adapter = one_line(adapter);
    let mut text = format!(
        "{adapter}, settings version {} (* changed, ! overridden for this run)\n",
        settings.version
    );
    text.extend(lines.next());
    let mut group = "";
    for (field, line) in fields.iter().zip(lines) {
        if field.group != group {
            group = &field.group;
            text.extend(["\n", &one_line(group), "\n"]);
        }
        text.push_str(&line);
    }
    text
}

/// A setting's value in force, with what it would be otherwise.
fn current(settings: &Settings, field: &Field) -> (Tone, &'static str, String) {
    let stored = settings.values.get(&field.name).unwrap_or(&Value::Null);
    let default = field.default.as_ref().filter(|&default| default != stored);
    let default = default.map(|default| format!("default: {}", with_unit(default, field)));
    if let Some(value) = settings.overrides.get(&field.name) {
        let stored = format!("stored: {}", with_unit(stored, field));
        let others: Vec<String> = std::iter::once(stored).chain(default).collect();
        return (
            Tone::Strong,
            "!",
            format!("{} ({})", with_unit(value, field), others.join(", ")),
        );
    }
    match default {
        Some(default) => (
            Tone::Strong,
            "*",
            format!("{} ({default})", with_unit(stored, field)),
        ),
        None => (Tone::Plain, "", with_unit(stored, field)),
    }
}

fn applies(settings: &Settings, field: &Field) -> String {
    match settings.applied.get(&field.name) {
        Some(Applied::NextGrace | Applied::Restart) => format!("{} (pending)", field.applies),
        _ => field.applies.clone(),
    }
}

fn changes_text(changes: &Changes<'_>, color: bool) -> String {
    let mut grid = Grid::default();
    for name in &changes.names {
        let field = changes.fields.iter().find(|field| field.name == *name);
        let value = changes.settings.values.get(name).unwrap_or(&Value::Null);
        let value = field.map_or_else(|| shown(value), |field| with_unit(value, field));
        let when = match changes.settings.applied.get(name) {
            Some(Applied::NextGrace) => "at the next grace period".to_owned(),
            Some(Applied::Restart) => format!("after 'dfsctl adapter restart {}'", changes.adapter),
            Some(Applied::Overridden) => "once the host runs without its override".to_owned(),
            Some(Applied::Live) | None => "in force".to_owned(),
        };
        let when = if changes.dry_run { String::new() } else { when };
        grid.row(Tone::Plain, [name.clone(), "=".to_owned(), value, when]);
    }
    match (changes.dry_run, changes.names.is_empty()) {
        (true, _) => format!("{}accepted, not changed (dry run)\n", grid.text(color)),
        (false, true) => format!(
            "nothing changed; settings version {}\n",
            changes.settings.version
        ),
        (false, false) => grid.text(color),
    }
}

fn with_unit(value: &Value, field: &Field) -> String {
    match &field.unit {
        Some(unit) if value.is_number() => format!("{} {unit}", plain(value)),
        _ => shown(value),
    }
}

/// The word that JSON has for it.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value)
        .map(|value| plain(&value))
        .unwrap_or_default()
}

fn yes_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
mod tests;
