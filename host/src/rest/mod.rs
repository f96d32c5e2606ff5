//! The REST interface: filters here, handlers and refusals in rooms of their own, the bodies in
//! `dittofs_api`.
//!
//! Everything but health needs the token of the state directory. Users, roles and logins are
//! not here yet.

mod body;
mod grace;
mod handlers;
mod problem;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use warp::filters::BoxedFilter;
use warp::reject::{InvalidHeader, InvalidQuery, MethodNotAllowed, Reject};
use warp::reply::{Reply, Response};
use warp::{Filter, Rejection};

use crate::adapters::Adapters;
use crate::metrics::Metrics;
use crate::services::Core;

use problem::ApiError;

/// What handlers work on.
pub struct App {
    /// The parts of the host.
    pub core: Arc<Core>,
    /// The adapters.
    pub adapters: Adapters,
    /// What an administrator's request carries.
    pub token: String,
    /// When the host started.
    pub started: Instant,
    /// Whether the host serves: not before all adapters were started, nor once it stops.
    pub serving: watch::Receiver<bool>,
}

/// What stands after the `?`; a flag without a value is set.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Query {
    dry_run: Option<String>,
    effective: Option<String>,
    setting: Option<String>,
    protocol: Option<String>,
}

/// A refusal on its way through the filters.
#[derive(Debug)]
struct Denied;

impl Reject for Denied {}

/// All routes of the interface.
pub fn routes(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let admin = warp::path!("api" / "v1" / ..)
        .and(authorized(Arc::clone(app)))
        .and(
            adapters(app)
                .or(settings(app))
                .unify()
                .or(shares(app))
                .unify()
                .or(clients(app))
                .unify()
                .or(log(app))
                .unify(),
        );
    health(app)
        .or(admin)
        .unify()
        .recover(refuse)
        .unify()
        .boxed()
}

/// What Prometheus reads.
pub fn metrics(metrics: Metrics) -> BoxedFilter<(Response,)> {
    warp::path!("metrics")
        .and(warp::get())
        .map(move || handlers::metrics(&metrics))
        .boxed()
}

fn health(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let live = warp::path!("health")
        .or(warp::path!("api" / "v1" / "health"))
        .unify();
    let ready = warp::path!("health" / "ready")
        .or(warp::path!("api" / "v1" / "health" / "ready"))
        .unify();
    let live = live.and(warp::get()).and(with(app)).then(handlers::health);
    let ready = ready.and(warp::get()).and(with(app)).then(handlers::ready);
    live.or(ready).unify().boxed()
}

fn adapters(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let list = warp::path!("adapters")
        .and(warp::get())
        .and(with(app))
        .then(handlers::adapters);
    let one = warp::path!("adapters" / String)
        .or(warp::path!("adapters" / String / "status"))
        .unify()
        .and(warp::get())
        .and(with(app))
        .then(handlers::adapter);
    let update = warp::path!("adapters" / String)
        .and(warp::put())
        .and(with(app))
        .and(if_match())
        .and(warp::body::stream())
        .then(|name, app, if_match, body| async move {
            handlers::update_adapter(name, app, if_match, body::json(body).await).await
        });
    let restart = warp::path!("adapters" / String / "restart")
        .and(warp::post())
        .and(with(app))
        .then(handlers::restart_adapter);
    let inspect = warp::path!("adapters" / String / "inspect" / String)
        .and(warp::get())
        .and(with(app))
        .then(handlers::inspect_adapter);
    let act = warp::path!("adapters" / String / "act" / String)
        .and(warp::post())
        .and(with(app))
        .and(warp::body::stream())
        .then(|name, what, app, body| async move {
            handlers::act(name, what, app, body::json_or_null(body).await).await
        });
    list.or(one)
        .unify()
        .or(update)
        .unify()
        .or(restart)
        .unify()
        .or(inspect)
        .unify()
        .or(act)
        .unify()
        .boxed()
}

fn clients(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let grace = warp::path!("grace")
        .and(warp::get())
        .and(with(app))
        .then(handlers::grace);
    let end = warp::path!("adapters" / String / "grace" / "end")
        .and(warp::post())
        .and(with(app))
        .then(handlers::end_grace);
    let list = warp::path!("clients")
        .and(warp::get())
        .and(warp::query())
        .and(with(app))
        .then(handlers::clients);
    let evict = warp::path!("clients" / String)
        .and(warp::delete())
        .and(warp::query())
        .and(with(app))
        .then(handlers::evict_client);
    let copies = warp::path!("copies")
        .and(warp::get())
        .and(warp::query())
        .and(with(app))
        .then(handlers::copies);
    let cancel = warp::path!("copies" / String)
        .and(warp::delete())
        .and(warp::query())
        .and(with(app))
        .then(handlers::cancel_copy);
    grace
        .or(end)
        .unify()
        .or(list)
        .unify()
        .or(evict)
        .unify()
        .or(copies)
        .unify()
        .or(cancel)
        .unify()
        .boxed()
}

