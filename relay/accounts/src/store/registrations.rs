//! Accounts that were asked for by e-mail, until whoever has the mailbox confirms it.

use super::users::is_taken;
use super::{Store, StoreError, in_time, keys, seconds, users};
use crate::key::ApiKey;
use crate::register::code::Code;
use sqlx::{Any, Row, Transaction};
use std::time::{Duration, SystemTime};
use tern_bootstrap::name;
use tern_bootstrap::ticket::OwnerId;

/// How long a code is good.
pub const CODE_TIME_MAX: Duration = Duration::from_secs(60 * 60);

/// What the mail to somebody is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The name is free, and so is the mailbox.
    New,
    /// Who has the mailbox has this name already: a new key is what they may have.
    Known(String),
    /// The name is somebody else's.
    NameTaken,
}

/// Why a code gives no key.
#[derive(Debug, thiserror::Error)]
pub enum NotConfirmed {
    /// Used already, too old, or never given.
    #[error("this code was used already, or is older than an hour: register anew")]
    Unknown,
    /// Somebody else was faster.
    #[error("the name {0} was taken meanwhile: register anew with another")]
    NameTaken(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An account that is there now.
#[derive(Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// The user's name.
    pub name: String,
    /// Their only key.
    pub key: ApiKey,
}

impl Store {
    /// How it is with a name and a mailbox.
    pub async fn standing(&self, wanted: &str, email: &str) -> Result<Standing, StoreError> {
        in_time(async {
            let by_email = sqlx::query("SELECT name FROM users WHERE email = $1").bind(email);
            if let Some(row) = by_email.fetch_optional(&self.pool).await? {
                return Ok(Standing::Known(row.try_get("name")?));
            }
            let by_name = sqlx::query("SELECT name FROM users WHERE folded = $1");
            let found = by_name.bind(name::fold(wanted)).fetch_optional(&self.pool).await?;
            Ok(if found.is_some() { Standing::NameTaken } else { Standing::New })
        })
        .await
    }

    /// A code for an account. `email` is in small letters.
    pub async fn register(
        &self,
        name: &str,
        email: &str,
        now: SystemTime,
    ) -> Result<Code, StoreError> {
        let code = Code::generate();
        in_time(async {
            // What nobody confirmed goes; nothing else would take it away.
            let old = sqlx::query("DELETE FROM registrations WHERE expires_at <= $1");
            old.bind(seconds(now)).execute(&self.pool).await?;
            sqlx::query(
                "INSERT INTO registrations (code_hash, name, email, expires_at) \
                 VALUES ($1, $2, $3, $4)",
            )
            .bind(code.hash())
            .bind(name)
            .bind(email)
            .bind(seconds(now + CODE_TIME_MAX))
            .execute(&self.pool)
            .await?;
            Ok(())
        })
        .await?;
        Ok(code)
    }

    /// The account that a code stands for, made if it isn't there, and a key that replaces all former
    /// ones. The code is good once.
    pub async fn confirm(&self, code: &Code, now: SystemTime) -> Result<Confirmed, NotConfirmed> {
        let confirming = async {
            Ok(async {
                let mut transaction = self.pool.begin().await.map_err(StoreError::from)?;
                // First, so that of two who come with one code, one finds nothing.
                let taken = take(&mut transaction, code, now).await?;
                let (name, email) = taken.ok_or(NotConfirmed::Unknown)?;
                let (name, key) = make(&mut transaction, &name, &email, now).await?;
                transaction.commit().await.map_err(StoreError::from)?;
                Ok(Confirmed { name, key })
            }
            .await)
        };
        in_time(confirming).await?
    }
}

/// Name and mailbox of a code, which is good no more.
async fn take(
    transaction: &mut Transaction<'_, Any>,
    code: &Code,
    now: SystemTime,
) -> Result<Option<(String, String)>, StoreError> {
    let delete = sqlx::query(
        "DELETE FROM registrations WHERE code_hash = $1 AND expires_at > $2 RETURNING name, email",
    );
    let delete = delete.bind(code.hash()).bind(seconds(now));
    let Some(row) = delete.fetch_optional(&mut **transaction).await? else { return Ok(None) };
    Ok(Some((row.try_get("name")?, row.try_get("email")?)))
}

async fn make(
    transaction: &mut Transaction<'_, Any>,
    name: &str,
    email: &str,
    now: SystemTime,
) -> Result<(String, ApiKey), NotConfirmed> {
    let known = sqlx::query("SELECT id, name FROM users WHERE email = $1").bind(email);
    let known = known.fetch_optional(&mut **transaction).await.map_err(StoreError::from)?;
    let (id, name) = match known {
        Some(row) => {
            let id = OwnerId(row.try_get("id").map_err(StoreError::from)?);
            let name: String = row.try_get("name").map_err(StoreError::from)?;
            let delete = sqlx::query("DELETE FROM api_keys WHERE user_id = $1").bind(id.0);
            delete.execute(&mut **transaction).await.map_err(StoreError::from)?;
            (id, name)
        }
        None => {
            let id = users::new_id();
            let inserted = users::insert(id, name, Some(email), now);
            match inserted.execute(&mut **transaction).await {
                Ok(_) => (id, name.to_owned()),
                Err(error) if is_taken(&error) => {
                    return Err(NotConfirmed::NameTaken(name.to_owned()));
                }
                Err(error) => return Err(StoreError::from(error).into()),
            }
        }
    };
    let key = ApiKey::generate();
    let inserted = keys::insert(&key, id, now).execute(&mut **transaction).await;
    inserted.map_err(StoreError::from)?;
    Ok((name, key))
}
