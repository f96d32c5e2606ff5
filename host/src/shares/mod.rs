//! The exported file systems: persisted ones, and those of the command line for this run.

mod backing;
mod spec;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dittofs_api as api;
use dittofs_sdk::{FieldError, Share, Squash};
use parking_lot::RwLock;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::db::{Database, DbError, ShareRow};

use self::backing::{Backing, Opener};

pub use self::backing::{Exported, Exports};
pub use spec::{AttributeCacheBound, Backend, ShareName, ShareSpec};

/// Most shares of one host.
const MAX_SHARES: usize = 4096;

/// Why a share was not made or removed.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// Something in the request.
    #[error("{0}")]
    Invalid(FieldError),
    /// Another share is in the way.
    #[error("{0}")]
    Conflict(String),
    /// There is no such share.
    #[error("no share {0}")]
    Unknown(String),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// One share as the host knows it.
struct Entry {
    id: Uuid,
    spec: ShareSpec,
    origin: api::Origin,
    /// What is exported, or why nothing is.
    backing: Result<Backing, String>,
}

/// All shares of the host.
pub struct ShareTable {
    db: Database,
    opener: Opener,
    /// Serialises changes; readers use `snapshot` and `entries` alone.
    changes: Mutex<()>,
    entries: RwLock<BTreeMap<ShareName, Entry>>,
    snapshot: RwLock<Exports>,
}

impl ShareTable {
    /// Opens the persisted shares. One whose directory is missing is kept, with the reason.
    pub async fn open(db: Database, handle_key: [u8; 32]) -> Result<Self, DbError> {
        let opener = Opener::new(handle_key);
        let mut entries = BTreeMap::new();
        for row in db.shares().await? {
            let entry = persisted(&row, &opener)?;
            if let Err(reason) = &entry.backing {
                tracing::error!("share {} is not exported: {reason}", entry.spec.name);
            }
            entries.insert(entry.spec.name.clone(), entry);
        }
        let table = Self {
            db,
            opener,
            changes: Mutex::default(),
            entries: RwLock::new(entries),
            snapshot: RwLock::new(Arc::from([])),
        };
        table.publish();
        Ok(table)
    }

    /// Exports `spec` for this run, in the place of a persisted share of that name.
    pub async fn add_for_this_run(&self, spec: ShareSpec) -> Result<(), ShareError> {
        let _changing = self.changes.lock().await;
        let spec = canonical(spec)?;
        self.refuse_overlap(&spec.name)?;
        let backing = self.open_backend(&spec.backend)?;
        let id = self.id_for_this_run(&spec).await?;
        self.insert(Entry {
            id,
            spec,
            origin: api::Origin::CommandLine,
            backing: Ok(backing),
        });
        Ok(())
    }

    /// Makes and persists a share.
    pub async fn create(&self, create: api::ShareCreate) -> Result<api::Share, ShareError> {
        let _changing = self.changes.lock().await;
        let spec = canonical(spec_of(create)?)?;
        if self.entries.read().contains_key(&spec.name) {
            return Err(ShareError::Conflict(format!(
                "there is a share {} already",
                spec.name
            )));
        }
        self.refuse_overlap(&spec.name)?;
        let backing = self.open_backend(&spec.backend)?;
        let entry = Entry {
            id: Uuid::new_v4(),
            spec,
            origin: api::Origin::Stored,
            backing: Ok(backing),
        };
        if !self.db.insert_share(&row_of(&entry)).await? {
            return Err(ShareError::Conflict(format!(
                "the database has a share {} already",
                entry.spec.name
            )));
        }
        let made = view(&entry);
        self.insert(entry);
        tracing::info!("audit: share {} created", made.name);
        Ok(made)
    }

    /// Stops exporting a share for good. What it exported is left as it is.
    pub async fn remove(&self, name: &str) -> Result<(), ShareError> {
        let _changing = self.changes.lock().await;
        let name = self.known(name)?;
        let origin = self.entries.read().get(&name).map(|entry| entry.origin);
        if origin == Some(api::Origin::CommandLine) {
            let message = format!(
                "share {name} comes from the command line or configuration file: remove it there"
            );
            return Err(ShareError::Conflict(message));
        }
        self.db.delete_share(name.as_str()).await?;
        self.entries.write().remove(&name);
        self.publish();
        tracing::info!("audit: share {name} removed");
        Ok(())
    }