fn settings(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let read = warp::path!("adapters" / String / "settings")
        .and(warp::get())
        .and(warp::query())
        .and(with(app))
        .then(handlers::settings);
    let replaces = warp::put()
        .map(|| true)
        .or(warp::patch().map(|| false))
        .unify();
    let write = warp::path!("adapters" / String / "settings")
        .and(replaces)
        .and(warp::query())
        .and(with(app))
        .and(if_match())
        .and(warp::body::stream())
        .then(|name, replaces, query, app, if_match, body| async move {
            handlers::change_settings(name, replaces, query, app, if_match, body::json(body).await)
                .await
        });
    let reset = warp::path!("adapters" / String / "settings" / "reset")
        .and(warp::post())
        .and(warp::query())
        .and(with(app))
        .and(if_match())
        .then(handlers::reset_settings);
    let about = warp::path!("adapters" / String / "settings" / String)
        .and(warp::get())
        .and(with(app))
        .then(handlers::about_settings);
    read.or(write)
        .unify()
        .or(reset)
        .unify()
        .or(about)
        .unify()
        .boxed()
}

fn shares(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let list = warp::path!("shares")
        .and(warp::get())
        .and(with(app))
        .then(handlers::shares);
    let create = warp::path!("shares")
        .and(warp::post())
        .and(with(app))
        .and(warp::body::stream())
        .then(|app, body| async move { handlers::create_share(app, body::json(body).await).await });
    let one = warp::path!("shares" / String)
        .and(warp::get())
        .and(with(app))
        .then(handlers::share);
    let remove = warp::path!("shares" / String)
        .and(warp::delete())
        .and(with(app))
        .then(handlers::remove_share);
    list.or(create)
        .unify()
        .or(one)
        .unify()
        .or(remove)
        .unify()
        .boxed()
}

fn log(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let read = warp::path!("log")
        .and(warp::get())
        .and(with(app))
        .then(handlers::log_filter);
    let write =
        warp::path!("log")
            .and(warp::put())
            .and(with(app))
            .and(warp::body::stream())
            .then(|app, body| async move {
                handlers::change_log_filter(app, body::json(body).await).await
            });
    read.or(write).unify().boxed()
}

fn with(app: &Arc<App>) -> impl Filter<Extract = (Arc<App>,), Error = Infallible> + Clone + use<> {
    let app = Arc::clone(app);
    warp::any().map(move || Arc::clone(&app))
}

fn if_match() -> impl Filter<Extract = (Option<String>,), Error = Rejection> + Copy {
    warp::header::optional("if-match")
}

fn authorized(app: Arc<App>) -> impl Filter<Extract = (), Error = Rejection> + Clone {
    warp::header::optional::<String>("authorization")
        .and_then(move |header: Option<String>| {
            let granted = header
                .as_deref()
                .is_some_and(|header| carries(header, &app.token));
            async move {
                if granted {
                    Ok(())
                } else {
                    Err(warp::reject::custom(Denied))
                }
            }
        })
        .untuple_one()
}

/// Compares digests, so that the time it takes tells nothing about the token.
fn carries(header: &str, token: &str) -> bool {
    let Some((scheme, given)) = header.split_once(' ') else {
        return false;
    };
    scheme.eq_ignore_ascii_case("bearer") && Sha256::digest(given.trim()) == Sha256::digest(token)
}

async fn refuse(rejection: Rejection) -> Result<Response, Infallible> {
    let error = if rejection.find::<Denied>().is_some() {
        ApiError::Unauthorized
    } else if let Some(bad) = rejection.find::<InvalidQuery>() {
        ApiError::BadRequest(bad.to_string())
    } else if let Some(bad) = rejection.find::<InvalidHeader>() {
        ApiError::BadRequest(bad.to_string())
    } else if rejection.find::<MethodNotAllowed>().is_some() {
        ApiError::MethodNotAllowed
    } else {
        ApiError::NotFound("there is nothing at this path".to_owned())
    };
    Ok(error.into_response())
}
