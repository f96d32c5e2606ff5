//! Persisted shares, and the ids of shares that exist for one run.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Database, DbError, now};

/// One persisted share, as text and numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareRow {
    /// UUID.
    pub id: String,
    /// Absolute name.
    pub name: String,
    /// `local` or `memory`.
    pub backend: String,
    /// Directory of a local share.
    pub path: Option<String>,
    /// For how long a local share may tell attributes again without a look.
    pub attribute_cache_ms: u32,
    /// Whether changes are refused.
    pub read_only: bool,
    /// `none`, `root` or `all`.
    pub squash: String,
    /// User of squashed requests.
    pub anonymous_uid: u32,
    /// Group of squashed requests.
    pub anonymous_gid: u32,
    /// Networks, separated by `+`; empty for everybody.
    pub clients: String,
}

impl Database {
    /// All persisted shares, by name.
    pub async fn shares(&self) -> Result<Vec<ShareRow>, DbError> {
        let rows = sqlx::query(
            "SELECT id, name, backend, path, read_only, squash, anonymous_uid, anonymous_gid, clients, \
             attribute_cache_ms FROM shares ORDER BY name",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(share).collect()
    }

    /// Adds a share; `false` when the name is taken.
    pub async fn insert_share(&self, share: &ShareRow) -> Result<bool, DbError> {
        let done = sqlx::query(
            "INSERT INTO shares (id, name, backend, path, read_only, squash, anonymous_uid, anonymous_gid, \
             clients, attribute_cache_ms, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
             ON CONFLICT (name) DO NOTHING",
        )
        .bind(&share.id)
        .bind(&share.name)
        .bind(&share.backend)
        .bind(share.path.as_deref())
        .bind(i64::from(share.read_only))
        .bind(&share.squash)
        .bind(i64::from(share.anonymous_uid))
        .bind(i64::from(share.anonymous_gid))
        .bind(&share.clients)
        .bind(i64::from(share.attribute_cache_ms))
        .bind(now())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Removes a share; `false` when there is none.
    pub async fn delete_share(&self, name: &str) -> Result<bool, DbError> {
        let done = sqlx::query("DELETE FROM shares WHERE name = $1")
            .bind(name)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The id kept for `source`, or `fresh` if it is new.
    pub async fn run_share_id(&self, source: &str, fresh: &str) -> Result<String, DbError> {
        sqlx::query("INSERT INTO run_share_ids (source, id) VALUES ($1, $2) ON CONFLICT (source) DO NOTHING")
            .bind(source)
            .bind(fresh)
            .execute(&self.pool)
            .await?;
        let row = sqlx::query("SELECT id FROM run_share_ids WHERE source = $1")
            .bind(source)
            .fetch_one(&self.pool)
            .await?;
        Ok(row.try_get(0)?)
    }
}

fn share(row: &AnyRow) -> Result<ShareRow, DbError> {
    let number = |at: usize, what: &str| -> Result<u32, DbError> {
        let wide: i64 = row.try_get(at)?;
        u32::try_from(wide).map_err(|_| DbError::Content(format!("{wide} is no {what}")))
    };
    let id = |at| number(at, "user or group id");
    Ok(ShareRow {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        backend: row.try_get(2)?,
        path: row.try_get(3)?,
        attribute_cache_ms: number(9, "number of milliseconds")?,
        read_only: row.try_get::<i64, _>(4)? != 0,
        squash: row.try_get(5)?,
        anonymous_uid: id(6)?,
        anonymous_gid: id(7)?,
        clients: row.try_get(8)?,
    })
}
