//! The host's side: from a file to a running instance.

use std::error::Error as _;
use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::{
    CheckingGlobals, check_layout_compatibility_with_globals,
};
use abi_stable::library::{LibHeader, lib_header_from_path};
use abi_stable::std_types::{ROption, RString};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use serde_json::Value;

use super::control::{WireState, result_in};
use super::module::{AdapterModuleRef, InstanceObject};
use super::{elf, host};
use crate::host::HostServices;
use crate::{Applied, Error, FieldError, Health, State, VERSION};

/// What a library says of itself in its ELF note, readable without running its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The adapter's name.
    pub name: String,
    /// The adapter's version.
    pub version: String,
    /// One sentence for people.
    pub description: String,
    /// The SDK it was built with: (major, minor).
    pub sdk: (u32, u32),
    /// Whether panics unwind (`unwind`) or end the process (`abort`, refused).
    pub panic: String,
}

/// Why a file can't be loaded: one line that names the file, both versions where they matter,
/// and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LoadError(pub String);

/// A loaded library; it stays loaded for the life of the process.
#[derive(Clone)]
pub struct Plugin {
    manifest: Manifest,
    module: AdapterModuleRef,
}

impl Plugin {
    /// Reads the manifest of the file at `path` and runs none of its code.
    ///
    /// Fails if there is no such file, if others may write to it, if it is damaged, or if it is
    /// no adapter. An adapter that this host can't run, being of another SDK, has a manifest.
    pub fn manifest_of(path: &Path) -> Result<Manifest, LoadError> {
        elf::inspect(path)
    }

    /// Checks and loads the file at `path`, which must never be overwritten in place afterwards:
    /// load a copy. The dynamic loader knows files by path, so that a new content needs a new one.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let manifest = elf::inspect(path)?;
        let refuse =
            |problem: String| LoadError(format!("{}: {}", path.display(), one_line(&problem)));
        acceptable(&manifest).map_err(refuse)?;
        link(path).map_err(refuse)?;
        let header = lib_header_from_path(path).map_err(|error| {
            refuse(format!(
                "has a manifest but no usable adapter: {error}; rebuild it with export_adapter!"
            ))
        })?;
        check_layout(header, &manifest).map_err(refuse)?;
        // SAFETY: the layouts were compared just now.
        let module = unsafe { header.init_root_module_with_unchecked_layout::<AdapterModuleRef>() }
            .map_err(|error| refuse(format!("does not start up: {error}; rebuild it")))?;
        Ok(Self { manifest, module })
    }

    /// What the library says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The JSON schema of the adapter's settings.
    pub fn schema(&self) -> Result<Value, Error> {
        json(result_in(self.module.schema()()))
    }

    /// The adapter's default settings.
    pub fn defaults(&self) -> Result<Value, Error> {
        json(result_in(self.module.defaults()()))
    }

    /// Runs the adapter's own check of complete settings.
    pub fn check(&self, settings: &Value) -> Result<(), Vec<FieldError>> {
        let errors = self.module.check()(settings.to_string().as_str().into());
        if errors.is_empty() {
            return Ok(());
        }
        Err(errors.into_iter().map(FieldError::from).collect())
    }

    /// What only a library of the next minor version has.
    #[cfg(sdk_next_minor)]
    pub fn addition(&self) -> Option<String> {
        self.module.addition().map(|addition| addition().into())
    }

    /// Starts an instance with complete settings. Dropping the future before its end undoes it.
    pub async fn start(
        &self,
        services: Arc<dyn HostServices>,
        settings: &Value,
        prior: Option<State>,
    ) -> Result<Instance, Error> {
        let settings = settings.to_string();
        let services = host::lend(services);
        let starting = self.module.start()(
            services,
            settings.as_str().into(),
            prior.map(Into::into).into(),
        );
        Ok(Instance {
            object: result_in(starting.await)?,
        })
    }
}

fn acceptable(manifest: &Manifest) -> Result<(), String> {
    let (major, minor) = manifest.sdk;
    if major != VERSION.0 {
        return Err(format!(
            "built with SDK {major}.{minor}, this host has SDK {}.{}; \
             rebuild the adapter with SDK {}.x or run a host with SDK {major}.x",
            VERSION.0, VERSION.1, VERSION.0
        ));
    }
    if manifest.panic != "unwind" {
        return Err(
            "built with panic = \"abort\", so that its panics would end the host; \
                    rebuild it with panic = \"unwind\""
                .to_owned(),
        );
    }
    Ok(())
}

