//! The command line as it is carried out: host found, paths made absolute, bodies made.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::Path;

use clap_complete::Shell;
use dittofs_api::{Backend, ShareCreate, Squash};

use crate::args::{
    self, AdapterCommand, Cli, ClientCommand, Command, CopyCommand, GraceCommand, SettingsCommand,
    ShareCommand,
};
use crate::client::Client;
use crate::error::Error;
use crate::output::Output;
use crate::target::Target;

/// What is to be done.
pub(crate) enum Ready {
    /// Print a completion script.
    Completion(Shell),
    /// Print the version.
    Version,
    /// Ask a host.
    Ask(Client, Output, Request),
}

/// What a host is asked.
pub(crate) enum Request {
    Status,
    Adapters,
    Adapter(String),
    Enable(String, bool),
    Restart(String),
    Inspect(String, String),
    Settings(String),
    Update(String, Vec<OsString>),
    Reset(String, Option<String>),
    Shares,
    Share(String),
    Create(Box<ShareCreate>),
    Remove(String),
    Grace,
    EndGrace,
    Clients(Option<String>),
    Disconnect(String, Option<String>),
    Copies(Option<String>),
    CancelCopy(String, Option<String>),
}

impl Ready {
    /// Makes `cli` ready, without asking anybody yet.
    pub(crate) fn new(cli: Cli) -> Result<Self, Error> {
        let request = match cli.command {
            Command::Completion { shell } => return Ok(Self::Completion(shell)),
            Command::Version => return Ok(Self::Version),
            Command::Status => Request::Status,
            Command::Adapter(command) => adapter(command),
            Command::Share(command) => share(command)?,
            Command::Grace(GraceCommand::Status) => Request::Grace,
            Command::Grace(GraceCommand::End) => Request::EndGrace,
            Command::Client(ClientCommand::List(list)) => Request::Clients(list.protocol),
            Command::Client(ClientCommand::Disconnect { id, protocol }) => {
                Request::Disconnect(id, protocol.protocol)
            }
            Command::Copy(CopyCommand::List(list)) => Request::Copies(list.protocol),
            Command::Copy(CopyCommand::Cancel { id, protocol }) => {
                Request::CancelCopy(id, protocol.protocol)
            }
        };
        let color = !cli.global.no_color && is_colored();
        let output = Output {
            format: cli.global.output,
            color,
        };
        let client = Client::new(Target::find(&cli.global)?, cli.global.verbose);
        Ok(Self::Ask(client, output, request))
    }
}

fn adapter(command: AdapterCommand) -> Request {
    match command {
        AdapterCommand::List => Request::Adapters,
        AdapterCommand::Show(adapter) => Request::Adapter(adapter.name),
        AdapterCommand::Enable(adapter) => Request::Enable(adapter.name, true),
        AdapterCommand::Disable(adapter) => Request::Enable(adapter.name, false),
        AdapterCommand::Restart(adapter) => Request::Restart(adapter.name),
        AdapterCommand::Inspect { adapter, view } => Request::Inspect(adapter.name, view),
        AdapterCommand::Settings { adapter, command } => match command {
            SettingsCommand::Show => Request::Settings(adapter.name),
            SettingsCommand::Update { words } => Request::Update(adapter.name, words),
            SettingsCommand::Reset { setting } => Request::Reset(adapter.name, setting),
        },
    }
}

fn share(command: ShareCommand) -> Result<Request, Error> {
    Ok(match command {
        ShareCommand::List => Request::Shares,
        ShareCommand::Show(share) => Request::Share(share.name),
        ShareCommand::Remove(share) => Request::Remove(share.name),
        ShareCommand::Create(create) => Request::Create(Box::new(ShareCreate {
            name: create.share.name,
            backend: match create.source.path {
                Some(path) => Backend::Local {
                    path: absolute(&path)?,
                    attribute_cache_ms: create.attribute_cache,
                },
                None => Backend::Memory {},
            },
            read_only: create.read_only,
            squash: match create.squash {
                args::Squash::None => Squash::None,
                args::Squash::Root => Squash::Root,
                args::Squash::All => Squash::All,
            },
            anonymous_uid: create.anonymous_uid,
            anonymous_gid: create.anonymous_gid,
            clients: create.clients,
        })),
    })
}

/// The host has another working directory than we.
fn absolute(path: &Path) -> Result<String, Error> {
    let wrong = |reason: &str| Error::Usage(format!("--path {}: {reason}", path.display()));
    let absolute = std::path::absolute(path).map_err(|error| wrong(&error.to_string()))?;
    absolute
        .into_os_string()
        .into_string()
        .map_err(|_| wrong("must be UTF-8"))
}

fn is_colored() -> bool {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    std::io::stdout().is_terminal()
        && set("NO_COLOR").is_none()
        && set("TERM").is_none_or(|term| term != "dumb")
}