    /// All shares, by name.
    pub fn list(&self) -> Vec<api::Share> {
        self.entries.read().values().map(view).collect()
    }

    /// One share.
    pub fn one(&self, name: &str) -> Result<api::Share, ShareError> {
        let name = self.known(name)?;
        let entries = self.entries.read();
        entries
            .get(&name)
            .map(view)
            .ok_or_else(|| ShareError::Unknown(name.to_string()))
    }

    /// What adapters see, each through views of its own.
    pub fn snapshot(&self) -> Exports {
        Arc::clone(&self.snapshot.read())
    }

    fn open_backend(&self, backend: &Backend) -> Result<Backing, ShareError> {
        self.opener.open(backend).map_err(ShareError::Invalid)
    }

    fn known(&self, name: &str) -> Result<ShareName, ShareError> {
        name.parse::<ShareName>()
            .ok()
            .filter(|name| self.entries.read().contains_key(name))
            .ok_or_else(|| ShareError::Unknown(name.to_owned()))
    }

    fn insert(&self, entry: Entry) {
        self.entries.write().insert(entry.spec.name.clone(), entry);
        self.publish();
    }

    fn publish(&self) {
        let exports: Exports = self.entries.read().values().filter_map(exported).collect();
        *self.snapshot.write() = exports;
    }

    fn refuse_overlap(&self, name: &ShareName) -> Result<(), ShareError> {
        let entries = self.entries.read();
        if entries.len() >= MAX_SHARES {
            return Err(ShareError::Conflict(format!(
                "there are {MAX_SHARES} shares already"
            )));
        }
        match entries.keys().find(|other| other.overlaps(name)) {
            Some(other) => Err(ShareError::Conflict(format!(
                "{name} and the share {other} would lie inside each other"
            ))),
            None => Ok(()),
        }
    }

    /// Handles must stay valid over restarts, so the same directory under the same name keeps
    /// its id; and must not be mistaken for others, so memory, which starts empty, gets a new one.
    async fn id_for_this_run(&self, spec: &ShareSpec) -> Result<Uuid, ShareError> {
        let Backend::Local { path, .. } = &spec.backend else {
            return Ok(Uuid::new_v4());
        };
        if let Some(entry) = self.entries.read().get(&spec.name)
            && matches!(&entry.spec.backend, Backend::Local { path: same, .. } if same == path)
        {
            return Ok(entry.id);
        }
        let source = format!("{}={}", spec.name, path.display());
        let id = self
            .db
            .run_share_id(&source, &Uuid::new_v4().to_string())
            .await?;
        Ok(parse_id(&id)?)
    }
}

/// The same directory has one path, whoever names it.
fn canonical(mut spec: ShareSpec) -> Result<ShareSpec, ShareError> {
    if let Backend::Local { path, .. } = &mut spec.backend {
        let invalid =
            |message: String| ShareError::Invalid(FieldError::new("backend.path", message));
        let found = path
            .canonicalize()
            .map_err(|e| invalid(format!("{}: {}", path.display(), reason(&e))))?;
        if !found.is_dir() {
            return Err(invalid(format!("{} is not a directory", path.display())));
        }
        if found.to_str().is_none() {
            return Err(invalid(format!(
                "{}: the path must be valid UTF-8",
                path.display()
            )));
        }
        *path = found;
    }
    Ok(spec)
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such directory; create it first".to_owned(),
        _ => error.to_string(),
    }
}

fn exported(entry: &Entry) -> Option<Exported> {
    let backing = entry.backing.as_ref().ok()?.clone();
    Some(Exported::new(backing, |fs| Share {
        id: entry.id,
        name: entry.spec.name.to_string(),
        fs,
        read_only: entry.spec.read_only,
        squash: entry.spec.squash,
        anonymous_uid: entry.spec.anonymous_uid,
        anonymous_gid: entry.spec.anonymous_gid,
        clients: entry.spec.clients.clone(),
    }))
}

