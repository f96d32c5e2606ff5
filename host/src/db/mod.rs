//! The settings database: SQLite in the state directory, or PostgreSQL, through one set of queries.
//!
//! Both speak `$1` placeholders and `ON CONFLICT`, and the schema keeps to text, 64-bit integers
//! and bytes, so that sqlx's `Any` driver serves both and only the migrations differ.

mod adapters;
mod kv;
mod settings;
mod shares;

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::any::AnyPoolOptions;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AnyConnection, AnyPool, Connection, Row};

pub use kv::{MAX_KEY, MAX_KEYS, MAX_VALUE};
pub use settings::{HistoryRow, StoredSettings};
pub use shares::ShareRow;

static SQLITE: Migrator = sqlx::migrate!("../migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../migrations/postgres");

/// Longest wait for a connection to the database.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the settings are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A `postgres://` URL.
    Postgres(String),
}

/// Why the database can't be used: one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The file is there but is no intact database; it is left as it is.
    #[error(
        "{}: the settings database is corrupt ({detail}); it was left untouched: restore it from a backup, \
         or move it away to start with default settings", path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// It was written by a newer host.
    #[error(
        "{place}: the settings database has migration {version}, which this host does not know; run the newer host"
    )]
    Newer {
        /// File or server.
        place: String,
        /// The unknown migration.
        version: i64,
    },
    /// It can't be opened.
    #[error("{place}: can't open the settings database: {detail}")]
    Open {
        /// File or server.
        place: String,
        /// Why.
        detail: String,
    },
    /// A query failed.
    #[error("settings database: {0}")]
    Query(#[from] sqlx::Error),
    /// A row does not make sense.
    #[error("settings database: {0}")]
    Content(String),
    /// A bounded table is full, or a key or value too large.
    #[error("{0}")]
    Limit(String),
}

/// The open database. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    pool: AnyPool,
}

impl Database {
    /// Opens the database, creating the SQLite file if there is none, and brings its schema up to date.
    pub async fn open(location: &Location) -> Result<Self, DbError> {
        sqlx::any::install_default_drivers();
        match location {
            Location::Sqlite(path) => open_sqlite(path).await,
            Location::Postgres(url) => open_postgres(url).await,
        }
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), DbError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }
}

async fn open_sqlite(path: &Path) -> Result<Database, DbError> {
    let place = path.display().to_string();
    let failed = |e: sqlx::Error| DbError::Open {
        place: place.clone(),
        detail: e.to_string(),
    };
    let url = sqlite_url(path);
    if path.exists() {
        inspect_sqlite(path, &url).await?;
    }
    // One connection: SQLite has one writer anyway, and a queue in the pool is fairer than its busy loop.
    let pool = AnyPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| Box::pin(configure_sqlite(connection)))
        .connect(&format!("{url}?mode=rwc"))
        .await
        .map_err(failed)?;
    migrate(&SQLITE, &pool, place).await?;
    Ok(Database { pool })
}

async fn open_postgres(url: &str) -> Result<Database, DbError> {
    let place = without_password(url);
    let pool = AnyPoolOptions::new()
        .max_connections(8)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect(url)
        .await
        .map_err(|e| DbError::Open {
            place: place.clone(),
            detail: one_line(&e.to_string()),
        })?;
    migrate(&POSTGRES, &pool, place).await?;
    Ok(Database { pool })
}

/// What a `put` has answered is on stable storage: WAL alone would sync only at checkpoints.
async fn configure_sqlite(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    for pragma in [
        "PRAGMA busy_timeout = 5000",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
    ] {
        sqlx::query(pragma).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Looks at an existing file without writing to it, so that a corrupt one stays as it was found.
async fn inspect_sqlite(path: &Path, url: &str) -> Result<(), DbError> {
    let corrupt = |detail: String| DbError::Corrupt {
        path: path.to_owned(),
        detail,
    };
    let mut magic = Vec::new();
    File::open(path)
        .and_then(|file| file.take(16).read_to_end(&mut magic))
        .map_err(|e| DbError::Open {
            place: path.display().to_string(),
            detail: e.to_string(),
        })?;
    if magic.is_empty() {
        return Ok(());
    }
    if magic != b"SQLite format 3\0" {
        return Err(corrupt("not a SQLite file".to_owned()));
    }
    let check = async {
        let mut connection = AnyConnection::connect(&format!("{url}?mode=ro")).await?;
        let row = sqlx::query("PRAGMA quick_check(1)")
            .fetch_one(&mut connection)
            .await?;
        let answer: String = row.try_get(0)?;
        connection.close().await?;
        Ok::<_, sqlx::Error>(answer)
    };
    match check.await {
        Ok(answer) if answer == "ok" => Ok(()),
        Ok(answer) => Err(corrupt(one_line(&answer))),
        Err(e) => Err(corrupt(one_line(&e.to_string()))),
    }
}

async fn migrate(migrator: &Migrator, pool: &AnyPool, place: String) -> Result<(), DbError> {
    migrator.run(pool).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) => DbError::Newer { place, version },
        other => DbError::Open {
            place,
            detail: one_line(&other.to_string()),
        },
    })
}

/// A SQLite URL for `path`: sqlx decodes percent signs and takes what follows `?` as options.
fn sqlite_url(path: &Path) -> String {
    let mut url = String::from("sqlite://");
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/.-_".contains(&byte) {
            url.push(char::from(byte));
        } else {
            // Writing into a String does not fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url
}

/// The server part of a URL, for messages.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, server))) => format!("{scheme}://{server}"),
        _ => url.to_owned(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Milliseconds since 1970.
fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
}

#[cfg(test)]
mod tests;
