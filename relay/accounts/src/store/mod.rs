//! Users and keys in a database: SQLite or PostgreSQL, the same schema and the same words to both.

mod keys;
mod migrations;
mod registrations;
mod users;

pub use keys::KeyRow;
pub use registrations::{CODE_TIME_MAX, Confirmed, NotConfirmed, Standing};
pub use users::UserRow;

use crate::place::Place;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, ConnectOptions};
use std::fmt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Connections at once: questions take a millisecond, and a relay is asked for some sessions a
/// second at most.
const CONNECTIONS_MAX: u32 = 4;
/// How long a question waits for a connection. A host that asks for a session waits for twenty
/// seconds, and may be told to try again.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(4);
/// How long anything that is asked may take.
const QUESTION_TIME_MAX: Duration = Duration::from_secs(8);
/// How often the migrations are tried: several programs may find an empty SQLite file at once, and at
/// each migration who comes second finds its tables there.
const MIGRATION_TRIES: usize = migrations::MIGRATIONS.len() + 1;

/// What goes wrong, for operators.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It can't be opened.
    #[error("cannot use the database {place}: {reason}")]
    Unusable {
        /// Which.
        place: Place,
        /// Why.
        reason: String,
    },
    /// A question fails.
    #[error("the database does not answer as it should: {0}")]
    Database(#[from] sqlx::Error),
    /// It takes too long.
    #[error("the database does not answer within {} seconds", QUESTION_TIME_MAX.as_secs())]
    Timeout,
    /// A user can't have this name.
    #[error(
        "'{0}' can't be a user's name: it has 1 to 40 letters and digits, with single hyphens \
         between them"
    )]
    Name(String),
    /// The name or the address is somebody's.
    #[error("there is a user {0} already (or one with that e-mail address)")]
    Taken(String),
    /// There is no such user.
    #[error("there is no user {0}; see `tern-relay user list`")]
    NoUser(String),
    /// There is no such key.
    #[error("there is no key that begins with {0}; see `tern-relay key list`")]
    NoKey(String),
    /// A user has all the keys that one may have.
    #[error("{0} has {max} keys already: revoke one first", max = keys::KEYS_OF_USER_MAX)]
    TooManyKeys(String),
}

/// The database, open. Clones are the same.
#[derive(Clone)]
pub struct Store {
    pool: AnyPool,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Opens it; makes the file and the tables that are missing.
    pub async fn open(place: &Place) -> Result<Self, StoreError> {
        let unusable = |reason: String| StoreError::Unusable { place: place.clone(), reason };
        if let Place::File(path) = place {
            make_file(path).map_err(|error| unusable(error.to_string()))?;
        }
        sqlx::any::install_default_drivers();
        let options = AnyConnectOptions::from_str(&place.url())
            .map_err(|error| unusable(error.to_string()))?
            .disable_statement_logging();
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(CONNECT_TIME_MAX)
            .connect_with(options)
            .await
            .map_err(|error| unusable(error.to_string()))?;
        let mut migrated = migrations::run(&pool).await;
        for _ in 1..MIGRATION_TRIES {
            if migrated.is_err() {
                migrated = migrations::run(&pool).await;
            }
        }
        migrated.map_err(unusable)?;
        Ok(Self { pool })
    }

    /// Waits for what is under way.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Bounds a question by [`QUESTION_TIME_MAX`].
async fn in_time<T>(
    question: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(QUESTION_TIME_MAX, question).await.unwrap_or(Err(StoreError::Timeout))
}

/// An empty file that only its owner can read; SQLite gives its journal the same rights.
fn make_file(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path).map(drop)
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
