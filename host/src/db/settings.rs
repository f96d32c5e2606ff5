//! The adapters' settings and their history.

use serde_json::{Map, Value};
use sqlx::Row;

use super::{Database, DbError, now};

/// What is stored for one adapter: the fields that an operator has set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StoredSettings {
    /// Number of updates so far; 0 for settings never touched.
    pub version: i64,
    /// The fields set.
    pub fields: Map<String, Value>,
}

/// One version that was in force.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryRow {
    /// The version.
    pub version: i64,
    /// The fields set.
    pub fields: Map<String, Value>,
    /// Milliseconds since 1970.
    pub changed_at: i64,
}

impl Database {
    /// The settings of `adapter`.
    pub async fn settings(&self, adapter: &str) -> Result<StoredSettings, DbError> {
        let row = sqlx::query("SELECT version, settings FROM adapter_settings WHERE adapter = $1")
            .bind(adapter)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else {
            return Ok(StoredSettings::default());
        };
        Ok(StoredSettings {
            version: row.try_get(0)?,
            fields: object(row.try_get(1)?, adapter)?,
        })
    }

    /// Puts `fields` in the place of version `expected`; the new version, or `None` when the
    /// stored version is another.
    pub async fn put_settings(
        &self,
        adapter: &str,
        expected: i64,
        fields: &Map<String, Value>,
    ) -> Result<Option<i64>, DbError> {
        let text = Value::Object(fields.clone()).to_string();
        let (version, at) = (expected + 1, now());
        let mut tx = self.pool.begin().await?;
        let written = if expected == 0 {
            sqlx::query(
                "INSERT INTO adapter_settings (adapter, version, settings, updated_at) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (adapter) DO NOTHING",
            )
            .bind(adapter)
            .bind(version)
            .bind(&text)
            .bind(at)
            .execute(&mut *tx)
            .await?
        } else {
            sqlx::query(
                "UPDATE adapter_settings SET version = $2, settings = $3, updated_at = $4 \
                 WHERE adapter = $1 AND version = $5",
            )
            .bind(adapter)
            .bind(version)
            .bind(&text)
            .bind(at)
            .bind(expected)
            .execute(&mut *tx)
            .await?
        };
        if written.rows_affected() == 0 {
            return Ok(None);
        }
        sqlx::query(
            "INSERT INTO adapter_settings_history (adapter, version, settings, changed_at) VALUES ($1, $2, $3, $4)",
        )
        .bind(adapter)
        .bind(version)
        .bind(&text)
        .bind(at)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Some(version))
    }

    /// The latest `limit` versions of `adapter`, newest first.
    pub async fn settings_history(
        &self,
        adapter: &str,
        limit: i64,
    ) -> Result<Vec<HistoryRow>, DbError> {
        let rows = sqlx::query(
            "SELECT version, settings, changed_at FROM adapter_settings_history \
             WHERE adapter = $1 ORDER BY version DESC LIMIT $2",
        )
        .bind(adapter)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(HistoryRow {
                    version: row.try_get(0)?,
                    fields: object(row.try_get(1)?, adapter)?,
                    changed_at: row.try_get(2)?,
                })
            })
            .collect()
    }
}

fn object(text: &str, adapter: &str) -> Result<Map<String, Value>, DbError> {
    serde_json::from_str(text).map_err(|e| {
        DbError::Content(format!(
            "the settings of {adapter} are not a JSON object: {e}"
        ))
    })
}
