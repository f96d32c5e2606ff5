//! What the routes do.

use std::sync::Arc;

use dittofs_api::{self as api, Fields};
use dittofs_sdk::FieldError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use warp::http::StatusCode;
use warp::reply::{self, Reply, Response};

use super::problem::ApiError;
use super::{App, Query, grace};
use crate::adapters::Unit;
use crate::metrics::Metrics;
use crate::settings::Change;

/// Most versions that the history of settings answers.
const HISTORY: i64 = 100;

type Answer = Result<Response, ApiError>;

/// The log's filter, in both directions.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogFilter {
    filter: String,
}

pub(super) fn metrics(metrics: &Metrics) -> Response {
    match metrics.text() {
        Ok(text) => {
            reply::with_header(text, "content-type", "text/plain; version=0.0.4").into_response()
        }
        Err(error) => ApiError::Internal(error.to_string()).into_response(),
    }
}

pub(super) async fn health(app: Arc<App>) -> Response {
    let database = app.core.db.ping().await;
    let body = api::Health {
        status: if database.is_ok() {
            api::HealthStatus::Healthy
        } else {
            api::HealthStatus::Unhealthy
        },
        service: "dittofs".to_owned(),
        version: crate::VERSION.to_owned(),
        uptime_seconds: app.started.elapsed().as_secs(),
    };
    let status = if database.is_ok() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    reply::with_status(reply::json(&body), status).into_response()
}

pub(super) async fn ready(app: Arc<App>) -> Response {
    let mut reasons = Vec::new();
    if !*app.serving.borrow() {
        reasons.push("the host is starting or stopping".to_owned());
    }
    for adapter in app.adapters.list().await {
        let unwell = adapter
            .health
            .filter(|health| health.status == api::AdapterHealthStatus::Failed);
        if adapter.enabled && !adapter.running {
            let reason = adapter
                .reason
                .unwrap_or_else(|| "it is not running".to_owned());
            reasons.push(format!("adapter {}: {reason}", adapter.kind));
        } else if let Some(health) = unwell {
            reasons.push(format!(
                "adapter {}: {}",
                adapter.kind,
                health.message.unwrap_or_default()
            ));
        }
    }
    let status = if reasons.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = api::Ready {
        ready: reasons.is_empty(),
        reasons,
    };
    reply::with_status(reply::json(&body), status).into_response()
}

pub(super) async fn adapters(app: Arc<App>) -> Response {
    reply::json(&app.adapters.list().await).into_response()
}

pub(super) async fn adapter(name: String, app: Arc<App>) -> Response {
    let answer = async { Ok(adapter_reply(&unit(&app, &name)?.view().await)) };
    respond(answer.await)
}

pub(super) async fn update_adapter(
    name: String,
    app: Arc<App>,
    if_match: Option<String>,
    body: Result<api::AdapterUpdate, ApiError>,
) -> Response {
    let answer = async {
        let unit = unit(&app, &name)?;
        let update = body?;
        let current = unit.view().await;
        if version(if_match).is_some_and(|version| version != current.settings_version) {
            return Err(ApiError::Precondition(format!(
                "adapter {name} has another version now: read it again"
            )));
        }
        match update.enabled {
            Some(enabled) => Ok(adapter_reply(&unit.set_enabled(enabled).await?)),
            None => Ok(adapter_reply(&current)),
        }
    };
    respond(answer.await)
}

pub(super) async fn restart_adapter(name: String, app: Arc<App>) -> Response {
    let answer = async { Ok(adapter_reply(&unit(&app, &name)?.restart().await?)) };
    respond(answer.await)
}

pub(super) async fn inspect_adapter(name: String, what: String, app: Arc<App>) -> Response {
    let answer = async {
        let view = Arc::clone(unit(&app, &name)?).inspect(what).await?;
        Ok(reply::json(&view).into_response())
    };
    respond(answer.await)
}

