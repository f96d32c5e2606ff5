//! The adapters' small persisted blobs.

use sqlx::Row;

use super::{Database, DbError};

/// Longest key in bytes.
pub const MAX_KEY: usize = 512;
/// Largest value in bytes.
pub const MAX_VALUE: usize = 64 << 10;
/// Most keys of one adapter.
pub const MAX_KEYS: i64 = 100_000;

impl Database {
    /// The value of `key`.
    pub async fn kv_get(&self, adapter: &str, key: &str) -> Result<Option<Vec<u8>>, DbError> {
        let row = sqlx::query("SELECT value FROM kv WHERE adapter = $1 AND key = $2")
            .bind(adapter)
            .bind(key)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Sets `key`; on stable storage when it returns.
    pub async fn kv_put(&self, adapter: &str, key: &str, value: &[u8]) -> Result<(), DbError> {
        if key.is_empty() || key.len() > MAX_KEY || key.contains('\0') {
            return Err(DbError::Limit(format!(
                "a key has 1 to {MAX_KEY} bytes and no NUL"
            )));
        }
        if value.len() > MAX_VALUE {
            return Err(DbError::Limit(format!(
                "a value has at most {MAX_VALUE} bytes, not {}",
                value.len()
            )));
        }
        let mut tx = self.pool.begin().await?;
        let updated = sqlx::query("UPDATE kv SET value = $3 WHERE adapter = $1 AND key = $2")
            .bind(adapter)
            .bind(key)
            .bind(value)
            .execute(&mut *tx)
            .await?;
        if updated.rows_affected() == 0 {
            let row = sqlx::query("SELECT COUNT(*) FROM kv WHERE adapter = $1")
                .bind(adapter)
                .fetch_one(&mut *tx)
                .await?;
            if row.try_get::<i64, _>(0)? >= MAX_KEYS {
                return Err(DbError::Limit(format!(
                    "{adapter} already keeps {MAX_KEYS} keys"
                )));
            }
            sqlx::query(
                "INSERT INTO kv (adapter, key, value) VALUES ($1, $2, $3) \
                 ON CONFLICT (adapter, key) DO UPDATE SET value = excluded.value",
            )
            .bind(adapter)
            .bind(key)
            .bind(value)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Removes `key`; no error if there is none.
    pub async fn kv_delete(&self, adapter: &str, key: &str) -> Result<(), DbError> {
        sqlx::query("DELETE FROM kv WHERE adapter = $1 AND key = $2")
            .bind(adapter)
            .bind(key)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// All pairs whose key starts with `prefix`, by key.
    pub async fn kv_list(
        &self,
        adapter: &str,
        prefix: &str,
    ) -> Result<Vec<(String, Vec<u8>)>, DbError> {
        let rows =
            sqlx::query("SELECT key, value FROM kv WHERE adapter = $1 AND substr(key, 1, $3) = $2")
                .bind(adapter)
                .bind(prefix)
                .bind(i32::try_from(prefix.chars().count()).unwrap_or(i32::MAX))
                .fetch_all(&self.pool)
                .await?;
        let mut pairs = rows
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect::<Result<Vec<(String, Vec<u8>)>, sqlx::Error>>()?;
        // By bytes, whatever collation the database has.
        pairs.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(pairs)
    }
}
