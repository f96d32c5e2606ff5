//! What a library offers: the root module, found by its one symbol, and running instances.

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::package_version_strings;
use abi_stable::sabi_trait;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RBox, RNone, ROk, ROption, RResult, RStr, RString, RVec};
use async_ffi::{FfiFuture, FutureExt};

use super::control::{WireApplied, WireError, WireFieldError, WireHealth, WireState};
use super::host::HostObject;

/// The functions of a library. A field added later comes last and says what it is for those
/// that lack it.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = AdapterModuleRef, prefix_fields = AdapterModulePrefix)))]
#[sabi(missing_field(panic))]
pub(super) struct AdapterModule {
    pub(super) schema: extern "C" fn() -> RResult<RString, WireError>,
    pub(super) defaults: extern "C" fn() -> RResult<RString, WireError>,
    /// Takes settings as JSON.
    pub(super) check: extern "C" fn(RStr<'_>) -> RVec<WireFieldError>,
    #[sabi(last_prefix_field)]
    pub(super) start: extern "C" fn(HostObject, RStr<'_>, ROption<WireState>) -> Starting,
    /// Stands for what a next minor version adds; an older library has none of it.
    #[cfg(sdk_next_minor)]
    #[sabi(missing_field(option))]
    pub(super) addition: extern "C" fn() -> RString,
}

pub(super) type Starting = FfiFuture<RResult<InstanceObject, WireError>>;

impl RootModule for AdapterModuleRef {
    abi_stable::declare_root_module_statics! {AdapterModuleRef}
    const BASE_NAME: &'static str = "dittofs_adapter";
    const NAME: &'static str = "dittofs_adapter";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// The functions of a running instance. A function added later comes last and has a default.
#[sabi_trait]
pub(super) trait WireInstance: Send + Sync {
    /// Takes settings as JSON.
    fn reconfigure(&self, settings: RStr<'_>) -> FfiFuture<RResult<WireApplied, WireError>>;
    fn health(&self) -> WireHealth;
    /// Answers with JSON.
    fn inspect(&self, what: RStr<'_>) -> ROption<RString>;
    fn shares_changed(&self);
    fn log_filter_changed(&self);
    fn drain(&self, deadline_ms: u64) -> FfiFuture<()>;
    fn export_state(&self) -> FfiFuture<RResult<ROption<WireState>, WireError>>;
    #[sabi(last_prefix_field)]
    fn stop(&self) -> FfiFuture<()>;
    /// Takes and answers with JSON. An adapter of SDK 1.0 knows nothing that it could do.
    fn act(
        &self,
        what: RStr<'_>,
        args: RStr<'_>,
    ) -> FfiFuture<RResult<ROption<RString>, WireError>> {
        let _ = (what, args);
        std::future::ready(ROk(RNone)).into_ffi()
    }
}

pub(super) type InstanceObject = WireInstance_TO<'static, RBox<()>>;