pub(super) async fn act(
    name: String,
    what: String,
    app: Arc<App>,
    args: Result<Value, ApiError>,
) -> Response {
    let answer = async {
        let answer = unit(&app, &name)?.act(&what, &args?).await?;
        Ok(reply::json(&answer).into_response())
    };
    respond(answer.await)
}

pub(super) async fn grace(app: Arc<App>) -> Response {
    reply::json(&grace::status(&app).await).into_response()
}

pub(super) async fn end_grace(name: String, app: Arc<App>) -> Response {
    let answer = async { Ok(reply::json(&grace::end(unit(&app, &name)?).await?).into_response()) };
    respond(answer.await)
}

pub(super) async fn clients(query: Query, app: Arc<App>) -> Response {
    let clients = grace::clients(&app, query.protocol.as_deref()).await;
    reply::json(&clients).into_response()
}

pub(super) async fn evict_client(id: String, query: Query, app: Arc<App>) -> Response {
    let answer = async {
        grace::evict(&app, &id, query.protocol.as_deref()).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    respond(answer.await)
}

pub(super) async fn copies(query: Query, app: Arc<App>) -> Response {
    let copies = grace::copies(&app, query.protocol.as_deref()).await;
    reply::json(&copies).into_response()
}

pub(super) async fn cancel_copy(id: String, query: Query, app: Arc<App>) -> Response {
    let answer = async {
        grace::cancel_copy(&app, &id, query.protocol.as_deref()).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    respond(answer.await)
}

pub(super) async fn settings(name: String, query: Query, app: Arc<App>) -> Response {
    let answer = async {
        let effective = flag("effective", query.effective.as_deref())?;
        Ok(settings_reply(
            &unit(&app, &name)?.settings(effective).await?,
        ))
    };
    respond(answer.await)
}

pub(super) async fn change_settings(
    name: String,
    replaces: bool,
    query: Query,
    app: Arc<App>,
    if_match: Option<String>,
    body: Result<Fields, ApiError>,
) -> Response {
    let answer = async {
        let unit = unit(&app, &name)?;
        let fields = body?;
        let change = if replaces {
            Change::Replace(fields)
        } else {
            Change::Merge(fields)
        };
        let dry_run = flag("dry_run", query.dry_run.as_deref())?;
        Ok(settings_reply(
            &unit
                .change_settings(change, version(if_match), dry_run)
                .await?,
        ))
    };
    respond(answer.await)
}

pub(super) async fn reset_settings(
    name: String,
    query: Query,
    app: Arc<App>,
    if_match: Option<String>,
) -> Response {
    let answer = async {
        let unit = unit(&app, &name)?;
        let dry_run = flag("dry_run", query.dry_run.as_deref())?;
        let change = query.setting.map_or(Change::ResetAll, Change::Reset);
        Ok(settings_reply(
            &unit
                .change_settings(change, version(if_match), dry_run)
                .await?,
        ))
    };
    respond(answer.await)
}

pub(super) async fn about_settings(name: String, what: String, app: Arc<App>) -> Response {
    let answer = async {
        let unit = unit(&app, &name)?;
        match what.as_str() {
            "schema" => Ok(reply::json(unit.library().await?.schema().json()).into_response()),
            "defaults" => {
                let library = unit.library().await?;
                let schema = library.schema();
                let body = api::Defaults {
                    defaults: schema.defaults().clone(),
                    ranges: schema.ranges(),
                };
                Ok(reply::json(&body).into_response())
            }
            "history" => history(&app, unit).await,
            _ => Err(ApiError::NotFound(
                "there is nothing at this path".to_owned(),
            )),
        }
    };
    respond(answer.await)
}

async fn history(app: &App, unit: &Unit) -> Answer {
    let rows = app
        .core
        .db
        .settings_history(unit.name(), HISTORY)
        .await
        .map_err(|e| ApiError::Internal(e.to_string()))?;
    let rows: Vec<Value> = rows
        .into_iter()
        .map(|row| json!({ "version": row.version, "set": row.fields, "changed_at_ms": row.changed_at }))
        .collect();
    Ok(reply::json(&rows).into_response())
}

pub(super) async fn shares(app: Arc<App>) -> Response {
    reply::json(&app.core.shares.list()).into_response()
}

pub(super) async fn create_share(
    app: Arc<App>,
    body: Result<api::ShareCreate, ApiError>,
) -> Response {
    let answer = async {
        let share = app.core.shares.create(body?).await?;
        app.adapters.shares_changed().await;
        Ok(reply::with_status(reply::json(&share), StatusCode::CREATED).into_response())
    };
    respond(answer.await)
}

pub(super) async fn share(name: String, app: Arc<App>) -> Response {
    let answer =
        async { Ok(reply::json(&app.core.shares.one(&share_name(&name)?)?).into_response()) };
    respond(answer.await)
}

pub(super) async fn remove_share(name: String, app: Arc<App>) -> Response {
    let answer = async {
        app.core.shares.remove(&share_name(&name)?).await?;
        app.adapters.shares_changed().await;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    respond(answer.await)
}

pub(super) async fn log_filter(app: Arc<App>) -> Response {
    reply::json(&LogFilter {
        filter: app.core.log.text(),
    })
    .into_response()
}

pub(super) async fn change_log_filter(
    app: Arc<App>,
    body: Result<LogFilter, ApiError>,
) -> Response {
    let answer = async {
        let wanted = body?.filter;
        let invalid = |e: crate::log::BadFilter| {
            ApiError::Invalid(vec![FieldError::new("filter", e.to_string())])
        };
        app.core.log.change(&wanted).map_err(invalid)?;
        app.adapters.log_filter_changed().await;
        tracing::info!("audit: log filter {wanted}");
        Ok(reply::json(&LogFilter { filter: wanted }).into_response())
    };
    respond(answer.await)
}

fn respond(answer: Answer) -> Response {
    answer.unwrap_or_else(Reply::into_response)
}

fn unit<'a>(app: &'a App, name: &str) -> Result<&'a Arc<Unit>, ApiError> {
    app.adapters
        .one(name)
        .ok_or_else(|| ApiError::NotFound(format!("there is no adapter {name:?}")))
}

fn adapter_reply(adapter: &api::Adapter) -> Response {
    reply::with_header(reply::json(adapter), "etag", etag(adapter.settings_version)).into_response()
}

fn settings_reply(settings: &api::Settings) -> Response {
    reply::with_header(reply::json(settings), "etag", etag(settings.version)).into_response()
}

fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

/// The version that `If-Match` asks for; none for `*`, and one that never is for another host's.
fn version(if_match: Option<String>) -> Option<u64> {
    let text = if_match?;
    let text = text.trim();
    if text == "*" {
        return None;
    }
    let text = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');
    Some(text.parse().unwrap_or(u64::MAX))
}

fn flag(name: &str, value: Option<&str>) -> Result<bool, ApiError> {
    match value {
        None | Some("false" | "0") => Ok(false),
        Some("" | "true" | "1") => Ok(true),
        Some(other) => Err(ApiError::BadRequest(format!(
            "{name}={other}: write true or false"
        ))),
    }
}

/// The name of a share from its component of the path: percent-decoded, with its leading slash.
fn share_name(component: &str) -> Result<String, ApiError> {
    let bad = || {
        ApiError::BadRequest(format!(
            "{component:?} is no percent-encoded name of a share"
        ))
    };
    let mut bytes = vec![b'/'];
    let mut rest = component.bytes();
    while let Some(byte) = rest.next() {
        let decoded = if byte == b'%' {
            let digit = |byte: Option<u8>| {
                char::from(byte.unwrap_or_default())
                    .to_digit(16)
                    .ok_or_else(bad)
            };
            (digit(rest.next())? << 4 | digit(rest.next())?) as u8
        } else {
            byte
        };
        bytes.push(decoded);
    }
    String::from_utf8(bytes).map_err(|_| bad())
}
