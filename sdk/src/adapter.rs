//! The contract of an adapter.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Context;

/// A protocol served by a DittoFS host.
///
/// The instance is alive from a successful [`start`](Adapter::start) to
/// [`stop`](Adapter::stop). Every `async` method runs on the instance's own runtime, so that
/// `tokio::spawn` and tokio's timers and sockets work in it. A panic in any method, and in
/// any task spawned on that runtime, is caught, logged and reported to the host.
pub trait Adapter: Send + Sync + Sized + 'static {
    /// The settings: one struct is their schema, defaults, documentation and flags.
    /// Field documentation becomes help text; `#[schemars(range(..))]` becomes validation;
    /// [`settings`](crate::settings) lists the further attributes.
    type Settings: DeserializeOwned
        + Serialize
        + JsonSchema
        + Default
        + Clone
        + Send
        + Sync
        + 'static;

    /// Who the adapter is.
    const INFO: Info;

    /// Checks what a schema can't say, such as that one field is at most another. Pure.
    fn check(settings: &Self::Settings) -> Result<(), Vec<FieldError>> {
        let _ = settings;
        Ok(())
    }

    /// Starts serving. `prior` is what an earlier instance exported for its successor.
    fn start(
        cx: Context,
        settings: Self::Settings,
        prior: Option<State>,
    ) -> impl Future<Output = Result<Self, Error>> + Send;

    /// Puts new settings into force while serving, or refuses and keeps the old ones.
    fn reconfigure(
        &self,
        settings: Self::Settings,
    ) -> impl Future<Output = Result<Applied, Error>> + Send;

    /// How the instance is now; cheap, called often.
    fn health(&self) -> Health {
        Health::Serving
    }

    /// A view of the inside (clients, sessions, …) for REST and `dfsctl`. `None` for an
    /// unknown `what`.
    fn inspect(&self, what: &str) -> Option<Value> {
        let _ = what;
        None
    }

    /// Does what an operator asks for, such as ending something that would end later by itself, and answers
    /// what there is to say. `None` for an unknown `what`. Who calls may stop waiting for the answer.
    fn act(
        &self,
        what: &str,
        args: Value,
    ) -> impl Future<Output = Result<Option<Value>, Error>> + Send {
        let _ = (what, args);
        async { Ok(None) }
    }

    /// Takes no new work and finishes the old, at most until `deadline` from now.
    fn drain(&self, deadline: Duration) -> impl Future<Output = ()> + Send {
        let _ = deadline;
        async {}
    }

    /// State for a successor of this instance; called after `drain`.
    fn export_state(&self) -> impl Future<Output = Result<Option<State>, Error>> + Send {
        async { Ok(None) }
    }

    /// Ends the instance. Tasks that are left on its runtime are cancelled afterwards.
    fn stop(self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// Who an adapter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// Its name in settings, metrics, REST and CLI: lower-case letters, digits and `-`.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// One sentence for people.
    pub description: &'static str,
}

/// What [`Adapter::reconfigure`] did with the new settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Fields whose new value is kept but takes effect only at the next start.
    pub pending_restart: Vec<String>,
}

/// How an instance is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It serves.
    Serving,
    /// It serves with a limitation, named here.
    Degraded(String),
    /// It does not serve, for the reason named here.
    Failed(String),
}

/// Handed from an instance to its successor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Format of `bytes`, the adapter's own numbering.
    pub format: u32,
    /// The state.
    pub bytes: Bytes,
}

/// A setting that can't be accepted, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The field, as in the settings' JSON.
    pub field: String,
    /// What is wrong with it and what would be right.
    pub message: String,
}

impl FieldError {
    /// An error of `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Why an adapter could not do what the host asked: one line that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Settings can't be put into force.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Settings(Vec<FieldError>),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// A failure with this message.
    pub fn failed(message: impl fmt::Display) -> Self {
        Self::Failed(message.to_string())
    }

    /// One setting that can't be put into force.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Settings(vec![FieldError::new(field, message)])
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error)
    }
}
