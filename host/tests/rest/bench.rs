//! A host without sockets of its own, and requests to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use dittofs_host::adapters::{Adapters, Given, Overrides};
use dittofs_host::db::{Database, Location};
use dittofs_host::listeners::Listeners;
use dittofs_host::loader::Loader;
use dittofs_host::log::LogFilter;
use dittofs_host::metrics::Metrics;
use dittofs_host::rest::{self, App};
use dittofs_host::services::Core;
use dittofs_host::shares::ShareTable;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::Response;

const TOKEN: &str = "the-token";

/// A library that cargo built because this package depends on it.
pub(crate) fn built(adapter: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let file = match adapter {
        "probe" => "libdittofs_test_probe.so".to_owned(),
        name => format!("libdittofs_adapter_{name}.so"),
    };
    test.parent().unwrap().join(file)
}

/// Where a test's host keeps its state, with the adapters that it shall find.
pub(crate) struct Ground {
    pub(crate) dir: TempDir,
}

impl Ground {
    pub(crate) fn new(adapters: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("found")).unwrap();
        for name in adapters {
            std::fs::copy(
                built(name),
                dir.path()
                    .join(format!("found/lib{name}_adapter_{name}.so")),
            )
            .unwrap();
        }
        Self { dir }
    }

    pub(crate) fn library(&self, name: &str) -> PathBuf {
        self.dir
            .path()
            .join(format!("found/lib{name}_adapter_{name}.so"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Starts a host with these settings for its run, as `adapter.field=value`.
    pub(crate) async fn host(&self, settings: &[&str]) -> Host {
        let location = Location::Sqlite(self.path().join("state.db"));
        let db = Database::open(&location).await.unwrap();
        let core = Arc::new(Core {
            metrics: Metrics::new().unwrap(),
            listeners: Listeners::default(),
            shares: ShareTable::open(db.clone(), [7; 32]).await.unwrap(),
            log: LogFilter::new("info").unwrap(),
            db,
        });
        let loader = Loader::new(vec![self.path().join("found")], self.path())
            .unwrap()
            .with_checker(env!("CARGO_BIN_EXE_dittofs").into());
        let adapters = Adapters::load(&core, &loader, overrides(settings))
            .await
            .unwrap();
        adapters.start().await;
        let (serving, is_serving) = watch::channel(true);
        let app = Arc::new(App {
            core,
            adapters,
            token: TOKEN.to_owned(),
            started: Instant::now(),
            serving: is_serving,
        });
        Host {
            routes: rest::routes(&app),
            app,
            serving,
        }
    }
}

fn overrides(settings: &[&str]) -> Overrides {
    let mut overrides = Overrides::new();
    for setting in settings {
        let (path, value) = setting.split_once('=').unwrap();
        let (adapter, field) = path.split_once('.').unwrap();
        let given = Given::Text(value.to_owned());
        overrides
            .entry(adapter.to_owned())
            .or_default()
            .insert(field.to_owned(), given);
    }
    overrides
}

/// A running host.
pub(crate) struct Host {
    pub(crate) app: Arc<App>,
    pub(crate) serving: watch::Sender<bool>,
    pub(crate) routes: BoxedFilter<(Response,)>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) etag: Option<String>,
    pub(crate) content_type: String,
    pub(crate) body: Value,
}

impl Reply {
    /// The body of a reply with this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        let problem = self.content_type == "application/problem+json";
        assert_eq!(
            problem,
            self.status.is_client_error() || self.status.is_server_error(),
            "{self:?}"
        );
        if problem {
            assert_eq!(self.body["status"], status);
            assert_eq!(
                self.body["detail"].as_str().unwrap().lines().count(),
                1,
                "{self:?}"
            );
        }
        self.body
    }
}

impl Host {
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None, &[]).await
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Reply {
        self.send(method, path, Some(body.to_string()), &[]).await
    }

    /// Sends a request with the token to `path` below `/api/v1`.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
        headers: &[(&str, &str)],
    ) -> Reply {
        let bearer = format!("Bearer {TOKEN}");
        let headers: Vec<_> = headers
            .iter()
            .copied()
            .chain([("authorization", bearer.as_str())])
            .collect();
        self.raw(method, &format!("/api/v1{path}"), body, &headers)
            .await
    }

    pub(crate) async fn raw(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
        headers: &[(&str, &str)],
    ) -> Reply {
        let mut request = warp::test::request().method(method).path(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.reply(&self.routes).await;
        let header = |name| {
            response
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        Reply {
            status: response.status(),
            etag: header("etag"),
            content_type: header("content-type").unwrap_or_default(),
            body: serde_json::from_slice(response.body()).unwrap_or_default(),
        }
    }

    pub(crate) fn metrics(&self) -> String {
        String::from_utf8(self.app.core.metrics.text().unwrap()).unwrap()
    }

    /// Stops all adapters and closes the database.
    pub(crate) async fn end(self) {
        self.app.adapters.stop().await;
        self.app.core.db.close().await;
    }
}
