//! Users.

use super::{Store, StoreError, in_time, seconds};
use sqlx::Row;
use std::time::SystemTime;
use tern_bootstrap::name;
use tern_bootstrap::ticket::OwnerId;
use tern_bootstrap::token;

/// How many users are looked up at once: what one statement may hold is some thousands.
const BATCH_SIZE: usize = 500;

/// A user, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// As it was given.
    pub name: String,
    /// In small letters.
    pub email: Option<String>,
    /// Seconds since 1970.
    pub created_at: i64,
    /// Keys that count.
    pub keys_count: i64,
    /// When one of the keys was last used, to the hour: seconds since 1970.
    pub used_at: Option<i64>,
}

impl Store {
    /// A new user.
    pub async fn add_user(
        &self,
        name: &str,
        email: Option<&str>,
        now: SystemTime,
    ) -> Result<OwnerId, StoreError> {
        if !name::is_user(name) {
            return Err(StoreError::Name(name.to_owned()));
        }
        let id = new_id();
        let email = email.map(str::to_lowercase);
        let email = email.as_deref();
        let insert = insert(id, name, email, now);
        in_time(async {
            let inserted = insert.execute(&self.pool).await;
            match inserted {
                Ok(_) => Ok(id),
                Err(error) if is_taken(&error) => Err(StoreError::Taken(name.to_owned())),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// All users, by name.
    pub async fn users(&self) -> Result<Vec<UserRow>, StoreError> {
        let select = sqlx::query(
            "SELECT users.name, users.email, users.created_at, COUNT(api_keys.label) AS keys_count, \
             MAX(api_keys.used_at) AS used_at \
             FROM users LEFT JOIN api_keys ON api_keys.user_id = users.id \
             GROUP BY users.id, users.name, users.folded, users.email, users.created_at \
             ORDER BY users.folded",
        );
        in_time(async {
            let rows = select.fetch_all(&self.pool).await?;
            rows.iter()
                .map(|row| {
                    Ok(UserRow {
                        name: row.try_get("name")?,
                        email: row.try_get("email")?,
                        created_at: row.try_get("created_at")?,
                        keys_count: row.try_get("keys_count")?,
                        used_at: row.try_get("used_at")?,
                    })
                })
                .collect()
        })
        .await
    }

    /// A user and all of their keys go. Gives how many keys.
    pub async fn remove_user(&self, name: &str) -> Result<u64, StoreError> {
        let id = self.user_id(name).await?;
        in_time(async {
            let mut transaction = self.pool.begin().await?;
            let keys = sqlx::query("DELETE FROM api_keys WHERE user_id = $1").bind(id.0);
            let keys_count = keys.execute(&mut *transaction).await?.rows_affected();
            let user = sqlx::query("DELETE FROM users WHERE id = $1").bind(id.0);
            let is_gone = user.execute(&mut *transaction).await?.rows_affected() > 0;
            transaction.commit().await?;
            if is_gone { Ok(keys_count) } else { Err(StoreError::NoUser(name.to_owned())) }
        })
        .await
    }

    /// The user of this name, however its letters are written.
    pub async fn user_id(&self, name: &str) -> Result<OwnerId, StoreError> {
        let select = sqlx::query("SELECT id FROM users WHERE folded = $1").bind(name::fold(name));
        in_time(async {
            let row = select.fetch_optional(&self.pool).await?;
            let row = row.ok_or_else(|| StoreError::NoUser(name.to_owned()))?;
            Ok(OwnerId(row.try_get("id")?))
        })
        .await
    }

    /// Those of `owners` that there still are.
    pub async fn living(&self, owners: &[OwnerId]) -> Result<Vec<OwnerId>, StoreError> {
        in_time(async {
            let mut living = Vec::with_capacity(owners.len());
            for batch in owners.chunks(BATCH_SIZE) {
                // (sqlx's own builder of such lists writes what PostgreSQL doesn't read.)
                let places: Vec<_> = (1..=batch.len()).map(|number| format!("${number}")).collect();
                let select = format!("SELECT id FROM users WHERE id IN ({})", places.join(", "));
                let mut select = sqlx::query(&select);
                for owner in batch {
                    select = select.bind(owner.0);
                }
                for row in select.fetch_all(&self.pool).await? {
                    living.push(OwnerId(row.try_get("id")?));
                }
            }
            Ok(living)
        })
        .await
    }
}

/// Random: among a million users two get the same with a chance of one in ten million, and then the
/// database refuses the second.
pub(super) fn new_id() -> OwnerId {
    OwnerId(i64::from_be_bytes(token::random()))
}

/// The statement that enters a user. `email` is in small letters.
pub(super) fn insert<'a>(
    id: OwnerId,
    name: &'a str,
    email: Option<&'a str>,
    now: SystemTime,
) -> sqlx::query::Query<'a, sqlx::Any, sqlx::any::AnyArguments<'a>> {
    sqlx::query(
        "INSERT INTO users (id, name, folded, email, created_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(id.0)
    .bind(name)
    .bind(name::fold(name))
    .bind(email)
    .bind(seconds(now))
}

/// Whether a statement failed since something that must be there once would be there twice.
pub(super) fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.is_unique_violation())
}