fn persisted(row: &ShareRow, opener: &Opener) -> Result<Entry, DbError> {
    let bad = |e: FieldError| DbError::Content(format!("share {}: {e}", row.name));
    let backend = match (row.backend.as_str(), &row.path) {
        ("local", Some(path)) => Backend::Local {
            path: path.into(),
            attribute_cache: AttributeCacheBound::of_millis(row.attribute_cache_ms).map_err(bad)?,
        },
        ("memory", _) => Backend::Memory,
        (other, _) => {
            return Err(DbError::Content(format!(
                "share {}: unknown backend {other:?}",
                row.name
            )));
        }
    };
    let clients = row.clients.split('+').filter(|text| !text.is_empty());
    let spec = ShareSpec {
        name: row.name.parse().map_err(bad)?,
        read_only: row.read_only,
        squash: spec::squash(&row.squash).map_err(bad)?,
        anonymous_uid: row.anonymous_uid,
        anonymous_gid: row.anonymous_gid,
        clients: spec::clients(clients).map_err(bad)?,
        backend,
    };
    let (id, backing) = match &spec.backend {
        // It starts empty: its old handles must not name new files.
        Backend::Memory => (
            Uuid::new_v4(),
            opener.open(&spec.backend).map_err(|e| e.message),
        ),
        Backend::Local {
            path,
            attribute_cache,
        } => (
            parse_id(&row.id)?,
            opener.open_present(path, *attribute_cache),
        ),
    };
    Ok(Entry {
        id,
        spec,
        origin: api::Origin::Stored,
        backing,
    })
}

fn parse_id(text: &str) -> Result<Uuid, DbError> {
    text.parse()
        .map_err(|_| DbError::Content(format!("{text:?} is no share id")))
}

fn row_of(entry: &Entry) -> ShareRow {
    let clients: Vec<String> = entry.spec.clients.iter().map(ToString::to_string).collect();
    let (backend, path, attribute_cache_ms) = match &entry.spec.backend {
        Backend::Local {
            path,
            attribute_cache,
        } => (
            "local",
            Some(path.display().to_string()),
            attribute_cache.millis(),
        ),
        Backend::Memory => ("memory", None, 0),
    };
    ShareRow {
        id: entry.id.to_string(),
        name: entry.spec.name.to_string(),
        backend: backend.to_owned(),
        path,
        attribute_cache_ms,
        read_only: entry.spec.read_only,
        squash: spec::squash_name(entry.spec.squash).to_owned(),
        anonymous_uid: entry.spec.anonymous_uid,
        anonymous_gid: entry.spec.anonymous_gid,
        clients: clients.join("+"),
    }
}

fn spec_of(create: api::ShareCreate) -> Result<ShareSpec, ShareError> {
    let backend = match create.backend {
        api::Backend::Memory {} => Backend::Memory,
        api::Backend::Local {
            path,
            attribute_cache_ms,
        } if Path::new(&path).is_absolute() => Backend::Local {
            path: path.into(),
            attribute_cache: AttributeCacheBound::of_millis(attribute_cache_ms)
                .map_err(ShareError::Invalid)?,
        },
        api::Backend::Local { path, .. } => {
            let message = format!("{path:?}: the path of a directory starts with /");
            return Err(ShareError::Invalid(FieldError::new(
                "backend.path",
                message,
            )));
        }
    };
    Ok(ShareSpec {
        name: create.name.parse().map_err(ShareError::Invalid)?,
        backend,
        read_only: create.read_only,
        squash: match create.squash {
            api::Squash::None => Squash::None,
            api::Squash::Root => Squash::Root,
            api::Squash::All => Squash::All,
        },
        anonymous_uid: create.anonymous_uid,
        anonymous_gid: create.anonymous_gid,
        clients: spec::clients(create.clients.iter().map(String::as_str))
            .map_err(ShareError::Invalid)?,
    })
}

fn view(entry: &Entry) -> api::Share {
    api::Share {
        id: entry.id,
        name: entry.spec.name.to_string(),
        backend: match &entry.spec.backend {
            Backend::Local {
                path,
                attribute_cache,
            } => api::Backend::Local {
                path: path.display().to_string(),
                attribute_cache_ms: attribute_cache.millis(),
            },
            Backend::Memory => api::Backend::Memory {},
        },
        read_only: entry.spec.read_only,
        squash: match entry.spec.squash {
            Squash::None => api::Squash::None,
            Squash::Root => api::Squash::Root,
            Squash::All => api::Squash::All,
        },
        anonymous_uid: entry.spec.anonymous_uid,
        anonymous_gid: entry.spec.anonymous_gid,
        clients: entry.spec.clients.iter().map(ToString::to_string).collect(),
        origin: entry.origin,
        error: entry.backing.as_ref().err().cloned(),
    }
}
