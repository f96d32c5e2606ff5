//! Which adapters are wanted.

use sqlx::Row;

use super::{Database, DbError};

impl Database {
    /// Whether `adapter` is wanted. One that was never seen before is, and is recorded so.
    pub async fn adapter_enabled(&self, adapter: &str) -> Result<bool, DbError> {
        sqlx::query(
            "INSERT INTO adapters (name, enabled) VALUES ($1, 1) ON CONFLICT (name) DO NOTHING",
        )
        .bind(adapter)
        .execute(&self.pool)
        .await?;
        let row = sqlx::query("SELECT enabled FROM adapters WHERE name = $1")
            .bind(adapter)
            .fetch_one(&self.pool)
            .await?;
        Ok(row.try_get::<i64, _>(0)? != 0)
    }

    /// Records whether `adapter` is wanted.
    pub async fn set_adapter_enabled(&self, adapter: &str, enabled: bool) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO adapters (name, enabled) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET enabled = excluded.enabled",
        )
        .bind(adapter)
        .bind(i64::from(enabled))
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
