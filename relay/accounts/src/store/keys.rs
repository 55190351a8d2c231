//! Keys.

use super::users::is_taken;
use super::{Store, StoreError, in_time, seconds};
use crate::key::{ApiKey, label_of};
use crate::owners::Owner;
use sqlx::Row;
use std::time::SystemTime;
use tern_bootstrap::name;
use tern_bootstrap::ticket::OwnerId;

/// Keys that one user may have: one for each machine of a large household.
pub(super) const KEYS_OF_USER_MAX: i64 = 50;
/// How exactly it is kept when a key was used: not every session should cost a write.
const USED_AT_STEP: i64 = 3600;
/// How often a key is made anew whose label another has: 55^6 labels are 28 thousand million.
const KEY_TRIES: usize = 3;

/// A key, for operators: nothing of it that opens anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its beginning.
    pub label: String,
    /// Whose it is.
    pub user: String,
    /// Seconds since 1970.
    pub created_at: i64,
    /// When it was last used, to the hour: seconds since 1970.
    pub used_at: Option<i64>,
}

impl Store {
    /// A new key for a user. It can't be had again: only its hash is stored.
    pub async fn new_key(&self, user: &str, now: SystemTime) -> Result<ApiKey, StoreError> {
        let id = self.user_id(user).await?;
        in_time(async {
            let count =
                sqlx::query("SELECT COUNT(*) AS keys_count FROM api_keys WHERE user_id = $1");
            let count: i64 = count.bind(id.0).fetch_one(&self.pool).await?.try_get("keys_count")?;
            if count >= KEYS_OF_USER_MAX {
                return Err(StoreError::TooManyKeys(user.to_owned()));
            }
            let mut tries = 1;
            loop {
                let key = ApiKey::generate();
                match insert(&key, id, now).execute(&self.pool).await {
                    Ok(_) => return Ok(key),
                    Err(error) if is_taken(&error) && tries < KEY_TRIES => tries += 1,
                    Err(error) => return Err(error.into()),
                }
            }
        })
        .await
    }

    /// All keys, or one user's.
    pub async fn keys(&self, user: Option<&str>) -> Result<Vec<KeyRow>, StoreError> {
        if let Some(user) = user {
            self.user_id(user).await?;
        }
        let select = sqlx::query(
            "SELECT api_keys.label, users.name, api_keys.created_at, api_keys.used_at \
             FROM api_keys JOIN users ON users.id = api_keys.user_id \
             WHERE users.folded = $1 OR $1 = '' ORDER BY users.folded, api_keys.created_at, api_keys.label",
        )
        .bind(user.map(name::fold).unwrap_or_default());
        in_time(async {
            let rows = select.fetch_all(&self.pool).await?;
            rows.iter()
                .map(|row| {
                    Ok(KeyRow {
                        label: row.try_get("label")?,
                        user: row.try_get("name")?,
                        created_at: row.try_get("created_at")?,
                        used_at: row.try_get("used_at")?,
                    })
                })
                .collect()
        })
        .await
    }

    /// A key counts no more. `key` is its label, or the whole of it.
    pub async fn revoke_key(&self, key: &str) -> Result<(), StoreError> {
        let label = label_of(key);
        let delete = sqlx::query("DELETE FROM api_keys WHERE label = $1").bind(label);
        in_time(async {
            let deleted = delete.execute(&self.pool).await?;
            if deleted.rows_affected() > 0 {
                Ok(())
            } else {
                Err(StoreError::NoKey(label.to_owned()))
            }
        })
        .await
    }

    /// Whose a key is.
    pub async fn owner_of(
        &self,
        key: &ApiKey,
        now: SystemTime,
    ) -> Result<Option<Owner>, StoreError> {
        let select = sqlx::query(
            "SELECT users.id, users.name FROM api_keys JOIN users ON users.id = api_keys.user_id \
             WHERE api_keys.hash = $1",
        )
        .bind(key.hash());
        in_time(async {
            let Some(row) = select.fetch_optional(&self.pool).await? else { return Ok(None) };
            let owner = Owner { id: OwnerId(row.try_get("id")?), name: row.try_get("name")? };
            self.note_use(key, seconds(now)).await;
            Ok(Some(owner))
        })
        .await
    }

    /// That a key was used is good to know, and no reason to refuse it.
    async fn note_use(&self, key: &ApiKey, now: i64) {
        let update = sqlx::query(
            "UPDATE api_keys SET used_at = $1 WHERE hash = $2 AND (used_at IS NULL OR used_at < $3)",
        )
        .bind(now)
        .bind(key.hash())
        .bind(now - USED_AT_STEP);
        if let Err(error) = update.execute(&self.pool).await {
            tracing::info!(%error, "it was not written down that a key was used");
        }
    }
}

/// The statement that enters a key.
pub(super) fn insert(
    key: &ApiKey,
    owner: OwnerId,
    now: SystemTime,
) -> sqlx::query::Query<'_, sqlx::Any, sqlx::any::AnyArguments<'_>> {
    sqlx::query("INSERT INTO api_keys (label, hash, user_id, created_at) VALUES ($1, $2, $3, $4)")
        .bind(key.label())
        .bind(key.hash())
        .bind(owner.0)
        .bind(seconds(now))
}
