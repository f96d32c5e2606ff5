//! The REST bodies that the DittoFS host and `dfsctl` exchange, and where the two meet.
//!
//! | Method and path | Body → answer |
//! |---|---|
//! | `GET /health` | → [`Health`]; no token |
//! | `GET /health/ready` | → [`Ready`], 503 while not ready; no token |
//! | `GET /api/v1/adapters` | → `[`[`Adapter`]`]` |
//! | `GET`, `PUT /api/v1/adapters/{type}` | [`AdapterUpdate`] → [`Adapter`] |
//! | `POST /api/v1/adapters/{type}/restart` | → [`Adapter`] |
//! | `GET /api/v1/adapters/{type}/inspect/{view}` | → what the adapter says, any JSON |
//! | `POST /api/v1/adapters/{type}/act/{what}` | what the adapter wants to know, any JSON or nothing → what it says |
//! | `GET /api/v1/grace` | → [`Grace`] |
//! | `POST /api/v1/adapters/{type}/grace/end` | → [`Grace`] |
//! | `GET /api/v1/clients` (`?protocol=TYPE`) | → `[`[`Client`]`]` |
//! | `DELETE /api/v1/clients/{id}` (`?protocol=TYPE`) | → nothing |
//! | `GET /api/v1/adapters/{type}/settings` | → [`Settings`] |
//! | `PUT`, `PATCH …/settings` (`?dry_run=true`) | all, some fields ([`Fields`]) → [`Settings`] |
//! | `POST …/settings/reset` (`?setting=FIELD`) | → [`Settings`] |
//! | `GET …/settings/schema` | → [`SettingsSchema`] |
//! | `GET …/settings/defaults` | → [`Defaults`] |
//! | `GET`, `POST /api/v1/shares` | [`ShareCreate`] → `[`[`Share`]`]`, [`Share`] |
//! | `GET`, `DELETE /api/v1/shares/{name}` | → [`Share`], nothing; see [`share_path`] |
//!
//! Every refusal is a [`Problem`] with [`PROBLEM_CONTENT_TYPE`]. The token goes into
//! `Authorization: Bearer`. Reads of one adapter or of its settings carry an `ETag` made of the
//! version; a write may carry it back as `If-Match` and is refused with 412 if it is stale.

mod adapter;
mod clients;
mod health;
mod path;
mod problem;
mod run;
mod settings;
mod share;

pub use adapter::{Adapter, AdapterHealth, AdapterHealthStatus, AdapterState, AdapterUpdate};
pub use clients::{Client, CopyJob, Grace};
pub use health::{Health, HealthStatus, Ready};
pub use path::{API_PREFIX, adapter_path, component, share_path};
pub use problem::{PROBLEM_CONTENT_TYPE, Problem};
pub use run::{DEFAULT_API, DEFAULT_METRICS, RUN_FILE, RunInfo, TOKEN_FILE, default_state_dir};
pub use settings::{Applied, Defaults, Fields, Range, Settings, SettingsSchema};
pub use share::{Backend, MAX_ATTRIBUTE_CACHE_MS, NOBODY, Origin, Share, ShareCreate, Squash};

/// The longest request body, in bytes, that the host reads.
pub const MAX_BODY: u64 = 1 << 20;