/// Links the library for good. All symbols are looked up now: a missing one must show here
/// and not at the first call of it.
fn link(path: &Path) -> Result<(), String> {
    // SAFETY: the library's constructors run; that the file may be trusted was checked.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        format!("can't be linked: {text}; rebuild it for this machine")
    })?;
    mem::forget(library);
    Ok(())
}

/// Compares the border as the library's SDK has it with ours. The comparison has a direction:
/// the newer one may have more than the older one.
fn check_layout(header: &LibHeader, manifest: &Manifest) -> Result<(), String> {
    let rebuild = |problem: &str| {
        format!(
            "{problem} though it says SDK {}.{} and this host has SDK {}.{}; \
             rebuild it with a released SDK",
            manifest.sdk.0, manifest.sdk.1, VERSION.0, VERSION.1
        )
    };
    let ours = AdapterModuleRef::LAYOUT;
    let theirs = header
        .layout()
        .ok_or_else(|| rebuild("its border is not described"))?;
    let (older, newer) = if manifest.sdk.1 > VERSION.1 {
        (ours, theirs)
    } else {
        (theirs, ours)
    };
    // Each library by itself: what the checker remembers of an older one it would hold against the next.
    let globals = CheckingGlobals::new();
    check_layout_compatibility_with_globals(older, newer, &globals).map_err(|error| {
        // Pages of types, for whoever changed the SDK.
        tracing::debug!(adapter = manifest.name, %error, "layouts differ");
        rebuild("its border differs")
    })
}

/// An error of many lines as one, not too long.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 600;
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

fn json(text: Result<RString, Error>) -> Result<Value, Error> {
    serde_json::from_str(&text?)
        .map_err(|error| Error::failed(format!("the adapter's answer is no JSON: {error}")))
}

/// A running instance of an adapter. Dropping it stops it and does not wait for its end.
pub struct Instance {
    object: InstanceObject,
}

impl Instance {
    /// Puts complete new settings into force, or keeps the old ones.
    pub async fn reconfigure(&self, settings: &Value) -> Result<Applied, Error> {
        let answer = self
            .object
            .reconfigure(settings.to_string().as_str().into());
        result_in(answer.await)
    }

    /// How the instance is.
    pub fn health(&self) -> Health {
        self.object.health().into()
    }

    /// The adapter's view of its inside; `None` if it knows no such view.
    pub fn inspect(&self, what: &str) -> Option<Value> {
        let text = self.object.inspect(what.into()).into_option()?;
        serde_json::from_str(&text).ok()
    }

    /// Has the adapter do something; `None` if it knows no such thing. It does so also if nobody waits for
    /// its answer.
    pub fn act(
        &self,
        what: &str,
        args: &Value,
    ) -> impl Future<Output = Result<Option<Value>, Error>> + Send + use<> {
        let answer = self
            .object
            .act(what.into(), args.to_string().as_str().into());
        async move {
            let answer: ROption<RString> = result_in(answer.await)?;
            answer.into_option().map(|text| json(Ok(text))).transpose()
        }
    }

    /// Tells the instance that [`HostServices::shares`] answers differently now; it asks again
    /// before this returns, so hold no lock that the answer needs.
    pub fn shares_changed(&self) {
        self.object.shares_changed();
    }

    /// Tells the instance that [`HostServices::log_enabled`] answers differently now; it asks
    /// again before this returns, so hold no lock that the answer needs.
    pub fn log_filter_changed(&self) {
        self.object.log_filter_changed();
    }

    /// Takes no new work and finishes the old, at most until `deadline` from now.
    pub async fn drain(&self, deadline: Duration) {
        let millis = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        self.object.drain(millis).await;
    }

    /// State for a successor.
    pub async fn export_state(&self) -> Result<Option<State>, Error> {
        let state: ROption<WireState> = result_in(self.object.export_state().await)?;
        Ok(state.into_option().map(State::from))
    }

    /// Ends the instance and its runtime, within 10 seconds.
    pub async fn stop(self) {
        self.object.stop().await;
    }
}
